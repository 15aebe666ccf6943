from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_state import (
    PROVIDER,
    PROVIDER_BODY,
    START,
    USER,
    USER_NAMES,
    Clock,
    Decided,
    MemoryStore,
    cycle_record,
    decided,
    formed,
    histories,
    new_entry,
    reports,
    state_bytes,
    user_body,
)
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleRecord, EntryKind, NewEntry, Receipt
from qoex.agent.state import intake as intake_module
from qoex.agent.state import recovery, transactions
from qoex.agent.state.intake import Intake
from qoex.agent.state.ledger import Ledger
from qoex.agent.state.recovery import DamagedLogError, recover, recover_registry
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store

PUT, PATCH, LEAVE = EntryKind.PUT, EntryKind.PATCH, EntryKind.LEAVE
SERVED = EntryKind.SERVED


class Agent:
    """An intake on a store in memory, and the decisions that its cycles brought."""

    def __init__(self, store: MemoryStore | None = None, **options: Any) -> None:
        self.store = store or MemoryStore()
        self.clock = Clock()
        self.decisions: dict[int, Decided] = {}
        options.setdefault("clock", self.clock)
        registry = Registry(node_lifetime_s=100)
        self.intake = Intake(cast(Store, self.store), registry, self.decision_of, **options)

    async def decision_of(self, cycle: int) -> Decided:
        return decided(cycle)

    async def put_user(self, name: str, key: str = "k", **changes: Any) -> Receipt:
        return (await self.intake.submit([put_user(name, key, **changes)]))[0]

    async def cycle(self, own: bool = True) -> CycleRecord:
        """Commit a cycle: decided, or kept."""
        number = self.intake.ledger.cycle + 1
        before = self.intake.in_force
        in_force = number if own else (before.cycle if before else None)
        record = cycle_record(number, self.intake.registry.position, in_force, self.clock.now)
        if not own:
            return await self.intake.commit_cycle(record)
        return await self.intake.commit_cycle(record, payload=b"x", decision=decided(number))

    async def healed(self) -> None:
        await until(lambda: self.intake.healthy)

    async def checkpoints(self, count: int) -> None:
        await until(lambda: len(self.store.checkpoints) == count)

    def live(self) -> bytes:
        return state_bytes(self.intake.registry, self.intake.ledger)

    async def stored(self) -> bytes:
        """What a restart makes of the store."""
        registry, ledger = Registry(), Ledger()
        found = await recover(cast(Store, self.store), registry, ledger, self.decision_of)
        live = self.intake.in_force
        assert (found.in_force and found.in_force.cycle) == (live and live.cycle)
        return state_bytes(registry, ledger)


@asynccontextmanager
async def running(*args: Any, **options: Any) -> AsyncIterator[Agent]:
    agent = Agent(*args, **options)
    await agent.intake.start()
    try:
        yield agent
    finally:
        await agent.intake.stop()


def put_user(name: str, key: str, *providers: str, **changes: Any) -> NewEntry:
    return new_entry((USER, name), PUT, user_body(*providers, **changes), key)


def put_provider(name: str, key: str) -> NewEntry:
    return new_entry((PROVIDER, name), PUT, PROVIDER_BODY, key)


def served(name: str, user: str, requests: int, key: str) -> NewEntry:
    return new_entry((PROVIDER, name), SERVED, {"user": user, "requests": requests}, key)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds, but not for ever."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def refusal(waited: Coroutine[Any, Any, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        await waited
    return caught.value


pytestmark = pytest.mark.anyio


async def test_a_key_counts_once() -> None:
    async with running() as agent:
        first = await agent.put_user("mu-0")
        assert first == Receipt(1, START, replayed=False)
        agent.clock.advance(5)
        before = agent.live()
        again = await agent.put_user("mu-0")
        assert again == Receipt(1, START, replayed=True)
        error = await refusal(agent.put_user("mu-0", reward_max=6.0))
        assert error.problem is ProblemKind.KEY_REUSED
        assert "'k'" in error.detail
        leave = NewEntry(USER, "mu-0", LEAVE, "k", {})
        assert (await refusal(agent.intake.submit([leave]))).problem is ProblemKind.KEY_REUSED
        assert agent.live() == before
        # Keys of another node are other keys.
        assert (await agent.put_user("mu-1")).seq == 2
        assert len(agent.store.log) == 2
        assert agent.intake.counts.replayed == 1


