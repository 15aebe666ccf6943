"""Server-sent events: what comes, what comes again, and when a stream ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_http import Agent, checked, problem_of, running, user_body
from qoex.agent.http import events
from qoex.agent.http.app import create_app
from qoex.agent.http.routes import events as event_routes
from qoex.wire.answers import CycleAnswer, ProviderDecisionAnswer, UserDecisionAnswer

pytestmark = pytest.mark.anyio

PATIENCE = 30.0


@dataclass
class Event:
    name: str
    id: str | None
    data: Any


@dataclass
class Reader:
    """One open stream, read in this process; httpx would wait for its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    ended: bool = False
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            await self.takes.wait()
            self.text += message["body"].decode()
            self.ended = not message.get("more_body", False)
        self.heard.set()

    def events(self) -> list[Event]:
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields:
                data = json.loads(fields["data"])
                found.append(Event(fields["event"], fields.get("id"), data))
        return found

    def numbers(self) -> list[int]:
        return [int(event.id or 0) for event in self.events()]

    async def until(self, condition: Any) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                self.heard.clear()
                if not condition():
                    await self.heard.wait()


@asynccontextmanager
async def reading(
    agent: Agent, path: str, who: str = "operator", last: int | None = None, *, takes: bool = True
) -> AsyncIterator[Reader]:
    reader = Reader()
    if takes:
        reader.takes.set()
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {agent.secrets[who]}".encode())]
    if last is not None:
        headers.append((b"last-event-id", str(last).encode()))
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    app: Any = create_app(agent.parts)
    task = asyncio.create_task(app(scope, reader.receive, reader.send))
    try:
        await reader.until(lambda: reader.status)
        yield reader
    finally:
        reader.leave.set()
        reader.takes.set()
        with anyio.fail_after(PATIENCE):
            await task
        assert agent.parts.streams.total == 0
        assert len(agent.parts.engine.publisher) <= 1  # the agent's own log


async def cycles(agent: Agent, count: int) -> None:
    for _ in range(count):
        assert (await agent.ask("POST", "/v1/cycles")).status_code == 200


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with running(tmp_path, node_streams=1) as agent:
        await agent.populate()
        yield agent


async def test_cycles_come_as_they_end(agent: Agent) -> None:
    await cycles(agent, 1)
    async with reading(agent, "/v1/events") as reader:
        assert reader.status == 200
        assert reader.headers["content-type"].startswith("text/event-stream")
        assert reader.headers["cache-control"] == "no-store"
        await reader.until(lambda: "retry: " in reader.text)
        await cycles(agent, 2)
        await reader.until(lambda: len(reader.events()) == 2)
        assert reader.numbers() == [2, 3]  # only what came since
        for event in reader.events():
            assert event.name == "cycle"
            checked(CycleAnswer, event.data)


async def test_what_was_missed_comes_first(agent: Agent) -> None:
    await cycles(agent, 3)
    async with reading(agent, "/v1/events", last=1) as reader:
        await cycles(agent, 1)
        await reader.until(lambda: len(reader.events()) == 3)
        assert reader.numbers() == [2, 3, 4]
    async with reading(agent, "/v1/events", last=17) as reader:  # of a database before this one
        await cycles(agent, 1)
        await reader.until(lambda: "retry: " in reader.text)
        assert reader.numbers() == []


async def test_only_so_much_comes_again(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "MOST_MISSED_SUMMARIES", 3)
    monkeypatch.setattr(event_routes, "MOST_MISSED_DECISIONS", 2)
    monkeypatch.setattr(events, "AT_A_TIME", 2)
    await cycles(agent, 5)
    async with reading(agent, "/v1/events", last=0) as reader:
        await reader.until(lambda: len(reader.events()) == 3)
        assert reader.numbers() == [3, 4, 5]
    async with reading(agent, "/v1/users/mu-1/events", "mu-1", last=0) as reader:
        await reader.until(lambda: len(reader.events()) == 2)
        assert reader.numbers() == [4, 5]


