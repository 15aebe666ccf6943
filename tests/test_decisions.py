"""The method's table: why each step was taken, and how the last one ends the search."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from markets import FAMILIES, random_market
from qoex.equilibrium.decisions import TABLE, Reason
from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.method import NewtonMethod
from qoex.equilibrium.newton import begin, step
from qoex.equilibrium.population import Population
from qoex.equilibrium.price_system import PriceSystem
from qoex.equilibrium.prices import FoundPrices, find_prices
from qoex.equilibrium.search_state import Problem
from qoex.equilibrium.solver import solve
from qoex.game.solution import Status, UnsolvedMarketError
from qoex.model.feasibility import capacity_factor
from qoex.model.market import Market

ENDS = {row.reason: row.end for row in TABLE if row.end is not None}

# Seeds of small markets with hardly any room, found by trying four thousand; together they take
# every row of the table that a game with finite numbers can take.
RARE = {
    5: Reason.NO_PROGRESS_RESTART,
    9: Reason.PAIRS_CROSS,
    19: Reason.NOT_DIFFERENTIATED,
    41: Reason.RESPONSES_AT_REST,
}


def narrow(seed: int) -> Market:
    """Return a small market whose capacities hardly exceed the least ones."""
    rng = np.random.default_rng(seed)
    family = FAMILIES[seed % len(FAMILIES)]
    market = random_market(rng, int(rng.integers(1, 4)), int(rng.integers(1, 8)), family)
    factor = capacity_factor(market) * (1.0 + 10.0 ** -(1 + seed % 7))
    return market.replace(
        compute_capacity=market.compute_capacity * factor,
        bandwidth_capacity=market.bandwidth_capacity * factor,
    )


def found(
    market: Market,
    behaviour: BehaviourModel = BehaviourModel.STRATEGIC,
    method: NewtonMethod | None = None,
    *,
    in_memory: bool = True,
) -> FoundPrices:
    return find_prices(
        market,
        Population.of(market),
        behaviour,
        method or NewtonMethod(),
        market=market if in_memory else None,
    )


def reasons(prices: FoundPrices) -> list[object]:
    return [step.reason for step in prices.trace]


def check_ends_once(prices: FoundPrices) -> None:
    *before, last = reasons(prices)
    assert isinstance(last, Reason)
    assert ENDS[last] is prices.result.status
    assert not ENDS.keys() & set(before)


@pytest.mark.parametrize(("seed", "reason"), RARE.items())
def test_every_step_has_its_reason_and_the_last_one_ends(seed: int, reason: Reason) -> None:
    prices = found(narrow(seed))
    check_ends_once(prices)
    assert reason in reasons(prices)
    assert prices.result.status is Status.CONVERGED
    assert prices.result.by_responses == (reason is Reason.RESPONSES_AT_REST)
    assert bool(prices.notes) == prices.result.by_responses


def test_without_rounds_of_best_responses_a_stalled_game_ends() -> None:
    prices = found(narrow(5), in_memory=False)
    check_ends_once(prices)
    assert prices.result.status is Status.STALLED
    assert reasons(prices)[-1] is Reason.NOTHING_LEFT


@pytest.mark.parametrize("behaviour", [BehaviourModel.PRICE_TAKING, BehaviourModel.WELFARE])
def test_users_without_impact_take_detours_not_restarts(behaviour: BehaviourModel) -> None:
    market = random_market(np.random.default_rng([77, 19]), 4, 3, "slack")
    factor = capacity_factor(market) * (1.0 + 1e-5)
    market = market.replace(
        compute_capacity=market.compute_capacity * factor,
        bandwidth_capacity=market.bandwidth_capacity * factor,
    )
    prices = found(market, behaviour, NewtonMethod(most_detours=2))
    check_ends_once(prices)
    taken = reasons(prices)
    # A short step follows while the number of detours is odd, a line search otherwise.
    detours = 0
    for reason in taken:
        detours += reason is Reason.NO_PROGRESS_DETOUR
        if reason in (Reason.ON_A_DETOUR, Reason.MODEL_HOLDS):
            assert (reason is Reason.ON_A_DETOUR) == (detours % 2 == 1)
    assert 1 <= detours <= 2
    assert Reason.NO_PROGRESS_RESTART not in taken


def test_the_first_row_that_applies_counts() -> None:
    """At the limit of sweeps a search ends, unless it is solved there or has lost its numbers."""
    market = random_market(np.random.default_rng(14), 3, 9, "binding")
    problem = Problem(PriceSystem(market, Population.of(market), BehaviourModel.STRATEGIC))
    method = NewtonMethod(max_sweeps=1)
    state = begin(problem, problem.system.origin())
    assert step(method, problem, state).reason is Reason.SWEEPS_USED_UP
    assert step(NewtonMethod(max_sweeps=1, tolerance=10.0, exact=False), problem, state).reason is (
        Reason.CONDITIONS_HOLD
    )
    state.at = replace(state.at, residual=np.full_like(state.at.residual, np.nan))
    assert step(method, problem, state).reason is Reason.NOT_FINITE
    assert [item.number for item in state.trace] == [1, 1, 1]  # no user was asked again


def test_a_method_does_not_change() -> None:
    method = NewtonMethod()
    with pytest.raises(FrozenInstanceError):
        method.tolerance = 1.0  # type: ignore[misc]


def test_every_reason_has_a_sentence_of_its_own() -> None:
    assert len({reason.sentence for reason in Reason}) == len(Reason)


def test_an_unsolved_market_raises_where_that_is_asked_for() -> None:
    market = random_market(np.random.default_rng(13), 3, 9, "binding")
    quiet = solve(market, max_sweeps=2)
    with pytest.raises(UnsolvedMarketError, match="step limit") as raised:
        solve(market, max_sweeps=2, throw=True)
    assert raised.value.solution.status is quiet.status is Status.STEP_LIMIT
    np.testing.assert_array_equal(raised.value.solution.rewards, quiet.rewards)
    assert solve(market, throw=True).status is Status.CONVERGED
