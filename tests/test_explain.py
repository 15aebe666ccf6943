"""What is said to one user agrees with the numbers, whatever its situation."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qoex.certificate import certify
from qoex.certificate.explanation import explain_provider, explain_user
from qoex.equilibrium.solver import solve
from qoex.game.outcome import outcome_of
from qoex.game.solution import Regime, Status
from qoex.model.market import Market

CASE = {
    "work": [[200.0, 120.0]],
    "traffic": [[5.0, 5.0]],
    "latency_budget": [[600.0, 600.0]],
    "compute_cost": [21.0],
    "bandwidth_cost": [0.15],
    "bandwidth_capacity": [500.0],
    "profit_factor": [370.0, 370.0],
    "reward_min": [1e-4, 1e-4],
    "reward_max": [10.0, 10.0],
    "provider_names": ["asp"],
    "user_names": ["ann", "bob"],
}
ENOUGH = 1.99138  # compute that the two use where there is enough of it (theory, section 6)


def market(compute: float = 10.0, **changes: object) -> Market:
    return Market(compute_capacity=[compute], **{**CASE, **changes})  # type: ignore[arg-type]


def said(market: Market, user: int = 0) -> str:
    solution = solve(market)
    assert solution.status is Status.CONVERGED
    return "\n".join(explain_user(market, solution, certify(market, solution), user))


def numbers(pattern: str, text: str) -> list[float]:
    """The numbers in the groups of a pattern that must occur in the text."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text!r}"
    return [float(group) for group in found.groups()]


def test_payment_latency_and_utility_are_those_of_the_solution() -> None:
    solution = solve(market())
    text = said(market())
    reward, qoe = solution.rewards[0, 0], solution.qoe[0, 0]
    paid, bought, price = numbers(
        r"ann pays (\S+) to asp for (\S+) ms of QoE at (\S+) per ms", text
    )
    assert [paid, bought, price] == pytest.approx([reward * qoe, qoe, reward], rel=1e-3)
    gain, utility = numbers(r"worth (\S+) to it, so its utility is (\S+)\.", text)
    assert gain == pytest.approx(370 * np.log1p(qoe), rel=1e-3)
    assert utility == pytest.approx(solution.user_utility[0], rel=1e-3)
    assert numbers(r"One more ms would be worth (\S+)\.", text) == pytest.approx(
        [370 / (1 + qoe)], rel=1e-3
    )
    latency, computing, share, sending, rest = numbers(
        r"latency is (\S+) ms, \S+% of the 600 ms it tolerates: (\S+) ms \((\S+)%\) computing on "
        r"\S+ TFLOPS and (\S+) ms \((\S+)%\) transmitting over",
        text,
    )
    assert latency == pytest.approx(600 - qoe, rel=1e-3)
    assert computing == pytest.approx(200 / solution.compute[0, 0], rel=1e-3)
    assert sending == pytest.approx(5 / solution.bandwidth[0, 0], rel=1e-3)
    assert share + rest == pytest.approx(100, abs=0.2)


def test_a_capacity_is_slack_pinned_or_binding() -> None:
    assert "Nothing is scarce at asp: 19.9% of 10 TFLOPS of compute is in use, at its unit" in said(
        market(10.0)
    )
    pinned = market(0.95 * ENOUGH)
    assert solve(pinned).compute_state.regime == (Regime.PINNED,)
    assert (
        "yet the price is still the unit cost of 21, and one more would be worth nothing"
        in said(pinned)
    )
    binding = market(0.6 * ENOUGH)
    text = said(binding)
    assert "Compute is scarce at asp: all 1.195 TFLOPS of compute are in use" in text
    price, times, worth = numbers(
        r"at a price of (\S+), (\S+) times the unit cost of 21, so one more would be worth (\S+) "
        r"beyond its cost",
        text,
    )
    assert price == pytest.approx(solve(binding).compute_state.price[0], rel=1e-3)
    assert times == pytest.approx(price / 21, rel=1e-2)
    assert worth == pytest.approx(price - 21, rel=1e-2)


def test_what_one_more_unit_is_said_to_be_worth_is_what_the_provider_gains() -> None:
    binding = market(0.6 * ENOUGH)
    solution = solve(binding)
    (worth,) = numbers(r"so one more would be worth (\S+) beyond its cost", said(binding))
    step = 1e-6
    gained = [
        outcome_of(
            market(0.6 * ENOUGH + change), solution.rewards, status=Status.EXACT, method="", steps=0
        ).provider_utility[0]
        for change in (-step, step)
    ]
    assert (gained[1] - gained[0]) / (2 * step) == pytest.approx(worth, rel=1e-3)


def test_a_user_who_may_not_offer_enough_buys_nothing() -> None:
    text = said(market(reward_max=[0.01, 10.0], reward_min=[0.001, 1e-4]))
    assert "ann buys no QoE from anyone, so it pays nothing; its utility is 0." in text
    (threshold,) = numbers(
        r"At asp it buys no QoE: the user may offer no more than 0.01 per ms, and the provider "
        r"begins to deliver at (\S+) per ms\.",
        text,
    )
    height = np.sqrt(200 * 21) + np.sqrt(5 * 0.15)
    assert threshold == pytest.approx((height / 600) ** 2, rel=1e-3)


