from __future__ import annotations

import itertools

import numpy as np
import pytest

from markets import random_market
from qoex.equilibrium.solver import solve
from qoex.errors import InfeasibleMarketError, InvalidInputError
from qoex.model.admission import CAPACITY_RESERVE, Admission, By, admit
from qoex.model.feasibility import require_feasible
from qoex.model.market import Market

# The solver's absolute gap of 1e-6 of a mean value, with room for M of them.
VALUE_TOLERANCE = 1e-5


def crowded(seed: int, providers: int, users: int, *, common: bool = False) -> Market:
    """A market that cannot be served: capacities are a half to nine tenths of the least sums."""
    rng = np.random.default_rng(seed)
    market = random_market(rng, providers, users)
    if not common:
        market = market.replace(latency_budget=rng.uniform(300.0, 1500.0, (providers, users)))
    compute = (market.work / market.latency_budget).sum(axis=1)
    bandwidth = (market.traffic / market.latency_budget).sum(axis=1)
    return market.replace(
        compute_capacity=compute * rng.uniform(0.5, 0.9, providers),
        bandwidth_capacity=bandwidth * rng.uniform(0.5, 0.9, providers),
    )


def fits(market: Market, n: int, kept: list[int]) -> bool:
    """Feasibility of some demands of a provider by the theory's formula, reserve included."""
    a, b, k = market.work[n, kept], market.traffic[n, kept], market.latency_budget[n, kept]
    spare_f = market.compute_capacity[n] * (1.0 - CAPACITY_RESERVE) - (a / k).sum()
    spare_b = market.bandwidth_capacity[n] * (1.0 - CAPACITY_RESERVE) - (b / k).sum()
    cross = (np.sqrt(a * b) / k).sum()
    return bool(spare_f >= 0 and spare_b >= 0 and spare_f * spare_b >= cross**2)


def least_drop(market: Market, n: int, by: By) -> tuple[int, float]:
    """(count, value) of the best set to drop, by looking at all of them."""
    users = np.flatnonzero(market.present[n]).tolist()
    options = [
        (size, dropped_value(market, n, out))
        for size in range(len(users) + 1)
        for out in itertools.combinations(users, size)
        if fits(market, n, [m for m in users if m not in out])
    ]
    return min(options) if by == "count" else min(options, key=lambda option: option[1])


def dropped_value(market: Market, n: int, users: tuple[int, ...]) -> float:
    return float(
        sum(market.profit_factor[m] * np.log(1 + market.latency_budget[n, m]) for m in users)
    )


@pytest.mark.parametrize("by", ["count", "value"])
@pytest.mark.parametrize("seed", range(12))
def test_no_choice_is_better(seed: int, by: By) -> None:
    market = crowded(seed, 2, 9, common=seed % 2 == 0)
    if seed % 3 == 0:
        market = market.without(np.random.default_rng(seed).uniform(size=(2, 9)) < 0.2)
    result = admit(market, by=by)
    assert result.optimal
    total = 0.0
    for n, name in enumerate(market.provider_names):
        out = tuple(
            market.user_index(user) for provider, user in result.dropped if provider == name
        )
        count, value = least_drop(market, n, by)
        total += value
        assert dropped_value(market, n, out) == pytest.approx(value, rel=VALUE_TOLERANCE)
        if by == "count":
            assert len(out) == count
    assert result.dropped_value == pytest.approx(total, rel=VALUE_TOLERANCE)


def check_consistent(market: Market, result: Admission) -> None:
    """What is listed as dropped is what is gone, and the rest is unchanged and can be served."""
    require_feasible(result.market)
    gone = np.zeros(market.work.shape, dtype=bool)
    for provider, user in result.dropped:
        gone[market.provider_names.index(provider), market.user_index(user)] = True
    assert gone.sum() == len(result.dropped)
    assert (market.present | ~gone).all()
    assert result.market == market.without(gone)


@pytest.mark.parametrize("by", ["count", "value"])
@pytest.mark.parametrize("seed", range(4))
def test_the_result_lists_all_that_is_gone(seed: int, by: By) -> None:
    market = crowded(seed, 3, 40)
    result = admit(market, by=by)
    assert result.optimal
    assert result.dropped
    check_consistent(market, result)
    assert solve(result.market).status.ok


