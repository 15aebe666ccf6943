"""What tests of the agent over HTTP share: a whole agent in this process, and its clients."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import httpx
import jsonschema
import structlog
from pydantic import BaseModel

from agent_cycles import InProcessWorker
from agent_state import PROVIDER_BODY, USER_BODY, state_bytes, user_body
from qoex.agent import service
from qoex.agent.http.app import create_app
from qoex.agent.http.parts import AgentParts
from qoex.agent.logs import set_up_logs
from qoex.agent.settings import LogFormat, LogLevel, Settings
from qoex.agent.tokens import Role, Token, new_token

__all__ = [
    "PROVIDER_BODY",
    "USER_BODY",
    "Agent",
    "checked",
    "logging_to",
    "problem_of",
    "running",
    "user_body",
]

_NODES = (
    ("operator", Role.OPERATOR, None),
    ("mu-1", Role.USER, "mu-1"),
    ("mu-2", Role.USER, "mu-2"),
    ("asp-1", Role.PROVIDER, "asp-1"),
    ("asp-2", Role.PROVIDER, "asp-2"),
    # The two sides have names of their own: this user is another one than that provider.
    ("user asp-1", Role.USER, "asp-1"),
)


@dataclass
class Agent:
    """An agent in this process, with tokens of an operator and of some nodes."""

    parts: AgentParts
    client: httpx.AsyncClient
    tokens: dict[str, Token]
    secrets: dict[str, str]

    def __post_init__(self) -> None:
        self._keys = itertools.count(1)

    async def ask(
        self, method: str, path: str, who: str | None = "operator", **options: Any
    ) -> httpx.Response:
        """Send a request with somebody's token, or with none."""
        headers = dict(options.pop("headers", {}))
        if who is not None:
            headers.setdefault("authorization", f"Bearer {self.secrets[who]}")
        return await self.client.request(method, path, headers=headers, **options)

    async def report(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: str = "operator",
        key: str | None = None,
        content: bytes | None = None,
        media_type: str = "application/json",
    ) -> httpx.Response:
        """Send a report, with a fresh key unless one is given."""
        headers = {"idempotency-key": f"key-{next(self._keys)}" if key is None else key}
        if content is not None:
            headers["content-type"] = media_type
            return await self.ask(method, path, who, headers=headers, content=content)
        if body is None:
            return await self.ask(method, path, who, headers=headers)
        return await self.ask(method, path, who, headers=headers, json=body)

    async def populate(self) -> None:
        """Register two providers and two users who demand of both."""
        for path, body in (
            ("/v1/providers/asp-1", PROVIDER_BODY),
            ("/v1/providers/asp-2", PROVIDER_BODY),
            ("/v1/users/mu-1", user_body("asp-1", "asp-2")),
            ("/v1/users/mu-2", user_body("asp-1")),
        ):
            answer = await self.report("PUT", path, body)
            assert answer.status_code == 200, answer.text

    async def state(self) -> tuple[int, int | None, str, dict[str, Any]]:
        """What a refused request must leave alone, to the last bit.

        The last places in the log and among the cycles, a hash of registry and ledger, and all
        documents, which tell more where something differs.
        """
        intake, store = self.parts.intake, self.parts.store
        registry = intake.registry
        cycles = await store.cycles(limit=1, newest_first=True)
        held = hashlib.sha256(state_bytes(registry, intake.ledger)).hexdigest()
        documents = {
            f"{kind} {state.name}": registry.document(kind, state.name)
            for kind in registry.rosters
            for state in registry.nodes(kind)
        }
        last_cycle = cycles[0].number if cycles else None
        return await store.last_seq(), last_cycle, held, documents


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Agent]:
    """Run an agent that computes in this process, and runs cycles only when it is asked to."""
    chosen = Settings(**{"database": str(folder / "agent.db"), "cycle_s": 0, **settings})
    now = datetime.now(UTC)
    made = {label: new_token(role, node, created_at=now) for label, role, node in _NODES}
    async with service.running(chosen, InProcessWorker()) as parts:
        for token, _ in made.values():
            await parts.store.create_token(token)
        parts.tokens.replace(await parts.store.tokens())
        transport = httpx.ASGITransport(create_app(parts), client=("127.0.0.1", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Agent(
                parts,
                client,
                {label: token for label, (token, _) in made.items()},
                {label: secret for label, (_, secret) in made.items()},
            )


@contextmanager
def logging_to(stream: TextIO, level: LogLevel = LogLevel.DEBUG) -> Iterator[None]:
    """Let the log of this process go to a stream as JSON, and then where it went before."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    try:
        set_up_logs(level, LogFormat.JSON, stream)
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)
        structlog.reset_defaults()


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    """Check that an answer is a whole problem; return its status and its slug."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == f"urn:qoex:request:{answer.headers['x-request-id']}"
    prefix, slug = body["type"][:17], body["type"][17:]
    assert prefix == "urn:qoex:problem:"
    return answer.status_code, slug


def checked(form: type[BaseModel], body: dict[str, Any]) -> dict[str, Any]:
    """Require that an answer is what its description says, field for field."""
    form.model_validate_json(json.dumps(body), strict=True)
    jsonschema.validate(body, form.model_json_schema())
    return body
