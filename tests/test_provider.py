from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets import FAMILIES, Family, random_market, two_users
from qoex.errors import InfeasibleMarketError, InvalidInputError
from qoex.game.outcome import provider_utility
from qoex.game.provider import answer_rewards, capacity_state
from qoex.game.solution import Regime
from qoex.model.market import FloatArray, Market


def clarabel_utility(market: Market, rewards: FloatArray, n: int) -> float:
    """Solve provider n's problem (eq. 8) as a conic programme."""
    pairs = np.flatnonzero(market.present[n])
    budget = market.latency_budget[n, pairs]
    # In units of about what each user gets, so that all numbers are of order one.
    reward, a, b = rewards[n, pairs], market.work[n, pairs], market.traffic[n, pairs]
    unit_f = np.maximum(a / budget, np.sqrt(reward * a / market.compute_cost[n]))
    unit_b = np.maximum(b / budget, np.sqrt(reward * b / market.bandwidth_cost[n]))
    unit_f = np.minimum(unit_f, market.compute_capacity[n])
    unit_b = np.minimum(unit_b, market.bandwidth_capacity[n])
    f, w = cp.Variable(pairs.size), cp.Variable(pairs.size)
    excess = cp.multiply(a / unit_f / budget, cp.inv_pos(f))  # latency in units of κ
    excess += cp.multiply(b / unit_b / budget, cp.inv_pos(w))
    scale = (reward * budget).sum()
    paid = (reward * budget / scale) @ (1.0 - excess)
    cost = (market.compute_cost[n] * unit_f / scale) @ f
    cost += (market.bandwidth_cost[n] * unit_b / scale) @ w
    limits = [
        (unit_f / market.compute_capacity[n]) @ f <= 1,
        (unit_b / market.bandwidth_capacity[n]) @ w <= 1,
        excess <= 1,
    ]
    problem = cp.Problem(cp.Maximize(paid - cost), limits)
    problem.solve(solver=cp.CLARABEL)
    assert problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
    return float(problem.value * scale)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", [1e-4, 1e-1, 1e1])
def test_agrees_with_a_conic_solver_in_every_regime(family: Family, level: float) -> None:
    rng = np.random.default_rng([FAMILIES.index(family), int(level * 1e4)])
    market = random_market(rng, 3, 7, family)
    rewards = np.where(market.present, level * 10 ** rng.uniform(-1.5, 1.5, (3, 7)), 0.0)
    answer = answer_rewards(market, rewards)
    ours = provider_utility(market, rewards, answer.qoe, answer.compute, answer.bandwidth)
    for n in range(3):
        if not market.present[n].any():
            assert ours[n] == 0
            continue
        theirs = clarabel_utility(market, rewards, n)
        # The optimum is one of large terms that may cancel: compare on their scale.
        scale = max(abs(theirs), (rewards[n] * answer.qoe[n]).sum())
        scale = max(scale, market.compute_cost[n] * answer.compute[n].sum())
        assert ours[n] == pytest.approx(theirs, abs=1e-5 * scale)
        assert ours[n] >= theirs - 1e-6 * scale


def test_every_regime_occurs_and_is_told_apart() -> None:
    market = two_users(2.0)
    # Slack use is Σ√(Ra)/√c: choose R so that it is exactly 1, exactly the capacity 2, and above.
    for total, regime in ((1.0, Regime.SLACK), (2.0, Regime.PINNED), (3.0, Regime.BINDING)):
        root = total * np.sqrt(21.0) / (np.sqrt(200.0) + np.sqrt(120.0))
        answer = answer_rewards(market, np.full((1, 2), root**2))
        state = capacity_state(
            answer.compute_use, answer.compute_price, market.compute_cost, market.compute_capacity
        )
        assert state.regime == (regime,)
        assert state.use[0] == pytest.approx(min(total, 2.0))
        assert state.price[0] == pytest.approx(21.0 * max(total / 2.0, 1.0) ** 2)
    # With rewards of nothing both users are at their floor: C1 alone keeps them served.
    floor = answer_rewards(market, np.zeros((1, 2)))
    assert (floor.qoe == 0).all()
    latency = market.work / floor.compute + market.traffic / floor.bandwidth
    np.testing.assert_allclose(latency, market.latency_budget, rtol=1e-14)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(FAMILIES), st.floats(1.0, 3.0), st.booleans())
def test_more_capacity_never_lowers_the_optimum(
    seed: int, family: Family, factor: float, compute: bool
) -> None:
    rng = np.random.default_rng(seed)
    market = random_market(rng, 2, 5, family)
    rewards = 10 ** rng.uniform(-4, 2, (2, 5)) * market.present
    name = "compute_capacity" if compute else "bandwidth_capacity"
    larger = market.replace(**{name: getattr(market, name) * factor})
    before, after = (answer_rewards(m, rewards) for m in (market, larger))
    low = provider_utility(market, rewards, before.qoe, before.compute, before.bandwidth)
    high = provider_utility(larger, rewards, after.qoe, after.compute, after.bandwidth)
    assert (high >= low - 1e-10 * (1.0 + np.abs(low))).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(FAMILIES))
def test_feasible_and_served(seed: int, family: Family) -> None:
    rng = np.random.default_rng(seed)
    market = random_market(rng, 3, 5, family)
    rewards = 10 ** rng.uniform(-6, 2, (3, 5)) * market.present
    answer = answer_rewards(market, rewards)
    assert (answer.compute.sum(axis=1) <= market.compute_capacity * (1 + 1e-12)).all()
    assert (answer.bandwidth.sum(axis=1) <= market.bandwidth_capacity * (1 + 1e-12)).all()
    assert (answer.qoe >= 0).all()
    absent = ~market.present
    for array in (answer.compute, answer.bandwidth, answer.qoe):
        assert (array[absent] == 0).all()
        assert np.isfinite(array).all()


def test_zero_work_or_traffic_takes_nothing_of_that_resource() -> None:
    market = random_market(np.random.default_rng(5), 2, 3)
    work, traffic = market.work.copy(), market.traffic.copy()
    work[0, 1] = 0.0
    traffic[1] = 0.0
    market = market.replace(work=work, traffic=traffic)
    answer = answer_rewards(market, np.full((2, 3), 0.3))
    assert answer.compute[0, 1] == 0
    assert (answer.bandwidth[1] == 0).all()
    assert answer.qoe[0, 1] == pytest.approx(
        market.latency_budget[0, 1] - traffic[0, 1] / answer.bandwidth[0, 1]
    )


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (np.ones((2, 2)), r"rewards has shape \(2, 2\); it must be \(2, 3\)"),
        (np.full((2, 3), np.nan), "rewards of provider-1, user-1 is nan"),
        (np.array([[1, 1, 1], [1, 1, -2.0]]), "rewards of provider-2, user-3 is -2.0"),
    ],
)
def test_bad_rewards(rewards: FloatArray, message: str) -> None:
    market = random_market(np.random.default_rng(6), 2, 3)
    with pytest.raises(InvalidInputError, match=message):
        answer_rewards(market, rewards)


def test_infeasible_market_is_refused() -> None:
    market = random_market(np.random.default_rng(7), 2, 3)
    with pytest.raises(InfeasibleMarketError):
        answer_rewards(
            market.replace(compute_capacity=market.compute_capacity * 1e-3), np.ones((2, 3))
        )
