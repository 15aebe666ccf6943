from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from markets import random_market
from qoex.errors import InvalidInputError
from qoex.files.parquet import (
    BLOCK,
    Chunk,
    MarketDirectory,
    MarketWriter,
    ProviderTable,
    market_of,
    new_directory,
    write_market_directory,
    writer,
)
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, Market


@pytest.fixture
def market() -> Market:
    return random_market(np.random.default_rng(3), 2, 7)


def users_of(market: Market, first: int, last: int) -> Chunk:
    arrays = {name: getattr(market, name)[..., first:last] for name in (*PAIR_FIELDS, *USER_FIELDS)}
    return Chunk(first, **arrays)


@pytest.mark.parametrize("users_per_file", [1, 2, 3, 100])
def test_users_come_in_any_portions(tmp_path: Path, market: Market, users_per_file: int) -> None:
    path = tmp_path / "market"
    path.mkdir()  # an empty directory is as good as none
    with MarketWriter(path, market.provider_names, users_per_file) as target:
        for first, last in ((0, 1), (1, 5), (5, 7)):
            target.append(users_of(market, first, last), market.user_names[first:last])
            assert target.users == last
        assert list(path.iterdir()) == []  # nothing is there until all is
        target.finish(ProviderTable.of(market))
    assert market_of(path) == market
    names = sorted(file.name for file in path.iterdir())
    assert len(names) == 1 + -(-7 // users_per_file)
    assert names[:2] == ["providers.parquet", "users-00000.parquet"]
    assert [file.name for file in tmp_path.iterdir()] == ["market"]


def test_files_are_of_a_size(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_FILE_BYTES", 9 * 8 * (2 * BLOCK - 1))
    many = random_market(np.random.default_rng(3), 2, 2 * BLOCK)
    with MarketWriter(tmp_path / "market", market.provider_names) as target:
        target.append(users_of(many, 0, 2 * BLOCK))
        target.finish(ProviderTable.of(many))
    frame = pl.read_parquet(tmp_path / "market" / "users-00001.parquet")
    assert frame.height == BLOCK
    assert "name" not in frame.columns
    assert MarketDirectory(tmp_path / "market").user_names(0, 1) == ["user-1"]


def test_a_writer_that_is_left_leaves_nothing(tmp_path: Path, market: Market) -> None:
    path = tmp_path / "market"

    def interrupted() -> None:
        with MarketWriter(path, market.provider_names, 1) as target:
            target.append(users_of(market, 0, 5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with MarketWriter(path, market.provider_names, 1) as target:
        target.append(users_of(market, 0, 5))
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path: Path, market: Market) -> None:
    path = tmp_path / "market"
    write_market_directory(market, path)
    before = [(file, file.read_bytes()) for file in sorted(path.iterdir())]
    for target in (path, before[0][0]):
        with pytest.raises(InvalidInputError) as caught:
            write_market_directory(market, target)
        assert str(caught.value) == (
            f"{target}: it exists already, and only a new or empty directory is written to"
        )
    assert [(file, file.read_bytes()) for file in sorted(path.iterdir())] == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_came_meanwhile_stays(tmp_path: Path, market: Market) -> None:
    path = tmp_path / "market"
    with MarketWriter(path, market.provider_names) as target:
        target.append(users_of(market, 0, 7))
        path.mkdir()
        (path / "mine").write_text("")
        with pytest.raises(InvalidInputError, match=r"cannot be written \(Directory not empty\)"):
            target.finish(ProviderTable.of(market))
    assert [file.name for file in path.iterdir()] == ["mine"]
    assert [file.name for file in tmp_path.iterdir()] == ["market"]


def test_no_place_to_write(tmp_path: Path, market: Market) -> None:
    with pytest.raises(InvalidInputError) as caught:
        write_market_directory(market, tmp_path / "none" / "market")
    assert str(caught.value) == (
        f"{tmp_path}/none/market: cannot be written (No such file or directory)"
    )


def test_a_full_disk(tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OSError(28, "No space left on device"), pl.exceptions.ComputeError("no space")):

        def full(*given: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(new_directory, "write_parquet", full)
        with pytest.raises(InvalidInputError, match=r"market: cannot be written \([Nn]o space"):
            write_market_directory(market, tmp_path / "market")
        assert list(tmp_path.iterdir()) == []


def test_portions_that_cannot_be(tmp_path: Path, market: Market) -> None:
    with MarketWriter(tmp_path / "market", market.provider_names) as target:

        def refusal(chunk: Chunk, names: list[str] | None = None) -> str:
            with pytest.raises(InvalidInputError) as caught:
                target.append(chunk, names)
            return str(caught.value)

        with pytest.raises(InvalidInputError, match="no users were appended"):
            target.finish(ProviderTable.of(market))
        one = users_of(market, 0, 1)
        assert refusal(users_of(market, 1, 2)) == (
            "the chunk has 2 providers and begins at user 1; it must have 2 and begin at 0"
        )
        assert "has 1 providers" in refusal(users_of(market.select(providers=[0]), 0, 1))
        assert refusal(one, ["a", "b"]) == "names has 2 names for 1 users"
        wrong = Chunk(0, **{name: -getattr(one, name) for name in (*PAIR_FIELDS, *USER_FIELDS)})
        assert refusal(wrong, ["a"]).startswith("work of provider-1, a is -")
        user = dataclasses.replace(one, profit_factor=np.zeros(1))
        assert refusal(user).startswith("profit_factor of user-1 is 0.0; it must be greater")
        target.append(one, ["a"])
        assert "give them with all or none" in refusal(users_of(market, 1, 2))
        with pytest.raises(InvalidInputError, match="not those that the writer was made for"):
            target.finish(ProviderTable.of(market.select(providers=[1, 0])))


def test_a_file_has_users(tmp_path: Path, market: Market) -> None:
    with pytest.raises(InvalidInputError, match="users_per_file is 0; it must be one or more"):
        write_market_directory(market, tmp_path / "market", 0)
    assert list(tmp_path.iterdir()) == []