def test_count_and_value_are_different_aims() -> None:
    by_count, by_value = (admit(crowded(1, 1, 40), by=by) for by in ("count", "value"))
    assert len(by_count.dropped) < len(by_value.dropped)
    assert by_count.dropped_value > by_value.dropped_value


@pytest.mark.parametrize("regime", ["any", "tight", "absent"])
def test_a_feasible_market_keeps_everything(regime: str) -> None:
    market = random_market(np.random.default_rng(5), 3, 7, regime)  # type: ignore[arg-type]
    result = admit(market)
    assert result == Admission(market=market, dropped=(), dropped_value=0.0, optimal=True)


def test_a_market_within_the_reserve_keeps_everything() -> None:
    # One user with a/κ = 1 TFLOPS: feasible, though by less than the reserve.
    market = Market(
        work=[[100.0]],
        traffic=[[0.0]],
        latency_budget=[[100.0]],
        compute_cost=[1.0],
        bandwidth_cost=[1.0],
        compute_capacity=[1.0 + 0.1 * CAPACITY_RESERVE],
        bandwidth_capacity=[1.0],
        profit_factor=[10.0],
        reward_min=[0.0],
        reward_max=[10.0],
    )
    assert admit(market).dropped == ()
    short = admit(market.replace(compute_capacity=[0.999]))
    assert short.dropped == (("provider-1", "user-1"),)
    assert short.dropped_value == pytest.approx(10.0 * np.log(101.0), rel=1e-12)
    assert not short.market.present.any()


def test_only_the_provider_that_falls_short_drops() -> None:
    market = crowded(3, 2, 8)
    capacity = market.compute_capacity * [1.0, 100.0], market.bandwidth_capacity * [1.0, 100.0]
    market = market.replace(compute_capacity=capacity[0], bandwidth_capacity=capacity[1])
    with pytest.raises(InfeasibleMarketError):
        require_feasible(market)
    result = admit(market)
    assert {provider for provider, _ in result.dropped} == {"provider-1"}


@pytest.mark.parametrize("by", ["count", "value"])
@pytest.mark.parametrize("seed", range(4))
def test_out_of_time_is_said_and_still_serves(seed: int, by: By) -> None:
    market = crowded(seed, 2, 60)
    result = admit(market, by=by, time_limit=1e-9)
    assert not result.optimal
    check_consistent(market, result)
    best = admit(market, by=by)
    if by == "count":
        assert len(best.dropped) <= len(result.dropped) <= 2 * len(best.dropped)
    else:
        assert best.dropped_value <= result.dropped_value * (1 + VALUE_TOLERANCE)
        assert result.dropped_value <= 2 * best.dropped_value
    # Nothing dropped could come back.
    for provider, user in result.dropped:
        n, m = market.provider_names.index(provider), market.user_index(user)
        kept = np.flatnonzero(result.market.present[n]).tolist()
        assert not fits(market, n, [*kept, m])


@pytest.mark.parametrize("by", ["count", "value"])
def test_a_thousand_demands_at_one_provider(by: By) -> None:
    market = crowded(0, 1, 1000)
    result = admit(market, by=by)
    assert result.optimal
    check_consistent(market, result)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    # HiGHS 1.12 prints a line to standard output at about a quarter of these.
    for seed in range(12):
        admit(random_crowd(seed), by="value")
    assert capfd.readouterr().out == ""


def random_crowd(seed: int) -> Market:
    market = random_market(np.random.default_rng(seed), 1, 100)
    return market.replace(
        compute_capacity=0.8 * (market.work / market.latency_budget).sum(axis=1),
        bandwidth_capacity=0.8 * (market.traffic / market.latency_budget).sum(axis=1),
    )


def test_bad_arguments_are_refused() -> None:
    market = crowded(0, 1, 3)
    with pytest.raises(InvalidInputError, match="by is 'age'"):
        admit(market, by="age")  # type: ignore[arg-type]
    for limit in (0.0, float("nan")):
        with pytest.raises(InvalidInputError, match="time_limit"):
            admit(market, time_limit=limit)
