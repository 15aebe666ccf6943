"""Killed at any moment, the agent loses nothing that it acknowledged, and doubles nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import qoex
from agent_crash_fleet import PROVIDERS, USERS, Fleet
from qoex.agent.cycle.history import History
from qoex.agent.reports.entries import CycleResult, Entry, EntryKind, NodeKind
from qoex.agent.state.ledger import Ledger
from qoex.agent.state.recovery import recover
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store
from qoex.agent.tokens import Role, new_token

SERVER = Path(__file__).with_name("agent_crash_server.py")
LIVES = 100
PATIENCE_S = 30.0


@dataclass
class Server:
    """Starts agents on one database and one port, and kills them."""

    process: subprocess.Popen[str]
    port: int

    def start(self) -> int:
        """Return the process id of a new agent, which is just beginning to start."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{self.port}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def server(database: Path, billing: str) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(SERVER), str(database), billing]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Server(process, port)
        finally:
            process.kill()


async def wait_until_gone(pid: int) -> None:
    """A process that was killed holds its locks until it is gone."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.001)


async def wait_until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get("/readyz")).is_success:
                    return
            await asyncio.sleep(0.01)


async def lives(database: Path, billing: str, fleet: Fleet, secret: str) -> dict[str, Any]:
    """Let many agents live for a while, one after the other; return what the last one says."""
    with server(database, billing) as agents:
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{agents.port}",
            headers={"authorization": f"Bearer {secret}"},
            timeout=PATIENCE_S,
        )
        async with client:
            pid = agents.start()
            await wait_until_ready(client)
            for report in fleet.registration():
                await fleet.send(client, report)
            load = asyncio.create_task(fleet.life(client))
            for _ in range(LIVES):
                if fleet.rng.random() < 0.75:  # others die while they read back what is stored
                    await wait_until_ready(client)
                await asyncio.sleep(float(fleet.rng.uniform(0.0, 0.4)))
                os.kill(pid, signal.SIGKILL)
                await wait_until_gone(pid)
                pid = agents.start()
            await wait_until_ready(client)
            await asyncio.sleep(0.2)
            load.cancel()
            with suppress(asyncio.CancelledError):
                await load
            for report in fleet.registration():  # whoever had left
                await fleet.send(client, report)
            cycle = (await client.post("/v1/cycles")).raise_for_status().json()
            lines = (await client.get("/v1/decisions/latest")).raise_for_status().text.splitlines()
            ledger = (await client.get("/v1/ledger")).raise_for_status().json()
            os.kill(pid, signal.SIGTERM)
            await wait_until_gone(pid)
    return {"cycle": cycle, "lines": lines, "ledger": ledger}


def folded(log: list[Entry]) -> qoex.Scenario:
    """What the nodes said last, put together in the plainest way, as a scenario."""
    documents: dict[tuple[NodeKind, str], dict[str, Any]] = {}
    active: dict[tuple[NodeKind, str], bool] = {}
    links: dict[tuple[str, str], float] = {}
    for entry in log:
        node = entry.node_kind, entry.node
        if entry.kind is EntryKind.PUT:
            documents[node], active[node] = dict(entry.body), True
        elif entry.kind is EntryKind.PATCH:
            documents[node] = merged(documents[node], entry.body)
        elif entry.kind in (EntryKind.LEAVE, EntryKind.EXPIRE):
            active[node] = False
        elif entry.kind is EntryKind.LINKS:
            links |= {(entry.node, user): value for user, value in entry.body.items()}
    providers = [name for name in PROVIDERS if active[NodeKind.PROVIDER, name]]
    users = [name for name in USERS if active[NodeKind.USER, name]]
    demands = []
    for user in users:
        for provider, demand in documents[NodeKind.USER, user]["demands"].items():
            own = documents[NodeKind.PROVIDER, provider].get("snr_db")
            snr = links.get((provider, user), own)
            if snr is not None and provider in providers:
                demands.append({**demand, "user": user, "provider": provider, "snr_db": snr})

    def tables(kind: NodeKind, names: list[str], without: set[str]) -> list[dict[str, Any]]:
        return [
            {"name": name}
            | {k: v for k, v in documents[kind, name].items() if k not in without and v is not None}
            for name in names
        ]

    return qoex.Scenario.parse(
        {
            "defaults": {"missing_demands": "absent"},
            "providers": tables(
                NodeKind.PROVIDER, providers, {"snr_db", "lifetime_s", "reported_at"}
            ),
            "users": tables(NodeKind.USER, users, {"demands", "lifetime_s", "reported_at"}),
            "demands": demands,
        }
    )


def merged(document: Any, patch: Any) -> Any:
    """JSON merge patch, as RFC 7396 writes it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("billing", ["cycle", "request"])
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, billing: str) -> None:
    asyncio.run(_killed_often(tmp_path / "agent.db", billing))


