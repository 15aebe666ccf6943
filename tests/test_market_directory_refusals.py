from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from market_files import Frame, changed, number_in, refusal, same, small_market, stored
from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.parquet import BLOCK, Chunk, MarketDirectory, directory
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, Market


@pytest.fixture
def small() -> Market:
    return small_market()


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("work.north", 0, float("nan"), "work of north, a (row 1) is nan; it must be a finite"),
        ("work.south", 3, -1.0, "work of south, d (row 4) is -1.0; it must not be negative"),
        ("traffic.south", 4, float("inf"), "traffic of south, e (row 5) is inf; it must be a fin"),
        ("latency_budget.north", 1, 0.0, "latency_budget of north, b (row 2) is 0.0; it must be g"),
        ("latency_budget.north", 1, None, "latency_budget of north, b (row 2) is missing; give it"),
        ("profit_factor", 2, 0.0, "profit_factor of c (row 3) is 0.0; it must be greater than"),
        ("profit_factor", 2, None, "profit_factor of c (row 3) is missing"),
        ("reward_min", 4, 1e99, "reward_min of e (row 5) is 1e+99, above its reward_max"),
        ("name", 2, None, "name is missing in row 3"),
    ],
)
@pytest.mark.parametrize("users_per_file", [None, 1])
def test_values_that_cannot_be(
    tmp_path: Path,
    small: Market,
    column: str,
    row: int,
    value: float | None,
    message: str,
    users_per_file: int | None,
) -> None:
    path = stored(small, tmp_path, users_per_file)
    number = 0
    if users_per_file == 1:
        message = message.replace(f"row {row + 1}", "row 1")
        number, row = row, 0
    name = f"users-{number:05}.parquet"
    changed(path / name, number_in(column, row, value))
    assert refusal(path).startswith(f"{name}: {message}")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("users-00000", lambda f: f.rename({"work.north": "work.nort"}),
         "it lacks the column work.north; did you mean work.nort?"),
        ("users-00000", lambda f: f.drop("reward_min", "reward_max"),
         "it lacks the column reward_min and 1 more"),
        ("users-00000", lambda f: f.with_columns(pl.lit(1.0).alias("work.nort")),
         "its column work.nort is of no provider of the market; did you mean north?"),
        ("users-00000", lambda f: f.with_columns(pl.lit("1").alias("work.north")),
         "its column work.north holds String; it must hold numbers (Float64)"),
        ("users-00000", lambda f: f.with_columns(name=pl.lit(1.0)),
         "its column name holds Float64; it must hold text (String)"),
        ("users-00001", lambda f: f.drop("name"),
         "it lacks the column name, which users-00000.parquet has; give names in all files or"),
        ("providers", lambda f: f.drop("name"), "it lacks the column name"),
        ("providers", lambda f: f.drop("compute_cost"), "it lacks the column compute_cost"),
        ("providers", lambda f: f.clear(), "it has no providers; a market needs a provider and"),
        ("providers", lambda f: f.with_columns(name=pl.lit("x")), "provider_names holds 'x' more"),
        ("providers", number_in("compute_cost", 1, None), "compute_cost of south is missing"),
        ("providers", number_in("compute_cost", 1, 0.0), "compute_cost of south is 0.0; it must"),
        ("providers", number_in("name", 1, None), "name is missing in row 2"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be(
    tmp_path: Path, small: Market, name: str, change: Callable[[Frame], Frame], message: str
) -> None:
    path = stored(small, tmp_path, 3)
    changed(path / f"{name}.parquet", change)
    assert refusal(path).startswith(f"{name}.parquet: {message}")


def test_directories_that_hold_no_market(tmp_path: Path, small: Market) -> None:
    path = stored(small, tmp_path)
    users, providers = path / "users-00000.parquet", path / "providers.parquet"
    changed(users, lambda frame: frame.clear())
    assert refusal(path) == ": it has no users; a market needs a provider and a user"
    whole = providers.read_bytes()
    users.write_bytes(whole[: len(whole) // 2])
    assert refusal(path).startswith("users-00000.parquet: not a valid Parquet table (")
    users.unlink()
    users.mkdir()
    assert refusal(path) == "users-00000.parquet: it is a directory, not a file"
    users.rmdir()
    assert refusal(path) == ": there is no users.parquet in this directory"
    providers.unlink()
    assert refusal(path) == ": there is no providers.parquet in this directory"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "its metadata lacks the providers (qoex.providers); put it into a directory with"),
        ("{", "not valid JSON: "),
        ("{}", "qoex.providers in its metadata must be a list of objects"),
        ("[1]", "qoex.providers in its metadata must be a list of objects"),
        ("[]", "it has no providers; a market needs a provider and a user"),
        ('[{"name": "north", "compute_cost": null}]', "qoex.providers[0] in its metadata lacks co"),
    ],
)
def test_metadata_that_cannot_be(
    tmp_path: Path, small: Market, metadata: str | None, message: str
) -> None:
    path = tmp_path / "market.parquet"
    given = {} if metadata is None else {"qoex.providers": metadata}
    pl.DataFrame({"profit_factor": [1.0]}).write_parquet(path, metadata=given)
    assert refusal(path).startswith(f": {message}")


