from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent_state import PROVIDER, START, USER, Decided, Log, decided
from qoex.agent.reports.entries import EntryKind
from qoex.agent.state import checkpoint
from qoex.agent.state.checkpoint import Captured
from qoex.agent.state.ledger import Ledger, charge_for, money
from qoex.agent.state.registry import Registry
from qoex.errors import InvalidInputError


def captured() -> Captured:
    log, ledger = Log(), Ledger()
    for k in range(3):
        log.provider(f"asp-{k}", work_model="quadratic")
    for k in range(20):
        log.user(f"mu-{k}", "asp-0", "asp-2")
    log.send(PROVIDER, "asp-1", EntryKind.LINKS, {"mu-3": -0.0, "mu-4": 1e-300})
    log.send(USER, "mu-7", EntryKind.LEAVE)
    log.send(USER, "mu-2", EntryKind.EXPIRE)
    few = decided(1)
    ledger.charge_cycle(1, charge_for(few, np.ones(3, dtype=bool), np.ones(4, dtype=bool)))
    rich = Decided(("asp-0",), ("mu-9",), np.array([[1e12]]), np.array([[1e12]]))
    ledger.charge_cycle(2, charge_for(rich, np.array([True]), np.array([True])))
    return Captured.of(log.registry, ledger)


def test_it_comes_back_to_the_bit() -> None:
    before = captured()
    data = before.encoded()
    read = Captured.decoded(data)
    assert (read.position, read.cycle) == (before.position, before.cycle) == (26, 2)
    registry, ledger = Registry(), Ledger()
    read.fill(registry, ledger)
    assert Captured.of(registry, ledger).encoded() == data
    assert str(np.signbit(registry.links("asp-1")["mu-3"])) == "True"
    assert registry.received_at == START
    assert list(registry.rosters[USER].departed.values()) == [25, 26]
    assert ledger.owed(user="mu-9")[0].amount == money(round(1e12 * 1e12 * 1e6))


def test_it_is_a_copy() -> None:
    log, ledger = Log(), Ledger()
    log.provider("asp-0")
    before = Captured.of(log.registry, ledger)
    data = before.encoded()
    log.provider("asp-0", compute_capacity=1.0)
    ledger.charge_cycle(1, None)
    assert before.encoded() == data


def test_it_replaces_what_was_there() -> None:
    data, log, ledger = captured().encoded(), Log(), Ledger()
    for k in range(40):
        log.provider(f"other-{k}")
    Captured.decoded(data).fill(log.registry, ledger)
    assert Captured.of(log.registry, ledger).encoded() == data
    Captured.of(Registry(), Ledger()).fill(log.registry, ledger)
    assert log.registry.position == ledger.cycle == 0
    assert list(log.registry.nodes(PROVIDER)) == []


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "other"])
def test_damage_is_noticed(damage: str) -> None:
    data = bytearray(captured().encoded())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "short":
        del data[-1]
    elif damage == "empty":
        data.clear()
    else:
        data[:4] = b"PK\x03\x04"
    with pytest.raises(InvalidInputError, match="checkpoint"):
        Captured.decoded(bytes(data))


def test_one_of_other_columns_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = captured().encoded()
    monkeypatch.setattr(checkpoint, "_LAYOUT", [["compute_capacity"], [], []])
    with pytest.raises(InvalidInputError, match="other columns than this version"):
        Captured.decoded(data)


def test_arrays_that_do_not_fit_are_not_used() -> None:
    whole = captured()
    arrays = dict(whole.registry.arrays)
    arrays["snr_db"] = arrays["snr_db"][:, :-1]
    wrong = replace(whole, registry=replace(whole.registry, arrays=arrays))
    with pytest.raises(InvalidInputError, match="snr_db has the wrong shape"):
        wrong.fill(Registry(), Ledger())
    del arrays["snr_db"]
    with pytest.raises(InvalidInputError, match="the arrays are"):
        wrong.fill(Registry(), Ledger())
    short = replace(whole.ledger, balances=whole.ledger.balances[:-1])
    with pytest.raises(InvalidInputError, match="the balances are"):
        replace(whole, ledger=short).fill(Registry(), Ledger())
