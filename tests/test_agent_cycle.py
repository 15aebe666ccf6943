"""The engine: what a cycle decides, what it keeps and why, and how it is handed out."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from agent_cycles import LEAVE, PATCH, Agent, InProcessWorker, running
from agent_state import PROVIDER, USER, Clock
from agent_support import anyio_backend  # noqa: F401
from qoex.agent.cycle.engine import CycleSettings
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleResult
from qoex.agent.reports.kept import CycleEnding
from qoex.agent.solving import decide as decide_module
from qoex.agent.solving.task import AdmissionObjective, CycleOutcome, Task
from qoex.agent.solving.worker import Worker
from qoex.equilibrium.solver import solve
from qoex.game.solution import Solution, Status
from qoex.model.market import Market

pytestmark = pytest.mark.anyio

LONG = 120.0
PHASES = {"snapshot", "admit", "solve", "certify", "commit", "total"}
# Of three users, such a provider can serve two.
CROWDED = {"compute_capacity": 0.5, "bandwidth_capacity": 0.5}
ON_DEMAND = CycleSettings(cycle_s=None, admit_by=AdmissionObjective.NONE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


async def served(agent: Agent, users: int = 3) -> None:
    """Let a decision be in force."""
    await agent.providers("asp-0", "asp-1")
    await agent.users([f"mu-{m}" for m in range(users)], "asp-0", "asp-1")
    record = await agent.engine.run_cycle()
    assert record.result is CycleResult.DECIDED, record.reason


async def test_a_cycle_decides_on_what_was_reported_before_it(path: Path) -> None:
    async with running(path) as agent:
        await served(agent)
        latest = agent.engine.latest
        assert latest is not None
        assert latest.decided is not None
        record, allocation = latest.record, latest.decided.allocation
        assert (record.number, record.position, record.in_force) == (1, 5, 1)
        assert record.reason == ""
        assert record.start_cycle is None
        assert allocation.provider_names == ("asp-0", "asp-1")
        assert allocation.user_names == ("mu-0", "mu-1", "mu-2")
        assert (allocation.qoe > 0).all()
        assert allocation.relative_regret <= 1e-9
        stored = await agent.store.cycle(1)
        assert stored is not None
        assert stored.payload is not None
        assert await agent.store.get_blob(stored.payload) == latest.decided.payload
        assert stored.digest == allocation.encoded().digest
        assert agent.engine.counts.decided == 1


async def test_the_summary_is_complete(path: Path) -> None:
    async with running(path) as agent:
        await served(agent)
        assert agent.engine.latest is not None
        summary = agent.engine.latest.record.summary
        assert set(summary["duration_ms"]) == PHASES
        assert all(spent >= 0 for spent in summary["duration_ms"].values())
        parts = summary["duration_ms"].copy()
        assert parts.pop("total") >= parts["solve"] + parts["commit"]
        assert {name: summary[name] for name in ("number", "position", "result", "in_force")} == {
            "number": 1,
            "position": 5,
            "result": "decided",
            "in_force": 1,
        }
        assert summary["snapshot_at"] == "2026-01-01T00:00:00Z"
        assert (summary["providers"], summary["users"], summary["pairs"]) == (2, 3, 6)
        assert [item["provider"] for item in summary["capacity"]] == ["asp-0", "asp-1"]
        stored = await agent.store.cycle(1)
        assert stored is not None
        durations = {"duration_ms": summary["duration_ms"]}
        assert {**stored.summary, **durations} == summary


async def test_the_next_cycle_starts_from_the_decision_in_force(path: Path) -> None:
    worker = InProcessWorker()
    async with running(path, worker) as agent:
        await served(agent)
        await agent.send((USER, "mu-1", PATCH, {"profit_factor": 12.0}))
        record = await agent.engine.run_cycle()
        assert (record.number, record.start_cycle, record.in_force) == (2, 1, 2)
        assert worker.tasks[0].start is None
        start = worker.tasks[1].start
        assert start is not None
        assert start.user_names == ("mu-0", "mu-1", "mu-2")
        await agent.send((USER, "mu-1", LEAVE, {}))
        await agent.users(["mu-7"], "asp-0")
        record = await agent.engine.run_cycle()
        assert record.start_cycle == 2
        latest = agent.engine.latest
        assert latest is not None
        assert latest.decided is not None
        assert latest.decided.allocation.user_names == ("mu-0", "mu-2", "mu-7")


async def test_a_cold_start_after_a_failed_warm_one_is_recorded_as_such(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(path) as agent:
        await served(agent)

        def cold_only(market: Market, start: Solution | None = None) -> Solution:
            found = solve(market, start=start)
            return found if start is None else replace(found, status=Status.STALLED)

        await agent.users(["mu-8"], "asp-0")
        monkeypatch.setattr(decide_module, "solve", cold_only)
        record = await agent.engine.run_cycle()
        assert record.result is CycleResult.DECIDED
        assert record.start_cycle is None


async def test_nodes_that_are_due_are_not_in_the_market(path: Path) -> None:
    clock = Clock()
    async with running(path, clock=clock) as agent:
        await served(agent)
        clock.advance(900.0)
        await agent.providers("asp-0", "asp-1")
        await agent.users(["mu-1"], "asp-0")
        clock.advance(200.0)
        record = await agent.engine.run_cycle()
        assert record.position == 10  # with the two that expired
        assert agent.engine.latest is not None
        assert agent.engine.latest.decided is not None
        assert agent.engine.latest.decided.allocation.user_names == ("mu-1",)


async def keeps(agent: Agent, ending: CycleEnding, in_force: int | None = 1) -> str:
    """Run a cycle that keeps what is in force; return its reason."""
    before = agent.engine.latest
    record = await agent.engine.run_cycle()
    assert record.result is CycleResult.KEPT
    assert record.ending is ending
    assert record.in_force == in_force
    assert (record.payload, record.digest, record.membership) == (None, None, None)
    assert record.start_cycle is None
    assert record.summary["result"] == "kept"
    assert record.summary["reason"] == record.reason
    assert record.summary["qoe"] is None
    assert record.summary["capacity"] == []
    latest = agent.engine.latest
    assert latest is not None
    assert latest.record == record
    assert latest.decided is (None if before is None else before.decided)
    assert await agent.store.cycle(record.number) is not None
    assert agent.engine.counts.kept[ending] >= 1
    assert record.kept is not None
    return record.kept.sentence


async def test_a_market_without_pairs_keeps_the_last_decision(path: Path) -> None:
    async with running(path) as agent:
        assert await keeps(agent, CycleEnding.EMPTY, None) == "no provider is active"
        await agent.providers("asp-0", "asp-1")
        assert await keeps(agent, CycleEnding.EMPTY, None) == "no user is active"
        await agent.users(["mu-0"], "asp-0", "asp-1")
        await agent.engine.run_cycle()
        await agent.send((USER, "mu-0", LEAVE, {}))
        await keeps(agent, CycleEnding.EMPTY, 3)


async def test_an_infeasible_market_keeps_the_last_decision(path: Path) -> None:
    async with running(path, settings=ON_DEMAND) as agent:
        await served(agent)
        await agent.providers("asp-1", **CROWDED)
        reason = await keeps(agent, CycleEnding.INFEASIBLE)
        assert "asp-1 is short of" in reason
        await agent.providers("asp-1")
        record = await agent.engine.run_cycle()
        assert (record.number, record.in_force, record.start_cycle) == (3, 3, 1)


async def test_admission_turns_demands_away_up_to_a_limit(path: Path) -> None:
    settings = CycleSettings(cycle_s=None, admit_by=AdmissionObjective.COUNT, admission_most=0.2)
    async with running(path, settings=settings) as agent:
        await served(agent)
        await agent.providers("asp-1", **CROWDED)
        record = await agent.engine.run_cycle()
        assert record.result is CycleResult.DECIDED
        assert len(record.dropped) == 1
        assert record.dropped[0][0] == "asp-1"
        assert record.summary["dropped"] == 1
        await agent.providers("asp-0", **CROWDED)
        assert "33.3% of the demands" in await keeps(agent, CycleEnding.INFEASIBLE, 2)


async def test_what_is_not_solved_or_not_certified_keeps_the_last_decision(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(market: Market, start: Solution | None = None) -> Solution:
        return solve(market, start=start, max_sweeps=1)

    def careless(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market, start=start)
        return replace(found, rewards=1.01 * found.rewards)

    async with running(path) as agent:
        await served(agent)
        await agent.providers("asp-0", compute_capacity=1.0)
        monkeypatch.setattr(decide_module, "solve", impatient)
        await keeps(agent, CycleEnding.NOT_SOLVED)
        monkeypatch.setattr(decide_module, "solve", careless)
        await keeps(agent, CycleEnding.NOT_CERTIFIED)
        monkeypatch.undo()
        record = await agent.engine.run_cycle()
        assert record.in_force == 4


async def test_a_deadline_and_a_dead_process_keep_the_last_decision(path: Path) -> None:
    worker = Worker()
    settings = CycleSettings(cycle_s=None, deadline_s=LONG)
    async with running(path, worker, settings) as agent:
        await served(agent)
        assert worker.is_ready
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        asking = asyncio.ensure_future(keeps(agent, CycleEnding.WORKER_FAILED))
        await asyncio.sleep(0.2)
        os.kill(worker.pid, signal.SIGKILL)
        assert await asking == "the process that solves was ended by signal 9"
        assert await worker.wait_ready(LONG)
        os.kill(worker.pid, signal.SIGSTOP)
        agent.engine.settings = replace(settings, deadline_s=0.3)
        assert "no decision was found within 0.3 s" in await keeps(agent, CycleEnding.DEADLINE)
        # The next process is held up while it starts.
        os.kill(worker.pid, signal.SIGSTOP)
        assert "not ready within 0.3 s" in await keeps(agent, CycleEnding.WORKER_STARTING)
        os.kill(worker.pid, signal.SIGCONT)
        agent.engine.settings = settings
        record = await agent.engine.run_cycle()
        assert (record.number, record.in_force, record.start_cycle) == (5, 5, 1)


async def test_a_kept_cycle_still_charges_those_who_are_there(path: Path) -> None:
    async with running(path, settings=ON_DEMAND) as agent:
        await served(agent)
        first = agent.intake.ledger.total()
        assert first > 0
        await agent.providers("asp-1", **CROWDED)
        await keeps(agent, CycleEnding.INFEASIBLE)
        assert agent.intake.ledger.total() == 2 * first
        await agent.send((PROVIDER, "asp-0", LEAVE, {}), (PROVIDER, "asp-1", LEAVE, {}))
        await keeps(agent, CycleEnding.EMPTY)
        assert agent.intake.ledger.total() == 2 * first


async def test_after_a_restart_the_decision_is_still_in_force(path: Path) -> None:
    async with running(path) as agent:
        await served(agent)
        await agent.send(*((USER, f"mu-{m}", LEAVE, {}) for m in range(3)))
        await keeps(agent, CycleEnding.EMPTY)
        before = agent.engine.latest
    worker = InProcessWorker()
    async with running(path, worker) as agent:
        after = agent.engine.latest
        assert before is not None
        assert after is not None
        assert before.decided is not None
        assert after.decided is not None
        assert after.record.number == 2
        assert after.decided.payload == before.decided.payload
        await agent.users(["mu-0", "mu-1"], "asp-0")
        record = await agent.engine.run_cycle()
        assert (record.number, record.start_cycle) == (3, 1)


async def test_cycles_run_at_every_tick(path: Path) -> None:
    settings = CycleSettings(cycle_s=0.05)
    async with running(path, settings=settings) as agent:
        subscription = agent.engine.subscribe()
        numbers = [(await anext(subscription)).record.number for _ in range(3)]
        assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_whoever_asks_during_a_cycle_gets_the_next_one(path: Path) -> None:
    held = asyncio.Event()

    class Held(InProcessWorker):
        async def run(self, task: Task, seconds: float) -> CycleOutcome:
            await held.wait()
            return await super().run(task, seconds)

    async with running(path, Held()) as agent:
        await agent.providers("asp-0", "asp-1")
        await agent.users(["mu-0"], "asp-0")
        first = asyncio.ensure_future(agent.engine.run_cycle())
        await asyncio.sleep(0.05)
        await agent.users(["mu-1"], "asp-0")
        others = [asyncio.ensure_future(agent.engine.run_cycle()) for _ in range(3)]
        await asyncio.sleep(0)
        held.set()
        assert (await first).summary["users"] == 1
        records = [await other for other in others]
        assert [record.number for record in records] == [2, 2, 2]
        assert records[0].summary["users"] == 2


async def test_a_cycle_that_cannot_be_stored_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(path) as agent:
        await served(agent)
        before = agent.engine.latest

        async def full(record: object) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(agent.store, "commit_cycle", full)
        with pytest.raises(Refused) as refused:
            await agent.engine.run_cycle()
        assert refused.value.problem is ProblemKind.STORAGE_FAILED
        assert agent.engine.latest is before
        assert agent.engine.counts.failed == 1
        monkeypatch.undo()
        while not agent.intake.healthy:
            await asyncio.sleep(0.01)
        assert (await agent.engine.run_cycle()).number == 2


async def test_when_it_stops_a_cycle_under_way_is_given_up(path: Path) -> None:
    worker = Worker()
    async with running(path, worker, CycleSettings(cycle_s=None, deadline_s=LONG)) as agent:
        await agent.providers("asp-0")
        await agent.users(["mu-0"], "asp-0")
        assert await worker.wait_ready(LONG)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        asking = asyncio.ensure_future(agent.engine.run_cycle())
        subscription = agent.engine.subscribe()
        await asyncio.sleep(0.1)
        await agent.engine.stop()
        with pytest.raises(Refused) as refused:
            await asking
        assert refused.value.problem is ProblemKind.STOPPING
        assert [item async for item in subscription] == []
        with pytest.raises(Refused):
            await agent.engine.run_cycle()
        assert await agent.store.last_cycle() == 0
        assert [item async for item in agent.engine.subscribe()] == []


async def test_everybody_who_listens_gets_every_cycle(path: Path) -> None:
    async with running(path) as agent:
        one, other = agent.engine.subscribe(), agent.engine.subscribe()
        assert len(agent.engine.publisher) == 2
        await served(agent)
        other.close()
        await agent.engine.run_cycle()
        published = [await anext(one), await anext(one)]
        assert [item.record.number for item in published] == [1, 2]
        assert published[1] == agent.engine.latest
        assert published[1].decided is not None
        assert len(agent.engine.publisher) == 1


async def test_a_slow_listener_is_dropped_and_told(path: Path) -> None:
    async with running(path) as agent:
        slow, quick = agent.engine.subscribe(most=2), agent.engine.subscribe(most=3)
        for _ in range(3):
            await agent.engine.run_cycle()
        assert slow.too_slow
        assert [item.record.number async for item in slow] == [1, 2]
        assert [item async for item in slow] == []
        assert not quick.too_slow
        assert len(agent.engine.publisher) == 1
