"""Past cycles: decisions and explanations come back as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent_cycles import LEAVE, PATCH, Agent, running, same_allocation
from agent_state import PROVIDER, USER, Clock, state_bytes
from agent_support import anyio_backend, run_sql  # noqa: F401
from qoex.agent.cycle.history import KEPT_AT_HAND, History
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleResult
from qoex.agent.state.recovery import DamagedLogError
from qoex.agent.state.registry import Registry
from qoex.certificate import certify
from qoex.certificate.explanation import explain_provider, explain_user

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


async def eventful(agent: Agent) -> None:
    """Five cycles: decided, decided on other numbers, on other nodes, kept, and on few again."""
    await agent.providers("asp-0", "asp-1", compute_capacity=3.0)
    await agent.users(["mu-0", "mu-1", "mu-2"], "asp-0", "asp-1")
    await agent.engine.run_cycle()
    agent.clock.advance(10.0)
    await agent.send((USER, "mu-1", PATCH, {"profit_factor": 12.0}))
    await agent.engine.run_cycle()
    await agent.users(["mu-3"], "asp-1")
    await agent.send((USER, "mu-0", LEAVE, {}))
    await agent.engine.run_cycle()
    await agent.send(*((PROVIDER, name, LEAVE, {}) for name in ("asp-0", "asp-1")))
    await agent.engine.run_cycle()
    await agent.providers("asp-0", compute_capacity=0.5, bandwidth_capacity=0.5)
    await agent.users([f"mu-{m}" for m in range(3)], "asp-0")
    await agent.engine.run_cycle()


async def test_decisions_come_back_to_the_last_bit(path: Path) -> None:
    async with running(path) as agent:
        await eventful(agent)
        fresh = History(agent.store)
        for number in (1, 2, 3, 5):
            at_hand, read = await agent.history.decided(number), await fresh.decided(number)
            assert same_allocation(read.allocation, at_hand.allocation)
            assert read.payload == at_hand.payload
            assert same_allocation(await fresh.allocation(number), at_hand.allocation)


async def test_markets_come_back_from_the_log(path: Path) -> None:
    async with running(path) as agent:
        await eventful(agent)
        fresh = History(agent.store)
        for number in (1, 2, 3, 5):
            at_hand, read = await agent.history.decided(number), await fresh.decided(number)
            assert read.snapshot is None
            assert await fresh.market(read) == await agent.history.market(at_hand)
        last = await fresh.decided(5)
        assert len(last.record.dropped) == 1
        market = await fresh.market(last)
        assert market.present.sum() == 2


async def test_a_state_is_that_of_its_place_in_the_log(path: Path) -> None:
    async with running(path, checkpoint_every=3) as agent:
        await eventful(agent)
        entries = [entry async for entry in agent.store.entries()]
        for position in (0, 1, 4, 7, len(entries)):
            registry = Registry()
            for entry in entries[:position]:
                registry.apply(entry)
            assert state_bytes(await agent.history.state_at(position)) == state_bytes(registry)
        with pytest.raises(DamagedLogError):
            await agent.history.state_at(len(entries) + 1)


async def test_explanations_are_those_of_the_market_that_was_settled(path: Path) -> None:
    async with running(path) as agent:
        await eventful(agent)
        for history in (agent.history, History(agent.store)):
            decided = await history.decided(2)
            market = await history.market(decided)
            solution = decided.allocation.solution()
            user = await history.explanation(2, USER, "mu-1")
            assert (user.cycle, user.in_force) == (2, 2)
            certificate = certify(market, solution)
            assert list(user.paragraphs) == explain_user(market, solution, certificate, 1)
            assert user.paragraphs[-1] == "It cannot gain by other rewards."
            provider = await history.explanation(2, PROVIDER, "asp-1")
            assert list(provider.paragraphs) == explain_provider(market, solution, 1)


async def test_the_explanation_of_a_kept_cycle_says_so(path: Path) -> None:
    async with running(path) as agent:
        await eventful(agent)
        explained = await agent.history.explanation(4, USER, "mu-3")
        assert (explained.cycle, explained.in_force) == (4, 3)
        assert explained.paragraphs[0] == (
            "Cycle 4 kept the decision of cycle 3 in force (empty: no provider is active)."
        )
        usual = await agent.history.explanation(3, USER, "mu-3")
        assert explained.paragraphs[1:] == usual.paragraphs


async def test_what_is_not_there_is_not_found(path: Path) -> None:
    async with running(path) as agent:
        await agent.engine.run_cycle()
        await agent.providers("asp-0")
        await agent.users(["mu-0"], "asp-0")
        await agent.engine.run_cycle()
        history = agent.history
        for asked, sentence in (
            (history.record(3), "There is no cycle 3."),
            (history.record(0), "There is no cycle 0."),
            (history.in_force(1), "No decision was in force after cycle 1."),
            (history.decided(1), "Cycle 1 brought no decision."),
            (
                history.explanation(2, USER, "asp-0"),
                "The decision of cycle 2 has nothing for user 'asp-0'.",
            ),
        ):
            with pytest.raises(Refused) as refused:
                await asked
            assert refused.value.problem is ProblemKind.NOT_FOUND
            assert refused.value.detail == sentence


async def test_the_last_few_decisions_are_kept_at_hand(path: Path) -> None:
    async with running(path) as agent:
        await agent.providers("asp-0")
        await agent.users(["mu-0"], "asp-0")
        for _ in range(KEPT_AT_HAND + 1):
            await agent.engine.run_cycle()
        second = await agent.history.decided(2)
        assert second.snapshot is not None
        first = await agent.history.decided(1)
        assert first.snapshot is None
        assert await agent.history.decided(1) is first
        assert await agent.history.decided(2) is second
        assert (await agent.history.decided(3)).snapshot is None


async def test_what_was_lost_from_the_store_is_said(path: Path) -> None:
    clock = Clock()
    async with running(path, clock=clock) as agent:
        await eventful(agent)
        record = await agent.history.record(2)
        fresh = History(agent.store)
        real = agent.store.cycle
        lost = replace(record, payload="cycle-99")

        async def cycle(number: int) -> object:
            return lost if number == 2 else await real(number)

        agent.store.cycle = cycle  # type: ignore[method-assign, assignment]
        with pytest.raises(DamagedLogError, match="allocation of cycle 2 is not stored"):
            await fresh.decided(2)
        lost = replace(record, payload="cycle-1", result=CycleResult.DECIDED, membership=None)
        other = await real(5)
        assert other is not None
        lost = replace(record, payload="cycle-1", membership=other.membership)
        with pytest.raises(DamagedLogError, match="cycle 2: the stored allocation cannot be read"):
            await fresh.decided(2)
