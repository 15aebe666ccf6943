from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import minimize

import qoex.certificate
from certificate_cases import KINDS, off_equilibrium, random_market, settled
from qoex.certificate import CERTIFIED, answers, certify, deviation
from qoex.certificate.answers import Answers
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.game.best_response import regret as solver_regret
from qoex.game.outcome import user_utility
from qoex.game.provider import answer_rewards
from qoex.game.solution import Regime, Solution
from qoex.model.market import FloatArray, Market

# Two ways to the same utility differ by rounding in κ − L, some hundred times 1e-16 of the scale.
SAME_UTILITY = 1e-12
# What Clarabel reaches on a well-conditioned problem, relative to capacities and latency budgets.
CLARABEL = 1e-5

CASES = [(kind, seed) for kind in KINDS for seed in range(8)]


def case(kind: str, seed: int) -> Market:
    return random_market(np.random.default_rng([KINDS.index(kind), seed]), kind)


def utility_of(market: Market, rewards: FloatArray, user: int) -> float:
    """The user's utility by the solver's code for the providers, which the certificate lacks."""
    answer = answer_rewards(market, rewards)
    return float(user_utility(market, rewards, answer.qoe)[user])


# --- equilibria hold, and every kind of them is among those tried ---------------------------------


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_equilibria_hold(kind: str, seed: int) -> None:
    market = case(kind, seed)
    solution = solve(market)
    assert solution.status.ok
    certificate = certify(market, solution)
    assert certificate.holds(), certificate.sentence()
    assert certificate.regret == certificate.regret_per_user.max() >= 0.0
    assert certificate.regret_per_user.min() >= 0.0
    assert certificate.compute_regime == solution.compute_state.regime
    assert certificate.bandwidth_regime == solution.bandwidth_state.regime
    assert certificate.sentence().startswith("An equilibrium: ")


def test_every_regime_is_among_the_equilibria() -> None:
    seen: set[str] = set()
    for kind, seed in CASES:
        market = case(kind, seed)
        solution = solve(market)
        for state in (solution.compute_state, solution.bandwidth_state):
            seen |= {str(regime) for regime in state.regime}
        both = zip(solution.compute_state.regime, solution.bandwidth_state.regime, strict=True)
        seen |= {"both bind" for pair in both if pair == (Regime.BINDING, Regime.BINDING)}
        idle = market.present & (solution.qoe == 0)
        seen |= {"floor"} if idle.any() else set()
        seen |= {"nobody served"} if (idle | ~market.present).all(axis=1).any() else set()
        bought = solution.qoe > 0
        seen |= (
            {"at the maximum"} if (solution.rewards == market.reward_max)[bought].any() else set()
        )
        seen |= (
            {"at the minimum"} if (solution.rewards == market.reward_min)[bought].any() else set()
        )
        seen |= {"one user"} if market.users == 1 else set()
    assert seen == {
        "slack",
        "pinned",
        "binding",
        "both bind",
        "floor",
        "nobody served",
        "at the maximum",
        "at the minimum",
        "one user",
    }


# --- the best deviation is the best, and can be had -----------------------------------------------


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_deviations_off_equilibrium_agree_with_exact_replies(kind: str, seed: int) -> None:
    market = case(kind, seed)
    solution = off_equilibrium(np.random.default_rng(seed), market)
    certificate = certify(market, solution)
    limit = SAME_UTILITY * certificate.utility_scale
    np.testing.assert_allclose(
        certificate.regret_per_user, solver_regret(market, solution.rewards), rtol=0, atol=limit
    )
    assert certificate.regret_per_user.min() >= 0.0
    best = certificate.best_deviation
    low, high = market.reward_min, market.reward_max
    inside = (best >= low * (1 - 1e-15)) & (
        best <= high * (1 + 1e-15)
    )  # R = (√R)² but for rounding
    assert (inside | ~market.present).all()
    assert (best[~market.present] == 0.0).all()
    for m in range(market.users):
        rewards = solution.rewards.copy()
        rewards[:, m] = best[:, m]
        assert utility_of(market, rewards, m) == pytest.approx(
            certificate.best_utility[m], rel=0, abs=limit
        )


