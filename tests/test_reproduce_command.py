"""``qoex reproduce`` from the shell's side."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from commands import qoex_command
from qoex.cli.reproduction_view import reproduction_view, went_wrong
from qoex.experiments.claims import (
    CLAIMS,
    ClaimOutcome,
    ClaimVerdict,
    Finding,
    Judged,
    JudgedNumber,
    judge,
)
from qoex.experiments.intervals import Estimate
from small_reproduction import reproduction


def test_it_computes_draws_and_reports(tmp_path: Path) -> None:
    result = qoex_command("reproduce", "table5", "fig3", "-o", tmp_path, "--seeds", 1, "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert "94 points in 3 tables." in result.stdout
    assert "VI-B" in result.stdout
    assert "VI-C" not in result.stdout  # its tables are not there
    assert f"wrote {tmp_path / 'report.html'}" in result.stderr
    assert (tmp_path / "figures" / "fig3.svg").exists()
    assert (tmp_path / "tables" / "table-v.parquet").exists()


def test_a_second_run_finds_everything_done(tmp_path: Path) -> None:
    arguments = ("reproduce", "fig3", "-o", tmp_path, "--seeds", 1, "--format", "md", "--jobs", 1)
    assert qoex_command(*arguments).exit_code == 0
    table = tmp_path / "tables" / "accuracy-bound.parquet"
    before = table.stat().st_mtime_ns
    assert qoex_command(*arguments).exit_code == 0
    assert table.stat().st_mtime_ns == before
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fig9",), "there is no item 'fig9' to reproduce"),
        (("fig3", "--quick", "--seeds", 3), "--quick and --seeds exclude each other"),
        (("fig3", "--format", "pdf"), "there is no report format 'pdf'"),
        (("fig3", "--jobs", "0"), "--jobs is '0'"),
    ],
)
def test_what_cannot_be_asked_for_changes_nothing(
    tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    result = qoex_command("reproduce", *arguments, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "outcome", "wrong"),
    [
        (None, "solved", False),
        (None, "infeasible", False),
        (None, "unsolved", True),
        (None, "failed", True),
        ("dual-perturbation", "unsolved", False),
        ("dual-perturbation", "failed", True),
        ("capacity-prices", "unsolved", True),
    ],
)
def test_only_a_method_that_breaks_its_promise_goes_wrong(
    method: str | None, outcome: str, wrong: bool
) -> None:
    frame = pl.DataFrame({"outcome": ["solved", outcome]})
    if method is not None:
        frame = frame.with_columns(method=pl.lit(method))
    assert went_wrong({"other": pl.DataFrame({"x": [1]}), "some": frame}) is wrong


def test_what_has_no_result_is_counted_by_its_kind() -> None:
    outcomes = ["solved", "unsolved", "unsolved", "failed"]
    runs = pl.DataFrame({"outcome": outcomes}).with_columns(method=pl.lit("dual-perturbation"))
    points = pl.DataFrame({"outcome": ["solved", "infeasible", "unsolved"]})
    [line] = reproduction_view([], {"runs": runs, "points": points}, 80)
    assert line == (
        "7 points in 2 tables; without a result: 1 failed, 1 infeasible and 1 unsolved; "
        "2 runs of Algorithm 1 did not stop in time."
    )


def test_statements_that_differ_are_told_with_their_reason() -> None:
    judged = judge(CLAIMS, {"table-v": pl.read_parquet(reproduction() / "tables/table-v.parquet")})
    claim = judged[0].claim
    finding = Finding(
        ClaimVerdict.DIFFERS, (JudgedNumber("change", Estimate(1.0, 0.5, 1.5, 3), "ms"),), "x"
    )
    made = Judged(claim, ClaimOutcome(("users",), finding))
    view = reproduction_view([made, *judged], {}, 80)
    text = " ".join(line for line in view if isinstance(line, str))
    assert "6 statements of the paper" in text  # the five of section VI-B besides
    assert claim.statement in " ".join(text.split())
    assert text.count("* ") == 1
