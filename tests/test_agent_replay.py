"""Cycles computed again from the log: the same to the last bit, and what differs is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_cycles import LEAVE, PATCH, Agent, InProcessWorker, running
from agent_state import PROVIDER_NAMES, USER, USER_NAMES, formed, reports
from agent_support import anyio_backend  # noqa: F401
from qoex.agent.cycle.engine import CycleSettings
from qoex.agent.cycle.replay import Replayed, Sameness, replay
from qoex.agent.errors import Refused
from qoex.agent.reports.entries import CycleRecord, NewEntry
from qoex.agent.reports.kept import Cause
from qoex.agent.solving import decide as decide_module
from qoex.agent.solving.task import AdmissionObjective, CycleOutcome, Task
from qoex.agent.state.recovery import DamagedLogError
from qoex.agent.storage import Store, schema
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.game.solution import Solution, Status
from qoex.model.market import Market

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


async def again(path: Path, *cycles: int) -> list[Replayed]:
    async with await Store.open(path, exclusive=False, create=False) as store:
        return [item async for item in replay(store, InProcessWorker(), *cycles)]


def samenesses(items: Sequence[Replayed]) -> list[tuple[int, Sameness]]:
    return [(item.cycle, item.sameness) for item in items]


async def eventful(agent: Agent) -> list[CycleRecord]:
    """Cycles of every kind that follows from the log, warm and cold, with and without drops."""
    records = [await agent.engine.run_cycle()]
    await agent.providers("asp-0", "asp-1", compute_capacity=3.0)
    await agent.users([f"mu-{m}" for m in range(5)], "asp-0", "asp-1")
    records.append(await agent.engine.run_cycle())
    agent.clock.advance(7.0)
    await agent.send((USER, "mu-1", PATCH, {"profit_factor": 12.0}))
    records.append(await agent.engine.run_cycle())
    await agent.providers("asp-2", compute_capacity=3.0)  # makes the start a cold one
    await agent.users(["mu-3", "mu-9"], "asp-1", "asp-2")
    records.append(await agent.engine.run_cycle())
    await agent.providers("asp-1", compute_capacity=0.6, bandwidth_capacity=0.6)
    records.append(await agent.engine.run_cycle())
    await agent.providers("asp-1", compute_capacity=1e-3)  # beyond what may be turned away
    await agent.providers("asp-0", compute_capacity=1e-3)
    records.append(await agent.engine.run_cycle())
    agent.clock.advance(995.0)
    await agent.providers("asp-0", "asp-1", compute_capacity=3.0)
    await agent.send((USER, "mu-2", PATCH, {"profit_factor": 11.0}))
    agent.clock.advance(10.0)  # all the others expire
    records.append(await agent.engine.run_cycle())
    await agent.send((USER, "mu-2", LEAVE, {}))
    records.append(await agent.engine.run_cycle())
    return records


SOME = CycleSettings(cycle_s=None, admit_by=AdmissionObjective.COUNT, admission_most=0.4)


async def test_every_kind_of_cycle_is_the_same_to_the_last_bit(path: Path) -> None:
    async with running(path, settings=SOME, checkpoint_every=6) as agent:
        records = await eventful(agent)
        # An agent may be running meanwhile.
        assert samenesses(await again(path)) == [(n, Sameness.SAME) for n in range(1, 9)]
    assert [str(record.result) for record in records] == [
        "kept",
        *["decided"] * 4,
        "kept",
        "decided",
        "kept",
    ]
    assert [record.start_cycle for record in records] == [None, None, 2, None, 4, None, 5, None]
    assert len(records[4].dropped) > 0
    assert samenesses(await again(path, 3, 5)) == [(n, Sameness.SAME) for n in (3, 4, 5)]
    assert samenesses(await again(path, 7, 7)) == [(7, Sameness.SAME)]


async def test_a_database_that_holds_reasons_in_words_only_is_computed_again(path: Path) -> None:
    async with running(path, settings=SOME) as agent:
        await eventful(agent)
        records = await agent.store.cycles()
        await agent.store._writer.run(lambda c: c.run_sync(schema.downgrade, "0001"))
    assert samenesses(await again(path)) == [(n, Sameness.SAME) for n in range(1, 9)]
    async with await Store.open(path) as store:
        read = await store.cycles()
    assert [(item.ending, item.reason) for item in read] == [
        (item.ending, item.reason) for item in records
    ]


async def test_progress_is_told(path: Path) -> None:
    async with running(path) as agent:
        for _ in range(3):
            await agent.engine.run_cycle()
    told: list[tuple[int, int]] = []
    async with await Store.open(path, exclusive=False) as store:
        async for _ in replay(
            store, InProcessWorker(), 2, progress=lambda done, total: told.append((done, total))
        ):
            pass
    assert told == [(0, 2), (1, 2), (2, 2)]


async def test_a_cold_start_after_a_failed_warm_one_is_found_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cold_only(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market, start=start)
        return found if start is None else replace(found, status=Status.STALLED)

    async with running(path) as agent:
        await agent.providers("asp-0", compute_capacity=3.0)
        await agent.users(["mu-0", "mu-1"], "asp-0")
        await agent.engine.run_cycle()
        await agent.users(["mu-2"], "asp-0")
        monkeypatch.setattr(decide_module, "solve", cold_only)
        assert (await agent.engine.run_cycle()).start_cycle is None
        monkeypatch.undo()
    assert samenesses(await again(path)) == [(1, Sameness.SAME), (2, Sameness.SAME)]


async def test_what_does_not_follow_from_the_log_is_not_computed_again(path: Path) -> None:
    class Unlucky(InProcessWorker):
        async def run(self, task: Task, seconds: float) -> CycleOutcome:
            return CycleOutcome(Cause.TOO_LATE.kept(seconds=1.0))

    async with running(path, Unlucky()) as agent:
        await agent.engine.run_cycle()
    (item,) = await again(path)
    assert item.sameness is Sameness.NOT_RECOMPUTED
    assert "deadline: no decision was found within 30 s" in item.detail


async def test_other_bits_are_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(path) as agent:
        await agent.providers("asp-0", compute_capacity=3.0)
        await agent.users([f"mu-{m}" for m in range(4)], "asp-0")
        await agent.engine.run_cycle()
        await agent.engine.run_cycle()

    def elsewhere(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market, start=start)
        return replace(found, rewards=found.rewards * (1 + 2**-52))

    monkeypatch.setattr(decide_module, "solve", elsewhere)
    items = await again(path)
    assert samenesses(items) == [(1, Sameness.DIFFERENT), (2, Sameness.DIFFERENT)]
    assert "differ by up to" in items[0].detail
    monkeypatch.undo()

    def stalled(market: Market, start: Solution | None = None) -> Solution:
        return replace(solve(market, start=start), status=Status.STALLED)

    monkeypatch.setattr(decide_module, "solve", stalled)
    items = await again(path, 2)
    assert samenesses(items) == [(2, Sameness.DIFFERENT)]
    assert "it was decided, and is not-solved now (Not solved: no step" in items[0].detail


async def test_another_version_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoex.agent.solving.recording.VERSION", "0.0.9")
    async with running(path) as agent:
        await agent.providers("asp-0", compute_capacity=3.0)
        await agent.users(["mu-0"], "asp-0")
        await agent.engine.run_cycle()
    monkeypatch.undo()
    assert samenesses(await again(path)) == [(1, Sameness.SAME)]

    def elsewhere(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market, start=start)
        return replace(found, rewards=found.rewards * (1 + 2**-52))

    monkeypatch.setattr(decide_module, "solve", elsewhere)
    (item,) = await again(path)
    assert "it was computed by qoex 0.0.9, and now by" in item.detail


class Altered(Store):
    """A store some of whose records say something else."""

    changes: dict[int, dict[str, Any]]

    async def cycles(self, **options: Any) -> list[CycleRecord]:
        records = await super().cycles(**options)
        return [replace(item, **self.changes.get(item.number, {})) for item in records]


async def altered(path: Path, changes: dict[int, dict[str, Any]], *cycles: int) -> list[Replayed]:
    async with await Altered.open(path, exclusive=False, create=False) as store:
        store.changes = changes
        return [item async for item in replay(store, InProcessWorker(), *cycles)]


async def test_records_that_say_something_else_are_found(path: Path) -> None:
    async with running(path, settings=SOME) as agent:
        await eventful(agent)
        records = await agent.store.cycles()

    async def detail(number: int, **changes: Any) -> str:
        (item,) = await altered(path, {number: changes}, number, number)
        assert item.sameness is Sameness.DIFFERENT
        return item.detail

    assert "not what was decided" in await detail(3, digest="0" * 64)
    assert "not what was decided" in await detail(3, payload="cycle-2")
    dropped = records[4].dropped
    assert "is infeasible now" in await detail(5, dropped=dropped[1:])
    assert "other pairs" in await detail(5, dropped=(*dropped, ("asp-0", "mu-0")))
    assert await detail(3, position=records[2].position - 1)
    assert "it was empty, and is decided" in await detail(
        1, position=records[1].position, kept=Cause.NO_USER.kept()
    )
    assert "it was infeasible, and is empty" in await detail(1, kept=Cause.NOTHING_FITS.kept())


async def test_what_is_missing_is_said(path: Path) -> None:
    async with running(path) as agent:
        await agent.providers("asp-0", compute_capacity=3.0)
        await agent.users(["mu-0"], "asp-0")
        await agent.engine.run_cycle()
        await agent.engine.run_cycle()
    with pytest.raises(DamagedLogError, match="allocation of cycle 1 is not stored"):
        await altered(path, {1: {"payload": "cycle-99"}})
    with pytest.raises(DamagedLogError, match="There is no cycle 9"):
        await altered(path, {2: {"start_cycle": 9}})
    with pytest.raises(DamagedLogError, match="the log ends at 2, before 7"):
        await altered(path, {1: {"position": 7}})
    with pytest.raises(DamagedLogError, match="the log holds no entry 7 after 2"):
        await altered(path, {2: {"position": 7}})
    with pytest.raises(DamagedLogError, match="cycle 1 is missing"):
        await altered(path, {1: {"number": 2}})


async def test_cycles_that_do_not_exist_cannot_be_computed_again(path: Path) -> None:
    async with running(path) as agent:
        with pytest.raises(InvalidInputError, match=r"agent\.db holds no cycle"):
            await again(path)
        await agent.engine.run_cycle()
        for cycles in ((2, 2), (1, 2), (0, 1), (2,)):
            with pytest.raises(InvalidInputError, match="the database holds 1 to 1"):
                await again(path, *cycles)


@given(st.lists(st.lists(reports(), min_size=1, max_size=12), min_size=1, max_size=4))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_is_reported_replays(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Any]]
) -> None:
    import asyncio

    path = tmp_path_factory.mktemp("any") / "agent.db"

    async def run() -> list[Replayed]:
        async with running(path, settings=SOME) as agent:
            await agent.providers(*PROVIDER_NAMES, compute_capacity=3.0)
            await agent.users(USER_NAMES, *PROVIDER_NAMES)
            for number, batch in enumerate(batches):
                for place, report in enumerate(batch):
                    new = formed(report, f"any-{number}-{place}")
                    if new is not None:
                        await _tried(agent, new)
                await agent.engine.run_cycle()
        return await again(path)

    assert all(item.sameness is Sameness.SAME for item in asyncio.run(run()))


async def _tried(agent: Agent, new: NewEntry) -> None:
    try:
        await agent.intake.submit([new])
    except Refused:
        return
