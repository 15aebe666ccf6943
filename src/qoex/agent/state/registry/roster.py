"""The nodes of one side: their names and slots, who is active, and when they were heard of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from qoex.agent.reports.entries import NodeKind
from qoex.agent.state.registry.columns import Columns, Journal, NodeColumn

# A node that left is remembered, with what others say of it, until more have left since than are
# active, and at least this many. So memory follows how many there are, not how many there were.
LEAST_REMEMBERED = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NEVER = np.iinfo(np.int64).min


def microseconds(moment: datetime) -> int:
    """Return a time as microseconds since 1970, UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """Return the time, UTC, from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


def roster_columns(kind: NodeKind) -> dict[str, NodeColumn]:
    """Return the arrays that the roster of one side needs."""
    return {
        f"{kind}_active": NodeColumn((kind,), False, np.bool_),
        f"{kind}_received": NodeColumn((kind,), _NEVER, np.int64),
        f"{kind}_reported": NodeColumn((kind,), _NEVER, np.int64),
        f"{kind}_lifetime": NodeColumn((kind,), np.nan),
    }


@dataclass(frozen=True, slots=True)
class NodeState:
    """Where a node stands.

    Attributes:
        kind: side of the market.
        name: of the node.
        active: whether it is registered now.
        received_at: when its last report was taken in, UTC.
        reported_at: when it made the last report that says so, or None, UTC.
        expires_at: when it expires unless it reports, UTC; None if it is not active.
    """

    kind: NodeKind
    name: str
    active: bool
    received_at: datetime
    reported_at: datetime | None
    expires_at: datetime | None


class Roster:
    """Names and slots of one side; a slot belongs to a name until that is forgotten."""

    def __init__(
        self, kind: NodeKind, columns: Columns, journal: Journal, wipe: Callable[[int], None]
    ) -> None:
        self.kind = kind
        self.slots: dict[str, int] = {}
        self.names: list[str] = []
        self.active_count = 0
        self._columns = columns
        self._journal = journal
        self._wipe = wipe  # clears what the pairs of a slot hold
        self._departed: dict[int, int] = {}  # slot → seq of the entry by which it left
        self._departed_in_order = True
        self._order: tuple[NDArray[np.intp], tuple[str, ...]] | None = None
        self._sorted_names: list[str] | None = None
        self._active, self._received, self._reported, self._lifetime = roster_columns(kind)

    def is_active(self, name: str) -> bool:
        """Return whether a node of that name is registered now."""
        slot = self.slots.get(name)
        return slot is not None and bool(self._columns[self._active][slot])

    def join(self, name: str) -> tuple[int, bool]:
        """Make a node active; return its slot, and whether it was not before."""
        if self.is_active(name):
            return self.slots[name], False
        slot = self.slots.get(name)
        if slot is None:
            slot = self._new_slot(name)
        else:
            self._remove_departed(slot)
        self._set_active(slot, True)
        return slot, True

    def leave(self, name: str, seq: int) -> None:
        """Make a node inactive, by the entry at ``seq``."""
        slot = self.slots[name]
        self._set_active(slot, False)
        self._departed[slot] = seq
        self._journal.note(partial(self._departed.pop, slot))

    def heard(self, slot: int, received_at: datetime, reported_at: str | None) -> None:
        """Note that a node reported."""
        self._columns.write(self._received, slot, microseconds(received_at))
        if reported_at is not None:
            reported = microseconds(datetime.fromisoformat(reported_at))
            self._columns.write(self._reported, slot, reported)

    def set_lifetime(self, slot: int, lifetime_s: float | None) -> None:
        """Set after how many seconds without a report a node expires; None for the default."""
        self._columns.write(self._lifetime, slot, np.nan if lifetime_s is None else lifetime_s)

    def lifetime(self, slot: int) -> float | None:
        """Return the lifetime that a node declared, in seconds."""
        value = float(self._columns[self._lifetime][slot])
        return None if np.isnan(value) else value

    def last_reported_at(self, name: str) -> datetime | None:
        """Return when a node made the last report that says so, UTC."""
        slot = self.slots.get(name)
        value = _NEVER if slot is None else int(self._columns[self._reported][slot])
        return None if value == _NEVER else moment_of(value)

    def due(self, now: datetime, default_s: float) -> list[str]:
        """Return the active nodes whose lifetime is over, those heard of longest ago first."""
        count = len(self.names)
        received = self._columns[self._received][:count]
        lifetime = self._columns[self._lifetime][:count]
        limit = np.where(np.isnan(lifetime), default_s, lifetime)
        active = self._columns[self._active][:count]
        slots = np.flatnonzero(active)
        over = (microseconds(now) - received[slots]) / 1e6 >= limit[slots]
        late = slots[over]
        return [self.names[slot] for slot in late[np.argsort(received[late], kind="stable")]]

    def order(self) -> tuple[NDArray[np.intp], tuple[str, ...]]:
        """Return slots and names of the active nodes, in the order of their names."""
        if self._order is None:
            active = np.flatnonzero(self._columns[self._active][: len(self.names)]).tolist()
            names = sorted(self.names[slot] for slot in active)
            slots = np.array([self.slots[name] for name in names], dtype=np.intp)
            self._order = slots, tuple(names)
        return self._order

    def state(self, name: str, default_s: float) -> NodeState | None:
        """Return where a node stands, or None if there is none of that name."""
        slot = self.slots.get(name)
        if slot is None:
            return None
        active = bool(self._columns[self._active][slot])
        received = moment_of(int(self._columns[self._received][slot]))
        lifetime = self.lifetime(slot)
        expires = received + timedelta(seconds=default_s if lifetime is None else lifetime)
        reported = self.last_reported_at(name)
        return NodeState(self.kind, name, active, received, reported, expires if active else None)

    def names_after(self, after: str) -> Iterator[str]:
        """Yield all names that are remembered, in order, from the first that is above ``after``."""
        if self._sorted_names is None:
            self._sorted_names = sorted(self.slots)
        names = self._sorted_names
        for place in range(bisect_right(names, after), len(names)):
            yield names[place]

    def active_among(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Return for each name whether a node of it is active."""
        slots = np.array([self.slots.get(name, -1) for name in names], dtype=np.intp)
        known = slots >= 0
        active: NDArray[np.bool_] = self._columns[self._active][np.where(known, slots, 0)] & known
        return active

    @property
    def departed(self) -> Mapping[int, int]:
        """The slots of those who left, with the seq by which they did, in that order."""
        if not self._departed_in_order:
            in_order = sorted(self._departed.items(), key=lambda item: item[1])
            self._departed.clear()
            self._departed.update(in_order)
            self._departed_in_order = True
        return self._departed

    def fill(self, names: Iterable[str], departed: Mapping[int, int]) -> None:
        """Take over names by slot and who left; the arrays have been filled already."""
        self.names = list(names)
        self.slots = {name: slot for slot, name in enumerate(self.names)}
        self._departed = dict(departed)
        self._departed_in_order = True
        self.active_count = len(self.names) - len(self._departed)
        self._membership_changed()

    def _new_slot(self, name: str) -> int:
        if len(self._departed) >= max(LEAST_REMEMBERED, self.active_count):
            slot = next(iter(self.departed))
            self._remove_departed(slot)
            self._forget(slot)
            self.names[slot] = name
        else:
            slot = len(self.names)
            self._columns.reserve(self.kind, slot + 1)
            self.names.append(name)
            self._journal.note(self.names.pop)
        self.slots[name] = slot
        self._journal.note(partial(self.slots.pop, name))
        return slot

    def _forget(self, slot: int) -> None:
        name = self.names[slot]
        del self.slots[name]
        self._journal.note(partial(self._remember, slot, name))
        self._wipe(slot)
        self._columns.write(self._reported, slot, _NEVER)

    def _remember(self, slot: int, name: str) -> None:
        self.names[slot] = name
        self.slots[name] = slot

    def _set_active(self, slot: int, active: bool) -> None:
        self._columns.write(self._active, slot, active)
        self._count(1 if active else -1)
        self._journal.note(partial(self._count, -1 if active else 1))

    def _count(self, change: int) -> None:
        self.active_count += change
        self._membership_changed()

    def _membership_changed(self) -> None:
        self._order = None
        self._sorted_names = None

    def _remove_departed(self, slot: int) -> None:
        seq = self._departed.pop(slot)
        self._journal.note(partial(self._put_departed, slot, seq))

    def _put_departed(self, slot: int, seq: int) -> None:
        self._departed[slot] = seq
        self._departed_in_order = False
