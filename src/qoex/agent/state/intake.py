"""The single writer: everything that changes the state of the market passes it, in one order.

Reports that wait are stored together, one transaction for all of them, and acknowledged only when
they are on the disk. Cycles are stored in the same order, behind the entries they stand on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from qoex.agent.errors import Problem, Refused
from qoex.agent.reports.entries import (
    CycleRecord,
    CycleResult,
    EntryKind,
    NewEntry,
    Receipt,
)
from qoex.agent.reports.nodes import AGENT_KEY_PREFIX, Owner
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.state.batch import SLICE, Batch
from qoex.agent.state.ledger import Billing, Decision, Ledger
from qoex.agent.state.recovery import DecisionOf, InForce, charged_summary
from qoex.agent.state.registry import Registry
from qoex.agent.state.state import State
from qoex.agent.storage import AlreadyStoredError, EntryKey, KnownKey, Store

T = TypeVar("T")

# Entries that are stored together at most, but for those of one request, which stay together.
BATCH = 2_000
# Of more than so many it is cheaper to look up their keys than to take them in a second time.
_FEW = 500
# Entries that may wait; beyond it, whoever comes is to come again.
MOST_WAITING = 50_000

_RETRY_S = 1.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0

_log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What the intake did since it started."""

    accepted: int = 0
    replayed: int = 0
    refused: int = 0
    expired: int = 0
    transactions: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Submission:
    entries: Sequence[NewEntry]
    done: asyncio.Future[list[Receipt]]


@dataclass(frozen=True, slots=True)
class _Commit:
    record: CycleRecord
    decision: Decision | None
    done: asyncio.Future[CycleRecord]


@dataclass(frozen=True, slots=True)
class _Snap:
    done: asyncio.Future[Snapshot]


_Item = _Submission | _Commit | _Snap


def utc_now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


