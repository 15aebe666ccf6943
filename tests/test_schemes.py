"""What every scheme promises, and that none does better than the planner."""

from __future__ import annotations

import itertools

import cvxpy as cp
import numpy as np
import pytest

from markets import FAMILIES, Family, random_market
from qoex.errors import InfeasibleMarketError
from qoex.game.metrics import price_of_anarchy, welfare_of
from qoex.game.solution import Regime, Solution
from qoex.mechanisms.schemes import SCHEMES, run, welfare
from qoex.model.market import FloatArray, Market
from qoex.model.tokens import Tokens

# Sums of a few products in another order: a hundred roundings, against the scale of the terms.
ROUNDING = 1e-12
# What an equilibrium promises of its rewards, with a factor of ten.
REWARDS = 1e-7
# Use may pass a capacity by rounding, and by as much as the solver's own tolerance.
OVERUSE = 1e-9
# Relative, on welfare: the planner's problem is flat at its optimum, so far less is lost.
WELFARE = 1e-10

SHAPES = ((2, 3), (3, 2), (1, 4))


def market_and_tokens(family: Family, seed: int) -> tuple[Market, Tokens]:
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    market = random_market(rng, *SHAPES[seed % len(SHAPES)], family)
    counts = np.where(market.present, rng.integers(100, 2000, (2, *market.work.shape)), 0.0)
    return market, Tokens(*counts)


def outcome(name: str, market: Market, tokens: Tokens) -> Solution | None:
    """The scheme's solution, or None where an equal split rightly cannot serve the market."""
    try:
        return run(name, market, tokens)
    except InfeasibleMarketError:
        assert name in ("only_f", "only_b")
        assert not split_can_serve(name, market)
        return None


def split_can_serve(name: str, market: Market) -> bool:
    """Whether what an equal split leaves of the latency budgets can be met (theory, section 9)."""
    split, played = ("traffic", "work") if name == "only_f" else ("work", "traffic")
    resources = {"work": market.compute_capacity, "traffic": market.bandwidth_capacity}
    for n in range(market.providers):
        users = np.flatnonzero(market.present[n])
        share = resources[split][n] / max(users.size, 1)
        left = market.latency_budget[n] - getattr(market, split)[n] / share
        needed = sum(getattr(market, played)[n, m] / left[m] for m in users if left[m] > 0)
        if needed >= resources[played][n] * (1 - OVERUSE):
            return False
    return True


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", SCHEMES)
def test_contract(name: str, family: Family) -> None:
    for seed in range(6):
        market, tokens = market_and_tokens(family, seed)
        solution = outcome(name, market, tokens)
        if solution is not None:
            assert solution.status.ok, (seed, solution.status)
            check_numbers(market, solution)
            check_same_again(name, market, tokens, solution)
            check_order_of_names(name, market, tokens, solution)
            check_optimum(market, solution)


def check_numbers(market: Market, solution: Solution) -> None:
    for field in ("rewards", "compute", "bandwidth", "qoe", "user_utility", "provider_utility"):
        assert np.isfinite(getattr(solution, field)).all(), field
        if not field.endswith("utility"):
            assert (getattr(solution, field) >= 0).all(), field
            assert (getattr(solution, field)[~market.present] == 0).all(), field
    assert (solution.compute.sum(axis=1) <= market.compute_capacity * (1 + OVERUSE)).all()
    assert (solution.bandwidth.sum(axis=1) <= market.bandwidth_capacity * (1 + OVERUSE)).all()
    for n, m in itertools.product(range(market.providers), range(market.users)):
        assert solution.qoe[n, m] == pytest.approx(
            naive_qoe(market, solution, n, m), abs=1e-9 * market.latency_budget[n, m]
        )
    check_utilities(market, solution)
    check_states(market, solution)


def naive_qoe(market: Market, solution: Solution, n: int, m: int) -> float:
    """Eq. 7 of one pair; zero where nothing is allocated, which only an equal split may do."""
    work, traffic = float(market.work[n, m]), float(market.traffic[n, m])
    compute, bandwidth = float(solution.compute[n, m]), float(solution.bandwidth[n, m])
    if (work > 0 and compute == 0) or (traffic > 0 and bandwidth == 0):
        assert compute == bandwidth == 0
        assert market.user_names[m] in "".join(solution.notes)
        return 0.0
    quality = float(market.latency_budget[n, m])
    if work > 0:
        quality -= work / compute
    if traffic > 0:
        quality -= traffic / bandwidth
    return quality


def check_utilities(market: Market, solution: Solution) -> None:
    pays = solution.rewards * solution.qoe
    for m in range(market.users):
        gain = market.profit_factor[m] * np.log(1 + solution.qoe[:, m].sum())
        scale = gain + pays[:, m].sum() + 1e-300
        assert solution.user_utility[m] == pytest.approx(
            gain - pays[:, m].sum(), abs=ROUNDING * scale
        )
    for n in range(market.providers):
        cost = market.compute_cost[n] * solution.compute[n].sum()
        cost += market.bandwidth_cost[n] * solution.bandwidth[n].sum()
        scale = pays[n].sum() + cost + 1e-300
        assert solution.provider_utility[n] == pytest.approx(
            pays[n].sum() - cost, abs=ROUNDING * scale
        )


