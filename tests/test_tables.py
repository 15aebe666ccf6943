"""Tables on disk: whole at every moment, never another study's, and the same however they grew."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoex.errors import InvalidInputError
from qoex.experiments import tables
from qoex.experiments.study import Row, fingerprint
from qoex.experiments.tables import StudyTable, read_manifest, read_table
from small_studies import DIGITS, RUNNER, files, fill


def test_a_table_has_the_rows_in_order_and_their_types(tmp_path: Path) -> None:
    frame = fill(tmp_path / "new" / "folder", [2, 0, 1])
    expected = [row for seed in (0, 1, 2) for row in DIGITS.rows(seed)]
    assert frame.to_dicts() == expected
    assert frame.schema == {
        "point": pl.Int64,
        "seed": pl.Int64,
        "value": pl.Float64,
        "outcome": pl.String,
        "reason": pl.String,
        "good": pl.Boolean,
    }
    assert read_table(tmp_path / "new" / "folder", "digits").equals(frame)
    assert files(tmp_path / "new" / "folder") == ["digits.json", "digits.parquet"]


def test_a_manifest_says_what_made_the_table(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1])
    fill(tmp_path, [0, 1, 2, 5])
    manifest = read_manifest(tmp_path, "digits")
    assert manifest["fingerprint"] == fingerprint(DIGITS)
    assert manifest["parameters"] == DIGITS.parameters()
    assert manifest["columns"] == DIGITS.columns
    assert (manifest["rows"], manifest["seeds"]) == (12, [0, 1, 2, 5])
    assert (manifest["complete"], manifest["missing_seeds"]) == (True, [])
    rows = [row for seed in (0, 1, 2, 5) for row in DIGITS.rows(seed)]
    solved = sum(row["outcome"] == "solved" for row in rows)
    assert manifest["outcomes"] == {"infeasible": 12 - solved, "solved": solved}
    assert manifest["statuses"] == {}
    assert [run["seeds"] for run in manifest["runs"]] == [2, 2]
    for run in manifest["runs"]:
        assert run["runner"] == "none"
        assert run["seconds"] >= 0
        assert set(run) >= {"began", "versions", "platform", "git_revision"}


def test_nothing_new_leaves_both_files_as_they_are(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1])
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}
    fill(tmp_path, [1])
    fill(tmp_path, [0, 1])
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)} == before


def test_missing_seeds_are_named(tmp_path: Path) -> None:
    table = StudyTable(tmp_path, DIGITS)
    table.add(DIGITS.rows(3))
    table.finish(range(5), RUNNER)
    manifest = read_manifest(tmp_path, "digits")
    assert (manifest["complete"], manifest["missing_seeds"]) == (False, [0, 1, 2, 4])


def test_a_better_title_costs_no_rows(tmp_path: Path) -> None:
    fill(tmp_path, [0, 1])
    fill(tmp_path, [0, 1], replace(DIGITS, title="Ten digits"))
    manifest = read_manifest(tmp_path, "digits")
    assert manifest["parameters"]["title"] == "Ten digits"
    assert len(manifest["runs"]) == 1


@dataclass(frozen=True)
class Run:
    """A run over some seeds: with a part for each seed or none until it ends, killed or not."""

    seeds: list[int]
    parts: bool
    killed: bool


RUNS = st.lists(
    st.builds(Run, st.lists(st.integers(0, 9), max_size=6), st.booleans(), st.booleans())
)


@settings(max_examples=25)  # each writes a dozen files onto the disk
@given(RUNS)
def test_any_split_into_runs_gives_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Run]
) -> None:
    folder, whole = tmp_path_factory.mktemp("split"), tmp_path_factory.mktemp("whole")
    for run in runs:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tables, "_PART_INTERVAL", -1.0 if run.parts else 1e9)
            with closing(StudyTable(folder, DIGITS)) as table:
                for seed in sorted({*run.seeds} - table.done(), reverse=True):
                    table.add(DIGITS.rows(seed))
                if not run.killed:
                    table.finish(run.seeds, RUNNER)
    fill(folder, range(10))
    fill(whole, range(10))
    assert (folder / "digits.parquet").read_bytes() == (whole / "digits.parquet").read_bytes()
    assert files(folder) == ["digits.json", "digits.parquet"]
    assert read_manifest(folder, "digits")["complete"]


def test_parts_of_a_run_that_was_killed_are_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PART_INTERVAL", -1.0)
    table = StudyTable(tmp_path, DIGITS)
    for seed in (4, 2):
        table.add(DIGITS.rows(seed))
    table.close()  # what the end of a process does
    assert files(tmp_path) == ["digits.parts", "digits.parts/000000.parquet",
                               "digits.parts/000001.parquet"]  # fmt: skip
    again = StudyTable(tmp_path, DIGITS)
    assert again.done() == {2, 4}
    again.add(DIGITS.rows(3))
    assert (tmp_path / "digits.parts" / "000002.parquet").exists()
    again.close()
    # Even a run that has nothing to do puts them into the table.
    frame = fill(tmp_path, [2, 3, 4])
    assert frame.to_dicts() == [row for seed in (2, 3, 4) for row in DIGITS.rows(seed)]
    assert read_table(tmp_path, "digits").equals(frame)
    assert files(tmp_path) == ["digits.json", "digits.parquet"]


def test_parts_beside_a_table_that_is_there_are_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, [0])
    monkeypatch.setattr(tables, "_PART_INTERVAL", -1.0)
    table = StudyTable(tmp_path, DIGITS)
    table.add(DIGITS.rows(1))
    table.close()
    fill(tmp_path, [0, 1])
    assert set(read_table(tmp_path, "digits")["seed"]) == {0, 1}
    assert read_manifest(tmp_path, "digits")["seeds"] == [0, 1]


def test_a_write_that_fails_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, [0])
    monkeypatch.setattr(tables, "_PART_INTERVAL", -1.0)
    table = StudyTable(tmp_path, DIGITS)
    table.add(DIGITS.rows(1))

    def full(path: Path, _: object) -> None:
        raise InvalidInputError(f"{path}: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_atomically", full)
        with pytest.raises(InvalidInputError, match="No space left"):
            table.finish([0, 1], RUNNER)
    table.close()
    assert set(read_table(tmp_path, "digits")["seed"]) == {0}
    assert set(fill(tmp_path, [0, 1])["seed"]) == {0, 1}


def test_an_empty_run_leaves_a_valid_table(tmp_path: Path) -> None:
    fill(tmp_path, [])
    assert read_table(tmp_path, "digits").shape == (0, 6)
    assert set(fill(tmp_path, [7])["seed"]) == {7}


def test_numbers_of_other_types_are_the_same_rows(tmp_path: Path) -> None:
    def as_numpy(row: Row) -> Row:
        convert: dict[type, type] = {int: np.int64, float: np.float64, bool: np.bool_}
        return {k: convert[type(v)](v) if type(v) in convert else v for k, v in row.items()}

    table = StudyTable(tmp_path, DIGITS)
    table.add([as_numpy(row) for row in DIGITS.rows(5)])
    assert table.finish([5], RUNNER).to_dicts() == DIGITS.rows(5)


def test_a_row_of_the_wrong_type_costs_no_other(tmp_path: Path) -> None:
    table = StudyTable(tmp_path, DIGITS)
    table.add(DIGITS.rows(1))
    with pytest.raises((TypeError, pl.exceptions.PolarsError)):
        table.add([row | {"value": "much"} for row in DIGITS.rows(2)])
    assert set(table.finish([1, 2], RUNNER)["seed"]) == {1}
