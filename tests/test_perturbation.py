"""Algorithm 1 against a naive transcription of it, and what its ends are worth."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from markets import FAMILIES, Family, random_market
from qoex.errors import InfeasibleMarketError, InvalidInputError
from qoex.game.best_response import best_response_equilibrium, regret
from qoex.game.provider import answer_rewards
from qoex.game.solution import Status
from qoex.mechanisms.dual_perturbation import (
    Constant,
    Diminishing,
    Order,
    Quantised,
    StepRule,
    dual_perturbation,
)
from qoex.model.market import FloatArray, Market

ORDERS: tuple[Order, ...] = ("gauss-seidel", "jacobi")
NEVER = -1.0  # a threshold that no change of utilities is below


def naive_utility(market: Market, rewards: FloatArray, m: int) -> float:
    qoe = answer_rewards(market, rewards).qoe[:, m]
    return float(market.profit_factor[m] * np.log(1 + qoe.sum()) - (rewards[:, m] * qoe).sum())


def naive_iterates(
    market: Market,
    rewards: FloatArray,
    size: Callable[[int], FloatArray],
    order: Order,
    iterations: int,
) -> list[FloatArray]:
    """Lines 2 to 26 of Algorithm 1 word for word, trials clipped to the box."""
    iterates = [rewards]
    for t in range(1, iterations + 1):
        delta, current = size(t), np.array(iterates[-1])
        for m in range(market.users):
            stored = iterates[-1] if order == "jacobi" else np.array(current)
            for n in np.flatnonzero(market.present[:, m]):
                up, down = np.array(stored), np.array(stored)
                up[n, m] = min(stored[n, m] + delta[m], market.reward_max[m])
                down[n, m] = max(market.reward_min[m], stored[n, m] - delta[m])
                now = naive_utility(market, stored, m)
                if now <= naive_utility(market, up, m) and naive_utility(market, down, m) <= now:
                    current[n, m] = up[n, m]
                elif now <= naive_utility(market, down, m) and naive_utility(market, up, m) <= now:
                    current[n, m] = down[n, m]
        iterates.append(current)
    return iterates


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_iterates_are_those_of_the_naive_transcription(family: Family, order: Order) -> None:
    rng = np.random.default_rng(60 + FAMILIES.index(family))
    market = random_market(rng, 2, 4, family)
    start = 10.0 ** rng.uniform(-2, 1, (2, 4)).clip(market.reward_min, market.reward_max)
    start = np.where(market.present, np.clip(start, market.reward_min, market.reward_max), 0.0)
    rules: list[tuple[StepRule, Callable[[int], FloatArray]]] = [
        (Diminishing(0.5), lambda t: np.full(4, 0.5 / t)),
        (Constant(0.03), lambda t: np.full(4, 0.03)),
    ]
    for rule, size in rules:
        wanted = naive_iterates(market, start, size, order, 25)
        assert not np.array_equal(wanted[-1], wanted[0])
        for t in (1, 2, 3, 7, 25):
            solution = dual_perturbation(
                market, step=rule, order=order, initial=start, max_iterations=t, threshold=NEVER
            )
            assert (solution.status, solution.steps) == (Status.STEP_LIMIT, t)
            np.testing.assert_array_equal(solution.rewards, wanted[t])


@pytest.mark.parametrize("order", ORDERS)
def test_quantised_iterates_are_the_naive_ones_and_lie_on_the_grid(order: Order) -> None:
    rng = np.random.default_rng(70)
    market = random_market(rng, 3, 5).replace(
        reward_min=[0.0, 0.1, 0.1, 0.3, 0.2], reward_max=[1.0, 4.1, 0.3, 0.3, 7.7]
    )
    levels = 50
    rule = Quantised(levels)
    step = (market.reward_max - market.reward_min) / levels
    index = rng.integers(0, levels + 1, (3, 5))
    off_grid = market.reward_min + (index + rng.uniform(-0.4, 0.4, (3, 5))) * step
    start = market.reward_min + index * step
    wanted = naive_iterates(market, start, lambda t: step, order, 30)
    at_ends = 0
    for t in (0, 1, 2, 5, 30):
        rewards = dual_perturbation(
            market, step=rule, order=order, initial=off_grid, max_iterations=t, threshold=NEVER
        ).rewards
        np.testing.assert_allclose(rewards, wanted[t], rtol=1e-13)
        place = (rewards - market.reward_min) / np.where(step > 0, step, 1.0)
        np.testing.assert_allclose(place, np.rint(place), rtol=0, atol=1e-12)
        at_ends += (rewards[:, step > 0] == market.reward_max[step > 0]).sum()
        at_ends += (rewards[:, step > 0] == market.reward_min[step > 0]).sum()
    assert not np.array_equal(wanted[30], wanted[0])
    assert at_ends > 0


def test_the_ends_of_the_grid_are_the_bounds_to_the_last_bit() -> None:
    """Else a trial at a bound would not tie with staying there, and the reward could stick."""
    rng = np.random.default_rng(71)
    market = random_market(rng, 2, 400, "slack")
    low = rng.uniform(0.0, 1.0, 400)
    market = market.replace(reward_min=low, reward_max=low + rng.uniform(0.0, 5.0, 400))
    for levels in (3, 10, 49, 700):
        for bound in (market.reward_min, market.reward_max):
            on_grid = Quantised(levels).on_grid(market, np.broadcast_to(bound, (2, 400)))
            np.testing.assert_array_equal(on_grid, np.broadcast_to(bound, (2, 400)))


def test_quantised_rewards_come_from_either_end_of_the_box_to_the_equilibrium() -> None:
    market = random_market(np.random.default_rng(71), 2, 3, "slack")
    best = best_response_equilibrium(market).rewards
    box = market.replace(reward_min=best.min(axis=0) / 3.3, reward_max=best.max(axis=0) * 3.3)
    step = (box.reward_max - box.reward_min) / 700
    for ends in (box.reward_min, box.reward_max):
        start = np.broadcast_to(ends, best.shape)
        solution = dual_perturbation(box, step=Quantised(700), initial=start)
        assert solution.status is Status.OWN_RULE
        assert (np.abs(solution.rewards - best) <= 2 * step).all()


def test_constant_steps_end_within_a_step_or_two_of_the_equilibrium() -> None:
    rng = np.random.default_rng(72)
    for _ in range(4):
        market = random_market(rng, 2, 5, "slack")
        best = best_response_equilibrium(market)
        bought = best.qoe > 0
        delta = 0.02 * best.rewards[bought].min()
        solution = dual_perturbation(
            market,
            step=Constant(delta),
            initial=best.rewards * 1.3,
            threshold=0.0,
            max_iterations=4000,
        )
        distance = np.abs(solution.rewards - best.rewards)[bought].max()
        assert 0 < distance <= 2 * delta


@pytest.mark.parametrize("order", ORDERS)
def test_diminishing_steps_come_close_where_constant_ones_stay_away(order: Order) -> None:
    market = random_market(np.random.default_rng(73), 2, 5, "binding")
    best = best_response_equilibrium(market)
    start = best.rewards * 1.5
    u = float(best.rewards.mean())
    fine, coarse = (
        dual_perturbation(market, step=rule, order=order, initial=start, threshold=NEVER)
        for rule in (Diminishing(u), Constant(0.1 * u))
    )
    assert np.abs(fine.qoe - best.qoe).max() < 0.2
    assert np.abs(coarse.qoe - best.qoe).max() > 2.0


def test_the_default_ends_near_the_equilibrium() -> None:
    """On markets with rewards like those of Table V (about 0.05 to 0.2)."""
    rng = np.random.default_rng(74)
    market = random_market(rng, 2, 6, "slack").replace(
        compute_cost=[21.3, 24.6],
        bandwidth_cost=[0.15, 0.15],
        profit_factor=np.full(6, 370.4),
        reward_min=np.full(6, 1e-4),
        reward_max=np.full(6, 10.0),
    )
    best = best_response_equilibrium(market)
    solution = dual_perturbation(market)
    assert solution.status is Status.OWN_RULE
    assert solution.method == "dual-perturbation"
    np.testing.assert_allclose(solution.rewards, best.rewards, rtol=0.05)
    assert 0 < regret(market, solution.rewards).max() < 1e-5 * solution.user_utility.max()


def test_stopping_by_regret() -> None:
    market = random_market(np.random.default_rng(75), 2, 5, "binding")
    start = best_response_equilibrium(market).rewards * 1.5
    step = Diminishing(float(start.mean()))
    solution = dual_perturbation(
        market, step=step, initial=start, stop="regret", regret_tolerance=1e-5
    )
    assert solution.status is Status.CONVERGED
    bound = 1e-5 * np.abs(solution.user_utility).max()
    assert regret(market, solution.rewards).max() <= bound
    earlier = dual_perturbation(
        market,
        step=step,
        initial=start,
        stop="regret",
        regret_tolerance=1e-5,
        max_iterations=solution.steps - 1,
    )
    assert earlier.status is Status.STEP_LIMIT
    assert regret(market, earlier.rewards).max() > bound


def test_stopping_by_line_27() -> None:
    market = random_market(np.random.default_rng(76), 2, 5, "any")
    solution = dual_perturbation(market, threshold=0.5)
    assert solution.status is Status.OWN_RULE
    residuals = [step.residual for step in solution.trace]
    assert residuals[-1] <= 0.5
    assert min(residuals[:-1]) > 0.5
    before = dual_perturbation(market, threshold=NEVER, max_iterations=solution.steps - 1)
    change = np.abs(solution.user_utility - before.user_utility).sum()
    assert residuals[-1] == pytest.approx(change, rel=1e-9)


def test_a_step_that_nobody_takes_ends_it_only_if_the_next_is_the_same() -> None:
    market = random_market(np.random.default_rng(77), 2, 5, "slack")
    best = best_response_equilibrium(market).rewards
    near = best * 1.02
    too_long = float(10 * best.max())
    constant = dual_perturbation(market, step=Constant(too_long), initial=near)
    assert (constant.status, constant.steps) == (Status.OWN_RULE, 1)
    np.testing.assert_array_equal(constant.rewards, near)
    diminishing = dual_perturbation(
        market, step=Diminishing(too_long), initial=near, threshold=1e-6
    )
    assert diminishing.status is Status.OWN_RULE
    assert diminishing.steps > 1
    assert regret(market, diminishing.rewards).max() < 0.2 * regret(market, near).max()


def test_an_iteration_that_only_moves_pairs_without_qoe_does_not_end_diminishing_steps() -> None:
    """A pair below its threshold moves on ties and changes no utility; u/t is only too long."""
    market = random_market(np.random.default_rng(77), 2, 5, "slack")
    best = best_response_equilibrium(market).rewards
    near = best * 1.02
    near[0, 0] = 2.0 * market.reward_min[0]
    too_long = float(10 * best.max())
    once = dual_perturbation(market, step=Diminishing(too_long), initial=near, max_iterations=1)
    assert not np.array_equal(once.rewards, near)
    np.testing.assert_array_equal(once.qoe, answer_rewards(market, near).qoe)
    assert once.status is Status.STEP_LIMIT
    solution = dual_perturbation(market, step=Diminishing(too_long), initial=near)
    assert solution.status is Status.OWN_RULE
    assert regret(market, solution.rewards).max() < 0.2 * regret(market, near).max()
    constant = dual_perturbation(market, step=Constant(too_long), initial=near)
    assert (constant.status, constant.steps) == (Status.OWN_RULE, 1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_observer_sees_what_every_iteration_begins_with(family: Family, order: Order) -> None:
    market = random_market(np.random.default_rng(85), 2, 4, family)
    seen: list[tuple[int, FloatArray, FloatArray]] = []
    solution = dual_perturbation(
        market,
        order=order,
        max_iterations=12,
        threshold=NEVER,
        observe=lambda number, rewards, utility: seen.append((number, rewards, utility)),
    )
    assert [number for number, _, _ in seen] == list(range(1, solution.steps + 1))
    for number, rewards, utility in seen:
        before = dual_perturbation(market, order=order, max_iterations=number - 1, threshold=NEVER)
        np.testing.assert_array_equal(rewards, before.rewards)
        np.testing.assert_allclose(utility, before.user_utility, rtol=1e-12)


def test_a_reward_that_buys_nothing_rises_on_ties() -> None:
    market = random_market(np.random.default_rng(78), 1, 3, "slack")
    start = np.full((1, 3), 2e-6)
    solution = dual_perturbation(
        market, step=Constant(1e-6), initial=start, max_iterations=4, threshold=NEVER
    )
    np.testing.assert_allclose(solution.rewards, 6e-6)
    assert (solution.qoe == 0).all()


def test_rewards_stay_in_the_box() -> None:
    rng = np.random.default_rng(79)
    market = random_market(rng, 3, 5, "bounds").replace(reward_min=np.zeros(5))
    for t in range(1, 12):
        rewards = dual_perturbation(
            market, step=Constant(0.3), rng=np.random.default_rng(t), max_iterations=t
        ).rewards
        assert ((rewards >= 0) & (rewards <= market.reward_max)).all()


def test_initial_rewards() -> None:
    market = random_market(np.random.default_rng(80), 2, 3, "absent").replace(
        reward_min=[1e-4, 0.0, 2.0], reward_max=[1.0, 10.0, 2.0]
    )
    present = market.present
    middle = dual_perturbation(market, max_iterations=0)
    assert (middle.status, middle.steps, middle.trace) == (Status.STEP_LIMIT, 0, ())
    expected = np.where(present, [1e-2, 10.0 * np.sqrt(1e-5), 2.0], 0.0)
    np.testing.assert_allclose(middle.rewards, expected)
    outside = dual_perturbation(market, initial=np.full((2, 3), 5.0), max_iterations=0)
    np.testing.assert_array_equal(outside.rewards, np.where(present, [1.0, 5.0, 2.0], 0.0))
    first, again, other = (
        dual_perturbation(market, rng=np.random.default_rng(seed), max_iterations=20)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.rewards, again.rewards)
    assert not np.array_equal(first.rewards, other.rewards)


def test_the_trace_stays_short_and_ends_with_the_end() -> None:
    market = random_market(np.random.default_rng(81), 1, 2)
    calls: list[tuple[int, float]] = []
    solution = dual_perturbation(
        market,
        max_iterations=3000,
        threshold=NEVER,
        progress=lambda number, change: calls.append((number, change)),
    )
    numbers = [step.number for step in solution.trace]
    assert [number for number, _ in calls] == list(range(1, 3001))
    assert numbers[:200] == list(range(1, 201))
    assert (numbers[-1], solution.steps) == (3000, 3000)
    assert len(numbers) < 350
    assert all(after <= 1.02 * before + 1 for before, after in pairwise(numbers))
    assert all(step.residual == calls[step.number - 1][1] for step in solution.trace)


def test_refusals() -> None:
    market = random_market(np.random.default_rng(82), 2, 3)
    with pytest.raises(InvalidInputError, match="order"):
        dual_perturbation(market, order="random")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="stop"):
        dual_perturbation(market, stop="never")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="not negative"):
        dual_perturbation(market, initial=np.full((2, 3), -1.0))
    with pytest.raises(InfeasibleMarketError):
        dual_perturbation(market.replace(compute_capacity=[1e-9, 1e-9]))
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInputError, match="u is"):
            Diminishing(bad)
        with pytest.raises(InvalidInputError, match="delta is"):
            Constant(bad)
    for levels in (0, 2.5):
        with pytest.raises(InvalidInputError, match="levels is"):
            Quantised(levels)  # type: ignore[arg-type]


def test_overflow_is_no_success() -> None:
    market = random_market(np.random.default_rng(83), 1, 2)
    market = market.replace(profit_factor=[1e308, 1e308], reward_max=[1e308, 1e308])
    with np.errstate(all="ignore"):
        assert dual_perturbation(market).status is Status.NOT_FINITE


@pytest.mark.parametrize("order", ORDERS)
def test_interpreted_kernels_give_the_same_numbers(order: Order) -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from qoex.kernels import interpret
interpret()
import numpy as np
from markets import random_market
from qoex.mechanisms.dual_perturbation import dual_perturbation
market = random_market(np.random.default_rng(84), 2, 3, "binding")
solution = dual_perturbation(market, order=sys.argv[2], max_iterations=40, threshold=-1.0)
print(solution.rewards.tolist(), "numba" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, __file__.rpartition("/")[0], order],
        capture_output=True,
        text=True,
        check=True,
    )
    market = random_market(np.random.default_rng(84), 2, 3, "binding")
    compiled = dual_perturbation(market, order=order, max_iterations=40, threshold=NEVER)
    numbers, _, loaded = done.stdout.strip().rpartition(" ")
    assert loaded == "False"
    np.testing.assert_allclose(np.array(eval(numbers)), compiled.rewards, rtol=1e-12)
