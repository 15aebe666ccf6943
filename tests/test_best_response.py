"""Best responses against brute force, and their equilibrium against the one by prices."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from markets import FAMILIES, Family, random_market
from qoex.equilibrium.solver import solve
from qoex.errors import InfeasibleMarketError, InvalidInputError
from qoex.game.best_response import BestResponse, best_response, best_response_equilibrium, regret
from qoex.game.provider import answer_rewards
from qoex.game.solution import Regime, Solution, Status
from qoex.model.market import BoolArray, FloatArray, Market
from qoex.scenario.sampling import sample_scenario

# Sums over users and the search for p leave a few hundred roundings, of numbers up to a thousand.
UTILITY_TOLERANCE = 1e-11
# Responding in turn ends when rewards hold to about 1e-11; QoE is up to 1500 ms.
QOE_TOLERANCE = 1e-8
# A reward this near its threshold is there, not by chance.
AT_THRESHOLD = 1e-7


def utility_at(market: Market, rewards: FloatArray, user: int) -> float:
    qoe = answer_rewards(market, rewards).qoe[:, user]
    return float(market.profit_factor[user] * np.log(1 + qoe.sum()) - rewards[:, user] @ qoe)


def brute_force(market: Market, rewards: FloatArray, user: int) -> tuple[float, FloatArray]:
    """Best utility of a user and its rewards, by ever finer grids over its whole box.

    A provider's QoE for the user depends on the one reward offered to it, so one row of answers
    gives every combination of the grid.
    """
    providers = market.providers
    low = np.full(providers, max(float(market.reward_min[user]), 1e-9))
    high = np.full(providers, float(market.reward_max[user]))
    best, chosen, points = -np.inf, low, {1: 1001, 2: 401, 3: 81}[providers]
    for _ in range(14):
        grid = np.exp(np.linspace(np.log(low), np.log(high), points))
        grid = np.clip(grid, market.reward_min[user], market.reward_max[user])
        qoe = np.empty_like(grid)
        trial = np.array(rewards)
        for i in range(points):
            trial[:, user] = grid[i]
            qoe[i] = answer_rewards(market, trial).qoe[:, user]
        utility = market.profit_factor[user] * np.log1p(sum(np.ix_(*qoe.T)))
        utility = utility - sum(np.ix_(*(grid * qoe).T))
        index = np.unravel_index(int(np.argmax(utility)), utility.shape)
        if utility[index] > best:
            best = float(utility[index])
            chosen = np.array([grid[i, n] for n, i in enumerate(index)])
        width = (high / low) ** (4.0 / (points - 1))
        low = np.maximum(chosen / width, np.maximum(market.reward_min[user], 1e-9))
        high = np.minimum(chosen * width, market.reward_max[user])
        points = {1: 41, 2: 41, 3: 25}[providers]
    return best, chosen


def cases(family: Family, count: int) -> list[tuple[Market, FloatArray, int]]:
    """Markets with rewards around an equilibrium, so that others stand on both sides of kinks."""
    rng = np.random.default_rng(20 + FAMILIES.index(family))
    found = []
    for k in range(count):
        providers, users = ((1, 3), (2, 5), (3, 4), (2, 6))[k % 4]
        market = random_market(rng, providers, users, family)
        rewards = best_response_equilibrium(market).rewards
        if k % 2:
            rewards = rewards * 10.0 ** rng.uniform(-0.7, 0.7, rewards.shape)
        found.append((market, rewards, k % users))
    return found


def with_reply(rewards: FloatArray, user: int, response: BestResponse) -> FloatArray:
    responded = np.array(rewards)
    responded[:, user] = response.rewards
    return responded


def check_against_brute_force(market: Market, rewards: FloatArray, user: int) -> None:
    response = best_response(market, rewards, user)
    responded = with_reply(rewards, user, response)
    scale = float(market.profit_factor[user])
    assert response.utility == pytest.approx(
        utility_at(market, responded, user), abs=UTILITY_TOLERANCE * scale
    )
    np.testing.assert_allclose(
        answer_rewards(market, responded).qoe[:, user], response.qoe, atol=1e-9
    )
    assert response.marginal_gain * (1 + response.qoe.sum()) == pytest.approx(scale, rel=1e-12)
    assert (response.rewards[market.present[:, user]] >= market.reward_min[user]).all()
    assert (response.rewards <= market.reward_max[user]).all()
    utility, grid_rewards = brute_force(market, rewards, user)
    assert utility <= response.utility + UTILITY_TOLERANCE * scale
    # The last grids are so fine that only a wrong maximum falls short of theirs.
    assert utility == pytest.approx(response.utility, abs=1e-8 * scale)
    bought = response.qoe > 1e-3
    np.testing.assert_allclose(grid_rewards[bought], response.rewards[bought], rtol=2e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_deviation_beats_the_best_response(family: Family) -> None:
    for market, rewards, user in cases(family, 8):
        check_against_brute_force(market, rewards, user)


@pytest.mark.parametrize("demand", ["work", "traffic"])
def test_pairs_that_demand_one_resource_only(demand: str) -> None:
    for market, rewards, user in cases("any", 4) + cases("binding", 4):
        kept = np.array(getattr(market, demand))
        kept[0, user] = kept[-1, (user + 1) % market.users] = 0.0
        check_against_brute_force(market.replace(**{demand: kept}), rewards, user)


def test_the_cases_meet_every_kind_of_answer() -> None:
    """Without which the comparisons with brute force would prove less than they seem to."""
    met = set()
    for family in FAMILIES:
        for market, rewards, user in cases(family, 8):
            response = best_response(market, rewards, user)
            responded = with_reply(rewards, user, response)
            answer = answer_rewards(market, responded)
            for price, cost, use, capacity in (
                (
                    answer.compute_price,
                    market.compute_cost,
                    answer.compute,
                    market.compute_capacity,
                ),
                (
                    answer.bandwidth_price,
                    market.bandwidth_cost,
                    answer.bandwidth,
                    market.bandwidth_capacity,
                ),
            ):
                full = use.sum(axis=1) > capacity * (1 - 1e-9)
                dear = price > cost * (1 + 1e-9)
                met |= {"binding"} if dear.any() else set()
                met |= {"pinned"} if (full & ~dear).any() else set()
                met |= {"slack"} if (~full).any() else set()
            others = np.arange(market.users) != user
            at_floor = market.present & (answer.qoe == 0)
            met |= {"others at the floor"} if at_floor[:, others].any() else set()
            met |= {"buys nothing"} if at_floor[:, user].any() else set()
            met |= {"absent"} if not market.present[:, user].all() else set()
            bought = response.rewards[response.qoe > 0]
            met |= {"at R_min"} if (bought == market.reward_min[user]).any() else set()
            met |= {"at R_max"} if (bought == market.reward_max[user]).any() else set()
    assert met == {
        "slack",
        "pinned",
        "binding",
        "others at the floor",
        "buys nothing",
        "absent",
        "at R_min",
        "at R_max",
    }


def test_absent_pairs_and_unbought_qoe_have_no_arbitrary_reward() -> None:
    market = random_market(np.random.default_rng(1), 2, 3)
    gone = np.array([[True, False, True], [False, False, True]])
    # So little profit that user 2 (the second) buys nothing anywhere.
    market = market.without(gone).replace(
        profit_factor=[100.0, 1e-5, 100.0], reward_min=[1e-6, 2e-6, 3e-6]
    )
    rewards = np.ones((2, 3))
    first, second, third = (best_response(market, rewards, m) for m in range(3))
    assert first.rewards[0] == 0.0
    assert first.rewards[1] > 1e-6
    np.testing.assert_array_equal(second.rewards, [2e-6, 2e-6])
    np.testing.assert_array_equal(third.rewards, [0.0, 0.0])
    assert third.utility == 0.0
    assert third.marginal_gain == pytest.approx(100.0)


def test_own_rewards_do_not_matter_to_a_best_response() -> None:
    market, rewards, user = cases("binding", 2)[1]
    changed = np.array(rewards)
    changed[:, user] *= 3.0
    np.testing.assert_array_equal(
        best_response(market, changed, user).rewards, best_response(market, rewards, user).rewards
    )


def test_refusals() -> None:
    market = random_market(np.random.default_rng(2), 2, 3)
    rewards = np.ones((2, 3))
    for user in (-1, 3):
        with pytest.raises(InvalidInputError, match="below 3"):
            best_response(market, rewards, user)
    with pytest.raises(InvalidInputError, match="not negative"):
        best_response(market, -rewards, 0)
    with pytest.raises(InvalidInputError, match="shape"):
        regret(market, np.ones((2, 2)))
    with pytest.raises(InvalidInputError, match="finite"):
        best_response_equilibrium(market, start=np.full((2, 3), np.nan))
    short = market.replace(compute_capacity=market.compute_capacity * 1e-6)
    with pytest.raises(InfeasibleMarketError):
        best_response(short, rewards, 0)
    with pytest.raises(InfeasibleMarketError):
        regret(short, rewards)
    with pytest.raises(InfeasibleMarketError):
        best_response_equilibrium(short)


def test_regret_is_what_the_best_response_gains() -> None:
    for market, rewards, _ in cases("any", 4):
        gains = regret(market, rewards)
        assert gains.shape == (market.users,)
        for m in range(market.users):
            gain = best_response(market, rewards, m).utility - utility_at(market, rewards, m)
            assert gains[m] == pytest.approx(
                max(gain, 0.0), abs=UTILITY_TOLERANCE * market.profit_factor[m]
            )
    assert gains.max() > 0.1  # the last case is far from an equilibrium


def marginal_pairs(market: Market, solution: Solution) -> BoolArray:
    """Pairs whose reward is exactly at the threshold t²."""
    height = np.sqrt(market.work * solution.compute_state.price[:, None])
    height += np.sqrt(market.traffic * solution.bandwidth_state.price[:, None])
    wanted = np.sqrt(solution.rewards) * market.latency_budget
    marginal: BoolArray = market.present & (np.abs(wanted - height) < AT_THRESHOLD * height)
    return marginal


def on_a_kink(market: Market, solution: Solution) -> bool:
    """Whether there may be other equilibria: a pinned capacity, or a pair at its threshold."""
    regimes = solution.compute_state.regime + solution.bandwidth_state.regime
    return Regime.PINNED in regimes or bool(marginal_pairs(market, solution).any())


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_and_prices_find_the_same_equilibrium(family: Family) -> None:
    rng = np.random.default_rng(40 + FAMILIES.index(family))
    compared = 0
    for k in range(12):
        market = random_market(rng, *((1, 3), (2, 5), (3, 7), (4, 12))[k % 4], family)
        by_responses = best_response_equilibrium(market)
        assert by_responses.status is Status.CONVERGED
        assert (regret(market, by_responses.rewards) <= 1e-11 * market.profit_factor).all()
        by_prices = solve(market)
        assert by_prices.status is Status.CONVERGED
        if on_a_kink(market, by_responses):
            continue
        compared += 1
        np.testing.assert_allclose(by_responses.qoe, by_prices.qoe, rtol=0, atol=QOE_TOLERANCE)
        bought = by_prices.qoe > 0
        np.testing.assert_allclose(
            by_responses.rewards[bought], by_prices.rewards[bought], rtol=QOE_TOLERANCE
        )
        assert (by_responses.rewards[~bought & market.present] <= market.reward_max.max()).all()
    assert compared >= (0 if family == "pinned" else 6)


def test_a_pair_at_its_threshold_keeps_its_reward() -> None:
    """Lowering it to R_min costs its user nothing, but changes what the others gain by a move."""
    rng = np.random.default_rng(5)
    changed = 0
    for _ in range(12):
        market = random_market(rng, 3, 7, "tight")
        solution = best_response_equilibrium(market)
        marginal = marginal_pairs(market, solution)
        if not marginal.any():
            continue
        assert regret(market, solution.rewards).max() < 1e-9
        lowered = np.where(marginal, market.reward_min, solution.rewards)
        changed += regret(market, lowered).max() > 1e-6
    assert changed > 0


def test_unbought_pairs_report_the_least_reward() -> None:
    market = random_market(np.random.default_rng(7), 3, 8, "tight")
    solution = best_response_equilibrium(market)
    idle = (solution.qoe == 0) & ~marginal_pairs(market, solution)
    assert idle.any()
    np.testing.assert_array_equal(solution.rewards[idle], 1e-6)


def test_identical_users_end_alike() -> None:
    market = random_market(np.random.default_rng(8), 2, 5, "identical")
    rewards = best_response_equilibrium(market).rewards
    np.testing.assert_allclose(rewards, rewards[:, :1] * np.ones(5), rtol=1e-9)


def test_every_start_ends_at_the_same_equilibrium() -> None:
    rng = np.random.default_rng(9)
    market = random_market(rng, 2, 6, "binding")
    first = best_response_equilibrium(market)
    assert not on_a_kink(market, first)
    for _ in range(4):
        start = 10.0 ** rng.uniform(-6, 2, (2, 6))
        again = best_response_equilibrium(market, start=start)
        np.testing.assert_allclose(again.qoe, first.qoe, rtol=0, atol=QOE_TOLERANCE)
    warm = best_response_equilibrium(market, start=first)
    assert warm.steps <= 2 < first.steps


def test_the_round_limit_is_no_success() -> None:
    market = random_market(np.random.default_rng(10), 2, 6, "binding")
    calls: list[tuple[int, float]] = []
    solution = best_response_equilibrium(
        market, max_rounds=3, progress=lambda number, change: calls.append((number, change))
    )
    assert solution.status is Status.STEP_LIMIT
    assert not solution.status.ok
    assert (solution.method, solution.steps) == ("best-response", 3)
    assert [(step.number, step.residual) for step in solution.trace] == calls
    assert all(change > 0 for _, change in calls)


def test_overflow_is_no_success() -> None:
    market = random_market(np.random.default_rng(11), 1, 2)
    market = market.replace(profit_factor=[1e308, 1e308], reward_max=[1e308, 1e308])
    with np.errstate(all="ignore"):
        assert best_response_equilibrium(market).status is Status.NOT_FINITE


def test_interpreted_kernels_give_the_same_numbers() -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from qoex.kernels import interpret
interpret()
import numpy as np
from markets import random_market
from qoex.game.best_response import best_response_equilibrium
market = random_market(np.random.default_rng(12), 2, 3, "tight")
print(best_response_equilibrium(market).rewards.tolist(), "numba" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, __file__.rpartition("/")[0]],
        capture_output=True,
        text=True,
        check=True,
    )
    compiled = best_response_equilibrium(random_market(np.random.default_rng(12), 2, 3, "tight"))
    numbers, _, loaded = done.stdout.strip().rpartition(" ")
    assert loaded == "False"
    np.testing.assert_allclose(np.array(eval(numbers)), compiled.rewards, rtol=1e-10)


def test_replies_rest_at_an_equilibrium_with_idle_pairs() -> None:
    """Rounding at a threshold must not let idle rewards jump from round to round."""
    market = sample_scenario(5, 25, np.random.default_rng(6), feasible=True).market()
    start = solve(market)
    assert (start.qoe[market.present] == 0).any()
    again = best_response_equilibrium(market, start=start, max_rounds=20)
    assert again.status is Status.CONVERGED
    np.testing.assert_allclose(again.qoe, start.qoe, atol=1e-9)