class Intake:
    """The one way into the log, and the keeper of what the log makes.

    Registry and ledger are read from elsewhere, but changed here only. A reader may see entries
    of a transaction under way; a snapshot from here never holds one.

    Attributes:
        healthy: false while the state is read back after a transaction failed.
        counts: what was done since the start.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        decision_of: DecisionOf,
        *,
        billing: str = Billing.CYCLE,
        checkpoint_every: int = 20_000,
        checkpoint_cycles: int = 60,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Make an intake that has not started.

        Args:
            store: opened.
            registry: empty, with its settings.
            decision_of: reads the decision of a cycle back from the store.
            billing: what users are charged for.
            checkpoint_every: entries from one checkpoint to the next.
            checkpoint_cycles: cycles from one checkpoint to the next.
            clock: gives the time, UTC.

        """
        self.healthy = False
        self.counts = Counts()
        self._store = store
        self._state = State(
            store,
            registry,
            decision_of,
            billing=Billing(billing),
            checkpoint_every=checkpoint_every,
            checkpoint_cycles=checkpoint_cycles,
        )
        self._clock = clock
        self._queue: deque[_Item] = deque()
        self._waiting = 0
        self._something = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._rebuilt = (0, datetime.min.replace(tzinfo=UTC))

    async def start(self) -> None:
        """Read back what is stored, and take entries from now on.

        Raises:
            StorageError: the store cannot be read.
            DamagedLogError: it cannot be what an agent wrote.
        """
        await self._recover()
        self._task = asyncio.create_task(self._run(), name="intake")

    async def stop(self) -> None:
        """Refuse what comes from now on, finish what waits, and store a checkpoint."""
        self._stopping = True
        self._something.set()
        if self._task is not None:
            await self._task
            self._task = None
        if self.healthy:
            await self._state.last_checkpoint()
        self.healthy = False

    @property
    def registry(self) -> Registry:
        """What the nodes said; the same object for good."""
        return self._state.registry

    @property
    def ledger(self) -> Ledger:
        """What users owe; the same object for good."""
        return self._state.ledger

    @property
    def waiting(self) -> int:
        """Entries that are neither stored nor refused yet."""
        return self._waiting

    @property
    def in_force(self) -> InForce | None:
        """The decision in force, with the number of its cycle."""
        return self._state.in_force

    async def submit(self, entries: Sequence[NewEntry]) -> list[Receipt]:
        """Store entries, all or none, and return their receipts in the same order.

        Each entry sees what those before it did.

        Raises:
            Refused: one of them cannot be accepted, or they could not be stored.
        """
        for entry in entries:
            if entry.kind is EntryKind.EXPIRE or entry.key.startswith(AGENT_KEY_PREFIX):
                raise Refused(
                    Problem.INVALID_REPORT,
                    f"The key {entry.key!r} of {Owner(entry.node_kind, entry.node)} is the agent's "
                    f"own: a client's must not start with {AGENT_KEY_PREFIX!r}.",
                )
        self._require_open()
        if self._waiting and self._waiting + len(entries) > MOST_WAITING:
            raise Refused(
                Problem.TOO_MANY_REQUESTS,
                f"{self._waiting} reports are waiting to be stored; send this one again later.",
                retry_after=_RETRY_S,
            )
        done: asyncio.Future[list[Receipt]] = asyncio.get_running_loop().create_future()
        return await self._enqueue(_Submission(entries, done), done, len(entries))

    async def snapshot(self) -> Snapshot:
        """Let nodes expire that are due, and return what the active ones said, all of it stored.

        Raises:
            Refused: that nodes expired could not be stored, or the intake is stopping.
        """
        self._require_open()
        done: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        return await self._enqueue(_Snap(done), done, 0)

    async def commit_cycle(
        self,
        record: CycleRecord,
        *,
        payload: bytes | None = None,
        decision: Decision | None = None,
    ) -> CycleRecord:
        """Store a cycle, charge it, and return its record as it is stored.

        The summary gets a field ``charged``: how many entries had been taken in and what all users
        pay together, or None where a cycle charges nothing.

        Args:
            record: of the next cycle; its payload and membership are names under which the
                rest is stored.
            payload: bytes of its allocation, if it is decided.
            decision: the same, as arrays.

        Raises:
            Refused: it could not be stored, or stood on entries that could not.
            ValueError: record, payload and decision do not fit together.
        """
        self._require_open()
        _require_whole(record, payload, decision)
        if payload is not None and decision is not None:
            try:
                await self._store.put_membership(
                    record.membership or "", decision.provider_names, decision.user_names
                )
                await self._store.put_blob(record.payload or "", payload)
            except Exception as error:
                _log.exception("the decision of cycle %d could not be stored", record.number)
                raise _not_stored(f"Cycle {record.number}") from error
        self._require_open()
        done: asyncio.Future[CycleRecord] = asyncio.get_running_loop().create_future()
        return await self._enqueue(_Commit(record, decision, done), done, 0)

    def _require_open(self) -> None:
        if self._stopping:
            raise Refused(Problem.STOPPING, "The agent is stopping.", retry_after=_RETRY_S)
        if not self.healthy:
            raise _not_stored("The report")

    async def _enqueue(self, item: _Item, done: asyncio.Future[T], entries: int) -> T:
        self._queue.append(item)
        self._waiting += entries
        self._something.set()
        try:
            return await done
        finally:
            self._waiting -= entries

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._stopping:
                    return
                self._something.clear()
                await self._something.wait()
                continue
            items: Sequence[_Item] = self._next_submissions() or [self._queue.popleft()]
            try:
                await self._work_on(items)
            except Exception:
                # What is in memory may not be what is stored.
                _log.exception("a transaction failed; what is stored is read back")
                _refuse_all(items)
                await self._rebuild()
            else:
                self._state.checkpoint_if_due()

    async def _work_on(self, items: Sequence[_Item]) -> None:
        """Do what the first items of the queue want; several are submissions, all of them."""
        first = items[0]
        if isinstance(first, _Commit):
            await self._store_cycle(first)
        elif isinstance(first, _Snap):
            await self._take_snapshot(first)
        else:
            await self._store_submissions([i for i in items if isinstance(i, _Submission)])

    def _next_submissions(self) -> list[_Submission]:
        """Take those from the queue's front that are stored together."""
        chosen: list[_Submission] = []
        count = 0
        while self._queue and isinstance(item := self._queue[0], _Submission):
            count += len(item.entries)
            if chosen and count > BATCH:
                break
            chosen.append(item)
            self._queue.popleft()
        return chosen

    async def _store_submissions(self, waiting: Sequence[_Submission]) -> None:
        """Store what can be accepted, and answer all.

        Nearly every key is new, and the log itself takes none twice. So keys are looked up only
        where something would be refused, for it may have been accepted before; or where the log
        objects.
        """
        submissions = [item for item in waiting if not item.done.done()]  # the rest gave up
        if sum(len(item.entries) for item in submissions) <= _FEW:
            try:
                with self.registry.all_or_nothing():
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
            _refuse_all(submissions)
            return
        for item, error in await self._store_new(submissions, known):
            if not isinstance(error, Refused):
                _log.error("a report could not be taken in", exc_info=error)
            self.counts.refused += len(item.entries)
            _fail(item.done, error)

    async def _store_new(
        self, submissions: Sequence[_Submission], known: Mapping[EntryKey, KnownKey]
    ) -> list[tuple[_Submission, Exception]]:
        """Store and answer what can be accepted; return the rest, with what is wrong with it."""
        batch = Batch(self.registry, known, self._state.amended)
        answers: list[tuple[_Submission, list[Receipt]]] = []
        wrong: list[tuple[_Submission, Exception]] = []
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

    async def _append(self, batch: Batch) -> None:
        """Store a batch and charge what it says was served."""
        if not batch.entries:
            return
        await self._store.append(batch.entries)
        self.counts.transactions += 1
        for entry in batch.entries:
            if entry.kind is EntryKind.SERVED:
                self.ledger.charge_served(entry)

    async def _take_snapshot(self, item: _Snap) -> None:
        batch = Batch(self.registry, {}, self._state.amended)
        now = self._now()
        await batch.expire(self.registry.due(now), now)
        await self._append(batch)
        self.counts.expired += len(batch.entries)
        if not item.done.done():
            item.done.set_result(self.registry.snapshot(now))

    async def _store_cycle(self, item: _Commit) -> None:
        record = item.record
        position, moment = self._rebuilt
        if record.position > position and record.snapshot_at < moment:
            _fail(item.done, _not_stored(f"The entries that cycle {record.number} stands on"))
            return
        in_force = self._state.in_force
        if item.decision is not None:
            in_force = InForce(record.number, item.decision)
        try:
            charge = self._state.charge(in_force)
        except ValueError as error:
            _fail(item.done, error)
            return
        charged = None if charge is None else charged_summary(charge, self.registry.position)
        record = replace(record, summary={**record.summary, "charged": charged})
        await self._store.commit_cycle(record)
        self.ledger.charge_cycle(record.number, charge)
        self._state.in_force = in_force
        if not item.done.done():
            item.done.set_result(record)

    async def _recover(self) -> None:
        await self._state.recover()
        self._rebuilt = self.registry.position, self._clock()
        self.healthy = True

    async def _rebuild(self) -> None:
        """Read back what is stored, however long it takes; refuse what waits."""
        self.healthy = False
        self.counts.failures += 1
        _refuse_all(self._queue)
        self._queue.clear()
        pause = _FIRST_PAUSE_S
        while not self.healthy:
            try:
                await self._recover()
            except Exception:
                _log.exception("what is stored cannot be read back")
                if self._stopping:
                    return
                await asyncio.sleep(pause)
                pause = min(2.0 * pause, _LONGEST_PAUSE_S)

    def _now(self) -> datetime:
        """Return the time, never before that of the last entry."""
        now, last = self._clock(), self.registry.received_at
        return now if last is None else max(now, last)


def _require_whole(record: CycleRecord, payload: bytes | None, decision: Decision | None) -> None:
    parts = (record.membership, record.payload, record.digest, payload, decision)
    decided = record.result is CycleResult.DECIDED
    if any((part is not None) != decided for part in parts):
        raise ValueError(f"cycle {record.number} is {record.result}, but has parts that are not")
    if decided and record.in_force != record.number:
        raise ValueError(f"cycle {record.number} is decided, but {record.in_force} is in force")


def _not_stored(what: str) -> Refused:
    detail = f"{what} could not be stored. What is sent again with its key counts once."
    return Refused(Problem.STORAGE_FAILED, detail, retry_after=_RETRY_S)


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _refuse_all(items: Iterable[_Item]) -> None:
    for item in items:
        _fail(item.done, _not_stored("What was sent"))
