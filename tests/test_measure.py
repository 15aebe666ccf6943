"""One row for one market and one scheme: its numbers, or why there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qoex.certificate import certify
from qoex.errors import InfeasibleMarketError, InvalidInputError, UnavailableSchemeError
from qoex.experiments import measure as measuring
from qoex.experiments.measure import MEASURED, SchemeCase, measure
from qoex.game.solution import Regime, Solution, Status
from qoex.mechanisms import schemes
from qoex.mechanisms.schemes import SCHEMES
from qoex.model.feasibility import require_feasible
from qoex.model.market import Market
from qoex.scenario.sampling import sample_scenario

SCENARIO = sample_scenario(2, 5, np.random.default_rng(2), feasible=True)
MARKET, TOKENS = SCENARIO.market(), SCENARIO.tokens()
PROPOSED = SchemeCase("proposed", "proposed")
NUMBERS = [n for n in MEASURED if n not in ("outcome", "status", "reason", "steps")]


@pytest.mark.parametrize("name", SCHEMES)
def test_a_solved_row_holds_what_the_solution_holds(name: str) -> None:
    row = measure(MARKET, TOKENS, SchemeCase("x", name))
    solution = schemes.run(name, MARKET, TOKENS)
    assert list(row) == list(MEASURED)
    assert (row["outcome"], row["reason"]) == ("solved", None)
    assert (row["status"], row["steps"]) == (solution.status.name, solution.steps)
    payment = solution.rewards * solution.qoe
    expected = {
        "first_reward": solution.rewards[0, 0],
        "first_compute": solution.compute[0, 0],
        "first_bandwidth": solution.bandwidth[0, 0],
        "first_qoe": solution.qoe[0, 0],
        "first_payment": payment[0, 0],
        "first_user_utility": solution.user_utility[0],
        "first_provider_utility": solution.provider_utility[0],
        "user_cost": payment.sum() / 5,
        "provider_payment": payment.sum() / 2,
        "mean_qoe": solution.qoe.sum() / 5,
        "compute_usage": (solution.compute.sum(axis=1) / MARKET.compute_capacity).mean(),
        "welfare": solution.user_utility.sum() + solution.provider_utility.sum(),
        "served_pairs": ((solution.compute > 0) | (solution.bandwidth > 0)).sum(),
        "demanded_pairs": 10,
    }
    for key, value in expected.items():
        assert row[key] == pytest.approx(float(value), rel=1e-9), key
    assert all(type(row[key]) in (int, float, bool, type(None)) for key in NUMBERS)


def test_the_mechanism_s_rows_are_certified_and_others_are_not() -> None:
    row = measure(MARKET, TOKENS, PROPOSED)
    certificate = certify(MARKET, schemes.proposed(MARKET))
    assert row["certified"] is True
    assert row["regret_relative"] == certificate.relative_regret
    other = measure(MARKET, TOKENS, SchemeCase("welfare", "welfare"))
    assert (other["certified"], other["regret_relative"]) == (None, None)


def test_exhausted_is_the_share_of_providers_without_slack() -> None:
    # At such rewards the first provider sells all of its compute; the second has 40 times as much.
    market = MARKET.replace(compute_capacity=MARKET.compute_capacity * np.array([1.0, 40.0]))
    market = market.replace(bandwidth_capacity=market.bandwidth_capacity * 40.0)
    case = SchemeCase("ratio", "ratio", {"total": 50.0})
    row = measure(market, None, case)
    solution = schemes.ratio(market, total=50.0)
    assert [item is Regime.SLACK for item in solution.compute_state.regime] == [False, True]
    assert (row["compute_exhausted"], row["bandwidth_exhausted"]) == (0.5, 0.0)


def test_options_reach_the_scheme() -> None:
    one = measure(MARKET, TOKENS, SchemeCase("ratio-1", "ratio", {"total": 1.0}))
    assert one["first_reward"] == schemes.ratio(MARKET, total=1.0).rewards[0, 0]
    assert one["first_reward"] != measure(MARKET, TOKENS, SchemeCase("r", "ratio"))["first_reward"]


def test_an_absent_first_pair_has_no_numbers_of_its_own() -> None:
    absent = np.zeros((2, 5), dtype=bool)
    absent[0, 0] = True
    row = measure(MARKET.without(absent), TOKENS, PROPOSED)
    assert (row["outcome"], row["demanded_pairs"]) == ("solved", 9)
    assert {row[key] for key in MEASURED if key.startswith("first_")} == {None}


def raising(error: Exception) -> Callable[[Market], Solution]:
    def scheme(market: Market) -> Solution:
        raise error

    return scheme


def shortage() -> InfeasibleMarketError:
    try:
        require_feasible(MARKET.replace(compute_capacity=MARKET.compute_capacity * 1e-3))
    except InfeasibleMarketError as error:
        return error
    raise AssertionError("the market is feasible")


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (shortage(), "infeasible", str(shortage())),
        (UnavailableSchemeError("no token counts"), "unavailable", "no token counts"),
        (ZeroDivisionError("by zero"), "failed", "ZeroDivisionError: by zero"),
        (MemoryError(), "failed", "MemoryError: "),
        (InvalidInputError("total is -1"), "failed", "total is -1"),
    ],
)
def test_a_scheme_that_raises_is_a_row_with_the_reason(
    error: Exception, outcome: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(schemes.SCHEMES, "proposed", raising(error))
    row = measure(MARKET, TOKENS, PROPOSED)
    expected: dict[str, Any] = dict.fromkeys(MEASURED)
    assert row == expected | {"outcome": outcome, "reason": reason}


def test_a_method_that_does_not_end_as_it_promises_is_unsolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = replace(schemes.proposed(MARKET), status=Status.STEP_LIMIT, steps=7)
    monkeypatch.setitem(schemes.SCHEMES, "proposed", lambda market: ended)
    row = measure(MARKET, TOKENS, PROPOSED)
    assert (row["outcome"], row["status"], row["steps"]) == ("unsolved", "STEP_LIMIT", 7)
    assert row["reason"] == Status.STEP_LIMIT.sentence
    assert {row[key] for key in NUMBERS} == {None}


def test_a_certificate_that_fails_leaves_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def certify(market: Market, solution: Solution) -> None:
        raise ValueError("no best response")

    monkeypatch.setattr(measuring, "certify", certify)
    row = measure(MARKET, TOKENS, PROPOSED)
    assert (row["outcome"], row["reason"]) == ("failed", "ValueError: no best response")
    assert {row[key] for key in NUMBERS} == {None}


def test_an_interrupt_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def scheme(market: Market) -> Solution:
        raise KeyboardInterrupt

    monkeypatch.setitem(schemes.SCHEMES, "proposed", scheme)
    with pytest.raises(KeyboardInterrupt):
        measure(MARKET, TOKENS, PROPOSED)


def test_real_markets_come_out_infeasible_and_unavailable() -> None:
    short = MARKET.replace(compute_capacity=MARKET.compute_capacity * 1e-3)
    assert measure(short, TOKENS, PROPOSED)["outcome"] == "infeasible"
    row = measure(MARKET, None, SchemeCase("token", "token"))
    assert row["outcome"] == "unavailable"
    assert "input_tokens" in row["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "proposd"), "there is no scheme named 'proposd'; the schemes are proposed, "),
        (("x", "ratio", {"totl": 1.0}), "ratio has no option 'totl'; it has total"),
        (("x", "proposed", {"total": 1.0}), "proposed has no option 'total'; it has none"),
        (("x", "ratio", {"total": -1.0}), "total of x is -1.0; it must be zero or more"),
        (("x", "ratio", {"total": float("nan")}), "total of x is nan; it must be a finite number"),
    ],
)
def test_a_case_that_cannot_be_is_refused_before_it_runs(
    arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SchemeCase(*arguments)
    assert str(caught.value).startswith(message)
