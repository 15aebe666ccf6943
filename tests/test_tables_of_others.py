"""What a folder has already: another study's table, somebody's own file, another run's lock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from qoex.errors import InvalidInputError
from qoex.experiments import study as study_module
from qoex.experiments.tables import StudyTable, read_manifest, read_table
from small_studies import DIGITS, RUNNER, Digits, contents, files, fill


def other_parameters(folder: Path, _: pytest.MonkeyPatch) -> None:
    fill(folder, [0], replace(DIGITS, flavour="sour"))


def other_code(folder: Path, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as inner:
        inner.setattr(study_module, "code_identity", lambda: "0.0.0 0123")
        fill(folder, [0])


@pytest.mark.parametrize("other", [other_parameters, other_code])
@pytest.mark.parametrize("killed", [False, True])
def test_another_study_s_table_is_not_touched_unless_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: Callable[[Path, pytest.MonkeyPatch], None],
    killed: bool,
) -> None:
    other(tmp_path, monkeypatch)
    if killed:
        (tmp_path / "digits.parts").mkdir()
        (tmp_path / "digits.parquet").rename(tmp_path / "digits.parts" / "000003.parquet")
        (tmp_path / "digits.json").unlink()
    before = contents(tmp_path)
    with pytest.raises(InvalidInputError) as caught:
        StudyTable(tmp_path, DIGITS)
    assert str(caught.value).endswith(
        " was made by other parameters or by other code; give another folder, or --overwrite"
    )
    assert contents(tmp_path) == before
    frame = fill(tmp_path, [1], overwrite=True)
    assert frame.to_dicts() == DIGITS.rows(1)
    assert len(read_manifest(tmp_path, "digits")["runs"]) == 1
    assert files(tmp_path) == ["digits.json", "digits.parquet"]


def test_overwrite_keeps_rows_of_the_same_study(tmp_path: Path) -> None:
    fill(tmp_path, [0])
    assert set(fill(tmp_path, [1], overwrite=True)["seed"]) == {0, 1}


@pytest.mark.parametrize("name", ["digits.parquet", "digits.json", "digits.parts/000000.parquet"])
def test_what_cannot_be_read_is_replaced_only_if_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"neither JSON nor Parquet")
    with pytest.raises(InvalidInputError) as caught:
        StudyTable(tmp_path, DIGITS)
    assert str(caught.value).startswith(f"{path}: cannot be read (")
    assert str(caught.value).endswith("; give another folder, or --overwrite")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"neither JSON nor Parquet"
    assert fill(tmp_path, [1], overwrite=True).to_dicts() == DIGITS.rows(1)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["digits.parquet", "digits.json"])
def test_somebody_s_own_file_is_never_replaced(tmp_path: Path, name: str, overwrite: bool) -> None:
    path = tmp_path / name
    if name.endswith(".json"):
        path.write_text(json.dumps({"work": [[1.0]]}), encoding="utf-8")
    else:
        pl.DataFrame({"seed": [1]}).write_parquet(path)
    before = path.read_bytes()
    with pytest.raises(InvalidInputError) as caught:
        StudyTable(tmp_path, DIGITS, overwrite=overwrite)
    assert str(caught.value) == f"{path} is no table of qoex; give another folder"
    assert path.read_bytes() == before
    assert files(tmp_path) == [name]


def test_two_runs_at_a_time_cannot_fill_one_table(tmp_path: Path) -> None:
    first = StudyTable(tmp_path, DIGITS)
    with pytest.raises(InvalidInputError) as caught:
        StudyTable(tmp_path, DIGITS)
    expected = f"{tmp_path / 'digits.parquet'} is being filled by another run"
    assert str(caught.value) == expected
    other = StudyTable(tmp_path, Digits(name="others"))  # another table is free
    other.close()
    first.add(DIGITS.rows(0))
    first.finish([0], RUNNER)
    assert set(fill(tmp_path, [0, 1])["seed"]) == {0, 1}


def test_a_lock_left_by_a_dead_process_holds_nobody_off(tmp_path: Path) -> None:
    (tmp_path / "digits.parts").mkdir()
    (tmp_path / "digits.parts" / "lock").touch()
    assert set(fill(tmp_path, [0])["seed"]) == {0}
    assert files(tmp_path) == ["digits.json", "digits.parquet"]


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(InvalidInputError) as caught:
        StudyTable(path, DIGITS)
    assert str(caught.value).startswith(f"{path / 'digits.parts'}: cannot be made (")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InvalidInputError, match=r"cannot be made \(Permission denied\)"):
            StudyTable(tmp_path, DIGITS)
    finally:
        tmp_path.chmod(0o700)


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    for read, suffix in ((read_table, "parquet"), (read_manifest, "json")):
        with pytest.raises(InvalidInputError) as caught:
            read(tmp_path, "none")
        assert str(caught.value) == f"{tmp_path / 'none'}.{suffix}: there is no such file"
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="not the manifest of a table"):
        read_manifest(tmp_path, "list")