async def test_nodes_hear_what_cycles_mean_to_them(agent: Agent) -> None:
    await cycles(agent, 1)
    async with reading(agent, "/v1/users/mu-1/events", "mu-1", last=0) as reader:
        await agent.report("PATCH", "/v1/users/mu-1", {"profit_factor": 20.0})
        await cycles(agent, 1)
        await reader.until(lambda: len(reader.events()) == 2)
        first, second = (event.data for event in reader.events())
        checked(UserDecisionAnswer, first)
        assert (first["cycle"], second["cycle"]) == (1, 2)
        assert first["services"] != second["services"]
        path = "/v1/users/mu-1/decision"
        assert second == (await agent.ask("GET", path, "mu-1")).json()
    async with reading(agent, "/v1/providers/asp-1/events", "asp-1", last=1) as reader:
        await reader.until(lambda: len(reader.events()) == 1)
        told = reader.events()[0].data
        checked(ProviderDecisionAnswer, told)
        path = "/v1/providers/asp-1/decision"
        assert told == (await agent.ask("GET", path, "asp-1")).json()


async def test_streams_are_their_owners(agent: Agent) -> None:
    for path, who in (
        ("/v1/events", "mu-1"),
        ("/v1/users/mu-1/events", "mu-2"),
        ("/v1/users/mu-1/events", "asp-1"),
        ("/v1/providers/asp-1/events", "user asp-1"),
    ):
        assert problem_of(await agent.ask("GET", path, who)) == (403, "forbidden"), path
    assert problem_of(await agent.ask("GET", "/v1/users/mu-9/events")) == (404, "not-found")
    bad = await agent.ask("GET", "/v1/events", headers={"last-event-id": "x"})
    assert problem_of(bad) == (422, "invalid-parameter")


async def test_silence_is_filled(tmp_path: Path) -> None:
    async with (
        running(tmp_path, event_heartbeat_s=0.02) as agent,
        reading(agent, "/v1/events") as reader,
    ):
        await reader.until(lambda: reader.text.count(": ping\n\n") >= 3)
        assert reader.events() == []


async def test_as_many_streams_as_allowed(agent: Agent) -> None:
    async with reading(agent, "/v1/users/mu-1/events", "mu-1"):
        second = await agent.ask("GET", "/v1/users/mu-1/events", "mu-1")
        assert problem_of(second) == (429, "too-many-requests")
        assert "retry-after" in second.headers
    async with reading(agent, "/v1/users/mu-1/events", "mu-1") as reader:
        assert reader.status == 200


async def test_a_slow_reader_is_dropped_and_comes_back(tmp_path: Path) -> None:
    async with running(tmp_path, event_queue=2) as agent:
        await agent.report("PUT", "/v1/users/mu-1", user_body())
        async with reading(agent, "/v1/events", takes=False) as reader:
            await cycles(agent, 5)
            reader.takes.set()
            await reader.until(lambda: reader.ended)
            *came, note = reader.events()
            assert note.name == "dropped"
            last = max((int(event.id or 0) for event in came), default=0)
            assert last < 5
        assert b"qoex_event_streams_dropped_total 1.0" in agent.parts.instruments.text()
        async with reading(agent, "/v1/events", last=last) as reader:
            await reader.until(lambda: reader.numbers() == list(range(last + 1, 6)))


async def test_a_reader_that_takes_nothing_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_SEND_SECONDS", 0.05)
    async with (
        running(tmp_path) as agent,
        reading(agent, "/v1/events", takes=False),
    ):
        with anyio.fail_after(PATIENCE):
            while agent.parts.streams.total:
                await anyio.sleep(0.01)


async def test_streams_end_with_the_agent(agent: Agent) -> None:
    async with reading(agent, "/v1/events") as reader:
        agent.parts.lifecycle.stopping = True
        agent.parts.engine.publisher.end()
        await reader.until(lambda: reader.ended)


async def test_streams_end_with_their_token(tmp_path: Path) -> None:
    async with running(tmp_path, event_heartbeat_s=0.02) as agent:
        await agent.populate()
        async with reading(agent, "/v1/users/mu-1/events", "mu-1") as reader:
            await agent.parts.store.revoke_token(agent.tokens["mu-1"].id, datetime.now(UTC))
            await reader.until(lambda: reader.ended)