@pytest.mark.parametrize("where", ["equilibrium", "elsewhere"])
@pytest.mark.parametrize(("kind", "seed"), [case for case in CASES if case[1] < 3])
def test_no_deviation_found_by_brute_force_is_better(kind: str, seed: int, where: str) -> None:
    market = case(kind, seed)
    if where == "equilibrium":
        solution = solve(market)
    else:
        solution = off_equilibrium(np.random.default_rng(seed), market)
    certificate = certify(market, solution)
    points = {1: 2001, 2: 45, 3: 13}[market.providers]  # some 2000 in all
    for m in range(min(market.users, 3)):
        # Beyond p ≤ μ/(1 + ΣQ) ≤ μ a reward only loses, whatever the box allows.
        low, high = market.reward_min[m], min(market.reward_max[m], market.profit_factor[m])

        def loss(root: FloatArray, m: int = m, low: float = low, high: float = high) -> float:
            rewards = solution.rewards.copy()
            rewards[:, m] = np.where(market.present[:, m], np.clip(root**2, low, high), 0.0)
            return -utility_of(market, rewards, m)

        grid = np.geomspace(max(low, 1e-4 * high), high, points) ** 0.5
        trials = [np.array(trial) for trial in itertools.product(grid, repeat=market.providers)]
        trials.append(np.sqrt(solution.rewards[:, m]))
        trials.append(np.sqrt(certificate.best_deviation[:, m]))
        losses = [loss(trial) for trial in trials]
        starts = [*np.argsort(losses)[:2], len(trials) - 1]
        best = min(
            minimize(loss, trials[i], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 0}).fun
            for i in starts
        )
        best = min(best, *losses)
        assert -best <= certificate.best_utility[m] + CERTIFIED * certificate.utility_scale


@pytest.mark.parametrize("seed", range(6))
def test_small_blocks_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    market = case("plain", seed)
    solution = off_equilibrium(np.random.default_rng(seed), market)
    whole = certify(market, solution)
    monkeypatch.setattr(deviation, "_BLOCK", 2 * market.providers)
    monkeypatch.setattr(answers, "_ENTRIES", 2)
    seen: list[float] = []
    parts = certify(market, solution, progress=seen.append)
    limit = SAME_UTILITY * whole.utility_scale
    np.testing.assert_allclose(parts.best_utility, whole.best_utility, rtol=0, atol=limit)
    assert seen == sorted(seen)
    assert len(seen) == (market.users + 1) // 2
    assert seen[-1] == 1.0


# --- the providers' answers -----------------------------------------------------------------------