def check_states(market: Market, solution: Solution) -> None:
    for name in ("compute", "bandwidth"):
        state = getattr(solution, f"{name}_state")
        use = getattr(solution, name).sum(axis=1)
        cost, capacity = getattr(market, f"{name}_cost"), getattr(market, f"{name}_capacity")
        assert state.use == pytest.approx(use, rel=ROUNDING)
        assert (state.price >= cost * (1 - OVERUSE)).all()
        for n, regime in enumerate(state.regime):
            assert (regime is Regime.SLACK) == (use[n] < capacity[n] * (1 - OVERUSE))
            assert (regime is Regime.BINDING) == (state.price[n] > cost[n] * (1 + OVERUSE))


def check_same_again(name: str, market: Market, tokens: Tokens, solution: Solution) -> None:
    again = run(name, market, tokens)
    for field in ("rewards", "compute", "bandwidth", "qoe"):
        assert np.array_equal(getattr(again, field), getattr(solution, field)), field


def check_order_of_names(name: str, market: Market, tokens: Tokens, solution: Solution) -> None:
    """Who comes first in the input makes no difference."""
    rows, columns = np.arange(market.providers)[::-1], np.roll(np.arange(market.users), 1)
    there = np.ix_(rows, columns)
    moved = run(
        name,
        market.select(rows, columns),
        Tokens(tokens.input_tokens[there].copy(), tokens.output_tokens[there].copy()),
    )
    for field in ("rewards", "compute", "bandwidth"):
        expected = getattr(solution, field)[there]
        assert getattr(moved, field) == pytest.approx(expected, rel=REWARDS, abs=1e-300), field
    slack = REWARDS * market.latency_budget.max()
    assert moved.qoe == pytest.approx(solution.qoe[there], abs=slack)


def check_optimum(market: Market, solution: Solution) -> None:
    """No scheme that serves all pairs does better than the planner."""
    served = (solution.compute > 0) | (solution.bandwidth > 0)
    if not (served == market.present).all():
        return
    optimum = welfare(market)
    assert optimum.status.ok
    best, reached = welfare_of(market, optimum), welfare_of(market, solution)
    assert reached <= best + WELFARE * abs(best)
    if reached > 0:
        assert price_of_anarchy(market, solution, optimum) >= 1 - WELFARE


@pytest.mark.parametrize("family", ["slack", "binding", "tight", "absent"])
def test_no_allocation_is_better_than_the_planner_s(family: Family) -> None:
    for seed in range(3):
        market, _ = market_and_tokens(family, seed)
        optimum = welfare(market)
        value, qoe = planner(market)
        # Clarabel's own accuracy, on the scale of its objective.
        assert welfare_of(market, optimum) == pytest.approx(value, rel=1e-6)
        assert optimum.qoe.sum(axis=0) == pytest.approx(qoe, rel=1e-3, abs=1e-3)


def planner(market: Market) -> tuple[float, FloatArray]:
    """Greatest welfare, and each user's ΣQ there, by a general convex solver.

    Allocations are in units of the least that meets a budget, which keeps the solver well scaled.
    """
    budget = np.where(market.present, market.latency_budget, 1.0)
    floors = market.work / budget, market.traffic / budget
    shape = market.work.shape
    compute, bandwidth = cp.Variable(shape, pos=True), cp.Variable(shape, pos=True)
    share = [[1.0 * (floor > 0) for floor in floors][i] for i in range(2)]
    quality = cp.multiply(
        market.latency_budget,
        1
        - cp.multiply(share[0], cp.inv_pos(compute))
        - cp.multiply(share[1], cp.inv_pos(bandwidth)),
    )
    uses = [cp.multiply(floors[0], compute), cp.multiply(floors[1], bandwidth)]
    total = cp.sum(quality, axis=0)
    objective = market.profit_factor @ cp.log1p(total)
    objective -= market.compute_cost @ cp.sum(uses[0], axis=1)
    objective -= market.bandwidth_cost @ cp.sum(uses[1], axis=1)
    problem = cp.Problem(
        cp.Maximize(objective),
        [
            quality >= 0,
            cp.sum(uses[0], axis=1) / market.compute_capacity <= 1,
            cp.sum(uses[1], axis=1) / market.bandwidth_capacity <= 1,
        ],
    )
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == cp.OPTIMAL
    return float(problem.value), np.asarray(total.value)


def test_the_optimum_s_rewards_carry_it_out() -> None:
    """Providers offered p_m = μ/(1+ΣQ) choose the planner's allocation."""
    market, _ = market_and_tokens("binding", 0)
    optimum = welfare(market)
    marginal = market.profit_factor / (1 + optimum.qoe.sum(axis=0))
    assert optimum.rewards == pytest.approx(
        np.broadcast_to(marginal, market.work.shape), rel=REWARDS
    )