async def _killed_often(database: Path, billing: str) -> None:
    token, secret = new_token(Role.OPERATOR, None, created_at=datetime.now(UTC))
    async with await Store.open(str(database)) as store:
        await store.create_token(token)
    fleet = Fleet(np.random.default_rng(len(billing)))
    last = await lives(database, billing, fleet, secret)
    assert not fleet.doubled
    assert set(fleet.refused) <= {404, 409, 422}, fleet.refused  # of users who had left
    assert len(fleet.acknowledged) > LIVES

    async with await Store.open(str(database)) as store:
        log = [entry async for entry in store.entries(after=0)]
        cycles = await all_cycles(store)
        # The log has every acknowledged report once, where it was said to be, and nothing else.
        assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
        reports = {entry.key: entry.seq for entry in log if entry.kind is not EntryKind.EXPIRE}
        keys = Counter(entry.key for entry in log)
        assert max(keys.values()) == 1
        assert {key: reports.get(key) for key in fleet.acknowledged} == fleet.acknowledged
        assert set(reports) <= fleet.sent
        # So do the cycles.
        assert [record.number for record in cycles] == list(range(1, len(cycles) + 1))
        for number, summary in fleet.decisions.items():
            stored = cycles[number - 1]
            assert (stored.result.value, stored.in_force) == (
                summary["result"],
                summary["in_force"],
            )
        # What is owed is what the log says was served, or what the cycles charged; the agent was
        # asked a moment before it ended.
        if billing == "request":
            amounts = [entry.body["amount_micro"] for entry in log if entry.kind == "served"]
            charged = [Decimal(amount) / 10**6 for amount in amounts]
            since = 0
        else:
            charges = [record.summary["charged"] for record in cycles]
            charged = [Decimal(item["total"]) if item else Decimal(0) for item in charges]
            since = last["cycle"]["number"] - 1
        owed = list(accumulate(charged))
        assert Decimal(last["ledger"]["total"]) in owed[since:]
        ledger = Ledger()
        await recover(store, Registry(), ledger, History(store).allocation)
        assert ledger.total() == owed[-1] > 0
        # The cycle after all of it is right: another fold of the log, solved by itself.
        assert_right(last, folded(log).market())
    decided = sum(record.result is CycleResult.DECIDED for record in cycles)
    assert decided > LIVES / 10
    command = [sys.executable, str(SERVER), str(database), "replay"]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (int(again.stdout), again.stderr) == (decided, "")


async def all_cycles(store: Store) -> list[Any]:
    found: list[Any] = []
    while page := await store.cycles(after=len(found), limit=500):
        found += page
    return found


def assert_right(last: dict[str, Any], market: qoex.Market) -> None:
    assert last["cycle"]["result"] == "decided"
    pairs = [json.loads(line) for line in last["lines"][1:]]
    solution = qoex.solve(market)
    rewards = {
        (provider, user): float(solution.rewards[n, m])
        for n, provider in enumerate(market.provider_names)
        for m, user in enumerate(market.user_names)
        if market.present[n, m]
    }
    assert {(pair["provider"], pair["user"]) for pair in pairs} == set(rewards)
    for pair in pairs:
        expected = rewards[pair["provider"], pair["user"]]
        assert pair["reward"] == pytest.approx(expected, rel=1e-6)
