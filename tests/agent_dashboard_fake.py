"""An agent of the dashboard's contract, with numbers of markets that are really solved.

It stands in where a state is hard to get from a real agent: kept cycles at will, names that no real
agent would accept, a line that breaks at a chosen moment.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import qoex
from qoex.agent.cycle.history import Decided
from qoex.agent.dashboard import dashboard_routes
from qoex.agent.http.views import node_view, short_numbers
from qoex.agent.reports.entries import CycleRecord, CycleResult, NodeKind
from qoex.agent.reports.kept import Kept
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.explanations import explain_node
from qoex.agent.solving.summary import allocation_numbers, cycle_summary, phase_durations

Lines = asyncio.Queue[dict[str, Any] | None]

OPERATOR, USER, PROVIDER = "operator-token", "user-token", "provider-token"


class FakeAgent:
    """Cycles of one scenario whose links get better and worse; each is solved when it is run."""

    def __init__(
        self,
        providers: int = 3,
        users: int = 12,
        *,
        names: Mapping[str, str] | None = None,
        spread: float = 0.1,
    ) -> None:
        rng = np.random.default_rng(11)
        self.scenario = qoex.sample_scenario(providers, users, rng, feasible=True)
        market = self.scenario.market()
        renamed = names or {}
        self.market = market.replace(
            provider_names=[renamed.get(name, name) for name in market.provider_names],
            user_names=[renamed.get(name, name) for name in market.user_names],
        )
        self.rng, self.spread = rng, spread
        self.loop: asyncio.AbstractEventLoop
        self.cycles: list[dict[str, Any]] = []
        self.decisions: dict[int, tuple[qoex.Market, CertifiedAllocation]] = {}
        self.records: list[CycleRecord] = []
        self.in_force: int | None = None
        self.tokens: dict[str, dict[str, Any]] = {
            OPERATOR: {"role": "operator", "node": None},
            USER: {"role": "user", "node": self.market.user_names[0]},
            PROVIDER: {"role": "provider", "node": self.market.provider_names[0]},
        }
        self.streams: set[Lines] = set()
        self.last_event_ids: list[tuple[str, str | None]] = []
        self.closed = False
        self.started = datetime.now(UTC) - timedelta(minutes=2)

    def decide(self) -> None:
        """Run a cycle that brings a decision."""
        started = time.perf_counter()
        traffic = self.rng.uniform(1 - self.spread, 1.0, self.market.traffic.shape)
        work = self.rng.uniform(1 - self.spread, 1.0, self.market.work.shape)
        market = self.market.replace(
            traffic=self.market.traffic * traffic, work=self.market.work * work
        )
        solution = qoex.solve(market)
        solved = time.perf_counter()
        certificate = qoex.certify(market, solution)
        certified = time.perf_counter()
        allocation = CertifiedAllocation.of(market, solution, certificate)
        self.in_force = len(self.cycles) + 1
        self.decisions[self.in_force] = (market, allocation)
        durations = {
            "snapshot": 1.0,
            "admit": 0.0,
            "solve": 1e3 * (solved - started),
            "certify": 1e3 * (certified - solved),
            "commit": 2.0,
            "total": 1e3 * (certified - started) + 3.0,
        }
        pairs = {"pairs": int(market.present.sum()), "left_out": 0}
        self._publish(None, durations, pairs | allocation_numbers(allocation))

    def keep(self, reason: str) -> None:
        """Run a cycle that keeps the last decision in force."""
        self._publish(Kept.told(reason), {"snapshot": 1.0, "total": 801.0}, {})

    def _publish(
        self,
        kept: Kept | None,
        durations: Mapping[str, float],
        numbers: Mapping[str, Any],
    ) -> None:
        number = len(self.cycles) + 1
        at = self.started + timedelta(seconds=number)
        record = CycleRecord(
            number=number,
            position=100 * number,
            snapshot_at=at - timedelta(milliseconds=durations["total"]),
            committed_at=at,
            result=CycleResult.DECIDED if kept is None else CycleResult.KEPT,
            kept=kept,
            in_force=self.in_force,
            start_cycle=None,
            membership=None,
            payload=None,
            digest=None,
            dropped=(),
            summary={},
            version=qoex.__version__,
        )
        counted = {"providers": self.market.providers, "users": self.market.users}
        summary = cycle_summary(record, counted | dict(numbers))
        summary["duration_ms"] = phase_durations(durations)
        self.records.append(record)
        self.cycles.append(summary)
        for stream in list(self.streams):
            self.loop.call_soon_threadsafe(stream.put_nowait, summary)

    def drop_lines(self) -> None:
        """End every stream, as an agent does that stops."""
        for stream in list(self.streams):
            self.loop.call_soon_threadsafe(stream.put_nowait, None)

    # What is below answers requests.

    def routes(self) -> list[Route]:
        return [
            Route("/v1/token", self._token),
            Route("/v1/cycles", self._cycles, methods=["GET", "POST"]),
            Route("/v1/cycles/{number:int}", self._cycle),
            Route("/v1/nodes", self._nodes),
            Route("/v1/events", self._events),
            Route("/v1/{kind}/{name}", self._report),
            Route("/v1/{kind}/{name}/events", self._events),
            Route("/v1/{kind}/{name}/decision", self._decision),
            Route("/v1/{kind}/{name}/explanation", self._explanation),
            Route("/v1/{kind}/{name}/ledger", self._ledger),
        ]

    def _allow(self, request: Request, *, operator: bool = False) -> dict[str, Any]:
        if self.closed:
            raise HTTPException(503, "The agent is stopping.")
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.tokens:
            raise HTTPException(401, "The token is not known.")
        token = self.tokens[bearer]
        own = token["role"] == request.path_params.get("kind", "")[:-1]
        own &= token["node"] == request.path_params.get("name")
        if token["role"] != "operator" and (operator or not own):
            raise HTTPException(403, "The token does not allow this.")
        return token

    async def _token(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.closed:
            raise HTTPException(503, "The agent is stopping.")
        if bearer not in self.tokens:
            raise HTTPException(401, "The token is not known.")
        return JSONResponse(self.tokens[bearer])

    async def _cycles(self, request: Request) -> Response:
        self._allow(request, operator=True)
        if request.method == "POST":
            await asyncio.to_thread(self.decide)
            return JSONResponse(self.cycles[-1])
        limit = int(request.query_params.get("limit", "100"))
        return JSONResponse({"cycles": self.cycles[::-1][:limit], "next": None})

    async def _cycle(self, request: Request) -> Response:
        self._allow(request, operator=True)
        return JSONResponse(self.cycles[request.path_params["number"] - 1])

    async def _nodes(self, request: Request) -> Response:
        self._allow(request, operator=True)
        asked = request.query_params
        now = datetime.now(UTC)
        times = {
            "received_at": now.isoformat(),
            "expires_at": (now + timedelta(minutes=5)).isoformat(),
        }
        rows: list[dict[str, Any]] = []
        decided = self._decided(self.in_force)
        for kind, names in (
            (NodeKind.PROVIDER, self.market.provider_names),
            (NodeKind.USER, self.market.user_names),
        ):
            for name in sorted(names):
                if asked.get("kind") in (None, kind) and asked.get("search", "") in name:
                    row = {"kind": kind, "name": name, "active": True, "reported_at": None}
                    rows.append(row | times | short_numbers(kind, name, decided))
        start = int(asked.get("after", "0"))
        end = start + int(asked["limit"])
        return JSONResponse(
            {"nodes": rows[start:end], "next": str(end) if end < len(rows) else None}
        )

    async def _report(self, request: Request) -> Response:
        self._allow(request)
        kind, place = self._place(request)
        now = datetime.now(UTC)
        tables = self.scenario.providers if kind == "providers" else self.scenario.users
        report = tables[place].model_dump(exclude_none=True, exclude={"name"})
        defaults = self.scenario.defaults.model_dump(exclude_none=True)
        fields = type(tables[place]).model_fields
        report = {name: value for name, value in defaults.items() if name in fields} | report
        if kind == "users":
            providers = dict(
                zip(
                    (p.name for p in self.scenario.providers),
                    self.market.provider_names,
                    strict=True,
                )
            )
            report["demands"] = {
                providers[one.provider]: one.model_dump(
                    exclude_none=True, exclude={"user", "provider", "absent", "snr_db"}
                )
                for one in self.scenario.demands
                if one.user == self.scenario.users[place].name
            }
        return JSONResponse(
            {
                "kind": kind[:-1],
                "name": request.path_params["name"],
                "active": True,
                "received_at": now.isoformat(),
                "reported_at": None,
                "expires_at": (now + timedelta(minutes=5)).isoformat(),
                "report": report,
            }
        )

    async def _explanation(self, request: Request) -> Response:
        self._allow(request)
        kind, place = self._place(request)
        if self.in_force is None:
            raise HTTPException(404, "No decision is in force.")
        market, allocation = self.decisions[self.in_force]
        name = (market.user_names if kind == "users" else market.provider_names)[place]
        side = NodeKind(kind[:-1])
        explained = explain_node(self.records[-1], market, allocation, side, name)
        return JSONResponse({"cycle": explained.cycle, "paragraphs": explained.paragraphs})

    async def _decision(self, request: Request) -> Response:
        self._allow(request)
        last = self.records[-1] if self.records else None
        return JSONResponse(self._own(request, last))

    async def _ledger(self, request: Request) -> Response:
        self._allow(request)
        kind, place = self._place(request)
        owed = sum(
            np.rint(allocation.payments * 1e6).astype(np.int64)
            for _, allocation in self.decisions.values()
        )
        owed = np.broadcast_to(owed, self.market.work.shape)
        row = owed[place] if kind == "providers" else owed[:, place]
        others = self.market.user_names if kind == "providers" else self.market.provider_names
        own, other = ("provider", "user") if kind == "providers" else ("user", "provider")
        entries = [
            {own: request.path_params["name"], other: name, "amount": _money(value)}
            for name, value in zip(others, row.tolist(), strict=True)
        ]
        total = _money(int(row.sum()))
        return JSONResponse({"unit": "money", "total": total, "entries": entries})

    def _place(self, request: Request) -> tuple[str, int]:
        kind, name = request.path_params["kind"], request.path_params["name"]
        names = self.market.provider_names if kind == "providers" else self.market.user_names
        if name not in names:
            raise HTTPException(404, f"No {kind[:-1]} {name!r} is registered.")
        return kind, names.index(name)

    async def _events(self, request: Request) -> Response:
        self._allow(request, operator="name" not in request.path_params)
        last = request.headers.get("last-event-id")
        self.last_event_ids.append((request.url.path, last))
        queue: Lines = asyncio.Queue()
        missed = [] if last is None else self.cycles[int(last) :]
        self.streams.add(queue)

        async def lines() -> AsyncIterator[str]:
            try:
                yield ": here\n\n"
                for summary in missed:
                    yield self._event(request, summary)
                while (new := await queue.get()) is not None:
                    yield self._event(request, new)
            finally:
                self.streams.discard(queue)

        return StreamingResponse(lines(), media_type="text/event-stream")

    def _event(self, request: Request, summary: dict[str, Any]) -> str:
        record = self.records[summary["number"] - 1]
        data = summary if "name" not in request.path_params else self._own(request, record)
        return f"event: cycle\nid: {summary['number']}\ndata: {json.dumps(data)}\n\n"

    def _own(self, request: Request, record: CycleRecord | None) -> dict[str, Any]:
        kind, _ = self._place(request)
        decided = self._decided(None if record is None else record.in_force)
        own = node_view(NodeKind(kind[:-1]), request.path_params["name"], record, decided)
        if own["decided_at"] is not None:
            own["decided_at"] = own["decided_at"].isoformat()
        return own

    def _decided(self, number: int | None) -> Decided | None:
        if number is None:
            return None
        return Decided(self.records[number - 1], b"", self.decisions[number][1])


def _money(micro: int) -> str:
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"type": "urn:qoex:problem:fake", "title": error.detail, "status": error.status_code}
    return JSONResponse(body, error.status_code, media_type="application/problem+json")


@contextmanager
def serving(agent: FakeAgent) -> Iterator[str]:
    """Serve an agent and the dashboard from a thread, and return the address of the page."""
    app = Starlette(
        routes=[*dashboard_routes(), *agent.routes()], exception_handlers={HTTPException: _problem}
    )
    config = uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)

    async def run() -> None:
        agent.loop = asyncio.get_running_loop()
        await server.serve()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        agent.drop_lines()
        server.should_exit = True
        thread.join()
