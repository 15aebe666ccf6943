"""Past cycles computed again from the log, and compared with what was stored, to the last bit.

A cycle is a function of the log up to its position, of the decision it started from, and of the
demands it turned away. The first two are read back; the third is taken from its record, for the
search that chose them may have been ended by a clock. It is computed by the same process as then.
Threads do not matter, but the processor and the versions of qoex and of the libraries below it may:
compilers arrange sums differently for others.

A kept cycle is computed again where its reason follows from the log: the market was empty, could
not be served, was not solved, or not certified. A deadline and a failed process do not come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from qoex.agent.cycle.history import Decided, History
from qoex.agent.errors import Refused
from qoex.agent.reports.entries import CycleRecord, CycleResult
from qoex.agent.reports.kept import CycleEnding
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.recording import VERSION
from qoex.agent.solving.task import CycleOutcome, Start, Task
from qoex.agent.solving.worker import Worker
from qoex.agent.state.recovery import DamagedLogError, recover_registry
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store
from qoex.errors import InvalidInputError
from qoex.model.market import FloatArray

_AT_A_TIME = 100
# Nobody waits for a decision; what takes longer than this will never end.
_LONGEST_S = 3_600.0


class Sameness(StrEnum):
    """What came of computing a cycle again."""

    SAME = "same"  # to the last bit, or kept for the same reason
    DIFFERENT = "different"
    NOT_RECOMPUTED = "not-recomputed"  # kept for a reason that does not follow from the log


@dataclass(frozen=True)
class Replayed:
    """One cycle, computed again.

    Attributes:
        cycle: its number.
        result: how it ended when it ran.
        sameness: whether it ends so again.
        detail: what differs, or why it was not computed again; "" if it is the same.
    """

    cycle: int
    result: CycleResult
    sameness: Sameness
    detail: str = ""


async def replay(
    store: Store,
    worker: Worker,
    first: int = 1,
    last: int | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> AsyncIterator[Replayed]:
    """Compute cycles again, in order.

    Args:
        store: opened; an agent may be running on it.
        worker: computes them; the caller stops it.
        first: number of the first cycle.
        last: number of the last; all that there are by now if not given.
        progress: called with how many are done, of how many.

    Raises:
        InvalidInputError: there are no such cycles.
        DamagedLogError: the log has a gap, or a cycle's allocation is not stored.
        StorageError: the store cannot be read.
    """
    newest = await store.last_cycle()
    end = newest if last is None else last
    if newest == 0:
        raise InvalidInputError(f"{store.address.name} holds no cycle")
    if not 1 <= first <= end <= newest:
        asked = (
            f"is no cycle {first}" if last in (None, first) else f"are no cycles {first} to {last}"
        )
        raise InvalidInputError(f"there {asked}; the database holds 1 to {newest}")
    again = _Again(store, worker)
    number = first - 1
    if progress is not None:
        progress(0, end - number)
    while number < end:
        limit = min(_AT_A_TIME, end - number)
        for record in await store.cycles(after=number, limit=limit):
            if record.number != number + 1:
                raise DamagedLogError(f"cycle {number + 1} is missing")
            number = record.number
            yield await again.computed(record)
            if progress is not None:
                progress(number - first + 1, end - first + 1)


class _Again:
    """Goes through the log once, from cycle to cycle."""

    def __init__(self, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._history = History(store)
        self._registry: Registry | None = None

    async def computed(self, record: CycleRecord) -> Replayed:
        """Compute a cycle again; its number is larger than that of the one before."""
        if not record.ending.is_reproducible:
            detail = f"it was kept for a reason that the log does not hold ({record.reason})"
            return Replayed(record.number, record.result, Sameness.NOT_RECOMPUTED, detail)
        start: Start | None = None
        if record.start_cycle is not None:
            start = (await self._stored(record.start_cycle)).start()
        registry = await self._registry_at(record.position)
        snapshot = registry.snapshot(record.snapshot_at)
        task = Task(snapshot, start=start, dropped=record.dropped)
        outcome = await self._worker.run(task, _LONGEST_S)
        stored: Decided | None = None
        if record.ending is CycleEnding.DECIDED:
            stored = await self._stored(record.number)
        detail = await asyncio.to_thread(_difference, record, outcome, stored)
        sameness = Sameness.DIFFERENT if detail else Sameness.SAME
        return Replayed(record.number, record.result, sameness, detail)

    async def _registry_at(self, position: int) -> Registry:
        if self._registry is None:
            self._registry = Registry()
            await recover_registry(self._store, self._registry, position)
            return self._registry
        after = self._registry.position
        async for entry in self._store.entries(after=after, up_to=position):
            self._registry.apply(entry)
        if self._registry.position != position:
            raise DamagedLogError(f"the log holds no entry {position} after {after}")
        return self._registry

    async def _stored(self, cycle: int) -> Decided:
        try:
            return await self._history.decided(cycle)
        except Refused as refused:
            raise DamagedLogError(refused.detail) from None


def _difference(record: CycleRecord, outcome: CycleOutcome, stored: Decided | None) -> str:
    """Say what differs between a cycle and its repetition; "" if nothing does."""
    if outcome.ending is not record.ending:
        why = f" ({outcome.sentence})" if outcome.sentence else ""
        return f"it was {record.ending}, and is {outcome.ending} now{why}{_other_version(record)}"
    if stored is None:
        return ""
    if stored.allocation.encoded().digest != record.digest:
        return "what is stored of its allocation is not what was decided"
    if outcome.digest == record.digest:
        return ""
    assert outcome.payload is not None
    now = CertifiedAllocation.decoded(
        outcome.payload, stored.allocation.provider_names, stored.allocation.user_names
    )
    return _numbers(stored.allocation, now) + _other_version(record)


def _numbers(then: CertifiedAllocation, now: CertifiedAllocation) -> str:
    if not np.array_equal(then.present, now.present):
        return "other pairs are in the market now"
    largest = max(
        _relative(then.rewards, now.rewards),
        _relative(then.compute, now.compute),
        _relative(then.bandwidth, now.bandwidth),
        _relative(then.qoe, now.qoe),
    )
    if largest == 0.0:
        return "the allocation is the same, but not all that was found out about it"
    return f"rewards or allocations differ by up to {largest:.2g} of the largest of their kind"


def _relative(then: FloatArray, now: FloatArray) -> float:
    scale = float(np.abs(then).max())
    return float(np.abs(then - now).max()) / scale if scale > 0.0 else 0.0


def _other_version(record: CycleRecord) -> str:
    if record.version == VERSION:
        return ""
    return f"; it was computed by qoex {record.version}, and now by {VERSION}"
