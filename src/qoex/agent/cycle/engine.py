"""The engine: at every tick, or when asked to, from what the nodes said to a decision in force.

Snapshot (due nodes expire) → admit → solve → certify → commit → publish. Whatever goes wrong on the
way, the last good decision stays in force, and the cycle's record says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from qoex.agent.cycle.history import Decided, History
from qoex.agent.cycle.publishing import Published, Publisher, Subscription
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleRecord
from qoex.agent.reports.kept import Cause, CycleEnding
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.recording import cycle_record, with_durations
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.solving.task import AdmissionObjective, AdmissionRule, CycleOutcome, Task
from qoex.agent.solving.worker import Worker, not_ready
from qoex.agent.state.intake import Intake, utc_now
from qoex.agent.storage import Store

_log = logging.getLogger(__name__)

# Of a cycle's deadline, what the search for demands to turn away may take.
_ADMISSION_SHARE = 0.5

DEFAULT_UNREAD = 64


@dataclass(frozen=True)
class CycleSettings:
    """When cycles run, and what they may do.

    Attributes:
        cycle_s: seconds from one tick to the next; None for cycles on demand only.
        deadline_s: seconds after which a cycle is given up.
        admit_by: which demands to turn away where not all can be served.
        admission_most: share of the demands that may be turned away.
    """

    cycle_s: float | None = 5.0
    deadline_s: float = 30.0
    admit_by: AdmissionObjective = AdmissionObjective.VALUE
    admission_most: float = 0.5


@dataclass
class CycleCounts:
    """What the engine did since it started."""

    decided: int = 0
    kept: dict[CycleEnding, int] = field(default_factory=dict)
    failed: int = 0  # not even recorded, for the store did not take it


class Engine:
    """Runs cycles, one at a time.

    Attributes:
        latest: the last cycle and the decision in force after it; None before the first cycle of
            a database.
        counts: what was done since the start.
        publisher: gives cycles to those who listen.
        settings: when cycles run, and what they may do; read anew at every cycle.
    """

    def __init__(
        self,
        intake: Intake,
        store: Store,
        history: History,
        worker: Worker,
        settings: CycleSettings | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Make an engine that has not started.

        Args:
            intake: started before the engine is.
            store: opened.
            history: of the same store.
            worker: started as early as possible; the engine stops it.
            settings: when cycles run, and what they may do.
            clock: gives the time, UTC.
        """
        self.latest: Published | None = None
        self.counts = CycleCounts()
        self.publisher = Publisher()
        self._intake = intake
        self._store = store
        self._history = history
        self._worker = worker
        self.settings = settings or CycleSettings()
        self._clock = clock
        self._waiting: list[asyncio.Future[CycleRecord]] = []
        self._wanted = asyncio.Event()
        self._last_ending: CycleEnding | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up the decision in force, and run cycles from now on.

        Raises:
            DamagedLogError: the decision in force is not stored.
            StorageError: the store cannot be read.
        """
        self._worker.start()
        number = await self._store.last_cycle()
        if number:
            record = await self._history.record(number)
            self.latest = Published(record, await self._decided_in_force())
        self._task = asyncio.create_task(self._run(), name="cycles")

    async def stop(self) -> None:
        """Give up the cycle that is being solved, finish the one that is being stored, and end."""
        self._stopping = True
        self._wanted.set()
        await self._worker.stop()
        if self._task is not None:
            await self._task
            self._task = None
        self.publisher.end()

    async def run_cycle(self) -> CycleRecord:
        """Run a cycle that begins from now on, and return its record.

        Raises:
            Refused: the cycle could not be stored, or the engine is stopping.
        """
        if self._stopping:
            raise _stopping()
        done: asyncio.Future[CycleRecord] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wanted.set()
        return await done

    def subscribe(self, most: int = DEFAULT_UNREAD) -> Subscription:
        """Return the cycles from now on, for a listener that may fall behind by so many."""
        return self.publisher.subscribe(most)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        # A first cycle that only says that the process is not ready yet would help nobody.
        await self._worker.wait_ready(self.settings.deadline_s)
        tick = loop.time()
        while not self._stopping:
            period = self.settings.cycle_s
            if not self._wanted.is_set():
                pause = None if period is None else max(tick - loop.time(), 0.0)
                await _set_within(self._wanted, pause)
            if period is not None and loop.time() >= tick:
                # Ticks that were missed are not made up for.
                tick += period * (1 + int((loop.time() - tick) / period))
            if not self._stopping:
                self._wanted.clear()
                waiting, self._waiting = self._waiting, []
                await self._answer(waiting)
        _fail(self._waiting, _stopping())

    async def _answer(self, waiting: list[asyncio.Future[CycleRecord]]) -> None:
        """Run a cycle, and tell those who wait for it what came of it."""
        try:
            record = await self._cycle()
        except Exception as error:
            if not self._stopping:
                self.counts.failed += 1
                _log.exception("a cycle could not be recorded")
            _fail(waiting, error)
        else:
            for done in waiting:
                if not done.done():
                    done.set_result(record)

    async def _cycle(self) -> CycleRecord:
        deadline = self.settings.deadline_s
        ready = await self._worker.wait_ready(deadline)
        began = time.perf_counter()
        snapshot = await self._intake.snapshot()
        taken = time.perf_counter() - began
        last = await self._decided_in_force()
        outcome = not_ready(deadline)
        if ready:
            outcome = await self._worker.run(self._task_of(snapshot, last), deadline - taken)
            if outcome.ending is CycleEnding.DEADLINE:  # that of the cycle, not what was left of it
                outcome = replace(outcome, kept=Cause.TOO_LATE.kept(seconds=deadline))
        if self._stopping:
            raise _stopping()
        record = cycle_record(
            self._intake.ledger.cycle + 1,
            snapshot,
            outcome,
            None if last is None else last.record.number,
            max(self._clock(), snapshot.taken_at),
        )
        committing = time.perf_counter()
        decided = await _decided(record, snapshot, outcome)
        durations = {
            **outcome.timings,
            "snapshot": 1e3 * taken + outcome.timings.get("market", 0.0),
        }
        stored = await self._intake.commit_cycle(
            with_durations(record, {**durations, "total": _since(began)}),
            payload=None if decided is None else decided.payload,
            decision=None if decided is None else decided.allocation,
        )
        durations |= {"commit": _since(committing), "total": _since(began)}
        return self._publish(with_durations(stored, durations), outcome, decided, last)

    def _task_of(self, snapshot: Snapshot, last: Decided | None) -> Task:
        settings = self.settings
        return Task(
            snapshot=snapshot,
            start=None if last is None else last.start(),
            admission=AdmissionRule(
                by=settings.admit_by,
                most=settings.admission_most,
                seconds=_ADMISSION_SHARE * settings.deadline_s,
            ),
        )

    async def _decided_in_force(self) -> Decided | None:
        """Return what the intake says is in force: it reads the store back when that failed."""
        in_force = self._intake.in_force
        return None if in_force is None else await self._history.decided(in_force.cycle)

    def _publish(
        self,
        record: CycleRecord,
        outcome: CycleOutcome,
        decided: Decided | None,
        last: Decided | None,
    ) -> CycleRecord:
        before = self._last_ending
        self._last_ending = outcome.ending
        if decided is None:
            self.counts.kept[outcome.ending] = self.counts.kept.get(outcome.ending, 0) + 1
            if outcome.ending is not before:
                _log.warning("cycle %d kept the last decision: %s", record.number, record.reason)
        else:
            self.counts.decided += 1
            decided.record = record
            self._history.remember(decided)
            if before not in (None, CycleEnding.DECIDED):
                _log.info("cycle %d brought a decision again", record.number)
        self.latest = Published(record, decided or last)
        self.publisher.publish(self.latest)
        return record


async def _decided(
    record: CycleRecord, snapshot: Snapshot, outcome: CycleOutcome
) -> Decided | None:
    """Return the decision that an outcome brings; None if it brings none."""
    if outcome.payload is None:
        return None
    names = snapshot.provider_names, snapshot.user_names
    allocation = await asyncio.to_thread(CertifiedAllocation.decoded, outcome.payload, *names)
    return Decided(record, outcome.payload, allocation, snapshot)


async def _set_within(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until the event is set, at most so many seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _fail(waiting: list[asyncio.Future[CycleRecord]], error: Exception) -> None:
    for done in waiting:
        if not done.done():
            done.set_exception(error)


def _since(moment: float) -> float:
    return 1e3 * (time.perf_counter() - moment)


def _stopping() -> Refused:
    return Refused(ProblemKind.STOPPING, "The agent is stopping; no cycle is run any more.")
