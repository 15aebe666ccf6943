"""The registry: what entries, one after another, make of what there was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import Entry, EntryKind, NodeKind
from qoex.agent.reports.nodes import Owner
from qoex.agent.solving.snapshot import DEMAND_COLUMNS, PROVIDER_COLUMNS, USER_COLUMNS, Snapshot
from qoex.agent.state.registry import checks
from qoex.agent.state.registry.columns import (
    Array,
    Columns,
    Journal,
    NodeColumn,
    given_in,
    patched,
    row_of,
)
from qoex.agent.state.registry.roster import NodeState, Roster, roster_columns

PROVIDER, USER = NodeKind.PROVIDER, NodeKind.USER

_COLUMNS = {
    **roster_columns(PROVIDER),
    **roster_columns(USER),
    "providers": NodeColumn((PROVIDER,), np.nan, width=len(PROVIDER_COLUMNS)),
    "users": NodeColumn((USER,), np.nan, width=len(USER_COLUMNS)),
    "demands": NodeColumn((PROVIDER, USER), np.nan, width=len(DEMAND_COLUMNS)),
    "snr_db": NodeColumn((PROVIDER, USER), np.nan),
}
_OWN = {PROVIDER: ("providers", PROVIDER_COLUMNS), USER: ("users", USER_COLUMNS)}
_INPUT_TOKENS = DEMAND_COLUMNS.index("input_tokens")

DEFAULT_LIFETIME_S = 300.0
DEFAULT_CLOCK_SKEW_S = 300.0


@dataclass(frozen=True)
class RegistryContents:
    """All that a registry holds, for a checkpoint.

    Attributes:
        position: seq of the last entry.
        received_at: when that was taken in, UTC; None if there is none.
        names: of each side, by slot.
        departed: of each side, slots of those who left and the seq by which they did.
        arrays: by name.
    """

    position: int
    received_at: datetime | None
    names: Mapping[NodeKind, tuple[str, ...]]
    departed: Mapping[NodeKind, Mapping[int, int]]
    arrays: Mapping[str, Array]


class Registry:
    """Who is there and what they said: the fold of the log up to ``position``.

    What a node says of itself, and its demands or links, go when it registers anew after it left;
    links stay when an active provider replaces its report. What others said of a node stays while
    it is away, until it is forgotten (``roster.LEAST_REMEMBERED``).

    Attributes:
        position: seq of the last entry applied; 0 if there is none.
        received_at: when that entry was taken in, UTC, or None.
        rosters: the nodes of each side.
        node_lifetime_s: seconds without a report after which a node expires that declares none.
        max_clock_skew_s: how far from the agent's clock ``reported_at`` may be.
    """

    def __init__(
        self,
        *,
        node_lifetime_s: float = DEFAULT_LIFETIME_S,
        max_clock_skew_s: float = DEFAULT_CLOCK_SKEW_S,
    ) -> None:
        self.node_lifetime_s = node_lifetime_s
        self.max_clock_skew_s = max_clock_skew_s
        self._empty()

    def _empty(self) -> None:
        self.position = 0
        self.received_at: datetime | None = None
        self._journal = Journal()
        self._columns = Columns(_COLUMNS, self._journal)
        self.rosters = {
            kind: Roster(kind, self._columns, self._journal, partial(self._wipe, kind))
            for kind in NodeKind
        }

    def check(self, entry: Entry) -> None:
        """Raise unless the entry may be applied; change nothing.

        Raises:
            Refused: it may not.
        """
        checks.check(self, entry, self.max_clock_skew_s)

    def apply(self, entry: Entry) -> None:
        """Take in the next entry, which has been checked once, now or before a restart.

        Raises:
            ValueError: it is not the next one.
        """
        if entry.seq != self.position + 1:
            raise ValueError(f"entry {entry.seq} cannot follow entry {self.position}")
        self._journal.note(partial(self._set_position, self.position, self.received_at))
        self._set_position(entry.seq, entry.received_at)
        roster = self.rosters[entry.node_kind]
        if entry.kind is EntryKind.PUT:
            slot = self._put(entry, roster)
        else:
            slot = roster.slots[entry.node]
            if entry.kind is EntryKind.PATCH:
                self._patch(entry, roster, slot)
            elif entry.kind is EntryKind.LINKS:
                self._link(entry, slot)
            elif entry.kind in (EntryKind.LEAVE, EntryKind.EXPIRE):
                roster.leave(entry.node, entry.seq)
        if entry.kind is EntryKind.LINKS:
            roster.heard(slot, entry.received_at, None)
        elif entry.kind is not EntryKind.EXPIRE:
            roster.heard(slot, entry.received_at, entry.body.get("reported_at"))

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Take back all entries applied within, if an exception leaves it."""
        with self._journal.all_or_nothing():
            yield

    def due(self, now: datetime) -> list[Owner]:
        """Return the active nodes whose lifetime is over, providers first."""
        return [
            Owner(kind, name)
            for kind, roster in self.rosters.items()
            for name in roster.due(now, self.node_lifetime_s)
        ]

    def snapshot(self, now: datetime) -> Snapshot:
        """Return what the active nodes said, in copies that later entries leave alone."""
        rows, provider_names = self.rosters[PROVIDER].order()
        columns, user_names = self.rosters[USER].order()
        # First the rows, then the columns: much faster than both at once.
        demands = self._columns["demands"][rows].take(columns, axis=1)
        return Snapshot(
            position=self.position,
            taken_at=now,
            provider_names=provider_names,
            user_names=user_names,
            providers=_apart(PROVIDER_COLUMNS, self._columns["providers"][rows]),
            users=_apart(USER_COLUMNS, self._columns["users"][columns]),
            demands=_apart(DEMAND_COLUMNS, demands),
            snr_db=self._columns["snr_db"][rows].take(columns, axis=1),
        )

    def given(self, kind: NodeKind, name: str) -> dict[str, Any]:
        """Return what a known node says of itself, without demands, links and lifetime."""
        table, columns = _OWN[kind]
        return given_in(columns, self._columns[table][self.rosters[kind].slots[name]])

    def demand(self, user: str, provider: str) -> dict[str, Any]:
        """Return what a known user demands of a known provider; {} for nothing."""
        n, m = self.rosters[PROVIDER].slots[provider], self.rosters[USER].slots[user]
        return given_in(DEMAND_COLUMNS, self._columns["demands"][n, m])

    def document(self, kind: NodeKind, name: str) -> dict[str, Any]:
        """Return what a node said last, of the form of a complete report, active or not.

        Raises:
            Refused: no node of that name is known.
        """
        roster = self.rosters[kind]
        slot = roster.slots.get(name)
        if slot is None:
            raise Refused(ProblemKind.NOT_FOUND, f"No {Owner(kind, name)} is registered.")
        document = self.given(kind, name)
        lifetime = roster.lifetime(slot)
        if lifetime is not None:
            document["lifetime_s"] = lifetime
        if kind is USER:
            providers = self.rosters[PROVIDER]
            asked = self._columns["demands"][: len(providers.names), slot, _INPUT_TOKENS]
            names = sorted(providers.names[n] for n in np.flatnonzero(~np.isnan(asked)))
            document["demands"] = {provider: self.demand(name, provider) for provider in names}
        return document

    def links(self, provider: str) -> dict[str, float]:
        """Return the signal-to-noise ratios that a provider reported, dB by user, by name.

        Raises:
            Refused: no provider of that name is known.
        """
        slot = self.rosters[PROVIDER].slots.get(provider)
        if slot is None:
            raise Refused(ProblemKind.NOT_FOUND, f"No {Owner(PROVIDER, provider)} is registered.")
        users = self.rosters[USER].names
        ratios = self._columns["snr_db"][slot, : len(users)]
        found = np.flatnonzero(~np.isnan(ratios))
        return dict(sorted((users[m], float(ratios[m])) for m in found))

    def node(self, kind: NodeKind, name: str) -> NodeState | None:
        """Return where a node stands, or None if none of that name is known."""
        return self.rosters[kind].state(name, self.node_lifetime_s)

    def nodes(
        self, kind: NodeKind, *, search: str = "", active: bool | None = None, after: str = ""
    ) -> Iterator[NodeState]:
        """Yield the known nodes of one side by name, from the first that is above ``after``.

        Args:
            kind: side of the market.
            search: part that names must contain, in any case.
            active: only those that are active, or only those that are not.
            after: a name.

        """
        wanted = search.lower()
        for name in self.rosters[kind].names_after(after):
            if wanted in name.lower():
                state = self.node(kind, name)
                if state is not None and active in (None, state.active):
                    yield state

    def contents(self) -> RegistryContents:
        """Return a copy of all that is held."""
        names = {kind: tuple(roster.names) for kind, roster in self.rosters.items()}
        departed = {kind: dict(roster.departed) for kind, roster in self.rosters.items()}
        arrays = self._columns.used({kind: len(names[kind]) for kind in NodeKind})
        return RegistryContents(self.position, self.received_at, names, departed, arrays)

    def fill(self, contents: RegistryContents) -> None:
        """Hold what a registry held before, and nothing else.

        Raises:
            ValueError: arrays that do not fit the names or this version.
        """
        self._empty()
        self._set_position(contents.position, contents.received_at)
        slots = {kind: len(contents.names[kind]) for kind in NodeKind}
        self._columns.fill(slots, contents.arrays)
        for kind, roster in self.rosters.items():
            roster.fill(contents.names[kind], contents.departed[kind])

    def _put(self, entry: Entry, roster: Roster) -> int:
        slot, joined = roster.join(entry.node)
        table, columns = _OWN[entry.node_kind]
        self._columns.write(table, slot, row_of(columns, entry.body))
        roster.set_lifetime(slot, entry.body.get("lifetime_s"))
        if entry.node_kind is USER:
            providers = self.rosters[PROVIDER]
            demands = np.full((len(providers.names), len(DEMAND_COLUMNS)), np.nan)
            for provider, demand in entry.body.get("demands", {}).items():
                demands[providers.slots[provider]] = row_of(DEMAND_COLUMNS, demand)
            self._columns.write("demands", (slice(len(demands)), slot), demands)
        elif joined:
            self._columns.write("snr_db", slot, np.nan)
        return slot

    def _patch(self, entry: Entry, roster: Roster, slot: int) -> None:
        body = entry.body
        table, columns = _OWN[entry.node_kind]
        if not body.keys().isdisjoint(columns):
            given = patched(self.given(entry.node_kind, entry.node), body)
            self._columns.write(table, slot, row_of(columns, given))
        if "lifetime_s" in body:
            roster.set_lifetime(slot, body["lifetime_s"])
        for provider, patch in (body.get("demands") or {}).items():
            demand = {} if patch is None else patched(self.demand(entry.node, provider), patch)
            row = self.rosters[PROVIDER].slots[provider]
            self._columns.write("demands", (row, slot), row_of(DEMAND_COLUMNS, demand))

    def _link(self, entry: Entry, slot: int) -> None:
        users = self.rosters[USER].slots
        columns = [users[name] for name in entry.body]
        ratios = [np.nan if value is None else value for value in entry.body.values()]
        self._columns.write("snr_db", (slot, columns), ratios)

    def _wipe(self, kind: NodeKind, slot: int) -> None:
        index = (slot,) if kind is PROVIDER else (slice(None), slot)
        for name in ("demands", "snr_db"):
            self._columns.write(name, index, np.nan)

    def _set_position(self, position: int, received_at: datetime | None) -> None:
        self.position, self.received_at = position, received_at


def _apart(names: tuple[str, ...], table: Array) -> dict[str, Array]:
    """Return the columns of a table by name, each in memory of its own."""
    return {name: np.ascontiguousarray(table[..., k]) for k, name in enumerate(names)}