async def test_a_key_counts_once_within_a_transaction() -> None:
    async with running() as agent:
        one, two = put_user("mu-0", "k"), put_user("mu-0", "k", reward_max=6.0)
        found = await asyncio.gather(
            *(agent.intake.submit([entry]) for entry in (one, one, two)), return_exceptions=True
        )
        assert found[0] == [Receipt(1, START, replayed=False)]
        assert found[1] == [Receipt(1, START, replayed=True)]
        assert isinstance(found[2], Refused)
        assert found[2].problem is ProblemKind.KEY_REUSED
        assert agent.store.appended == [1]
        receipts = await agent.intake.submit([put_user("mu-1", "a"), put_user("mu-1", "a"), one])
        assert [(r.seq, r.replayed) for r in receipts] == [(2, False), (2, True), (1, True)]


async def test_what_waits_is_stored_together() -> None:
    async with running() as agent:
        await asyncio.gather(*(agent.put_user(f"mu-{k}") for k in range(300)))
        assert sum(agent.store.appended) == 300
        assert len(agent.store.appended) <= 2
        assert agent.intake.waiting == 0
        assert agent.live() == await agent.stored()


async def test_a_request_is_taken_as_a_whole_or_not_at_all() -> None:
    async with running() as agent:
        await agent.put_user("mu-0")
        before = agent.live()
        entries = [put_provider("asp-0", "a"), put_user("mu-1", "b", "asp-0")]
        bad = put_user("mu-2", "c", "asp-1")
        error = await refusal(agent.intake.submit([*entries, bad]))
        assert error.problem is ProblemKind.UNKNOWN_NODE
        assert error.detail.startswith("line 3: ")
        assert [fault.where for fault in error.faults] == ["line 3: demands.asp-1"]
        assert agent.live() == before
        assert len(agent.store.log) == 1
        # Nothing of it is known: not even its keys.
        receipts = await agent.intake.submit(entries)
        assert [(r.seq, r.replayed) for r in receipts] == [(2, False), (3, False)]


async def test_keys_of_what_was_refused_are_free_in_the_same_transaction() -> None:
    async with running() as agent:
        bad = NewEntry(USER, "mu-9", LEAVE, "k", {})
        one, other = put_user("mu-0", "k"), put_user("mu-0", "k", reward_max=6.0)
        found = await asyncio.gather(
            agent.intake.submit([one, bad]), agent.intake.submit([other]), return_exceptions=True
        )
        assert isinstance(found[0], Refused)
        assert found[1] == [Receipt(1, START, replayed=False)]
        assert agent.store.appended == [1]


async def test_one_that_is_refused_does_not_harm_its_neighbours() -> None:
    async with running() as agent:
        bad = NewEntry(USER, "mu-9", LEAVE, "k", {})
        mixed = [put_user("mu-0", "k"), bad, put_user("mu-1", "k")]
        found = await asyncio.gather(
            *(agent.intake.submit([entry]) for entry in mixed), return_exceptions=True
        )
        assert isinstance(found[1], Refused)
        assert [entry.node for entry in agent.store.log] == ["mu-0", "mu-1"]
        assert agent.intake.counts.refused == 1
        assert agent.live() == await agent.stored()


async def test_keys_of_the_agent_are_its_own() -> None:
    async with running() as agent:
        for entry in (
            put_user("mu-0", "expire-2"),
            NewEntry(USER, "mu-0", EntryKind.EXPIRE, "k", {}),
        ):
            error = await refusal(agent.intake.submit([entry]))
            assert error.problem is ProblemKind.INVALID_REPORT
        assert agent.store.log == []


async def test_time_never_goes_back() -> None:
    async with running() as agent:
        await agent.put_user("mu-0")
        agent.clock.advance(-50)
        await agent.put_user("mu-1")
        assert [entry.received_at for entry in agent.store.log] == [START, START]


