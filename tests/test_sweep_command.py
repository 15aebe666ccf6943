"""``qoex sweep`` as a person sees it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.cells import cell_len

from commands import qoex_command
from qoex.cli import experiments
from qoex.cli.experiments import job_count
from qoex.cli.sweep_view import MOST_LINES, sweep_view
from qoex.errors import InvalidInputError
from qoex.experiments.intervals import estimate
from qoex.experiments.runners import LocalRunner
from qoex.experiments.sweep import COLUMNS, Sweep
from qoex.experiments.sweep_file import read_sweep
from qoex.experiments.tables import read_manifest, read_table
from qoex.files.market_files import write_scenario
from qoex.game.solution import Solution, Status
from qoex.mechanisms import schemes
from qoex.model.market import Market
from qoex.scenario.sampling import sample_scenario
from small_studies import small_sweep

TEXT = """
title = "More users"
vary = "users"
values = [2, 5]
providers = 3
seeds = 3
schemes = ["proposed", { scheme = "ratio", label = "ratio-1", options.total = 1 }]
"""

SCARCE = """
[ranges]
compute_capacity = [5, 5]
latency_budget = [300, 300]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "more.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(file: Path, *arguments: object, output: str = "out") -> Any:
    return qoex_command("sweep", file, "-o", file.parent / output, "--jobs", 1, *arguments)


def test_a_sweep_makes_a_table_a_manifest_and_a_summary(file: Path) -> None:
    result = run(file)
    folder = file.parent / "out"
    assert result.exit_code == 0
    assert result.stderr == f"wrote {folder}/more.parquet: 12 rows\n"
    assert sorted(path.name for path in folder.iterdir()) == ["more.json", "more.parquet"]
    frame = read_table(folder, "more")
    sweep = read_sweep(file).sweep
    assert frame.to_dicts() == [row for seed in range(3) for row in sweep.rows(seed)]
    lines = result.stdout.splitlines()
    assert lines[:2] == ["More users", "12 rows: 12 solved."]
    assert max(map(cell_len, lines)) <= 80
    numbers = [line.split() for line in lines if re.match(r" +[25] ", line)]
    assert [cells[:5] for cells in numbers] == [
        [value, scheme, "3", "of", "3"] for value in "25" for scheme in ("proposed", "ratio-1")
    ]
    for cells in numbers:
        shown = frame.filter((pl.col("users") == int(cells[0])) & (pl.col("scheme") == cells[1]))
        for cell, name in zip(
            cells[5:], ("user_cost", "provider_cost", "mean_qoe", "welfare"), strict=True
        ):
            assert float(cell) == pytest.approx(estimate(shown[name]).mean, rel=2e-2)


def test_run_again_it_goes_on_and_says_the_same(file: Path) -> None:
    first = run(file, "--seeds", 2)
    more = run(file)
    again = run(file)
    assert more.stdout == again.stdout != first.stdout
    whole = run(file, output="whole")
    assert whole.stdout == more.stdout
    for name in ("out", "whole"):
        assert read_manifest(file.parent / name, "more")["seeds"] == [0, 1, 2]
    assert read_table(file.parent / "out", "more").equals(read_table(file.parent / "whole", "more"))


def test_a_changed_sweep_needs_another_folder_or_overwrite(file: Path) -> None:
    run(file)
    file.write_text(TEXT.replace("[2, 5]", "[2, 4]"), encoding="utf-8")
    refused = run(file)
    assert (refused.exit_code, refused.stdout) == (2, "")
    path = file.parent / "out" / "more.parquet"
    assert refused.stderr == (
        f"error: {path} was made by other parameters or by other code; "
        "give another folder, or --overwrite\n"
    )
    assert run(file, "--overwrite").exit_code == 0
    assert set(read_table(file.parent / "out", "more")["users"]) == {2, 4}


def test_infeasible_rows_are_a_result_and_told_with_the_first_reason(file: Path) -> None:
    text = TEXT.replace("[2, 5]", "[1, 15]") + 'overload = "refuse"\n' + SCARCE
    file.write_text(text, encoding="utf-8")
    result = run(file)
    assert result.exit_code == 0
    frame = read_table(file.parent / "out", "more")
    bad = frame.filter(pl.col("outcome") == "infeasible")
    assert 0 < bad.height < 12
    flat = " ".join(result.stdout.split())
    assert f"12 rows: {12 - bad.height} solved, {bad.height} infeasible." in flat
    place = bad.row(0, named=True)
    assert (
        f"The first infeasible, {place['scheme']} at {place['value']:g}, seed {place['seed']}: "
        "the market cannot be served: asp-1 is short of "
    ) in flat
    assert "–" in result.stdout  # the mean of nothing


def test_dropped_demands_are_counted(file: Path) -> None:
    file.write_text(TEXT.replace("[2, 5]", "[1, 15]") + SCARCE, encoding="utf-8")
    flat = " ".join(run(file).stdout.split())
    markets = read_table(file.parent / "out", "more").unique(["point", "seed"])
    short = markets.filter(pl.col("dropped_pairs") > 0)
    assert short.height
    assert (
        f"In {short.height} of 6 markets, not all demands can be served: "
        f"{short['dropped_pairs'].sum()} demands were dropped."
    ) in flat


