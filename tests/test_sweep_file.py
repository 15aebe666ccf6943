"""Sweeps in files: what they mean, and one sentence that names file and place where they cannot."""

from __future__ import annotations

import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoex.errors import InvalidInputError
from qoex.experiments.measure import SchemeCase
from qoex.experiments.paper import SCHEME_CASES, paper_sweeps
from qoex.experiments.study import fingerprint
from qoex.experiments.sweep import Sweep
from qoex.experiments.sweep_file import read_sweep
from qoex.experiments.sweep_tables import DEFAULT_SEEDS, RangesTable
from qoex.files.market_files import write_market, write_scenario
from qoex.scenario.sampling import TABLE_III, Ranges, sample_scenario
from sweep_files import BARE, CHANGES, FULL, REPLACED


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    found = read_sweep(written(tmp_path, BARE))
    case = SchemeCase("proposed", "proposed")
    assert found.sweep == Sweep(
        name="mine", title="mine", vary="snr_db", values=(10.0, 20.5), schemes=(case,)
    )
    assert found.seeds == DEFAULT_SEEDS == 100
    assert found.sweep.ranges == TABLE_III


def test_everything_can_be_said(tmp_path: Path) -> None:
    found = read_sweep(written(tmp_path, FULL))
    assert found.seeds == 7
    assert found.sweep == Sweep(
        name="what-if",
        title="What if bandwidth were scarce?",
        vary="users",
        values=(3, 6),
        schemes=(SchemeCase("ratio-2", "ratio", {"total": 2.0}), SchemeCase("welfare", "welfare")),
        providers=2,
        overload="raise",
        root_seed=3,
        drawn=(4, 8),
        ranges=replace(
            TABLE_III,
            bandwidth_capacity=(50.0, 100.0),
            examples=(4,),
            example_ambiguity=0.1,
        ),
    )


def test_a_sweep_of_the_paper_can_be_written_as_a_file(tmp_path: Path) -> None:
    tables = "".join(
        f'[[schemes]]\nlabel = "{case.label}"\nscheme = "{case.scheme}"\n'
        + "".join(f"options.{name} = {value}\n" for name, value in case.options.items())
        for case in SCHEME_CASES
    )
    head = 'vary = "users"\nvalues = [5, 10, 15, 20, 25]\ndrawn = [5, 25]\n'
    found = read_sweep(written(tmp_path, head + tables, "users.toml"))
    of_paper = next(sweep for sweep in paper_sweeps() if sweep.name == "users")
    assert fingerprint(found.sweep) == fingerprint(of_paper)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_scenario_is_looked_for_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    scenario = sample_scenario(2, 5, np.random.default_rng(1))
    (tmp_path / "markets").mkdir()
    market_file = tmp_path / "markets" / f"m.{suffix}"
    if suffix == "toml":
        write_scenario(scenario, market_file)
    else:
        write_market(scenario.market(), market_file)
    monkeypatch.chdir(tmp_path / "markets")
    text = BARE.replace("snr_db", "profit_factor") + f'scenario = "markets/m.{suffix}"\n'
    found = read_sweep(written(tmp_path, text))
    assert found.sweep.fixed
    assert (found.sweep.providers, found.sweep.users) == (2, 5)
    assert found.sweep.scenario is not None
    assert found.sweep.scenario.market() == scenario.market()
    fewer = read_sweep(written(tmp_path, text + "users = 3\n"))
    assert (fewer.sweep.providers, fewer.sweep.users) == (2, 3)


def test_ranges_have_the_fields_of_ranges() -> None:
    def bare(kind: Any) -> set[Any]:
        """The types of a table's entries: whole numbers or others, single ones or several."""
        arguments = [a for a in typing.get_args(kind) if a not in (type(None), ...)]
        return {kind} if not arguments else set().union(*map(bare, arguments[:1]))

    types = typing.get_type_hints(Ranges)
    tables = typing.get_type_hints(RangesTable)
    assert list(RangesTable.model_fields) == [field.name for field in fields(Ranges)]
    for name, kind in types.items():
        assert bare(tables[name]) == bare(kind), name


@pytest.mark.parametrize("line", CHANGES)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"{line}\n{BARE}")
    with pytest.raises(InvalidInputError) as caught:
        read_sweep(path)
    assert str(caught.value) == f"{path}: {CHANGES[line].format(folder=tmp_path)}"


@pytest.mark.parametrize(("key", "line"), REPLACED)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, key: str, line: str) -> None:
    write_scenario(sample_scenario(2, 5, np.random.default_rng(1)), tmp_path / "m.toml")
    kept = [item for item in BARE.splitlines() if not item.startswith(f"{key} ")]
    path = written(tmp_path, "\n".join([*kept, line]))
    with pytest.raises(InvalidInputError) as caught:
        read_sweep(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {REPLACED[key, line]}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.toml", "there is no such file"),
        ("sweep.json", "the name of the file must end in .toml"),
        ("folder.toml", "it is a directory, not a file"),
        ("bad.toml", "not valid TOML: Invalid value (at line 1, column 8)"),
        ("my sweep.toml", "name is 'my sweep'; it must be letters, digits, '-', '_' and '.', and "
         "begin with a letter or a digit, for it names files"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.toml").mkdir()
    written(tmp_path, "vary = \n", "bad.toml")
    written(tmp_path, "{}", "sweep.json")
    written(tmp_path, BARE, "my sweep.toml")
    with pytest.raises(InvalidInputError) as caught:
        read_sweep(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {message}"