async def test_a_snapshot_lets_nodes_expire_that_are_due() -> None:
    async with running() as agent:
        await agent.put_user("mu-0", lifetime_s=10)
        await agent.put_user("mu-1")
        agent.clock.advance(9)
        assert (await agent.intake.snapshot()).user_names == ("mu-0", "mu-1")
        agent.clock.advance(1)
        snapshot = await agent.intake.snapshot()
        assert snapshot.user_names == ("mu-1",)
        assert (snapshot.position, snapshot.taken_at) == (3, agent.clock.now)
        assert agent.store.log[-1].kind is EntryKind.EXPIRE
        assert agent.store.log[-1].key == "expire-3"
        assert agent.intake.counts.expired == 1
        assert (await agent.put_user("mu-0", "again")).seq == 4
        assert agent.live() == await agent.stored()


@pytest.mark.parametrize("late", [False, True])
async def test_a_failed_transaction_refuses_all_that_waits(late: bool, caplog: Any) -> None:
    async with running() as agent:
        await agent.put_user("mu-0")
        (agent.store.fail_late if late else agent.store.fail).append("append")
        waiting = [agent.put_user(f"mu-{k}", "w", reward_max=7.0) for k in range(4)]
        with caplog.at_level(logging.CRITICAL):
            found = await asyncio.gather(*waiting, return_exceptions=True)
        for error in found:
            assert isinstance(error, Refused)
            assert error.problem is ProblemKind.STORAGE_FAILED
            assert error.retry_after
        await agent.healed()
        assert agent.live() == await agent.stored()
        assert agent.intake.counts.failures == 1
        # Sent again it counts once, wherever the transaction broke.
        again = [await agent.put_user(f"mu-{k}", "w", reward_max=7.0) for k in range(4)]
        assert [(r.seq, r.replayed) for r in again] == [(k + 2, late) for k in range(4)]
        assert agent.live() == await agent.stored()


async def test_nothing_is_taken_until_what_is_stored_was_read_back(
    caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "_FIRST_PAUSE_S", 0.001)
    async with running() as agent:
        await agent.put_user("mu-0")
        agent.store.fail += ["append", "entries", "entries"]
        with caplog.at_level(logging.CRITICAL):
            await refusal(agent.put_user("mu-1"))
            assert not agent.intake.healthy
            tries = (agent.put_user("mu-2"), agent.intake.snapshot(), agent.cycle())
            for waited in tries:
                assert (await refusal(waited)).problem is ProblemKind.STORAGE_FAILED
            await agent.healed()
        assert agent.store.fail == []
        await agent.put_user("mu-1")
        assert [entry.node for entry in agent.store.log] == ["mu-0", "mu-1"]


@pytest.mark.parametrize("few", [0, 500])
async def test_new_and_repeated_and_refused_reports_together_are_answered_one_by_one(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "_FEW", few)
    async with running() as agent:
        await agent.put_user("mu-0")
        left = new_entry((USER, "mu-0"), LEAVE, {}, "left")
        await agent.intake.submit([left])
        before = len(agent.store.log)
        answers = await asyncio.gather(
            agent.intake.submit([left]),  # would be refused, were it not known
            agent.put_user("mu-1"),
            agent.put_user("mu-0"),  # would be accepted, were it not known
            agent.intake.submit([new_entry((USER, "mu-2"), LEAVE, {}, "k")]),
            agent.put_user("mu-0", profit_factor=41.0),
            agent.put_user("mu-3"),
            return_exceptions=True,
        )
        assert [entry.node for entry in agent.store.log[before:]] == ["mu-1", "mu-3"]
        assert isinstance(answers[0], list)
        assert [answers[0][0].seq, answers[0][0].replayed] == [2, True]
        assert isinstance(answers[2], Receipt)
        assert [answers[2].seq, answers[2].replayed] == [1, True]
        assert isinstance(answers[3], Refused)
        assert answers[3].problem is ProblemKind.NOT_FOUND
        assert isinstance(answers[4], Refused)
        assert answers[4].problem is ProblemKind.KEY_REUSED
        assert not any(item.replayed for item in (answers[1], answers[5]))  # type: ignore[union-attr]
        assert agent.intake.healthy
        assert agent.live() == await agent.stored()