def test_a_user_to_whom_qoe_is_not_worth_its_threshold_buys_nothing() -> None:
    two = Market(
        work=[[200.0, 120.0], [20_000.0, 120.0]],
        traffic=[[5.0, 5.0], [5.0, 5.0]],
        latency_budget=[[600.0, 600.0], [600.0, 600.0]],
        compute_cost=[21.0, 21.0],
        bandwidth_cost=[0.15, 0.15],
        compute_capacity=[10.0, 100.0],
        bandwidth_capacity=[500.0, 500.0],
        profit_factor=[370.0, 370.0],
        reward_min=[1e-4, 1e-4],
        reward_max=[10.0, 10.0],
        provider_names=["near", "far"],
        user_names=["ann", "bob"],
    )
    text = said(two)
    worth, threshold = numbers(
        r"At far it buys no QoE: a ms of QoE is worth only (\S+) to the user, and the provider "
        r"begins to deliver at (\S+) per ms\.",
        text,
    )
    assert worth < threshold
    assert "At near latency is" in text


def test_a_reward_at_its_bound_is_called_so() -> None:
    most = said(market(reward_max=[0.1, 10.0]))
    assert "at 0.1 per ms (the most that it may offer)" in most
    least = said(market(reward_min=[0.2, 1e-4]))
    assert "at 0.2 per ms (the least that it may offer)" in least


def test_a_user_without_demands_pays_nothing() -> None:
    absent = market().without(np.array([[True, False]]))
    assert said(absent) == (
        "ann demands nothing of any provider, so it pays nothing and gets nothing."
    )


def test_what_a_deviation_would_bring_is_said() -> None:
    case = market()
    exact = solve(case)
    rewards = exact.rewards * [[1.5, 1.0]]
    wrong = outcome_of(case, rewards, status=Status.OWN_RULE, method="", steps=0)
    certificate = certify(case, wrong)
    text = explain_user(case, wrong, certificate, 0)[-1]
    gain, offer, instead = numbers(
        r"It would gain (\S+) by offering asp (\S+) instead of (\S+) per ms", text
    )
    assert gain == pytest.approx(certificate.regret_per_user[0], rel=1e-3)
    assert offer == pytest.approx(exact.rewards[0, 0], rel=1e-3)
    assert instead == pytest.approx(rewards[0, 0], rel=1e-3)
    deviated = outcome_of(case, exact.rewards, status=Status.OWN_RULE, method="", steps=0)
    assert deviated.user_utility[0] - wrong.user_utility[0] == pytest.approx(gain, rel=1e-3)


def test_names_that_break_lines_are_quoted() -> None:
    named = market(provider_names=["a\nb"], user_names=["x\ty", "bob"])
    paragraphs = said(named).split("\n")
    assert paragraphs[0].startswith(r"'x\ty' pays ")
    assert r"'a\nb'" in paragraphs[0]


def said_of_provider(market: Market, provider: int = 0) -> str:
    return "\n".join(explain_provider(market, solve(market), provider))


def test_earnings_of_a_provider_are_those_of_the_solution() -> None:
    solution = solve(market())
    text = said_of_provider(market())
    paid, qoe, compute, bandwidth, left = numbers(
        r"asp is paid (\S+) by 2 users for (\S+) ms of QoE, and spends (\S+) on \S+ TFLOPS of "
        r"compute and (\S+) on \S+ MHz of bandwidth\. That leaves it (\S+)\.",
        text,
    )
    assert paid == pytest.approx(float((solution.rewards * solution.qoe).sum()), rel=1e-3)
    assert qoe == pytest.approx(float(solution.qoe.sum()), rel=1e-3)
    assert left == pytest.approx(float(solution.provider_utility[0]), rel=1e-3)
    assert paid - compute - bandwidth == pytest.approx(left, rel=1e-2)
    assert "Nothing is scarce at asp" in text


def test_a_provider_learns_who_pays_most_and_with_what() -> None:
    solution = solve(market())
    text = said_of_provider(market())
    payments = solution.rewards[0] * solution.qoe[0]
    assert payments[0] > payments[1]
    paid, share, granted = numbers(
        r"Most of it is paid by ann, (\S+) \((\S+)%\) for \S+ ms with (\S+) TFLOPS", text
    )
    assert paid == pytest.approx(payments[0], rel=1e-3)
    assert share == pytest.approx(100 * payments[0] / payments.sum(), rel=1e-2)
    assert granted == pytest.approx(solution.compute[0, 0], rel=1e-3)
    assert "; by bob, " in text


def test_a_provider_learns_what_one_more_unit_is_worth() -> None:
    solution = solve(market(1.0))
    price = float(solution.compute_state.price[0])
    assert solution.compute_state.regime[0] is Regime.BINDING
    text = said_of_provider(market(1.0))
    assert "Compute is scarce at asp" in text
    (worth,) = numbers(r"one more would be worth (\S+) beyond its cost", text)
    assert worth == pytest.approx(price - 21.0, rel=1e-3)


def test_a_provider_learns_how_many_of_its_users_buy_nothing() -> None:
    few = market(profit_factor=[370.0, 1e-3])
    assert solve(few).qoe[0, 1] == 0.0
    text = said_of_provider(few)
    assert "1 of its 2 users buys no QoE, and gets an answer" in text
    assert "bob" not in text
    nothing = said_of_provider(market(profit_factor=[1e-3, 1e-3]))
    assert "None of its users buys QoE" in nothing
    assert "paid 0 by 0 users" in nothing
    assert "Most of it" not in nothing


def test_a_provider_without_demands_earns_nothing() -> None:
    alone = Market(
        work=[[200.0], [0.0]],
        traffic=[[5.0], [0.0]],
        latency_budget=[[600.0], [0.0]],
        compute_cost=[21.0, 21.0],
        bandwidth_cost=[0.15, 0.15],
        compute_capacity=[10.0, 10.0],
        bandwidth_capacity=[500.0, 500.0],
        profit_factor=[370.0],
        reward_min=[1e-4],
        reward_max=[10.0],
    )
    assert said_of_provider(alone, 1).startswith("Nobody demands anything of provider-2")
