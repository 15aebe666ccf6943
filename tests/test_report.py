"""The report as a whole: its parts, what it refuses, and what it never does."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote_plus

import polars as pl
import pytest

from qoex.errors import InvalidInputError
from qoex.experiments.report import FORMATS, write_report
from qoex.experiments.report.markdown import escaped
from report_page import Page
from small_reproduction import judge_claims, reproduction


def page_of(folder: Path) -> Page:
    [path] = write_report(folder)
    return Page(path.read_text(encoding="utf-8"))


def sections(page: Page) -> list[str]:
    return [str(given["id"]) for tag, given in page.tags if tag == "section" and "id" in given]


def text_of(page: Page) -> str:
    return " ".join(" ".join(text for text, around in page.words if "style" not in around).split())


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A folder with the tables of Fig. 7 alone, as ``qoex reproduce fig7`` leaves it."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "figures").mkdir()
    for name in ("users", "users-ample"):
        for suffix in ("parquet", "json"):
            shutil.copy(reproduction() / "tables" / f"{name}.{suffix}", tmp_path / "tables")
    for path in (reproduction() / "figures").glob("fig7*"):
        shutil.copy(path, tmp_path / "figures")
    judge_claims(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole() -> Page:
    return Page((reproduction() / "report.html").read_text(encoding="utf-8"))


def test_the_parts_are_in_order(whole: Page) -> None:
    assert sections(whole) == [
        "claims",
        "figures",
        "table-v",
        "parameters",
        "inferred",
        "appendix-a",
        "overload",
        "points",
        "certificates",
        "manifest",
    ]


def test_the_contents_lead_to_every_part(whole: Page) -> None:
    targets = {given.get("id") for _, given in whole.tags}
    links = [str(given["href"]) for tag, given in whole.tags if tag == "a"]
    assert {f"#{name}" for name in sections(whole)} <= set(links)
    assert all(link[1:] in targets for link in links)
    identities = [given["id"] for _, given in whole.tags if "id" in given]
    assert len(set(identities)) == len(identities)


def test_a_part_of_a_reproduction_gives_a_part_of_the_report(part: Path) -> None:
    page = page_of(part)
    assert sections(page) == [
        "claims",
        "figures",
        "parameters",
        "overload",
        "points",
        "certificates",
        "manifest",
    ]
    figures = [given["id"] for tag, given in page.tags if tag == "figure"]
    assert figures == ["fig7c", "fig7g", "fig7g-ample"]
    judged = {str(given["id"]) for tag, given in page.tags if tag == "tbody" and "id" in given}
    assert judged
    assert all("users" in name or "only-" in name for name in judged)


def test_tables_alone_are_enough(part: Path) -> None:
    shutil.rmtree(part / "figures")
    (part / "claims.parquet").unlink()
    assert sections(page_of(part))[:2] == ["parameters", "overload"]


def test_formats_and_their_files(part: Path) -> None:
    assert write_report(part, ("md", "html")) == [part / "report.md", part / "report.html"]
    assert set(FORMATS) == {"html", "md"}


def test_a_format_that_there_is_not_is_refused(part: Path) -> None:
    with pytest.raises(InvalidInputError, match="no report format 'pdf'"):
        write_report(part, ("html", "pdf"))
    assert not (part / "report.html").exists()


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no tables to report on"):
        write_report(tmp_path)


def test_a_damaged_table_is_named(part: Path) -> None:
    (part / "tables" / "users.parquet").write_bytes(b"nothing")
    with pytest.raises(InvalidInputError, match=r"users\.parquet: cannot be read"):
        write_report(part)


def test_only_the_report_is_written(part: Path) -> None:
    before = {path: path.read_bytes() for path in part.rglob("*") if path.is_file()}
    write_report(part)
    after = {path: path.read_bytes() for path in part.rglob("*") if path.is_file()}
    assert set(after) - set(before) == {part / "report.html"}
    assert all(after[path] == before[path] for path in before)


def test_the_same_tables_give_the_same_report(part: Path) -> None:
    [path] = write_report(part)
    first = path.read_bytes()
    write_report(part)
    assert path.read_bytes() == first


def test_nothing_is_fetched_and_nothing_runs(whole: Page) -> None:
    assert not [tag for tag, _ in whole.tags if tag in ("script", "iframe", "object", "form")]
    for tag, given in whole.tags:
        assert not [name for name in given if name.startswith("on")]
        for name in ("src", "href"):
            target = given.get(name)
            assert target is None or target.startswith(("data:", "#")), (tag, target)
    style = "".join(text for text, around in whole.words if "style" in around)
    assert style
    assert "url(" not in style
    assert "@import" not in style


def test_the_report_is_of_moderate_size() -> None:
    assert (reproduction() / "report.html").stat().st_size < 2_000_000


def test_every_picture_says_what_it_shows(whole: Page) -> None:
    pictures = [given for tag, given in whole.tags if tag == "img"]
    assert len(pictures) == 8
    alternatives = [str(given["alt"]) for given in pictures]
    assert all(len(text) > 40 for text in alternatives)
    assert any("proposed, ratio-5, ratio-1" in text for text in alternatives)


def test_headings_are_in_order(whole: Page) -> None:
    levels = [int(tag[1]) for tag, _ in whole.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_verdicts_can_be_told_apart_without_colour(whole: Page) -> None:
    text = text_of(whole)
    for chip in ("✓ agrees", "≈ same direction", "✗ differs", "? cannot be determined"):
        assert chip in text


def test_costs_stand_beside_what_they_buy(whole: Page) -> None:
    labels = {
        str(given["data-label"])
        for tag, given in whole.tags
        if tag == "td" and "data-label" in given
    }
    assert {
        "mean QoE, ms",
        "user utility, money",
        "provider utility, money",
        "welfare, money",
    } <= labels


def test_verdicts_are_counted_by_the_tables_of_the_paper(whole: Page) -> None:
    rows = pl.read_parquet(reproduction() / "claims.parquet").filter("main")
    verdicts = dict(rows.group_by("claim").agg(pl.col("verdict").first()).iter_rows())
    counts = Counter(verdicts.values())
    shown = {
        source: int(value) for source, value, _ in whole.numbers if ":distinct:claim" in source
    }
    assert shown.pop("table:claims:distinct:claim") == len(verdicts) == sum(counts.values())
    for verdict, count in counts.items():
        key = f"table:claims:distinct:claim?main=True&verdict={quote_plus(verdict)}"
        assert shown[key] == count


def test_overload_is_told_for_every_point(whole: Page) -> None:
    where = "?scheme=proposed&value=25.0"
    row = [
        f"table:users:max:value{where}",
        f"table:users:rows:{where}",
        f"table:users:above-one:capacity_factor{where}",
        f"table:users:sum:dropped_pairs{where}",
        f"table:users:share:dropped_pairs/dropped_pairs+demanded_pairs{where}&outcome=solved",
        f"table:users:max:capacity_factor{where}",
    ]
    sources = [source for source, _, _ in whole.numbers]
    start = sources.index(row[0])
    assert sources[start : start + len(row)] == row


def test_results_of_equilibria_stand_with_their_certificates(whole: Page) -> None:
    where = "?scheme=proposed&outcome=solved"
    sources = [source for source, _, _ in whole.numbers]
    for name in ("users", "providers-ample", "accuracy-table-iv"):
        start = sources.index(f"table:{name}:rows:{where}")
        assert sources[start + 1 : start + 4] == [
            f"table:{name}:true:certified{where}",
            f"table:{name}:share:certified/{where}",
            f"table:{name}:max:regret_relative{where}",
        ]


def test_the_number_that_decided_stands_first(part: Path) -> None:
    rows = pl.read_parquet(part / "claims.parquet").filter("main", role="ours")
    order = rows.filter(claim="VI-C.users-provider-cost-lowest")
    decided = order.filter("telling")["label"].item()
    assert decided != order["label"][0]
    assert order["reason"][0].startswith(decided)
    text = (write_report(part)[0]).read_text(encoding="utf-8")
    claim = text[text.index('<tbody id="VI-C.users-provider-cost-lowest">') :]
    assert claim[claim.index('class="what" data-words>') :].startswith(
        f'class="what" data-words>{decided}<'
    )


def test_a_failed_point_is_counted_with_its_reason(part: Path) -> None:
    before = {source: value for source, value, _ in page_of(part).numbers}
    path = part / "tables" / "users.parquet"
    frame = pl.read_parquet(path)
    broken = (pl.col("scheme") == "token") & (pl.col("value") == 5.0) & (pl.col("seed") == 2)
    frame.with_columns(
        pl.when(broken).then(pl.lit("failed")).otherwise("outcome").alias("outcome"),
        pl.when(broken)
        .then(pl.lit("<script>alert(1)</script> & more"))
        .otherwise("reason")
        .alias("reason"),
    ).write_parquet(path)
    page = page_of(part)
    after = {source: value for source, value, _ in page.numbers}
    assert after["table:*:rows:?outcome=failed"] == "1"
    assert (
        int(after["table:*:rows:?outcome=solved"])
        == int(before["table:*:rows:?outcome=solved"]) - 1
    )
    assert after["table:*:rows:"] == before["table:*:rows:"]
    assert after["table:users:rows:?value=5.0&scheme=token&outcome=failed"] == "1"
    assert "an error of the program" in text_of(page)
    # What a table says is shown as it is, and never taken for a part of the page.
    assert "<script>alert(1)</script> & more" in text_of(page)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    # The point's mean is over the other draws, and says so.
    assert after["panel:fig7c:count:user_cost?line=token&x=5.0"] == "2"
    assert after["panel:fig7c:rows:user_cost?line=token&x=5.0"] == "3"


def test_missing_seeds_are_told(part: Path) -> None:
    path = part / "tables" / "users.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace('"complete": true', '"complete": false').replace(
            '"missing_seeds": []', '"missing_seeds": [3, 4]'
        ),
        encoding="utf-8",
    )
    page = page_of(part)
    assert ("manifest:users:missing_seeds/length", "2", "2") in page.numbers
    assert "missing" in text_of(page)


def test_markdown_refers_to_pictures_that_are_there() -> None:
    text = (reproduction() / "report.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(names) == 8
    assert all((reproduction() / name).exists() for name in names)


def test_tables_of_markdown_have_equally_many_cells() -> None:
    text = (reproduction() / "report.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) > 10
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
        assert re.fullmatch(r"\|(-+:?\|)+", table.splitlines()[1].replace(" ", "")), table


def test_markdown_takes_no_word_for_a_mark() -> None:
    assert escaped("x_out | *all* <b>\n [1]") == r"x\_out \| \*all\* \<b\> \[1\]"


def test_markdown_and_html_have_the_same_parts(whole: Page) -> None:
    text = (reproduction() / "report.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^## ", text, flags=re.MULTILINE)) == len(sections(whole))
    assert not re.search(r"\n\n\n\n", text)
    assert "{" not in text
