"""The OpenAPI description is true: Schemathesis asks a running agent, and compares.

What Schemathesis makes up would mostly be about nodes that nobody knows, with keys that were used
before. So valid requests are brought to nodes that are there, and then have to be accepted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from agent_cycles import InProcessWorker
from agent_http import PROVIDER_BODY, user_body
from agent_state import Report, formed, histories
from qoex.agent import listening, service
from qoex.agent.http.app import create_api
from qoex.agent.http.openapi import openapi_document
from qoex.agent.http.parts import AgentParts
from qoex.agent.settings import Settings
from qoex.agent.tokens import Role, new_token

EXAMPLES = 12
# Schemathesis makes requests from examples before any agent runs.
TOKEN, SECRET = new_token(Role.OPERATOR, created_at=datetime.now(UTC))

PROVIDERS, USERS = ("asp-1", "asp-2"), ("mu-1", "mu-2")
NDJSON = "application/x-ndjson"

# What no schema says of a report: how its fields go together, and with what was said before.
BEYOND_SCHEMAS = re.compile(
    "The (quadratic|cached) work model needs it|One coefficient of the cached work model"
    "|It is .*, above reward_max|A new demand needs it|A demand (needs|gives) it"
)


@dataclass
class Running:
    """An agent, and an operator who keeps its nodes registered."""

    url: str
    parts: AgentParts
    client: httpx.Client
    keys: Iterator[str] = field(default_factory=lambda: (f"own-{k}" for k in itertools.count()))

    def register(self) -> None:
        """Let every node say what it said first, whatever a request made of it."""
        nodes = {
            **{("provider", name): PROVIDER_BODY for name in PROVIDERS},
            **{("user", name): user_body(*PROVIDERS) for name in USERS},
        }
        lines = [
            {"key": next(self.keys), "node_kind": kind, "node": name, "kind": "put", "body": body}
            for (kind, name), body in nodes.items()
        ]
        content = "\n".join(map(json.dumps, lines))
        headers = {"content-type": NDJSON}
        self.client.post("/v1/reports", headers=headers, content=content).raise_for_status()


@contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """Serve an agent from another thread."""
    started: Future[tuple[Any, AgentParts]] = Future()
    listener = listening.listening_socket("127.0.0.1", 0)
    chosen = Settings(
        database=str(folder / "agent.db"),
        cycle_s=0,
        operator_rate=1e6,
        operator_burst=1_000_000,
        failed_logins_burst=1_000_000,
        shutdown_grace_s=1,
    )

    async def serve() -> None:
        async with service.running(chosen, InProcessWorker()) as parts:
            await parts.store.create_token(TOKEN)
            parts.tokens.replace(await parts.store.tokens())
            server = listening.server_of(parts)
            started.set_result((server, parts))
            await server.serve(sockets=[listener])

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        _, parts = started.result(60)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        headers = {"authorization": f"Bearer {SECRET}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield Running(url, parts, client)
    finally:
        if started.done() and started.exception() is None:
            started.result()[0].should_exit = True
        thread.join(60)
        listener.close()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("openapi")) as running:
        running.register()
        running.client.post("/v1/cycles").raise_for_status()
        yield running


@schemathesis.serializer(NDJSON)
def as_ndjson(context: object, lines: object) -> bytes:
    """Send text as it is; what is made to be wrong goes as JSON."""
    if isinstance(lines, bytes):
        return lines
    return (lines if isinstance(lines, str) else json.dumps(lines)).encode()


def as_lines(reports: list[Report]) -> bytes:
    """Return reports as the lines of a bulk request, without those that no form has room for."""
    seed = crc32(repr(reports).encode())
    lines = [
        {"key": f"{seed}-{k}", "node_kind": kind, "node": name, "kind": what, "body": body}
        for k, (kind, name, what, body) in enumerate(reports)
        if formed((kind, name, what, body), "k") is not None
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


schemathesis.openapi.media_type(NDJSON, histories(10).map(as_lines))

# Streams do not end by themselves; they have tests of their own.
schema = schemathesis.openapi.from_dict(openapi_document(create_api())).exclude(
    path_regex="/events$"
)


@schema.auth()
class Bearer:
    """Lets Schemathesis try what happens without the token, too."""

    def get(self, case: schemathesis.Case[Any], context: object) -> str:
        return SECRET

    def set(self, case: schemathesis.Case[Any], secret: str, context: object) -> None:
        case.headers["Authorization"] = f"Bearer {secret}"


def bring_to_known_nodes(case: schemathesis.Case[Any], key: str) -> bool:
    """Let a valid request be new, and about nodes that are there; return whether all of them are.

    Of the nodes that paths name one in four stays unknown.
    """
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = key
    if isinstance(case.body, dict):
        body: dict[str, Any] = {**case.body}
        if isinstance(body.get("reported_at"), str):
            body["reported_at"] = datetime.now(UTC).isoformat()
        if body.get("demands"):
            body["demands"] = dict(zip(PROVIDERS, body["demands"].values(), strict=False))
        if case.path.endswith("/links"):
            body = dict(zip(USERS, body.values(), strict=False))
        if case.path.endswith("/served"):
            body["user"] = USERS[0]
        case.body = body
    name = case.path_parameters.get("name")
    if name is None:
        return True
    known = PROVIDERS if "/providers/" in case.path else USERS
    if name not in known and crc32(name.encode()) % 4:
        case.path_parameters["name"] = name = known[0]
    return name in known


def accepted(case: schemathesis.Case[Any], response: schemathesis.Response, *, known: bool) -> bool:
    """Return whether a valid request was accepted, or refused for what no schema could say."""
    if response.status_code == 200:
        return True
    problem = response.json()
    slug = problem["type"].removeprefix("urn:qoex:problem:")
    bulk = case.path == "/v1/reports"  # its nodes come and go
    if slug == "not-found":
        asked = (case.path_parameters or {}).keys() | (case.query or {}).keys()
        return bulk or not known or bool(asked & {"number", "cycle"})
    if slug == "not-active":
        return bulk or not known
    if slug == "unknown-node":
        return bulk
    if slug == "invalid-report":
        return all(BEYOND_SCHEMAS.search(fault["what"]) for fault in problem["errors"])
    return False


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_the_agent_does_what_it_says(case: schemathesis.Case[Any], agent: Running) -> None:
    valid = case.meta is not None and case.meta.generation.mode.is_positive
    known = valid and bring_to_known_nodes(case, next(agent.keys))
    if known and case.method != "GET":
        agent.register()
    before = agent.parts.intake.registry.position
    # Schemathesis would have every valid request accepted; see accepted().
    response = case.call_and_validate(
        base_url=agent.url, excluded_checks=[positive_data_acceptance]
    )
    if response.status_code >= 400:
        assert agent.parts.intake.registry.position == before, "a refused request changed something"
    if valid:
        assert accepted(case, response, known=known), response.text
