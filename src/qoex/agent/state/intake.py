"""The single writer: everything that changes the state of the market passes it, in one order.

Reports that wait are stored together, one transaction for all of them, and acknowledged only when
they are on the disk. Cycles are stored in the same order, behind the entries they stand on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import (
    CycleRecord,
    CycleResult,
    EntryKind,
    NewEntry,
    Receipt,
)
from qoex.agent.reports.nodes import Owner
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.state.ledger import Billing, Decision, Ledger
from qoex.agent.state.recovery import DecisionOf, InForce
from qoex.agent.state.registry import Registry
from qoex.agent.state.state import State
from qoex.agent.state.transactions import (
    RETRY_S,
    Commit,
    Item,
    Snap,
    Submission,
    Transactions,
    not_stored,
    refuse_all,
)
from qoex.agent.storage import Store
from qoex.wire.names import AGENT_KEY_PREFIX

T = TypeVar("T")

# Entries that are stored together at most, but for those of one request, which stay together.
BATCH = 2_000
# Entries that may wait; beyond it, whoever comes is to come again.
MOST_WAITING = 50_000

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0

_log = logging.getLogger(__name__)


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
        self._transactions = Transactions(store, self._state, clock)
        self.counts = self._transactions.counts
        self._queue: deque[Item] = deque()
        self._waiting = 0
        self._something = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

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
                    ProblemKind.INVALID_REPORT,
                    f"The key {entry.key!r} of {Owner(entry.node_kind, entry.node)} is the agent's "
                    f"own: a client's must not start with {AGENT_KEY_PREFIX!r}.",
                )
        self._require_open()
        if self._waiting and self._waiting + len(entries) > MOST_WAITING:
            raise Refused(
                ProblemKind.TOO_MANY_REQUESTS,
                f"{self._waiting} reports are waiting to be stored; send this one again later.",
                retry_after=RETRY_S,
            )
        done: asyncio.Future[list[Receipt]] = asyncio.get_running_loop().create_future()
        return await self._enqueue(Submission(entries, done), done, len(entries))

    async def snapshot(self) -> Snapshot:
        """Let nodes expire that are due, and return what the active ones said, all of it stored.

        Raises:
            Refused: that nodes expired could not be stored, or the intake is stopping.
        """
        self._require_open()
        done: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        return await self._enqueue(Snap(done), done, 0)

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
                raise not_stored(f"Cycle {record.number}") from error
        self._require_open()
        done: asyncio.Future[CycleRecord] = asyncio.get_running_loop().create_future()
        return await self._enqueue(Commit(record, decision, done), done, 0)

    def _require_open(self) -> None:
        if self._stopping:
            raise Refused(ProblemKind.STOPPING, "The agent is stopping.", retry_after=RETRY_S)
        if not self.healthy:
            raise not_stored("The report")

    async def _enqueue(self, item: Item, done: asyncio.Future[T], entries: int) -> T:
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
            items: Sequence[Item] = self._next_submissions() or [self._queue.popleft()]
            try:
                await self._work_on(items)
            except Exception:
                # What is in memory may not be what is stored.
                _log.exception("a transaction failed; what is stored is read back")
                refuse_all(items)
                await self._rebuild()
            else:
                self._state.checkpoint_if_due()

    async def _work_on(self, items: Sequence[Item]) -> None:
        """Do what the first items of the queue want; several are submissions, all of them."""
        first = items[0]
        if isinstance(first, Commit):
            await self._transactions.store_cycle(first)
        elif isinstance(first, Snap):
            await self._transactions.take_snapshot(first)
        else:
            submissions = [item for item in items if isinstance(item, Submission)]
            await self._transactions.store_submissions(submissions)

    def _next_submissions(self) -> list[Submission]:
        """Take those from the queue's front that are stored together."""
        chosen: list[Submission] = []
        count = 0
        while self._queue and isinstance(item := self._queue[0], Submission):
            count += len(item.entries)
            if chosen and count > BATCH:
                break
            chosen.append(item)
            self._queue.popleft()
        return chosen

    async def _recover(self) -> None:
        await self._state.recover()
        self._transactions.rebuilt = self.registry.position, self._clock()
        self.healthy = True

    async def _rebuild(self) -> None:
        """Read back what is stored, however long it takes; refuse what waits."""
        self.healthy = False
        self.counts.failures += 1
        refuse_all(self._queue)
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


def _require_whole(record: CycleRecord, payload: bytes | None, decision: Decision | None) -> None:
    parts = (record.membership, record.payload, record.digest, payload, decision)
    decided = record.result is CycleResult.DECIDED
    if any((part is not None) != decided for part in parts):
        raise ValueError(f"cycle {record.number} is {record.result}, but has parts that are not")
    if decided and record.in_force != record.number:
        raise ValueError(f"cycle {record.number} is decided, but {record.in_force} is in force")
