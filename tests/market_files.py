"""Stored markets for tests, and what others may do to their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from markets import random_market
from qoex.errors import ScenarioError
from qoex.files.parquet import Chunk, market_of, write_market_directory
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, Market

Frame = pl.DataFrame


def small_market() -> Market:
    """Two providers and five users, without the names that users get by default."""
    market = random_market(np.random.default_rng(2), 2, 5)
    names = {"provider_names": ["north", "south"], "user_names": list("abcde")}
    return market.replace(**names)


def stored(market: Market, folder: Path, users_per_file: int | None = None) -> Path:
    path = folder / "market"
    write_market_directory(market, path, users_per_file)
    return path


def changed(path: Path, change: Callable[[Frame], Frame]) -> None:
    """Write a table anew, as anybody's program would."""
    frame = pl.read_parquet(path)
    path.unlink()  # polars maps the file that it has read
    change(frame).write_parquet(path)


def number_in(column: str, row: int, value: float | None) -> Callable[[Frame], Frame]:
    place = pl.int_range(pl.len()) == row
    return lambda frame: frame.with_columns(
        pl.when(place).then(value).otherwise(column).alias(column)
    )


def refusal(path: Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        market_of(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(str(path))
    return sentence.removeprefix(str(path)).removeprefix("/")


def same(chunk: Chunk, market: Market) -> None:
    columns = slice(chunk.first, chunk.last)
    for name in (*PAIR_FIELDS, *USER_FIELDS):
        array = getattr(chunk, name)
        assert array.flags.c_contiguous
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, getattr(market, name)[..., columns])