@pytest.mark.parametrize("outcome", ["failed", "unsolved"])
def test_what_should_have_been_solved_is_exit_code_1(
    file: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    solve = schemes.SCHEMES["proposed"]

    def proposed(market: Market) -> Solution:
        if outcome == "failed":
            raise ArithmeticError("a fault of ours")
        return replace(solve(market), status=Status.STEP_LIMIT)

    monkeypatch.setitem(schemes.SCHEMES, "proposed", proposed)
    result = run(file)
    assert result.exit_code == 1
    assert f"12 rows: 6 solved, 6 {outcome}." in result.stdout
    assert read_manifest(file.parent / "out", "more")["outcomes"] == {outcome: 6, "solved": 6}


def test_a_scenario_has_one_seed(file: Path) -> None:
    write_scenario(
        sample_scenario(2, 3, np.random.default_rng(1), feasible=True), file.parent / "m.toml"
    )
    file.write_text(
        'vary = "profit_factor"\nvalues = [100, 1e-3, 4e5]\nschemes = ["token"]\n'
        'scenario = "m.toml"\n',
        encoding="utf-8",
    )
    result = run(file)
    assert result.exit_code == 0
    assert "value: profit factor of every user, in money" in result.stdout.splitlines()
    assert [line.split()[0] for line in result.stdout.splitlines()[-3:]] == [
        "100",
        "0.001",
        "400000",
    ]
    refused = run(file, "--seeds", 5)
    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: --seeds has no effect on a sweep that starts from a scenario\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "--jobs is '0'; it must be a number above 0, or auto"),
        (["--jobs", "many"], "--jobs is 'many'; it must be a number above 0, or auto"),
        (["--cluster", "here", "--jobs", "2"], "--jobs and --cluster exclude each other"),
        (["--cluster", "here"], "'here' is not the address of a Dask scheduler, such as tcp://"),
        (["--seeds", "0"], "Invalid value for '--seeds'"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    file: Path, arguments: list[str], message: str
) -> None:
    result = qoex_command("sweep", file, "-o", file.parent / "out", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert not (file.parent / "out").exists()


def test_an_interrupt_is_one_line_that_says_how_far_it_came(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, calls = Sweep.rows, []

    def interrupted(sweep: Sweep, seed: int) -> Any:
        calls.append(seed)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return rows(sweep, seed)

    folder = file.parent / "out"
    run(file, "--seeds", 1)
    monkeypatch.setattr(Sweep, "rows", interrupted)
    result = run(file, "--seeds", 5)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == (f"interrupted: 12 of 20 points are in {folder}; run again to go on\n")
    assert read_manifest(folder, "more")["missing_seeds"] == [3, 4]
    calls.append(-1)
    before = run(file, "--seeds", 5, output="elsewhere")
    assert before.stderr.startswith("interrupted: 0 of 20 points are in ")
    monkeypatch.undo()
    assert run(file, "--seeds", 5).exit_code == 0


def test_jobs_may_be_left_to_the_machine() -> None:
    assert job_count("auto") == LocalRunner().jobs
    assert job_count("3") == 3
    with pytest.raises(InvalidInputError):
        job_count("-1")


def test_compiling_is_said_once(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(experiments, "is_compiled", lambda kernel: False)
    result = run(file)
    assert result.exit_code == 0
    assert result.stderr.startswith("compiling kernels, once per machine …\nwrote ")


def test_a_long_table_of_means_is_cut_short() -> None:
    sweep = small_sweep(vary="snr_db", values=tuple(range(30)), users=2)
    empty = dict.fromkeys(COLUMNS)
    rows = [
        empty | {"point": p, "value": float(p), "seed": 0, "scheme": s, "outcome": "solved"}
        for p in range(30)
        for s in ("proposed", "ratio-1")
    ]
    types = {"text": pl.String, "whole": pl.Int64, "real": pl.Float64, "flag": pl.Boolean}
    frame = pl.DataFrame(rows, schema={name: types[kind] for name, kind in COLUMNS.items()})
    view = sweep_view(sweep, frame, 80)
    assert view[-1] == f"… and {60 - MOST_LINES} more; small.parquet has them all"
    table: Any = view[-2]
    assert table.row_count == MOST_LINES


def test_rows_are_in_the_order_of_the_sweep() -> None:
    sweep: Sweep = small_sweep(values=(5, 2), schemes=small_sweep().schemes[::-1])
    rows = [row for seed in (0, 1) for row in sweep.rows(seed)]
    frame = pl.DataFrame(rows)
    table: Any = sweep_view(sweep, frame, 80)[-1]
    assert list(table.columns[0].cells) == ["5", "5", "2", "2"]
    assert list(table.columns[1].cells) == ["ratio-1", "proposed"] * 2


def test_a_market_too_large_to_draw_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = tmp_path / "huge.toml"
    file.write_text(
        'vary = "users"\nvalues = [99999999999999999999]\nschemes = ["proposed"]\nseeds = 1\n'
    )
    result = run(file)
    assert result.exit_code == 2
    assert "100000000000000000000 users" in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == [file]