async def test_keys_that_cannot_be_looked_up_change_nothing(caplog: Any) -> None:
    async with running() as agent:
        agent.store.fail.append("find_keys")
        before = agent.live()
        with caplog.at_level(logging.CRITICAL):
            error = await refusal(agent.intake.submit([new_entry((USER, "mu-0"), LEAVE, {}, "k")]))
        assert error.problem is ProblemKind.STORAGE_FAILED
        assert agent.intake.healthy
        assert agent.live() == before
        await agent.put_user("mu-0")


async def test_a_report_that_breaks_the_agent_is_taken_back(
    caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as agent:
        before = agent.live()

        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
            patched.setattr("qoex.agent.state.registry.roster.Roster.heard", broken)
            with pytest.raises(ZeroDivisionError):
                await agent.put_user("mu-0")
        assert agent.live() == before
        assert (await agent.put_user("mu-0")).seq == 1


async def test_who_does_not_wait_any_more_is_passed_over() -> None:
    async with running() as agent:
        tasks = [asyncio.create_task(agent.put_user(f"mu-{k}")) for k in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert [entry.node for entry in agent.store.log] == ["mu-1"]
        assert agent.intake.waiting == 0


async def test_too_many_may_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MOST_WAITING", 3)
    async with running() as agent:
        found = await asyncio.gather(
            *(agent.put_user(f"mu-{k}") for k in range(5)), return_exceptions=True
        )
        assert [isinstance(item, Refused) for item in found] == [False] * 3 + [True] * 2
        assert isinstance(found[4], Refused)
        assert found[4].problem is ProblemKind.TOO_MANY_REQUESTS
        # A request larger than that is taken where nothing waits.
        assert len(await agent.intake.submit([put_user(f"mu-{k}", "l") for k in range(5)])) == 5


async def test_after_the_stop_nothing_is_taken() -> None:
    agent = Agent()
    assert (await refusal(agent.put_user("mu-0"))).problem is ProblemKind.STORAGE_FAILED
    await agent.intake.start()
    waiting = [asyncio.create_task(agent.put_user(f"mu-{k}")) for k in range(3)]
    await asyncio.sleep(0)
    await agent.intake.stop()
    assert [(await task).seq for task in waiting] == [1, 2, 3]
    for waited in (agent.put_user("mu-9"), agent.intake.snapshot(), agent.cycle()):
        assert (await refusal(waited)).problem is ProblemKind.STOPPING
    assert [(c.position, c.cycle) for c in agent.store.checkpoints] == [(3, 0)]
    # Without change since the last checkpoint there is no other.
    async with running(agent.store) as again:
        assert again.intake.registry.position == 3
    assert len(agent.store.checkpoints) == 1


async def test_cycles_charge_whom_they_serve() -> None:
    async with running() as agent:
        await agent.intake.submit([put_provider("asp-1", "k"), put_user("mu-0", "k", "asp-1")])
        kept = await agent.cycle(own=False)
        assert kept.summary["charged"] is None
        assert agent.intake.in_force is None
        first = await agent.cycle()
        amount = decided(2).micro("asp-1", "mu-0")
        total = f"{amount // 10**6}.{amount % 10**6:06d}"
        assert first.summary == {"number": 2, "charged": {"position": 2, "total": total}}
        assert agent.store.records[-1] == first
        assert [str(item.amount) for item in agent.intake.ledger.owed()] == [total]
        await agent.cycle(own=False)  # in force once more
        assert [int(item.amount * 10**6) for item in agent.intake.ledger.owed()] == [2 * amount]
        await agent.intake.submit([NewEntry(USER, "mu-0", LEAVE, "l", {})])
        left = await agent.cycle(own=False)
        assert left.summary["charged"] == {"position": 3, "total": "0.000000"}
        assert [int(item.amount * 10**6) for item in agent.intake.ledger.owed()] == [2 * amount]
        assert agent.live() == await agent.stored()


async def test_requests_are_charged_at_the_decision_in_force() -> None:
    async with running(billing="request") as agent:
        await agent.intake.submit([put_provider("asp-1", "k"), put_user("mu-0", "k")])
        await agent.intake.submit([served("asp-1", "mu-0", 7, "s1")])
        assert agent.store.log[-1].body["amount_micro"] == 0
        assert (await agent.cycle()).summary["charged"] is None
        assert agent.intake.ledger.owed() == []
        sent = served("asp-1", "mu-0", 7, "s2")
        await agent.intake.submit([sent])
        each = decided(1).micro("asp-1", "mu-0")
        body = {"user": "mu-0", "requests": 7, "cycle": 1, "amount_micro": 7 * each}
        assert agent.store.log[-1].body == body
        assert agent.store.log[-1].content_hash == sent.content_hash()
        assert (await agent.intake.submit([sent]))[0].replayed
        assert [int(item.amount * 10**6) for item in agent.intake.ledger.owed()] == [7 * each]
        await agent.cycle()
        await agent.intake.submit([served("asp-1", "mu-0", 1, "s4")])
        each = decided(2).micro("asp-1", "mu-0")
        assert agent.store.log[-1].body["amount_micro"] == each
        await agent.put_user("mu-9")
        await agent.intake.submit([served("asp-1", "mu-9", 1, "s3")])  # has no part in it
        assert agent.store.log[-1].body["cycle"] is None
        assert agent.live() == await agent.stored()


async def test_requests_charge_nothing_where_cycles_do() -> None:
    async with running() as agent:
        await agent.intake.submit([put_provider("asp-1", "k"), put_user("mu-0", "k")])
        await agent.cycle()
        owed = agent.intake.ledger.owed()
        await agent.intake.submit([served("asp-1", "mu-0", 7, "s1")])
        assert agent.store.log[-1].body == {"user": "mu-0", "requests": 7}
        assert agent.intake.ledger.owed() == owed


async def test_a_cycle_on_entries_that_were_lost_is_refused(caplog: Any) -> None:
    async with running() as agent:
        await agent.put_user("mu-0")
        agent.store.fail.append("append")
        with caplog.at_level(logging.CRITICAL):
            await refusal(agent.put_user("mu-1"))
        taken_at = agent.clock.now
        await agent.healed()
        agent.clock.advance(1)
        await agent.put_user("mu-2")
        phantom = cycle_record(1, 2, None, taken_at - timedelta(seconds=1))
        assert (
            await refusal(agent.intake.commit_cycle(phantom))
        ).problem is ProblemKind.STORAGE_FAILED
        assert agent.store.records == []
        assert (await agent.cycle(own=False)).position == 2


@pytest.mark.parametrize("late", [False, True])
async def test_a_cycle_that_was_not_stored_is_not_charged(late: bool, caplog: Any) -> None:
    async with running() as agent:
        await agent.intake.submit([put_provider("asp-1", "k"), put_user("mu-0", "k")])
        (agent.store.fail_late if late else agent.store.fail).append("commit_cycle")
        with caplog.at_level(logging.CRITICAL):
            assert (await refusal(agent.cycle())).problem is ProblemKind.STORAGE_FAILED
        await agent.healed()
        assert agent.intake.ledger.cycle == int(late)
        assert agent.live() == await agent.stored()
        await agent.cycle()
        assert agent.live() == await agent.stored()


async def test_a_payload_that_cannot_be_stored_harms_nothing(caplog: Any) -> None:
    async with running() as agent:
        agent.store.fail.append("put_blob")
        with caplog.at_level(logging.CRITICAL):
            assert (await refusal(agent.cycle())).problem is ProblemKind.STORAGE_FAILED
        assert agent.intake.healthy
        assert (await agent.cycle()).number == 1


async def test_a_record_and_its_parts_go_together() -> None:
    async with running() as agent:
        own = cycle_record(1, 0, 1, START)
        commit = agent.intake.commit_cycle
        for wrong in (
            commit(own),
            commit(own, payload=b"x"),
            commit(replace(own, digest=None), payload=b"x", decision=decided(1)),
            commit(replace(own, in_force=None), payload=b"x", decision=decided(1)),
            commit(cycle_record(1, 0, None, START), payload=b"x", decision=decided(1)),
        ):
            with pytest.raises(ValueError, match="cycle 1 is"):
                await wrong
        assert agent.store.records == []


async def test_a_payment_that_cannot_be_harms_nothing() -> None:
    async with running() as agent:
        await agent.intake.submit([put_provider("asp-1", "k"), put_user("mu-0", "k")])
        few = decided(1)
        wrong = replace(few, qoe=-few.qoe)
        record = cycle_record(1, 2, 1, START)
        with pytest.raises(ValueError, match="the payment of user 'mu-0' to provider 'asp-1' is"):
            await agent.intake.commit_cycle(record, payload=b"x", decision=wrong)
        assert agent.intake.healthy
        assert agent.intake.in_force is None


async def test_checkpoints_are_stored_as_reports_and_cycles_come() -> None:
    async with running(checkpoint_every=10, checkpoint_cycles=3) as agent:
        stored = agent.store.checkpoints
        for k in range(25):
            await agent.put_user(f"mu-{k}")
            await agent.checkpoints((k + 1) // 10)
        for _ in range(3):
            await agent.cycle()
        await agent.checkpoints(3)
        places = [(checkpoint.position, checkpoint.cycle) for checkpoint in stored]
        assert places == [(10, 0), (20, 0), (25, 3)]
        assert agent.live() == await agent.stored()


async def test_a_checkpoint_that_fails_is_only_missed(caplog: Any) -> None:
    async with running(checkpoint_every=1) as agent:
        agent.store.fail += ["put_blob"]
        with caplog.at_level(logging.CRITICAL):
            await agent.put_user("mu-0")
            await until(lambda: not agent.store.fail)
        assert agent.store.checkpoints == []
        assert agent.intake.healthy
        for k in range(10_000):  # the first that comes after the failure
            await agent.put_user(f"mu-{k}", "again")
            if agent.store.checkpoints:
                break
        assert agent.store.checkpoints


@pytest.mark.parametrize("damage", ["missing", "flipped"])
async def test_a_damaged_checkpoint_is_passed_over(damage: str, caplog: Any) -> None:
    async with running(checkpoint_every=1) as agent:
        for k in range(3):
            await agent.put_user(f"mu-{k}")
            await agent.checkpoints(k + 1)
        for blob in [checkpoint.blob for checkpoint in agent.store.checkpoints][1:]:
            data = bytearray(agent.store.blobs.pop(blob))
            data[-1] ^= 1
            if damage == "flipped":
                agent.store.blobs[blob] = bytes(data)
        with caplog.at_level(logging.WARNING):
            assert await agent.stored() == agent.live()
        assert "is passed over" in caplog.text


async def test_a_log_that_cannot_be_is_not_believed() -> None:
    async with running() as agent:
        await agent.intake.submit([put_provider("asp-1", "k"), put_user("mu-0", "k")])
        await agent.cycle()
    agent.store.checkpoints.clear()
    record = agent.store.records[0]
    charged = {"charged": {"position": 2, "total": "1.000000"}}
    agent.store.records[0] = replace(record, summary=charged)
    with pytest.raises(DamagedLogError, match=r"cycle 1 charged 1\.000000, but what is stored"):
        await agent.stored()
    agent.store.records[0] = replace(record, in_force=None)
    with pytest.raises(DamagedLogError, match="charged without a decision in force"):
        await agent.stored()
    agent.store.records[0] = record
    last = agent.store.log.pop()
    with pytest.raises(DamagedLogError, match="the log ends at 1, before 2"):
        await agent.stored()
    agent.store.log.append(replace(last, seq=3))
    with pytest.raises(DamagedLogError, match="entry 2 of the log is missing"):
        await agent.stored()


async def test_the_past_can_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "CYCLES_AT_A_TIME", 2)
    async with running(checkpoint_every=4) as agent:
        past = []
        for k in range(10):
            await agent.put_user(f"mu-{k % 3}", f"k{k}", reward_max=5.0 + k)
            past.append(state_bytes(agent.intake.registry))
            await agent.cycle()
        await until(lambda: agent.store.checkpoints)
        for position, then in enumerate(past, start=1):
            registry = Registry()
            await recover_registry(cast(Store, agent.store), registry, position)
            assert state_bytes(registry) == then
        with pytest.raises(DamagedLogError, match="the log ends at 10, before 11"):
            await recover_registry(cast(Store, agent.store), Registry(), 11)
        assert await agent.stored() == agent.live()


_steps = st.one_of(
    st.lists(reports(), min_size=1, max_size=4),
    histories(3),
    st.sampled_from(
        ["decided", "kept", "snapshot", "restart", "fail", "fail late", "fail cycle", "again"]
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_steps, max_size=25),
    st.sampled_from(["cycle", "request"]),
    st.sampled_from([1, 5, 1000]),
)
def test_memory_is_what_is_stored_whatever_happens(
    steps: list[Any], billing: str, checkpoint_every: int
) -> None:
    async def go() -> None:
        options: dict[str, Any] = {
            "billing": billing,
            "checkpoint_every": checkpoint_every,
            "checkpoint_cycles": 3,
        }
        agent = Agent(**options)
        await agent.intake.start()
        acknowledged: dict[tuple[Any, ...], Receipt] = {}
        sent: list[list[NewEntry]] = []
        for number, step in enumerate(steps):
            agent.clock.advance(7)
            try:
                if step == "restart":
                    await agent.intake.stop()
                    now = agent.clock
                    agent = Agent(agent.store, clock=now, **options)
                    agent.clock = now
                    await agent.intake.start()
                elif step in ("decided", "kept"):
                    await agent.cycle(own=step == "decided")
                elif step == "snapshot":
                    assert (await agent.intake.snapshot()).position == len(agent.store.log)
                elif step == "fail":
                    agent.store.fail.append("append")
                elif step == "fail late":
                    agent.store.fail_late.append("append")
                elif step == "fail cycle":
                    agent.store.fail.append("commit_cycle")
                else:
                    if step == "again":
                        entries = sent[-1] if sent else []
                    else:
                        formed_ones = [formed(r, f"{number}-{k}") for k, r in enumerate(step)]
                        entries = [entry for entry in formed_ones if entry is not None]
                        sent.append(entries)
                    receipts = await agent.intake.submit(entries)
                    for entry, receipt in zip(entries, receipts, strict=True):
                        key = entry.node_kind, entry.node, entry.key
                        first = acknowledged.setdefault(key, receipt)
                        assert (first.seq, first.received_at) == (receipt.seq, receipt.received_at)
            except Refused:
                await agent.healed()
            assert agent.live() == await agent.stored()
        for (kind, node, key), receipt in acknowledged.items():
            stored = agent.store.log[receipt.seq - 1]
            assert (stored.node_kind, stored.node, stored.key) == (kind, node, key)
        await agent.intake.stop()

    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(go())
    finally:
        logging.disable(logging.NOTSET)


async def test_it_works_on_a_database(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")

    async def decision_of(cycle: int) -> Decided:
        return decided(cycle)

    async def start(store: Store) -> Intake:
        intake = Intake(store, Registry(), decision_of, checkpoint_every=20, clock=Clock())
        await intake.start()
        return intake

    async with await Store.open(path) as store:
        intake = await start(store)
        await intake.submit([put_provider("asp-1", "k")])
        await asyncio.gather(
            *(intake.submit([put_user(name, "k", "asp-1")]) for name in USER_NAMES)
        )
        bulk = [put_user(f"more-{k}", "k", "asp-1", reward_max=0.1 + k) for k in range(30)]
        assert [receipt.seq for receipt in await intake.submit(bulk)] == list(range(6, 36))
        record = cycle_record(1, 35, 1, START)
        await intake.commit_cycle(record, payload=b"x", decision=decided(1))
        await intake.submit([NewEntry(USER, "mu-0", LEAVE, "l", {})])
        await intake.commit_cycle(cycle_record(2, 36, 1, START))
        live = state_bytes(intake.registry, intake.ledger)
        # Not stopped: as after kill -9.
        other_registry, other_ledger = Registry(), Ledger()
        await recover(store, other_registry, other_ledger, decision_of)
        assert state_bytes(other_registry, other_ledger) == live
        await intake.stop()
    async with await Store.open(path) as store:
        intake = await start(store)
        assert state_bytes(intake.registry, intake.ledger) == live
        assert [receipt.replayed for receipt in await intake.submit(bulk)] == [True] * 30
        assert intake.in_force is not None
        assert intake.in_force.cycle == 1
        await intake.stop()