def test_a_file_that_changes_under_its_reader_is_refused(tmp_path: Path, small: Market) -> None:
    path = stored(small, tmp_path, 3)
    market = MarketDirectory(path)
    market.read(0, 5)
    users = path / "users-00001.parquet"
    os.utime(users, ns=(0, 0))
    message = f"{users}: it was changed or removed after the market was opened; begin anew"
    for _ in range(2):
        with pytest.raises(ScenarioError) as caught:
            list(market.chunks(BLOCK))
        assert str(caught.value) == message
        users.unlink(missing_ok=True)
    same(market.read(0, 3), small)


def test_a_market_larger_than_memory_is_not_read_whole(
    tmp_path: Path, small: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(small, tmp_path)
    monkeypatch.setattr(directory, "memory_of_machine", lambda: 1000.0)
    assert refusal(path) == (
        ": 2 providers × 5 users take some 1.58e-06 GB in memory, which is more than this "
        "machine has"
    )


def test_what_the_system_refuses(
    tmp_path: Path, small: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(small, tmp_path)

    def denied(*given: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pl, "scan_parquet", denied)
    assert refusal(path) == "providers.parquet: it cannot be read (Permission denied)"
    monkeypatch.setattr(os, "sysconf", denied)
    assert directory.memory_of_machine() == float("inf")
    monkeypatch.undo()
    assert directory.memory_of_machine() > 1e8


def test_a_user_without_a_name_is_named_by_its_place(tmp_path: Path, small: Market) -> None:
    path = stored(small, tmp_path)
    changed(path / "users-00000.parquet", number_in("name", 1, None))
    changed(path / "users-00000.parquet", number_in("work.south", 1, -1.0))
    message = "users-00000.parquet: work of south, user-2 (row 2) is -1.0; it must not be negative"
    assert refusal(path) == message


def test_names_given_twice_are_refused_in_memory(tmp_path: Path, small: Market) -> None:
    path = stored(small, tmp_path)
    changed(path / "users-00000.parquet", lambda frame: frame.with_columns(name=pl.lit("x")))
    assert refusal(path) == ": user_names holds 'x' more than once"


@pytest.mark.parametrize("shape", [(2, 4), (1, 3)])
def test_the_arrays_of_a_chunk_match(shape: tuple[int, int]) -> None:
    arrays: dict[str, Any] = {name: np.ones((2, 3)) for name in PAIR_FIELDS}
    arrays |= {name: np.ones(3) for name in USER_FIELDS}
    with pytest.raises(InvalidInputError, match="traffic has shape"):
        Chunk(0, **arrays | {"traffic": np.ones(shape)})
