from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import qoex_command
from qoex.errors import InvalidInputError
from qoex.files.market_files import read_market
from qoex.files.parquet import BLOCK, MarketDirectory, market_of
from qoex.files.parquet.sampling import sample_large_market, sample_market_directory
from qoex.model.feasibility import frontier_factor
from qoex.model.market import PAIR_FIELDS, PROVIDER_FIELDS, USER_FIELDS, Market
from qoex.scenario.sampling import SPARE_CAPACITY, TABLE_III, sample_scenario

M = 2 * BLOCK + 300

# Draws a market of 264 MB and reads it, and prints by how much memory grew in either (MiB).
BOUNDED = """
import resource, sys
from qoex.files.parquet import directory
from qoex.files.parquet import writer
from qoex.files.parquet import MarketDirectory
from qoex.files.parquet.sampling import sample_market_directory
directory._READ_BYTES = writer._FILE_BYTES = 1 << 24
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
sample_market_directory(sys.argv[1], 10, 1_000_000, 1)
drawn = peak()
users = sum(chunk.users for chunk in MarketDirectory(sys.argv[1]).chunks(8192))
print(drawn - before, peak() - before, users)
"""


def drawn(
    path: Path, providers: int, users: int, seed: int = 1, *, feasible: bool = False
) -> Market:
    sample_market_directory(path, providers, users, seed, feasible=feasible)
    return market_of(path)


def test_a_market_does_not_depend_on_how_it_is_drawn(tmp_path: Path) -> None:
    shares: list[float] = []
    for number, chunk in enumerate((BLOCK, 2 * BLOCK, None)):
        factor = sample_market_directory(
            tmp_path / str(number), 3, M, 7, chunk=chunk, feasible=True, progress=shares.append
        )
        for file in sorted((tmp_path / "0").iterdir()):
            assert (tmp_path / str(number) / file.name).read_bytes() == file.read_bytes()
        if number == 0:
            first = factor
            assert shares == [BLOCK / M, 2 * BLOCK / M, 1.0]
        np.testing.assert_array_equal(factor, first)
    assert market_of(tmp_path / "0") != drawn(tmp_path / "other", 3, M, 8, feasible=True)


def test_the_first_users_are_those_of_a_larger_market(tmp_path: Path) -> None:
    larger, smaller = drawn(tmp_path / "larger", 2, M), drawn(tmp_path / "smaller", 2, BLOCK + 1)
    for name in (*PAIR_FIELDS, *USER_FIELDS):
        first = getattr(larger, name)[..., : BLOCK + 1]
        np.testing.assert_array_equal(first, getattr(smaller, name))
    for name in PROVIDER_FIELDS:
        scale = M / (BLOCK + 1) if name.endswith("capacity") else 1.0
        np.testing.assert_allclose(getattr(larger, name), scale * getattr(smaller, name), 1e-15)


@pytest.mark.parametrize("feasible", [False, True])
def test_a_market_in_memory_is_the_one_that_is_written(tmp_path: Path, feasible: bool) -> None:
    shares: list[float] = []
    market = sample_large_market(10, M, 3, feasible=feasible, progress=shares.append)
    assert market == drawn(tmp_path / "market", 10, M, 3, feasible=feasible)
    assert shares[-1] == 1.0


def test_draws_are_those_of_table_iii(tmp_path: Path) -> None:
    """Means of work and traffic per latency budget are those of small samples."""
    market = drawn(tmp_path / "market", 40, BLOCK)
    small = sample_scenario(40, 400, np.random.default_rng(1)).market()
    for field in ("work", "traffic"):
        means = [float(getattr(one, field).mean()) for one in (market, small)]
        assert means[0] == pytest.approx(means[1], rel=0.05)
        least, most = (getattr(small, field).min(), getattr(small, field).max())
        assert 0.5 * least < getattr(market, field).min() <= getattr(market, field).max() < 2 * most
    assert market.provider_names == small.provider_names
    for name in ("profit_factor", "reward_min", "reward_max", "bandwidth_cost"):
        assert set(getattr(market, name)) == set(getattr(small, name))
    ranges = {
        "latency_budget": (1.0, TABLE_III.latency_budget),
        "compute_cost": (1.0, TABLE_III.compute_cost),
        "compute_capacity": (BLOCK / 25, TABLE_III.compute_capacity),
        "bandwidth_capacity": (BLOCK / 25, TABLE_III.bandwidth_capacity),
    }
    for name, (scale, (low, high)) in ranges.items():
        values = getattr(market, name) / scale
        assert low <= values.min()
        assert values.max() <= high
        assert np.ptp(values) >= 0.8 * (high - low)


def test_a_small_market_has_the_capacities_of_table_iii(tmp_path: Path) -> None:
    first, second = drawn(tmp_path / "25", 2, 25), drawn(tmp_path / "1", 2, 1)
    np.testing.assert_array_equal(first.compute_capacity, second.compute_capacity)


def test_capacities_that_are_short_are_raised(tmp_path: Path) -> None:
    plain = drawn(tmp_path / "plain", 10, M)
    raised = drawn(tmp_path / "raised", 10, M, feasible=True)
    factor = frontier_factor(plain)
    short = factor > 1.0 / SPARE_CAPACITY
    assert 0 < short.sum() < 10
    growth = np.where(short, SPARE_CAPACITY * factor, 1.0)
    for name in ("compute_capacity", "bandwidth_capacity"):
        np.testing.assert_allclose(getattr(raised, name), growth * getattr(plain, name), 1e-12)
    np.testing.assert_allclose(frontier_factor(raised)[short], 1.0 / SPARE_CAPACITY, 1e-12)


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    def refusal(providers: int, users: int, seed: int, chunk: int | None = None) -> str:
        with pytest.raises(InvalidInputError) as caught:
            sample_market_directory(tmp_path / "market", providers, users, seed, chunk=chunk)
        assert list(tmp_path.iterdir()) == []
        return str(caught.value)

    assert refusal(0, 1, 1) == "providers is 0; it must be one or more"
    assert refusal(1, 0, 1) == "users is 0; it must be one or more"
    assert refusal(1, 1, -1) == "seed is -1; it must be zero or more"
    for chunk in (0, 1, BLOCK + 1):
        assert refusal(1, 1, 1, chunk) == f"chunk is {chunk}; it must be a multiple of 4096"


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "market"
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, check=True
    )
    drawing, reading, users = map(float, done.stdout.split())
    assert users == 1_000_000
    assert drawing < 200
    assert reading < 200


def test_the_command_draws_into_a_directory(tmp_path: Path) -> None:
    for number, name in enumerate(("plain", "dotted.v1/")):
        path = f"{tmp_path}/{name}"
        size = ("--providers", 1, "--users", 60, "--seed", 5)
        result = qoex_command("sample", *size, "-o", path, *["--feasible"][:number])
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.splitlines()[0] == f"wrote {path}: 1 provider, 60 users"
        assert ("not all of its demands" in result.stderr) == (number == 0)
        assert MarketDirectory(path).users == 60
    assert read_market(f"{tmp_path}/dotted.v1") == market_of(f"{tmp_path}/dotted.v1/")
    result = qoex_command("solve", f"{tmp_path}/dotted.v1")
    assert result.exit_code == 0
    assert result.stdout.startswith("1 provider, 60 users, capacity-prices, ")