def clarabel(market: Market, rewards: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Provider n's best allocation (eq. 8, C1, C2) by a convex solver, in shares of capacities."""
    users = np.flatnonzero(market.present[n])
    budget = market.latency_budget[n, users]
    # Multiples of the least that would do, a/κ and b/κ, and money in the size of the turnover.
    least = np.stack([market.work[n, users], market.traffic[n, users]]) / budget
    capacity = np.array([market.compute_capacity[n], market.bandwidth_capacity[n]])
    cost = np.array([market.compute_cost[n], market.bandwidth_cost[n]])
    worth = rewards[n, users] * budget
    f, b = cp.Variable(users.size), cp.Variable(users.size)
    share = 1.0 - cp.inv_pos(f) - cp.inv_pos(b)
    profit = worth @ share - cost[0] * (least[0] @ f) - cost[1] * (least[1] @ b)
    fits = [(least[0] / capacity[0]) @ f <= 1, (least[1] / capacity[1]) @ b <= 1]
    problem = cp.Problem(cp.Maximize(profit / worth.sum()), [share >= 0, *fits])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    assert problem.status == cp.OPTIMAL
    shares = np.zeros((2, market.users))
    shares[:, users] = np.stack([f.value, b.value]) * least / capacity[:, None]
    return shares[0], shares[1]


def balanced(kind: str, seed: int, tight: bool) -> Market:
    """A market of a kind in which both resources cost about the same; if tight, both are scarce.

    A convex solver needs that: where one costs a millionth of the turnover it hardly cares how
    much is given.
    """
    market = case(kind, seed)
    budget = np.where(market.present, market.latency_budget, 1.0)
    work, traffic = ((x / budget).sum(axis=1) for x in (market.work, market.traffic))
    market = market.replace(bandwidth_cost=market.compute_cost * work / traffic)
    if not tight:
        return market
    # Twice what QoE of zero takes serves everyone in any case (Cauchy–Schwarz); with some room.
    return market.replace(compute_capacity=2.3 * work, bandwidth_capacity=2.3 * traffic)


BALANCED = [
    (kind, seed, tight)
    for kind in ("plain", "identical users", "absent pairs")
    for seed in range(4)
    for tight in (False, True)
]


def usual_rewards(market: Market, seed: int) -> Solution:
    rewards = np.random.default_rng(seed).uniform(0.1, 0.3, market.work.shape)
    return settled(market, rewards)


@pytest.mark.parametrize(("kind", "seed", "tight"), BALANCED)
def test_the_answer_inside_is_the_convex_optimum(kind: str, seed: int, tight: bool) -> None:
    market = balanced(kind, seed, tight)
    rewards = usual_rewards(market, seed).rewards
    inside = Answers(market, rewards)
    x, y = inside.x[:, None], inside.y[:, None]
    height = np.sqrt(market.work) * x + np.sqrt(market.traffic) * y
    served = np.maximum(
        inside.root_rewards, height / np.where(market.present, market.latency_budget, 1.0)
    )
    for n in range(market.providers):
        compute, bandwidth = clarabel(market, rewards, n)
        found = served[n] * np.sqrt(market.work[n]) / x[n] / market.compute_capacity[n]
        np.testing.assert_allclose(found, compute, rtol=0, atol=CLARABEL)
        found = served[n] * np.sqrt(market.traffic[n]) / y[n] / market.bandwidth_capacity[n]
        np.testing.assert_allclose(found, bandwidth, rtol=0, atol=CLARABEL)


@pytest.mark.parametrize(("kind", "seed", "tight"), BALANCED)
def test_the_best_deviation_is_worth_as_much_by_the_convex_optimum(
    kind: str, seed: int, tight: bool
) -> None:
    market = balanced(kind, seed, tight)
    solution = usual_rewards(market, seed)
    certificate = certify(market, solution)
    user = int(np.argmax(certificate.regret_per_user))
    rewards = solution.rewards.copy()
    rewards[:, user] = certificate.best_deviation[:, user]
    qoe = np.zeros(market.work.shape)
    for n in np.flatnonzero(market.present[:, user]):
        compute, bandwidth = clarabel(market, rewards, int(n))
        latency = market.work[n, user] / (compute[user] * market.compute_capacity[n])
        latency += market.traffic[n, user] / (bandwidth[user] * market.bandwidth_capacity[n])
        qoe[n, user] = market.latency_budget[n, user] - latency
    utility = float(user_utility(market, rewards, np.maximum(qoe, 0.0))[user])
    limit = CLARABEL * market.providers * certificate.utility_scale
    assert utility == pytest.approx(certificate.best_utility[user], rel=0, abs=limit)


# --- what is no equilibrium does not hold ---------------------------------------------------------


@pytest.fixture(scope="module")
def market() -> Market:
    """Two providers, one with full capacities; three users and an absent pair."""
    return Market(
        work=[[200.0, 120.0, 90.0], [40.0, 60.0, 0.0]],
        traffic=[[5.0, 8.0, 3.0], [4.0, 5.0, 0.0]],
        latency_budget=[[600.0, 500.0, 700.0], [800.0, 900.0, 0.0]],
        compute_cost=[21.0, 24.0],
        bandwidth_cost=[0.15, 0.25],
        compute_capacity=[1.2, 10.0],
        bandwidth_capacity=[40.0, 200.0],
        profit_factor=[370.0, 380.0, 390.0],
        reward_min=[0.0, 0.01, 0.01],
        reward_max=[10.0, 11.0, 12.0],
        user_names=["ada", "bob", "cyd"],
    )


@pytest.fixture(scope="module")
def solved(market: Market) -> Solution:
    solution = solve(market)
    assert certify(market, solution).holds()
    return solution


def test_other_rewards_do_not_hold(market: Market, solved: Solution) -> None:
    for factor in (1.0 + 1e-3, 1.0 - 1e-3):
        certificate = certify(market, settled(market, solved.rewards * factor))
        assert certificate.regret > 0.0
        assert not certificate.holds()
        assert certificate.kkt_residual <= CERTIFIED  # the providers did answer
        assert " by other rewards." in certificate.sentence()
        assert certificate.worst_user in certificate.sentence()


def test_one_users_other_reward_is_that_users_regret(market: Market, solved: Solution) -> None:
    rewards = solved.rewards.copy()
    rewards[1, 1] *= 1.5
    certificate = certify(market, settled(market, rewards))
    assert certificate.worst_user == "bob"
    assert certificate.regret == certificate.regret_per_user[1]
    # Its own rewards are wrong, but the best ones are where they were.
    np.testing.assert_allclose(certificate.best_deviation[:, 1], solved.rewards[:, 1], rtol=1e-7)


SPOILED: list[tuple[str, str]] = [
    ("compute", "optimal to"),
    ("bandwidth", "optimal to"),
    ("qoe", "not those of the allocation"),
    ("user_utility", "not those of the allocation"),
    ("provider_utility", "not those of the allocation"),
]


@pytest.mark.parametrize(("field", "reason"), SPOILED)
@pytest.mark.parametrize("factor", [1.0 + 1e-6, 1.0 - 1e-6])
def test_changed_numbers_do_not_hold(
    market: Market, solved: Solution, field: str, reason: str, factor: float
) -> None:
    change: dict[str, Any] = {field: getattr(solved, field) * factor}
    certificate = certify(market, replace(solved, **change))
    assert not certificate.holds()
    assert reason in certificate.sentence()
    assert certificate.holds(1e-2)  # all it lacks is accuracy


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0])
@pytest.mark.parametrize("field", ["rewards", *(field for field, _ in SPOILED)])
def test_numbers_that_cannot_be_do_not_hold(
    market: Market, solved: Solution, field: str, value: float
) -> None:
    array = getattr(solved, field).copy()
    array.flat[0] = value
    change: dict[str, Any] = {field: array}
    certificate = certify(market, replace(solved, **change))
    assert not certificate.holds()
    assert not certificate.holds(1e-2)
    assert certificate.sentence().startswith("Not an equilibrium: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0])
@pytest.mark.parametrize("field", ["compute", "bandwidth"])
def test_allocations_that_cannot_be_do_not_hold_where_nobody_is_served(
    market: Market, field: str, value: float
) -> None:
    idle = settled(market.replace(reward_min=[0.0] * 3), np.zeros(market.work.shape))
    array = getattr(idle, field).copy()
    array[0] = value
    change: dict[str, Any] = {field: array}
    certificate = certify(market, replace(idle, **change))
    assert not certificate.kkt_residual <= 1e-2


def test_what_absent_pairs_are_given_does_not_hold(market: Market, solved: Solution) -> None:
    capacities = {"compute": market.compute_capacity, "bandwidth": market.bandwidth_capacity}
    for field in ("compute", "bandwidth", "rewards"):
        array = getattr(solved, field).copy()
        array[1, 2] = 0.5
        change: dict[str, Any] = {field: array}
        certificate = certify(market, replace(solved, **change))
        assert not certificate.holds()
        if field == "rewards":
            assert certificate.outside_bounds == 0.5
        else:
            assert certificate.kkt.primal[1] == pytest.approx(0.5 / capacities[field][1])


def test_rewards_outside_their_bounds_do_not_hold(market: Market, solved: Solution) -> None:
    highest = market.replace(reward_max=solved.rewards.max(axis=0) * 0.999)
    certificate = certify(highest, solved)
    assert not certificate.holds()
    assert certificate.outside_bounds == pytest.approx(1 / 0.999 - 1, rel=1e-9)
    assert "misses its bounds" in certificate.sentence()
    lowest = market.replace(reward_min=solved.rewards.min(axis=0) * 1.001 + 1e-3)
    assert certify(lowest, solved).outside_bounds > 1e-3


def test_a_market_that_cannot_be_served_has_no_certificate(
    market: Market, solved: Solution
) -> None:
    starved = market.replace(compute_capacity=[0.1, 10.0])
    certificate = certify(starved, solved)
    assert np.isnan(certificate.regret)
    assert not certificate.holds(np.inf)


def test_shapes_are_checked(market: Market, solved: Solution) -> None:
    with pytest.raises(InvalidInputError, match=r"qoe of the solution has shape \(2, 2\)"):
        certify(market, replace(solved, qoe=solved.qoe[:, :2]))
    with pytest.raises(InvalidInputError, match=r"user_utility .* must be \(3,\)"):
        certify(market, replace(solved, user_utility=solved.provider_utility))


# --- the residuals themselves ---------------------------------------------------------------------


def one_user(compute: float, bandwidth: float, reward: float = 0.1) -> tuple[Market, Solution]:
    """One provider with capacity to spare, one user; f = 0.9 and B = 10 are optimal."""
    market = Market(
        work=[[0.9**2 * 20.0 / 0.1]],
        traffic=[[10.0**2 * 0.1 / 0.1]],
        latency_budget=[[600.0]],
        compute_cost=[20.0],
        bandwidth_cost=[0.1],
        compute_capacity=[3.0],
        bandwidth_capacity=[100.0],
        profit_factor=[370.0],
        reward_min=[0.0],
        reward_max=[10.0],
    )
    solution = settled(market, np.array([[reward]]))
    changed = replace(solution, compute=np.array([[compute]]), bandwidth=np.array([[bandwidth]]))
    return market, changed


def test_stationarity_is_the_relative_mismatch_of_marginal_values() -> None:
    kkt = certify(*one_user(0.9, 10.0)).kkt
    assert kkt.largest <= 1e-14
    # Less compute: worth more than it costs, as if a capacity bound that is far from full.
    kkt = certify(*one_user(0.9 / 1.1, 10.0)).kkt
    price = 1.1**2
    assert kkt.complementarity[0] == pytest.approx((1 - 1 / price) * (1 - 0.9 / 1.1 / 3.0))
    # More compute: worth less than it costs, so its multiplier would be negative.
    kkt = certify(*one_user(0.9 * 1.1, 10.0)).kkt
    assert kkt.dual[0] == pytest.approx(1 - 1 / price)
    assert (kkt.stationarity[0], kkt.primal[0]) == (0.0, 0.0)
    kkt = certify(*one_user(3.3, 10.0)).kkt
    assert kkt.primal[0] == pytest.approx(0.1)


def test_stationarity_between_users(market: Market, solved: Solution) -> None:
    compute = solved.compute.copy()
    compute[0, 0] *= 1.0 - 1e-4
    compute[0, 1] += 1e-4 * solved.compute[0, 0]
    kkt = certify(market, replace(solved, compute=compute)).kkt
    # One marginal value is higher by 2e-4, its price by at most as much.
    assert 1e-4 < kkt.stationarity[0] < 4e-4
    assert kkt.stationarity[1] <= CERTIFIED


def test_negative_quality_is_a_primal_residual(market: Market, solved: Solution) -> None:
    compute = solved.compute.copy()
    compute[1, 0] = market.work[1, 0] / (2.0 * market.latency_budget[1, 0])
    certificate = certify(market, replace(solved, compute=compute))
    assert certificate.kkt.primal[1] > 1.0


def at_the_floor(market: Market, solved: Solution) -> Solution:
    """The solution, but that the first user offers the first provider nothing."""
    rewards = solved.rewards.copy()
    rewards[0, 0] = 0.0
    solution = settled(market, rewards)
    assert solution.qoe[0, 0] == 0.0
    assert certify(market, solution).kkt_residual <= CERTIFIED
    return solution


@pytest.mark.parametrize("factor", [1.01, 1.0 / 1.01])
def test_users_at_their_floor_take_the_cheapest_allocation(
    market: Market, solved: Solution, factor: float
) -> None:
    solution = at_the_floor(market, solved)
    compute, bandwidth = solution.compute.copy(), solution.bandwidth.copy()
    compute[0, 0] *= factor
    time_left = market.latency_budget[0, 0] - market.work[0, 0] / compute[0, 0]
    ratio = market.traffic[0, 0] / time_left / bandwidth[0, 0]
    bandwidth[0, 0] *= ratio
    certificate = certify(market, replace(solution, compute=compute, bandwidth=bandwidth))
    # The ratio of a/f² to b/B² has moved from that of the prices, which the others tell.
    moved = abs((factor / ratio) ** 2 - 1.0)
    assert certificate.kkt.stationarity[0] == pytest.approx(moved, rel=1e-6)


def test_a_user_at_its_floor_that_offers_more_is_a_dual_residual(
    market: Market, solved: Solution
) -> None:
    solution = at_the_floor(market, solved)
    price = solution.compute_state.price[0]
    rewards = solution.rewards.copy()
    threshold = price * solution.compute[0, 0] ** 2 / market.work[0, 0]
    rewards[0, 0] = 0.9 * threshold
    assert certify(market, replace(solution, rewards=rewards)).kkt_residual <= CERTIFIED
    rewards[0, 0] = 1.1 * threshold
    certificate = certify(market, replace(solution, rewards=rewards))
    assert certificate.kkt.dual[0] == pytest.approx(0.1)


def test_users_at_their_floor_that_offer_nothing() -> None:
    rng = np.random.default_rng(5)
    for kind in ("plain", "no traffic", "no work", "absent pairs"):
        for _ in range(6):
            market = random_market(rng, kind)
            if not market.present.any():
                continue
            solution = settled(market, np.zeros(market.work.shape))
            certificate = certify(market, solution)
            assert certificate.kkt_residual <= CERTIFIED
            assert certificate.consistency <= CERTIFIED
            # The cheaper way to the same latency: other shares are feasible, yet not optimal.
            more = replace(
                solution,
                compute=solution.compute * 1.01,
                bandwidth=np.where(market.work > 0, 1.0, 1.01) * solution.bandwidth,
            )
            assert not certify(market, more).holds(1e-3)


@pytest.mark.parametrize(("kind", "seed"), [("plain", 1), ("no work", 2), ("narrow bounds", 3)])
def test_units_do_not_matter(kind: str, seed: int) -> None:
    market = case(kind, seed)
    solution = off_equilibrium(np.random.default_rng(seed), market)
    rng = np.random.default_rng(0)
    worse = replace(solution, compute=solution.compute * rng.uniform(0.9, 1.1, market.work.shape))
    certificate = certify(market, worse)
    money, compute, bandwidth = 1000.0, 7.0, 0.01
    other_units = market.replace(
        work=market.work * compute,
        traffic=market.traffic * bandwidth,
        compute_cost=market.compute_cost * money / compute,
        bandwidth_cost=market.bandwidth_cost * money / bandwidth,
        compute_capacity=market.compute_capacity * compute,
        bandwidth_capacity=market.bandwidth_capacity * bandwidth,
        profit_factor=market.profit_factor * money,
        reward_min=market.reward_min * money,
        reward_max=market.reward_max * money,
    )
    same = replace(
        worse,
        rewards=worse.rewards * money,
        compute=worse.compute * compute,
        bandwidth=worse.bandwidth * bandwidth,
        user_utility=worse.user_utility * money,
        provider_utility=worse.provider_utility * money,
    )
    again = certify(other_units, same)
    for name in ("stationarity", "primal", "dual", "complementarity"):
        np.testing.assert_allclose(
            getattr(again.kkt, name), getattr(certificate.kkt, name), rtol=1e-9, atol=1e-12
        )
    assert again.relative_regret == pytest.approx(certificate.relative_regret, rel=1e-9)
    assert again.consistency == pytest.approx(certificate.consistency, rel=1e-9)
    assert again.outside_bounds == pytest.approx(certificate.outside_bounds, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("exponent", [-12, -8, -4, 4, 8])
def test_right_answers_hold_at_any_scale_of_money_and_wrong_ones_do_not(exponent: int) -> None:
    """With μ as small as the roundings of κ·R nobody buys: once most such answers were rejected."""
    idle = 0
    for seed in range(12):
        market = case(KINDS[seed % len(KINDS)], seed)
        # What is wrong is rejected by comparison with μ where money is in proportion …
        scaled = market.replace(
            **{
                name: getattr(market, name) * 10.0**exponent
                for name in (
                    "compute_cost",
                    "bandwidth_cost",
                    "profit_factor",
                    "reward_min",
                    "reward_max",
                )
            }
        )
        # … and where it is not, by comparison with what rounding weighs.
        alone = market.replace(
            profit_factor=np.full(market.users, 10.0**exponent),
            reward_min=np.full(market.users, 1e-4),
            reward_max=np.full(market.users, 10.0),
        )
        for this in (scaled, alone):
            solution = solve(this)
            offered = (solution.rewards * this.latency_budget).sum(axis=0)
            error = 1e-8 * np.maximum(this.profit_factor, 1e-3 * offered)
            wrong = replace(solution, user_utility=solution.user_utility + error)
            for large in (False, True):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(qoex.certificate, "LARGE_PAIRS", 0 if large else 20_000)
                    certificate = certify(this, solution)
                    assert certificate.holds(), certificate.sentence()
                    assert certify(this, wrong).consistency > CERTIFIED
            idle += int((solution.qoe == 0).all())
    assert exponent > 0 or idle > 6


def test_one_user_that_cannot_afford_anything_is_certified() -> None:
    """The published example: κ·R is 1.3e8 times μ."""
    market = Market(
        work=[[142.19548974429645]],
        traffic=[[5.0]],
        latency_budget=[[1310.2272059107631]],
        compute_cost=[21.0],
        bandwidth_cost=[0.15],
        compute_capacity=[10.0],
        bandwidth_capacity=[100.0],
        profit_factor=[1e-9],
        reward_min=[1e-4],
        reward_max=[10.0],
    )
    solution = solve(market)
    assert solution.qoe.tolist() == [[0.0]]
    assert certify(market, solution).holds()


# --- independence ---------------------------------------------------------------------------------


def test_certifying_does_not_load_the_compiler() -> None:
    program = """
import sys
import numpy as np
from qoex.certificate import certify
from qoex.model.market import Market
from qoex.game.solution import CapacityState, Regime, Solution, Status
one = np.ones((1, 1))
market = Market(work=10 * one, traffic=one, latency_budget=600 * one, compute_cost=[1],
    bandwidth_cost=[1], compute_capacity=[9], bandwidth_capacity=[9], profit_factor=[300],
    reward_min=[0], reward_max=[1])
state = CapacityState(one[0], one[0], (Regime.SLACK,))
certify(market, Solution(Status.EXACT, "", 0, one, one, one, one, one[0], one[0], state, state))
print(*{"numba", "scipy"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
