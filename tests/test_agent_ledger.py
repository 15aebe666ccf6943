from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_state import PROVIDER, START, USER, Decided
from qoex.agent.reports.entries import Entry, EntryKind
from qoex.agent.state.ledger import Ledger, amount_micro, charge_for, money

PROVIDERS, USERS = ("asp-0", "asp-1"), ("mu-0", "mu-1", "mu-2")
ALL = np.ones(2, dtype=bool), np.ones(3, dtype=bool)


def decision(*payments: float, qoe: float = 1.0) -> Decided:
    """R·Q of the pairs, provider by provider."""
    rewards = np.array(payments, dtype=float).reshape(2, 3) / qoe
    return Decided(PROVIDERS, USERS, rewards, np.full((2, 3), qoe))


def served(seq: int, provider: str, user: str, amount: int) -> Entry:
    body = {"user": user, "requests": 3, "cycle": 1, "amount_micro": amount}
    return Entry(seq, START, "", PROVIDER, provider, EntryKind.SERVED, f"k{seq}", body)


_amounts = st.one_of(
    st.just(0.0),
    st.floats(0, 1e3),
    st.floats(1e12, 1e24),
    st.sampled_from([4_611_686_018_427.0, 2.0**62 / 1e6, 0.5e-6, 1.5e-6, 2.5e-6]),
)
_masks = st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n) for n in (2, 3)])
_steps = st.one_of(
    st.tuples(st.lists(_amounts, min_size=6, max_size=6), _masks),
    st.tuples(
        st.sampled_from(PROVIDERS), st.sampled_from(USERS), st.integers(0, 10**40) | st.integers(0)
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_steps, max_size=20), st.integers(0, 20))
def test_balances_are_exact(steps: list[Any], cut: int) -> None:
    ledger, plain, cycle = Ledger(), Counter[tuple[str, str]](), 0
    for number, step in enumerate(steps):
        if number == cut:
            contents = ledger.contents()
            ledger = Ledger()
            ledger.fill(contents)
        if len(step) == 3:
            provider, user, amount = step
            ledger.charge_served(served(number + 1, provider, user, amount))
            plain[user, provider] += amount
            continue
        payments, (providers, users) = step
        cycle += 1
        charge = charge_for(decision(*payments), np.array(providers), np.array(users))
        ledger.charge_cycle(cycle, charge)
        total = 0
        for k, payment in enumerate(payments):
            n, m = divmod(k, 3)
            if providers[n] and users[m]:
                micro = round(Fraction(payment * 1e6))  # half to even, exactly
                plain[USERS[m], PROVIDERS[n]] += micro
                total += micro
        assert charge.total_micro == total
    owed = [(user, provider, value) for (user, provider), value in sorted(plain.items()) if value]
    assert ledger.owed() == [(user, provider, money(value)) for user, provider, value in owed]
    assert ledger.total() == money(sum(plain.values()))
    for kind, place in ((USER, 0), (PROVIDER, 1)):
        sums = Counter[str]()
        for pair, value in plain.items():
            sums[pair[place]] += value
        found = ledger.totals(kind)
        assert {name: value for name, value in found.items() if value} == {
            name: money(value) for name, value in sums.items() if value
        }


@given(st.floats(0, 1e12), st.floats(0, 1e12))
def test_an_amount_is_rounded_once_and_the_same_everywhere(reward: float, qoe: float) -> None:
    micro = amount_micro(reward, qoe)
    exact = Decimal(reward * qoe * 1_000_000)
    assert micro == int(exact.to_integral_value(ROUND_HALF_EVEN))
    pair = Decided(("a",), ("m",), np.array([[reward]]), np.array([[qoe]]))
    assert charge_for(pair, np.array([True]), np.array([True])).total_micro == micro


@given(st.integers(-(10**60), 10**60))
def test_money_is_shown_exactly(micro: int) -> None:
    text = str(money(micro))
    assert Fraction(text) == Fraction(micro, 10**6)
    assert len(text.partition(".")[2]) == 6


def test_what_is_owed_can_be_looked_at_by_user_and_provider() -> None:
    ledger = Ledger()
    ledger.charge_cycle(1, charge_for(decision(1, 2, 0, 4, 0, 0.0000004), *ALL))
    ledger.charge_cycle(2, charge_for(decision(1, 2, 0, 4, 0, 0.0000006), *ALL))
    assert ledger.owed() == [
        ("mu-0", "asp-0", Decimal("2.000000")),
        ("mu-0", "asp-1", Decimal("8.000000")),
        ("mu-1", "asp-0", Decimal("4.000000")),
        ("mu-2", "asp-1", Decimal("0.000001")),
    ]
    assert [item.provider for item in ledger.owed(user="mu-0")] == ["asp-0", "asp-1"]
    assert [item.user for item in ledger.owed(provider="asp-0")] == ["mu-0", "mu-1"]
    assert len(ledger.owed(user="mu-0", provider="asp-1")) == 1
    assert ledger.owed(user="mu-9") == ledger.owed(provider="mu-0") == []
    assert str(ledger.total()) == "14.000001"
    assert ledger.totals(PROVIDER) == {"asp-0": Decimal(6), "asp-1": Decimal("8.000001")}


def test_cycles_are_charged_once_each() -> None:
    ledger = Ledger()
    ledger.charge_cycle(1, charge_for(decision(1, 1, 1, 1, 1, 1), *ALL))
    for cycle in (1, 3, 0):
        with pytest.raises(ValueError, match=f"cycle {cycle} cannot be charged after cycle 1"):
            ledger.charge_cycle(cycle, None)
    ledger.charge_cycle(2, None)
    assert ledger.cycle == 2
    assert ledger.total() == 6


@pytest.mark.parametrize("payment", [-1e-3, float("nan"), float("inf")])
def test_a_payment_that_cannot_be_is_refused(payment: float) -> None:
    with pytest.raises(ValueError, match=r"user 'mu-1' to provider 'asp-1' is"):
        charge_for(decision(1, 1, 1, 1, payment, 1), *ALL)
    # Rounding below zero is none, and nor is a pair that is not charged.
    assert charge_for(decision(0, 0, 0, 0, -1e-9, 0), *ALL).total_micro == 0
    nobody = np.zeros(3, dtype=bool)
    assert charge_for(decision(1, 1, 1, 1, -1, 1), ALL[0], nobody).total_micro == 0


def test_a_report_without_an_amount_charges_nothing() -> None:
    ledger = Ledger()
    body = {"user": "mu-0", "requests": 3}
    ledger.charge_served(Entry(1, START, "", PROVIDER, "asp-0", EntryKind.SERVED, "k", body))
    assert ledger.owed() == []
    ledger.charge_served(served(2, "asp-0", "mu-0", 3_000_001))
    assert [str(item.amount) for item in ledger.owed()] == ["3.000001"]


def test_names_may_be_many() -> None:
    names = tuple(f"mu-{k}" for k in range(100))
    ledger = Ledger()
    for cycle in (1, 2):
        many = Decided(("a",), names, np.ones((1, 100)), np.arange(100.0)[np.newaxis])
        ledger.charge_cycle(cycle, charge_for(many, np.array([True]), np.ones(100, dtype=bool)))
    assert ledger.total() == 2 * sum(range(100))
    assert ledger.owed(user="mu-99") == [("mu-99", "a", Decimal(198))]
    assert "mu-0" not in ledger.totals(USER)  # never charged anything
