"""What one transaction of the intake does: store reports, let nodes expire, store a cycle.

Entries are applied to the registry first and stored then; where storing fails, whoever called reads
the state back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleRecord, EntryKind, NewEntry, Receipt
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.state.batch import SLICE, EntryBatch
from qoex.agent.state.ledger import Decision
from qoex.agent.state.recovery import InForce, charged_summary
from qoex.agent.state.state import State
from qoex.agent.storage import AlreadyStoredError, EntryKey, KnownKey, Store

RETRY_S = 1.0

# Of more entries than so many it is cheaper to look up their keys than to take them in a second
# time.
_FEW = 500

_log = logging.getLogger(__name__)


@dataclass
class IntakeCounts:
    """What the intake did since it started."""

    accepted: int = 0
    replayed: int = 0
    refused: int = 0
    expired: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Submission:
    """Entries that are stored all or none, and who waits for their receipts."""

    entries: Sequence[NewEntry]
    done: asyncio.Future[list[Receipt]]


@dataclass(frozen=True, slots=True)
class Commit:
    """A cycle to be stored, and who waits for its record."""

    record: CycleRecord
    decision: Decision | None
    done: asyncio.Future[CycleRecord]


@dataclass(frozen=True, slots=True)
class Snap:
    """Who waits for a snapshot."""

    done: asyncio.Future[Snapshot]


Item = Submission | Commit | Snap


class Transactions:
    """Changes the state and the store together, one transaction after the other.

    Attributes:
        counts: what was done since the start.
        rebuilt: position of the log when the state was read back last, and when that was.
    """

    def __init__(self, store: Store, state: State, clock: Callable[[], datetime]) -> None:
        self.counts = IntakeCounts()
        self.rebuilt = (0, datetime.min.replace(tzinfo=UTC))
        self._store = store
        self._state = state
        self._clock = clock

    async def store_submissions(self, waiting: Sequence[Submission]) -> None:
        """Store what can be accepted, and answer all.

        Nearly every key is new, and the log itself takes none twice. So keys are looked up only
        where something would be refused, for it may have been accepted before; or where the log
        objects.
        """
        submissions = [item for item in waiting if not item.done.done()]  # the rest gave up
        if sum(len(item.entries) for item in submissions) <= _FEW:
            try:
                with self._state.registry.all_or_nothing():
                    wrong = await self._store_new(submissions, {})
            except AlreadyStoredError:
                pass
            else:
                submissions = [item for item, _ in wrong]
        if not submissions:
            return
        keys = {(e.node_kind, e.node, e.key) for item in submissions for e in item.entries}
        try:
            known = await self._store.find_keys(keys)
        except Exception:
            _log.exception("keys could not be looked up")
            refuse_all(submissions)
            return
        for item, error in await self._store_new(submissions, known):
            if not isinstance(error, Refused):
                _log.error("a report could not be taken in", exc_info=error)
            self.counts.refused += len(item.entries)
            fail(item.done, error)

    async def _store_new(
        self, submissions: Sequence[Submission], known: Mapping[EntryKey, KnownKey]
    ) -> list[tuple[Submission, Exception]]:
        """Store and answer what can be accepted; return the rest, with what is wrong with it."""
        batch = EntryBatch(self._state.registry, known, self._state.amended)
        answers: list[tuple[Submission, list[Receipt]]] = []
        wrong: list[tuple[Submission, Exception]] = []
        for number, item in enumerate(submissions, 1):
            try:
                answers.append((item, await batch.take(item.entries, self._now())))
            except Exception as error:
                wrong.append((item, error))  # whatever it was, it was taken back
            if number % SLICE == 0:
                await asyncio.sleep(0)
        await self._append(batch)
        for item, receipts in answers:
            self.counts.replayed += sum(receipt.replayed for receipt in receipts)
            if not item.done.done():
                item.done.set_result(receipts)
        self.counts.accepted += len(batch.entries)
        return wrong

    async def _append(self, batch: EntryBatch) -> None:
        """Store a batch and charge what it says was served."""
        if not batch.entries:
            return
        await self._store.append(batch.entries)
        for entry in batch.entries:
            if entry.kind is EntryKind.SERVED:
                self._state.ledger.charge_served(entry)

    async def take_snapshot(self, item: Snap) -> None:
        """Let nodes expire that are due, and answer with what the active ones said."""
        batch = EntryBatch(self._state.registry, {}, self._state.amended)
        now = self._now()
        await batch.expire(self._state.registry.due(now), now)
        await self._append(batch)
        self.counts.expired += len(batch.entries)
        if not item.done.done():
            item.done.set_result(self._state.registry.snapshot(now))

    async def store_cycle(self, item: Commit) -> None:
        """Store and charge a cycle, unless entries that it stands on were lost since."""
        record = item.record
        position, moment = self.rebuilt
        if record.position > position and record.snapshot_at < moment:
            fail(item.done, not_stored(f"The entries that cycle {record.number} stands on"))
            return
        in_force = self._state.in_force
        if item.decision is not None:
            in_force = InForce(record.number, item.decision)
        try:
            charge = self._state.charge(in_force)
        except ValueError as error:
            fail(item.done, error)
            return
        charged = None if charge is None else charged_summary(charge, self._state.registry.position)
        record = replace(record, summary={**record.summary, "charged": charged})
        await self._store.commit_cycle(record)
        self._state.ledger.charge_cycle(record.number, charge)
        self._state.in_force = in_force
        if not item.done.done():
            item.done.set_result(record)

    def _now(self) -> datetime:
        """Return the time, never before that of the last entry."""
        now, last = self._clock(), self._state.registry.received_at
        return now if last is None else max(now, last)


def not_stored(what: str) -> Refused:
    """Return the refusal of what could not be stored."""
    detail = f"{what} could not be stored. What is sent again with its key counts once."
    return Refused(ProblemKind.STORAGE_FAILED, detail, retry_after=RETRY_S)


def fail(done: asyncio.Future[Any], error: Exception) -> None:
    """Answer whoever still waits with an error."""
    if not done.done():
        done.set_exception(error)


def refuse_all(items: Iterable[Item]) -> None:
    """Answer all with the refusal of what could not be stored."""
    for item in items:
        fail(item.done, not_stored("What was sent"))
