"""What tells one study from another: parameters and code, but neither words nor drawing."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qoex
from qoex.experiments import study
from qoex.experiments.measure import SchemeCase
from qoex.experiments.study import compute, fingerprint
from qoex.experiments.sweep import Sweep
from qoex.files.market_files import read_scenario
from qoex.scenario.sampling import TABLE_III
from small_studies import SMALL, Digits, small_sweep

PACKAGE = Path(qoex.__file__).parent

CHANGES: dict[str, Any] = {
    "name": "other",
    "vary": "providers",
    "values": (2, 4),
    "schemes": (SchemeCase("proposed", "proposed"), SchemeCase("ratio-1", "ratio", {"total": 2})),
    "providers": 2,
    "users": 7,
    "ranges": replace(TABLE_III, profit_factor=370.0),
    "drawn": (3, 6),
    "scenario": read_scenario(PACKAGE / "data" / "table_iv.toml"),
    "overload": "refuse",
    "root_seed": 1,
}


def test_equal_studies_have_one_fingerprint() -> None:
    assert fingerprint(small_sweep()) == fingerprint(SMALL)
    assert fingerprint(small_sweep(values=(2.0, 5.0))) == fingerprint(SMALL)


@pytest.mark.parametrize("field", Sweep.model_fields)
def test_every_field_but_the_title_tells_sweeps_apart(field: str) -> None:
    if field == "title":
        assert fingerprint(small_sweep(title="Better words")) == fingerprint(SMALL)
        return
    changes = {field: CHANGES[field]}
    if field == "scenario":  # of two providers and three users
        changes |= {"providers": 2, "values": (2, 3)}
        assert fingerprint(small_sweep(**changes)) != fingerprint(
            small_sweep(**changes | {"scenario": None})
        )
    assert fingerprint(small_sweep(**changes)) != fingerprint(SMALL)


def test_other_code_has_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(SMALL)
    monkeypatch.setattr(study, "code_identity", lambda: "0.0.0 0123")
    assert fingerprint(SMALL) != before


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package to take the identity of."""
    folder = tmp_path / "package"
    for name in (
        "a.py",
        "cli/b.py",
        "certificate/f.py",
        "data/c.toml",
        "experiments/report/d.py",
        "experiments/e.py",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n", encoding="utf-8")
    monkeypatch.setattr(study, "files", lambda _: folder)
    return folder


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("a.py", True),
        ("data/c.toml", True),
        ("experiments/e.py", True),
        ("new.py", True),
        ("cli/b.py", False),
        ("experiments/report/d.py", False),
        ("certificate/explanation.py", False),
        ("notes.txt", False),
    ],
)
def test_code_counts_where_rows_depend_on_it(sources: Path, name: str, counts: bool) -> None:
    identity = study.code_identity.__wrapped__
    before = identity()
    (sources / name).write_text("changed\n", encoding="utf-8")
    assert (identity() != before) is counts


def test_code_in_an_archive_has_the_same_identity(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study.code_identity.__wrapped__()
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in sorted(sources.rglob("*.*")):
            archive.write(path, path.relative_to(sources))
    monkeypatch.setattr(study, "files", lambda _: zipfile.Path(tmp_path / "package.zip"))
    assert study.code_identity.__wrapped__() == before


def test_all_that_is_said_to_be_without_effect_exists() -> None:
    names = study._WITHOUT_EFFECT
    missing = [n for n in names if not ((PACKAGE / n).is_dir() or (PACKAGE / f"{n}.py").exists())]
    assert missing == []


def test_a_task_comes_back_with_its_rows() -> None:
    assert compute(Digits(), (4, 7)) == ((4, 7), Digits().rows(7))
