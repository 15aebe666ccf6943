"""The reproduction as a whole: what stands behind each item, and from tables to a report."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from qoex.data.paper_case import table_iv_market
from qoex.errors import InvalidInputError
from qoex.experiments.inferred import Inferred
from qoex.experiments.paper import paper_sweeps
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.plots.panels import PANELS
from qoex.experiments.reproduction import (
    ALL,
    ITEMS,
    all_studies,
    drawing_aside,
    present,
    studies_of,
)
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies
from qoex.scenario.sampling import TABLE_III


def names(*items: str) -> set[str]:
    return {study.name for study in studies_of(items)}


def test_all_is_every_study() -> None:
    assert names(ALL) == {study.name for study in all_studies()} == names(*ITEMS)


def test_every_panel_has_the_table_of_a_study_and_every_sweep_a_panel() -> None:
    drawn = {panel.table for panel in (*PANELS, *CONVERGENCE_PANELS)}
    assert drawn <= names(ALL)
    assert {sweep.name for sweep in paper_sweeps()} <= drawn


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("fig3", {"accuracy-bound"}),
        ("fig7", {"users", "users-ample"}),
        ("fig8", {"providers", "providers-ample"}),
        ("table5", {"table-v", "inferred"}),
        ("appendix-a", {"appendix-a", "appendix-a-larger", "appendix-a-table-iv"}),
    ],
)
def test_an_item_takes_its_tables_and_their_variants(item: str, expected: set[str]) -> None:
    assert names(item) == expected


def test_variants_can_be_left_out() -> None:
    found = {study.name for study in studies_of(["fig7", "appendix-a"], variants=False)}
    assert found == {"users", "appendix-a"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_panels_are_drawn_as_soon_as_their_table_is_complete(jobs: int, tmp_path: Path) -> None:
    drawn: list[str] = []
    with drawing_aside(tmp_path, jobs) as draw:

        def told(name: str) -> None:
            assert (tmp_path / "tables" / f"{name}.json").exists()
            drawn.append(name)
            draw(name)

        studies = studies_of(["fig3", "table5"])
        run_studies(studies, tmp_path / "tables", [0], LocalRunner(1), finished=told)
    assert drawn == [study.name for study in studies]
    before = (tmp_path / "figures" / "fig3.svg").stat().st_mtime_ns
    present(tmp_path, drawn=drawn)
    assert (tmp_path / "figures" / "fig3.svg").stat().st_mtime_ns == before


def test_an_interruption_does_not_wait_for_what_is_still_to_be_drawn(tmp_path: Path) -> None:
    run_studies(studies_of(["fig3"]), tmp_path / "tables", [0], LocalRunner(1))

    def interrupted() -> None:
        with drawing_aside(tmp_path, 1) as draw:
            for _ in range(1000):  # some minutes' worth
                draw("accuracy-bound")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_figure_that_cannot_be_drawn_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    pl.DataFrame({"seed": [0]}).write_parquet(tmp_path / "tables" / "accuracy-bound.parquet")
    with (
        pytest.raises(InvalidInputError, match="needs the column"),
        drawing_aside(tmp_path, 1) as draw,
    ):
        draw("accuracy-bound")


def test_the_panels_of_an_item_find_their_tables_among_its_studies() -> None:
    for figure in ("3", "5", "6", "7", "8"):
        needed = {panel.table for panel in PANELS if panel.figure == figure}
        assert needed <= names(f"fig{figure}"), figure


def test_an_unknown_item_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"no item 'fig9'.*fig3, fig5.*and all"):
        studies_of(["fig9"])


def test_parts_give_a_report_on_parts(tmp_path: Path) -> None:
    run_studies(studies_of(["fig3", "table5"]), tmp_path / "tables", [0], LocalRunner(1))
    presented = present(tmp_path, 1, ("html", "md"))
    assert presented.reports == (tmp_path / "report.html", tmp_path / "report.md")
    assert all("Table V" in path.read_text() for path in presented.reports)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "fig3.png",
        "fig3.svg",
    ]
    claims = pl.read_parquet(tmp_path / "claims.parquet")
    assert claims["claim"].n_unique() == len(presented.judged)
    by_id = {item.claim.id: item for item in presented.judged}
    assert by_id["VI-B.table-v"].ours
    assert not by_id["VI-C.users-usage-vs-token"].ours


def test_presenting_again_reads_nothing_but_the_folder(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run_studies(studies_of(["table5"]), first / "tables", [0], LocalRunner(1))
    present(first)
    shutil.copytree(first / "tables", tmp_path / "second" / "tables")
    present(tmp_path / "second")
    for name in ("report.html", "claims.parquet"):
        assert (first / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no tables"):
        present(tmp_path)


def test_the_parameters_of_all_figures_are_those_inferred() -> None:
    study = Inferred()
    rows = {row["parameter"]: row for row in study.rows(0)}
    assert len(rows) == study.rows_per_seed
    assert {row["outcome"] for row in rows.values()} == {"solved"}
    assert rows["profit_factor"]["largest_error"] < 0.012
    market = table_iv_market()
    assert rows["profit_factor"]["value"] == pytest.approx(TABLE_III.profit_factor, abs=0.05)
    for name, cost, drawn in zip(
        market.provider_names, market.compute_cost, TABLE_III.compute_cost, strict=True
    ):
        assert rows[f"compute_cost of {name}"]["value"] == pytest.approx(cost, abs=0.005)
        assert cost == drawn
    for row in rows.values():
        assert row["low"] <= row["value"] <= row["high"]
