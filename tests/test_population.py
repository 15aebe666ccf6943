"""A sweep over many users: the same bits however they are divided, the numbers of one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from markets import Family, random_market
from qoex.certificate import certify
from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.population import LocalShards, Population, Sums, shard_borders
from qoex.equilibrium.price_system import PriceSystem
from qoex.equilibrium.solver import solve
from qoex.equilibrium.user_shard import Shard
from qoex.files.parquet.sampling import sample_large_market
from qoex.game.solution import Solution
from qoex.kernels import BLOCK, threads
from qoex.kernels.arguments import Prices
from qoex.model.market import FloatArray, Market
from qoex.model.sides import UserArrays

BEHAVIOURS = list(BehaviourModel)
FAMILIES: list[Family] = ["binding", "any", "bounds", "absent", "tight"]


@dataclass(frozen=True)
class Told:
    """What a population answered to some prices."""

    sums: Sums
    wanted: FloatArray
    marginal: FloatArray


def divided(market: Market, shards: int) -> Population:
    """Return the users of a market in several shards."""
    firsts = shard_borders(market.users, shards)
    ends = [*firsts[1:], market.users]

    def shard(first: int, end: int) -> Shard:
        arrays = (getattr(market, name)[..., first:end] for name in UserArrays._fields)
        demand = UserArrays(*map(np.ascontiguousarray, arrays))
        return Shard(lambda: demand, first=first, users=end - first, providers=market.providers)

    hosts = LocalShards([shard(*pair) for pair in zip(firsts, ends, strict=True)])
    return Population(hosts, firsts=firsts, users=market.users, providers=market.providers)


def prices_of(market: Market, behaviour: BehaviourModel, most_steps: int = 12) -> Prices:
    """Return prices at which some pairs are served and others not."""
    users = Population.of(market)
    system = PriceSystem(market, users, behaviour)
    point = system.origin()
    rng = np.random.default_rng(7)
    point.z = rng.uniform(1.2, 2.0, point.z.size)
    if behaviour is BehaviourModel.STRATEGIC:
        point.z[::3] = 0.4
        point.floors[:] = 0.1 * users.floor_load()
    return system.evaluate(point).prices._replace(most_steps=most_steps)


def told(users: Population, prices: Prices, sweeps: int = 2) -> Told:
    for _ in range(sweeps):
        sums = users.sweep(prices)
        users.accept()
    assert isinstance(users.hosts, LocalShards)
    shards = users.hosts.shards
    return Told(
        sums,
        np.concatenate([shard.wanted for shard in shards], axis=1),
        np.concatenate([shard.marginal for shard in shards]),
    )


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("family", FAMILIES)
def test_many_at_once_reply_as_one_by_one(behaviour: BehaviourModel, family: Family) -> None:
    market = random_market(np.random.default_rng(4), 3, 700, family)
    together = told(Population.of(market), prices_of(market, behaviour), sweeps=1)
    alone = told(Population.of(market), prices_of(market, behaviour, most_steps=0), sweeps=1)
    assert together.sums.alone < 70
    assert alone.sums.alone == 700
    np.testing.assert_allclose(together.marginal, alone.marginal, rtol=1e-12)
    scale = np.maximum(np.abs(alone.sums.use_by).max(), 1e-300)
    np.testing.assert_allclose(together.sums.use, alone.sums.use, rtol=1e-12)
    np.testing.assert_allclose(
        together.sums.use_by, alone.sums.use_by, rtol=1e-9, atol=1e-11 * scale
    )
    for name in ("unwanted", "idle"):
        one, other = getattr(together.sums, name), getattr(alone.sums, name)
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert together.sums.crossed == alone.sums.crossed


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_bits_do_not_depend_on_shards_or_threads(
    behaviour: BehaviourModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = random_market(np.random.default_rng(5), 2, 7 * BLOCK - 100, "any")
    prices = prices_of(market, behaviour)
    whole = told(Population.of(market), prices)
    for shards in (1, 2, 7):
        for cores in (1, 3):
            monkeypatch.setattr(threads, "cores", lambda cores=cores: cores)
            threads._pool.cache_clear()
            parts = told(divided(market, shards), prices)
            np.testing.assert_array_equal(parts.wanted, whole.wanted)
            np.testing.assert_array_equal(parts.marginal, whole.marginal)
            for name in Sums._fields:
                if name != "near":  # as far as they fit the lists of each shard
                    one, other = getattr(parts.sums, name), getattr(whole.sums, name)
                    np.testing.assert_array_equal(one, other)
    threads._pool.cache_clear()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("users", [300, 3000])
def test_equilibria_of_many_users_are_certified(family: Family, users: int) -> None:
    market = random_market(np.random.default_rng([6, users]), 3, users, family)
    solution = solve(market)
    assert solution.status.ok
    assert certify(market, solution).holds()
    again = solve(market, start=solution)
    assert again.status.ok
    np.testing.assert_allclose(again.rewards, solution.rewards, rtol=1e-8)


def sweeps_to(solution: Solution, error: float) -> int:
    return next(
        step.number for step in solution.trace if step.number > 0 and step.residual <= error
    )


@pytest.mark.parametrize(("users", "most"), [(25, 16), (700, 8), (40_000, 8)])
def test_few_sweeps_do_and_fewer_after_a_small_change(users: int, most: int) -> None:
    for seed in range(3):
        market = sample_large_market(5, users, seed, feasible=True)
        before = solve(market)
        assert before.status.ok
        assert sweeps_to(before, 1e-10) <= most
        rng = np.random.default_rng(seed)
        work = market.work.copy()
        work[:, rng.random(users) < 0.01] *= 1.3
        after = solve(market.replace(work=work), start=before)
        assert after.status.ok
        assert sweeps_to(after, 1e-10) <= 5


def test_every_so_many_users_are_the_same_however_divided() -> None:
    market = random_market(np.random.default_rng(9), 2, 2 * BLOCK + 777, "absent")
    for stride in (8, 13):
        for one, other in zip(
            divided(market, 3).every(stride), market_part(market, stride), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def market_part(market: Market, stride: int) -> list[FloatArray]:
    return [getattr(market, name)[..., ::stride] for name in UserArrays._fields]


def test_a_shard_begins_with_a_block() -> None:
    with pytest.raises(ValueError, match="not at a multiple of 4096"):
        Shard(lambda: None, first=100, users=5, providers=1)  # type: ignore[arg-type, return-value]
