"""What each user owes each provider, as whole millionths of a unit of money.

An amount is R·Q of a pair, rounded once to the nearest millionth, half to even. From there on
everything is whole numbers, so that balances are exact and do not depend on the order of charges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qoex.agent.reports.entries import Entry, NodeKind
from qoex.model.market import BoolArray, FloatArray

MICRO = 1_000_000

Int64Array = NDArray[np.int64]

# Balances below it are kept in 64 bits: two of them still add up to less than 2^63.
_SMALL = 2**62
_LEAST_SLOTS = 16


class Billing(StrEnum):
    """What a user is charged R·Q for."""

    CYCLE = "cycle"  # every cycle, at the decision in force
    REQUEST = "request"  # every request served, at the decision in force when it is reported


class Decision(Protocol):
    """The part of an allocation that is charged; N providers × M users."""

    @property
    def provider_names(self) -> tuple[str, ...]:
        """N names."""
        ...

    @property
    def user_names(self) -> tuple[str, ...]:
        """M names."""
        ...

    @property
    def rewards(self) -> FloatArray:
        """R, N×M, money per ms of QoE."""
        ...

    @property
    def qoe(self) -> FloatArray:
        """Q, N×M, ms."""
        ...


class Owed(NamedTuple):
    """What a user owes a provider, in money."""

    user: str
    provider: str
    amount: Decimal


@dataclass(frozen=True, eq=False)
class Charge:
    """What the users are charged for one cycle.

    Attributes:
        provider_names: N.
        user_names: M.
        amounts: N×M, whole millionths as floats, which are exact integers.
        total_micro: their exact sum.
    """

    provider_names: tuple[str, ...]
    user_names: tuple[str, ...]
    amounts: FloatArray
    total_micro: int


@dataclass(frozen=True)
class LedgerContents:
    """All that a ledger holds, for a checkpoint.

    Attributes:
        cycle: number of the last cycle that was taken into account; 0 for none.
        names: of each side, by slot.
        balances: providers × users by slot, millionths; what is in ``large`` comes on top.
        large: (slot of the provider, slot of the user) → millionths.
    """

    cycle: int
    names: Mapping[NodeKind, tuple[str, ...]]
    balances: Int64Array
    large: Mapping[tuple[int, int], int]


def amount_micro(reward: float, qoe: float) -> int:
    """Return R·Q in millionths, rounded half to even, as ``charge_for`` has it of each pair."""
    return round(reward * qoe * MICRO)


def money(micro: int) -> Decimal:
    """Return millionths as an amount with six decimals, exactly."""
    sign, digits = (1, -micro) if micro < 0 else (0, micro)
    return Decimal((sign, tuple(map(int, str(digits))), -6))


def charge_for(decision: Decision, provider_active: BoolArray, user_active: BoolArray) -> Charge:
    """Return R·Q once for each pair whose nodes are both active.

    Args:
        decision: N providers × M users.
        provider_active: N.
        user_active: M.

    Raises:
        ValueError: a payment that is negative or not finite.
    """
    amounts = np.rint(decision.rewards * decision.qoe * MICRO)
    amounts[~provider_active] = 0.0
    amounts[:, ~user_active] = 0.0
    wrong = ~((amounts >= 0.0) & np.isfinite(amounts))
    if wrong.any():
        n, m = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"the payment of user {decision.user_names[m]!r} to provider "
            f"{decision.provider_names[n]!r} is {float(amounts[n, m])!r} millionths"
        )
    small, large = _parts(amounts)
    total = sum(_exact_sums(small, 0)) + sum(large.values())
    return Charge(tuple(decision.provider_names), tuple(decision.user_names), amounts, total)


class Ledger:
    """Balances of all pairs that were ever charged.

    Attributes:
        cycle: number of the last cycle that was taken into account; 0 for none.
    """

    def __init__(self) -> None:
        self._empty()

    def _empty(self) -> None:
        self.cycle = 0
        self._slots: dict[NodeKind, dict[str, int]] = {kind: {} for kind in NodeKind}
        self._balances: Int64Array = np.zeros((_LEAST_SLOTS, _LEAST_SLOTS), dtype=np.int64)
        self._large: dict[tuple[int, int], int] = {}

    def charge_cycle(self, cycle: int, charge: Charge | None) -> None:
        """Charge what a cycle costs, or None for nothing.

        Raises:
            ValueError: the cycle is not the next one.
        """
        if cycle != self.cycle + 1:
            raise ValueError(f"cycle {cycle} cannot be charged after cycle {self.cycle}")
        self.cycle = cycle
        if charge is None or not charge.total_micro:
            return
        providers = np.flatnonzero(charge.amounts.any(axis=1))
        users = np.flatnonzero(charge.amounts.any(axis=0))
        rows = self._slots_of(NodeKind.PROVIDER, [charge.provider_names[n] for n in providers])
        columns = self._slots_of(NodeKind.USER, [charge.user_names[m] for m in users])
        small, large = _parts(charge.amounts[np.ix_(providers, users)])
        places = np.ix_(rows, columns)
        balances = self._balances[places] + small
        self._balances[places] = balances
        for n, m in np.argwhere(balances >= _SMALL).tolist():
            self._move_to_large(int(rows[n]), int(columns[m]))
        for (n, m), amount in large.items():
            self._add_large(int(rows[n]), int(columns[m]), amount)

    def charge_served(self, entry: Entry) -> None:
        """Charge what an entry that reports served requests says, if it names an amount."""
        amount = entry.body.get("amount_micro")
        if not amount:
            return
        n = int(self._slots_of(NodeKind.PROVIDER, [entry.node])[0])
        m = int(self._slots_of(NodeKind.USER, [entry.body["user"]])[0])
        if amount >= _SMALL:
            self._add_large(n, m, amount)
            return
        self._balances[n, m] += amount
        if self._balances[n, m] >= _SMALL:
            self._move_to_large(n, m)

    def owed(self, user: str | None = None, provider: str | None = None) -> list[Owed]:
        """Return what is owed, by user and then by provider, without what is zero.

        Args:
            user: only of this user.
            provider: only to this provider.

        """
        rows = self._chosen(NodeKind.PROVIDER, provider)
        columns = self._chosen(NodeKind.USER, user)
        if not rows or not columns:
            return []
        places = np.ix_(list(rows.values()), list(columns.values()))
        found = self._balances[places] != 0
        if self._large:
            found |= self._large_mask()[places]
        providers, users = list(rows.items()), list(columns.items())
        entries = [
            Owed(users[m][0], providers[n][0], money(self._balance(providers[n][1], users[m][1])))
            for n, m in np.argwhere(found).tolist()
        ]
        return sorted(entries)

    def total(self) -> Decimal:
        """Return what all users owe together."""
        return money(sum(_exact_sums(self._balances, 0)) + sum(self._large.values()))

    def totals(self, kind: NodeKind) -> dict[str, Decimal]:
        """Return what each user owes, or what each provider is owed, by name."""
        axis = 0 if kind is NodeKind.USER else 1
        sums = _exact_sums(self._balances, axis)
        for pair, amount in self._large.items():
            sums[pair[1 - axis]] += amount
        return {name: money(sums[slot]) for name, slot in sorted(self._slots[kind].items())}

    def contents(self) -> LedgerContents:
        """Return a copy of all that is held."""
        names = {kind: tuple(slots) for kind, slots in self._slots.items()}
        used = tuple(slice(len(names[kind])) for kind in (NodeKind.PROVIDER, NodeKind.USER))
        return LedgerContents(self.cycle, names, self._balances[used].copy(), dict(self._large))

    def fill(self, contents: LedgerContents) -> None:
        """Hold what a ledger held before, and nothing else.

        Raises:
            ValueError: balances that do not fit the names.
        """
        self._empty()
        for kind in NodeKind:
            self._slots_of(kind, contents.names[kind])
        shape = tuple(len(contents.names[kind]) for kind in (NodeKind.PROVIDER, NodeKind.USER))
        if contents.balances.shape != shape or contents.balances.dtype != np.int64:
            raise ValueError(f"the balances are {contents.balances.shape}, not {shape} of 64 bits")
        self._balances[: shape[0], : shape[1]] = contents.balances
        self._large.update(contents.large)
        self.cycle = contents.cycle

    def _slots_of(self, kind: NodeKind, names: Sequence[str]) -> NDArray[np.intp]:
        slots = self._slots[kind]
        found = [slots.setdefault(name, len(slots)) for name in names]
        axis = 0 if kind is NodeKind.PROVIDER else 1
        if len(slots) > self._balances.shape[axis]:
            room = list(self._balances.shape)
            while room[axis] < len(slots):
                room[axis] *= 2
            grown = np.zeros(room, dtype=np.int64)
            grown[: self._balances.shape[0], : self._balances.shape[1]] = self._balances
            self._balances = grown
        return np.array(found, dtype=np.intp)

    def _chosen(self, kind: NodeKind, name: str | None) -> dict[str, int]:
        slots = self._slots[kind]
        if name is None:
            return slots
        return {name: slots[name]} if name in slots else {}

    def _balance(self, n: int, m: int) -> int:
        return int(self._balances[n, m]) + self._large.get((n, m), 0)

    def _large_mask(self) -> BoolArray:
        mask = np.zeros(self._balances.shape, dtype=np.bool_)
        mask[tuple(zip(*self._large, strict=True))] = True
        return mask

    def _move_to_large(self, n: int, m: int) -> None:
        self._add_large(n, m, int(self._balances[n, m]))
        self._balances[n, m] = 0

    def _add_large(self, n: int, m: int, amount: int) -> None:
        self._large[n, m] = self._large.get((n, m), 0) + amount


def _parts(amounts: FloatArray) -> tuple[Int64Array, dict[tuple[int, int], int]]:
    """Return the amounts that fit, as integers, and by their place those that do not."""
    beyond = amounts >= _SMALL
    places: Iterable[list[int]] = np.argwhere(beyond).tolist() if beyond.any() else []
    large = {(n, m): int(amounts[n, m]) for n, m in places}
    return np.where(beyond, 0.0, amounts).astype(np.int64), large


def _exact_sums(values: Int64Array, axis: int) -> list[int]:
    """Return sums along an axis of numbers from 0 to 2^62, which overflow 64 bits together."""
    high = (values >> 31).sum(axis=axis).tolist()
    low = (values & (2**31 - 1)).sum(axis=axis).tolist()
    return [upper * 2**31 + lower for upper, lower in zip(high, low, strict=True)]
