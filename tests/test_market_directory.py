from __future__ import annotations

import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from any_market import markets
from market_files import Frame, changed, refusal, same, small_market, stored
from markets import random_market
from qoex.errors import InvalidInputError
from qoex.files.market_files import read_market, write_market
from qoex.files.parquet import (
    BLOCK,
    MarketDirectory,
    directory,
    market_of,
    write_market_directory,
)
from qoex.model.market import Market

in_a_folder = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

M = 2 * BLOCK + 700


@pytest.fixture(scope="module")
def large() -> Market:
    """Three providers, two blocks of users and a bit, a half of the pairs absent."""
    return random_market(np.random.default_rng(1), 3, M, "absent")


@pytest.fixture
def small() -> Market:
    return small_market()


@given(market=markets(), users_per_file=st.integers(1, 5))
@in_a_folder
def test_a_market_is_read_as_it_was_written(
    tmp_path: Path, market: Market, users_per_file: int
) -> None:
    path = Path(tempfile.mkdtemp(dir=tmp_path))  # one for each example
    write_market_directory(market, path, users_per_file)
    assert market_of(path) == read_market(path) == market
    assert len(list(path.iterdir())) == 1 + -(-market.users // users_per_file)


@pytest.mark.parametrize("users_per_file", [None, 1000, BLOCK, 5001])
@pytest.mark.parametrize("read_bytes", [1, 1 << 26])
def test_borders_of_chunks_are_not_those_of_files(
    tmp_path: Path,
    large: Market,
    users_per_file: int | None,
    read_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directory, "_READ_BYTES", read_bytes)
    market = MarketDirectory(stored(large, tmp_path, users_per_file))
    for size, borders in ((BLOCK, [0, BLOCK, 2 * BLOCK]), (2 * BLOCK, [0, 2 * BLOCK])):
        firsts = []
        for chunk in market.chunks(size):
            same(chunk, large)
            firsts.append(chunk.first)
        assert firsts == borders
        assert chunk.last == M


def test_row_groups_and_pages_of_others_do_not_matter(tmp_path: Path, large: Market) -> None:
    path = stored(large, tmp_path)
    frame = pl.read_parquet(path / "users-00000.parquet")
    for number, rows in enumerate((1, 999, 5000)):
        part, frame = frame.head(rows), frame.slice(rows)
        name = f"part-{number}.snappy.parquet"
        part.write_parquet(path / name, row_group_size=300, compression="snappy")
    frame.write_parquet(path / "part-3.parquet", data_page_size=1000)
    frame.clear().write_parquet(path / "part-4.parquet")  # Spark writes empty parts, too
    (path / "users-00000.parquet").unlink()
    (path / "_SUCCESS").write_text("")
    (path / "._part.parquet").write_text("not Parquet")
    assert market_of(path) == large


def test_any_users_can_be_read(tmp_path: Path, large: Market) -> None:
    market = MarketDirectory(stored(large, tmp_path, 5001))
    for first, last in ((0, 1), (5000, 5002), (4095, M), (M - 1, M)):
        same(market.read(first, last), large)
        names = market.user_names(first, last)
        assert names == list(large.user_names[first:last])
    for first, last in ((-1, 3), (3, 3), (0, M + 1)):
        for read in (market.read, market.user_names):
            with pytest.raises(InvalidInputError, match=f"{first} to {last} .* there are {M}"):
                read(first, last)
    for size in (0, -BLOCK, BLOCK - 1, BLOCK + 1):
        with pytest.raises(InvalidInputError, match="must be a multiple of 4096"):
            market.chunks(size)


def test_what_is_known_without_reading_users(tmp_path: Path, small: Market) -> None:
    market = MarketDirectory(stored(small, tmp_path, 2))
    assert (market.providers, market.users) == (2, 5)
    assert market.provider_names == ("north", "south")
    for name in ("compute_cost", "bandwidth_cost", "compute_capacity", "bandwidth_capacity"):
        np.testing.assert_array_equal(getattr(market, name), getattr(small, name))
    assert repr(market) == f"MarketDirectory('{tmp_path}/market': 2 providers × 5 users)"


def test_users_are_checked_once(
    tmp_path: Path, large: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = MarketDirectory(stored(large, tmp_path))
    calls: list[int] = []
    monkeypatch.setattr(directory, "require_values", lambda *given: calls.append(1))
    assert not market.checked
    market.read(1, BLOCK + 1)  # no block whole
    market.read(BLOCK, M)
    assert (len(calls), market.checked) == (2, False)
    list(market.chunks(2 * BLOCK))
    assert (len(calls), market.checked) == (3, True)
    again = pickle.loads(pickle.dumps(market))
    list(again.chunks(2 * BLOCK))
    assert (len(calls), again.checked) == (3, True)


def test_files_of_others(tmp_path: Path, small: Market) -> None:
    """Other columns, their order and types, and empty pairs do not matter."""
    path = stored(small, tmp_path)
    first = pl.int_range(pl.len()) < 3

    def other(frame: Frame) -> Frame:
        pairs = [name for name in frame.columns if "." in name]
        return frame.select(
            pl.lit("eu").alias("region"),
            *(pl.when(first).then(name) for name in reversed(pairs)),
            pl.lit(3).alias("reward_max"),
            pl.lit(0, pl.UInt8).alias("reward_min"),
            pl.col("profit_factor").cast(pl.Float32),
            pl.int_range(pl.len()).alias("name"),
        )

    changed(path / "users-00000.parquet", other)
    absent = np.zeros((2, 5), dtype=bool)
    absent[:, 3:] = True
    expected = small.without(absent).replace(
        user_names=["0", "1", "2", "3", "4"],
        profit_factor=small.profit_factor.astype(np.float32),
        reward_min=np.zeros(5),
        reward_max=np.full(5, 3.0),
    )
    assert market_of(path) == expected


def test_a_provider_that_nobody_demands_may_be_all_null(tmp_path: Path, small: Market) -> None:
    path = stored(small, tmp_path)
    south = ("work.south", "traffic.south", "latency_budget.south")
    changed(path / "users-00000.parquet", lambda frame: frame.with_columns(
        pl.lit(None).alias(name) for name in south))  # fmt: skip
    assert market_of(path) == small.without(np.array([[False], [True]]).repeat(5, axis=1))


def test_users_without_names_are_numbered(tmp_path: Path, small: Market) -> None:
    path = stored(small, tmp_path, 3)
    for number in range(2):
        changed(path / f"users-0000{number}.parquet", lambda frame: frame.drop("name"))
    assert market_of(path) == small.replace(user_names=[f"user-{m + 1}" for m in range(5)])
    changed(path / "users-00001.parquet", lambda f: f.with_columns(reward_max=pl.lit(-1.0)))
    assert refusal(path).startswith("users-00001.parquet: reward_max of user-4 (row 1) is -1.0;")


def test_one_file_has_the_providers_in_its_metadata(tmp_path: Path, small: Market) -> None:
    path = tmp_path / "market.parquet"
    write_market(small, path)
    rows = json.loads(pl.read_parquet_metadata(path)["qoex.providers"])
    assert [row["name"] for row in rows] == ["north", "south"]
    assert read_market(path) == small
    market = MarketDirectory(path)
    (first,) = market.chunks(BLOCK)
    same(first, small)
