"""Entries that are stored in one transaction: keys looked up, reports checked and applied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import Entry, EntryKind, NewEntry, Receipt
from qoex.agent.reports.nodes import Owner
from qoex.agent.state.registry import Registry
from qoex.agent.storage import EntryKey, KnownKey
from qoex.wire.names import AGENT_KEY_PREFIX

# Entries between two breaks for others who wait for the event loop: a few milliseconds.
SLICE = 100

Amend = Callable[[NewEntry], Mapping[str, Any]]


class EntryBatch:
    """What is taken in before the next transaction; the registry has it applied already.

    Attributes:
        entries: to be stored, in order.
    """

    def __init__(
        self, registry: Registry, known: Mapping[EntryKey, KnownKey], amend: Amend
    ) -> None:
        """Begin one.

        Args:
            registry: where the last transaction left it.
            known: what became of keys that were stored before.
            amend: gives the body that is logged for an entry.

        """
        self.entries: list[Entry] = []
        self._registry = registry
        self._amend = amend
        self._known: dict[EntryKey, KnownKey | Entry] = dict(known)

    async def take(self, entries: Sequence[NewEntry], now: datetime) -> list[Receipt]:
        """Apply entries, all or none, and return their receipts in the same order.

        Raises:
            Refused: one of them cannot be accepted; of several it says which.
        """
        first = len(self.entries)
        receipts: list[Receipt] = []
        try:
            with self._registry.all_or_nothing():
                for entry in entries:
                    receipts.append(self._take_one(entry, now))
                    if len(receipts) % SLICE == 0:
                        await asyncio.sleep(0)
        except BaseException as error:
            for taken in self.entries[first:]:
                del self._known[taken.node_kind, taken.node, taken.key]
            del self.entries[first:]
            if isinstance(error, Refused) and len(entries) > 1:
                raise error.within(f"line {len(receipts) + 1}") from None
            raise
        return receipts

    async def expire(self, owners: Sequence[Owner], now: datetime) -> None:
        """Let nodes expire; they have to be active."""
        with self._registry.all_or_nothing():
            for place, owner in enumerate(owners):
                key = f"{AGENT_KEY_PREFIX}{self._registry.position + 1}"
                self._apply(NewEntry(owner.kind, owner.name, EntryKind.EXPIRE, key, {}), now)
                if place % SLICE == SLICE - 1:
                    await asyncio.sleep(0)

    def _take_one(self, new: NewEntry, now: datetime) -> Receipt:
        key = new.node_kind, new.node, new.key
        known = self._known.get(key)
        if known is not None:
            if known.content_hash != new.content_hash():
                raise Refused(
                    ProblemKind.KEY_REUSED,
                    f"The key {new.key!r} of {Owner(new.node_kind, new.node)} was used before, "
                    f"for other content, by entry {known.seq}.",
                )
            return Receipt(known.seq, known.received_at, replayed=True)
        entry = self._apply(new, now)
        self._known[key] = entry
        return Receipt(entry.seq, entry.received_at, replayed=False)

    def _apply(self, new: NewEntry, now: datetime) -> Entry:
        entry = Entry(
            seq=self._registry.position + 1,
            received_at=now,
            content_hash=new.content_hash(),
            node_kind=new.node_kind,
            node=new.node,
            kind=new.kind,
            key=new.key,
            body=self._amend(new),
        )
        self._registry.check(entry)
        self._registry.apply(entry)
        self.entries.append(entry)
        return entry
