"""Who may do what: every route with every kind of token, and what gives away nothing."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.routing import Route

from agent_http import PROVIDER_BODY, Agent, logging_to, problem_of, running, user_body
from qoex.agent.http.app import create_api
from qoex.agent.settings import LogLevel, MetricsAccess
from qoex.agent.tokens import Role, new_token

pytestmark = pytest.mark.anyio

OPERATOR, USER, PROVIDER, ANY = "operator", "user", "provider", "any token"
OPEN = "open"


@dataclass(frozen=True)
class Case:
    """Who may use a route, and a request that is accepted from those."""

    who: str
    path: str
    body: Any = None
    stream: bool = False


_DEMAND = user_body("asp-1")["demands"]["asp-1"]

# A new route fails the test below until it has its line here.
ROUTES: dict[tuple[str, str], Case] = {
    ("PUT", "/v1/providers/{name}"): Case(PROVIDER, "/v1/providers/asp-1", PROVIDER_BODY),
    ("PATCH", "/v1/providers/{name}"): Case(PROVIDER, "/v1/providers/asp-1", {}),
    ("GET", "/v1/providers/{name}"): Case(PROVIDER, "/v1/providers/asp-1"),
    ("DELETE", "/v1/providers/{name}"): Case(PROVIDER, "/v1/providers/asp-1"),
    ("GET", "/v1/providers/{name}/links"): Case(PROVIDER, "/v1/providers/asp-1/links"),
    ("PATCH", "/v1/providers/{name}/links"): Case(
        PROVIDER, "/v1/providers/asp-1/links", {"mu-1": 3.0}
    ),
    ("POST", "/v1/providers/{name}/served"): Case(
        PROVIDER, "/v1/providers/asp-1/served", {"user": "mu-1", "requests": 1}
    ),
    ("GET", "/v1/providers/{name}/decision"): Case(PROVIDER, "/v1/providers/asp-1/decision"),
    ("GET", "/v1/providers/{name}/explanation"): Case(PROVIDER, "/v1/providers/asp-1/explanation"),
    ("GET", "/v1/providers/{name}/ledger"): Case(PROVIDER, "/v1/providers/asp-1/ledger"),
    ("GET", "/v1/providers/{name}/events"): Case(
        PROVIDER, "/v1/providers/asp-1/events", stream=True
    ),
    ("PUT", "/v1/users/{name}"): Case(USER, "/v1/users/mu-1", user_body("asp-1")),
    ("PATCH", "/v1/users/{name}"): Case(USER, "/v1/users/mu-1", {"demands": {"asp-2": _DEMAND}}),
    ("GET", "/v1/users/{name}"): Case(USER, "/v1/users/mu-1"),
    ("DELETE", "/v1/users/{name}"): Case(USER, "/v1/users/mu-1"),
    ("GET", "/v1/users/{name}/decision"): Case(USER, "/v1/users/mu-1/decision"),
    ("GET", "/v1/users/{name}/explanation"): Case(USER, "/v1/users/mu-1/explanation"),
    ("GET", "/v1/users/{name}/ledger"): Case(USER, "/v1/users/mu-1/ledger"),
    ("GET", "/v1/users/{name}/events"): Case(USER, "/v1/users/mu-1/events", stream=True),
    ("POST", "/v1/reports"): Case(
        USER,
        "/v1/reports",
        [{"key": "k", "node_kind": "user", "node": "mu-1", "kind": "patch", "body": {}}],
    ),
    ("GET", "/v1/nodes"): Case(OPERATOR, "/v1/nodes"),
    ("GET", "/v1/cycles"): Case(OPERATOR, "/v1/cycles"),
    ("POST", "/v1/cycles"): Case(OPERATOR, "/v1/cycles"),
    ("GET", "/v1/cycles/{number}"): Case(OPERATOR, "/v1/cycles/1"),
    ("GET", "/v1/decisions/latest"): Case(OPERATOR, "/v1/decisions/latest"),
    ("GET", "/v1/decisions/{number}"): Case(OPERATOR, "/v1/decisions/1"),
    ("GET", "/v1/ledger"): Case(OPERATOR, "/v1/ledger"),
    ("GET", "/v1/events"): Case(OPERATOR, "/v1/events", stream=True),
    ("GET", "/v1/token"): Case(ANY, "/v1/token"),
    ("GET", "/healthz"): Case(OPEN, "/healthz"),
    ("GET", "/readyz"): Case(OPEN, "/readyz"),
    ("GET", "/metrics"): Case(OPEN, "/metrics"),  # from this machine; there are tests of its own
    ("GET", "/openapi.json"): Case(OPEN, "/openapi.json"),
    ("GET", "/"): Case(OPEN, "/"),
    ("GET", "/dashboard/{path:path}"): Case(OPEN, "/dashboard/index.html"),
}
ALLOWED = {
    OPERATOR: {"operator"},
    USER: {"operator", "mu-1"},
    PROVIDER: {"operator", "asp-1"},
    ANY: {"operator", "mu-1", "mu-2", "asp-1", "asp-2", "user asp-1"},
}
EVERYBODY = sorted(ALLOWED[ANY])


@pytest.fixture(scope="module")
async def agent(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Agent]:
    folder = tmp_path_factory.mktemp("access")
    async with running(folder, failed_logins_burst=1_000_000) as agent:
        await agent.populate()
        assert (await agent.ask("POST", "/v1/cycles")).json()["result"] == "decided"
        yield agent


async def send(agent: Agent, method: str, case: Case, who: str | None, **headers: str) -> Any:
    """Send the request of a case; a stream is left as soon as it has begun."""
    content = None
    if isinstance(case.body, list):
        headers["content-type"] = "application/x-ndjson"
        content = "\n".join(map(json.dumps, case.body)).encode()
    elif method not in ("GET", "DELETE") and case.body is not None:
        headers["content-type"] = "application/json"
        content = json.dumps(case.body).encode()
    if method != "GET":
        headers.setdefault("idempotency-key", f"{who}-{method}-{case.path}"[:100])
    if case.stream and who in ALLOWED[case.who]:
        return None  # httpx waits for the end of a response in this process, and it has none
    return await agent.ask(method, case.path, who, headers=headers, content=content)


def test_every_route_is_listed() -> None:
    found = {
        (method, route.path)
        for route in create_api().routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert found == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_without_a_token(agent: Agent, route: tuple[str, str]) -> None:
    case = ROUTES[route]
    if case.who == OPEN:
        assert (await send(agent, route[0], case, None)).status_code == 200
        return
    before = await agent.state()
    revoked, secret = new_token(
        Role.OPERATOR,
        created_at=datetime.now(UTC) - timedelta(days=1),
        expires_at=datetime.now(UTC),
    )
    await agent.parts.store.create_token(revoked)
    agent.parts.tokens.replace(await agent.parts.store.tokens())
    _, unknown = new_token(Role.OPERATOR, created_at=datetime.now(UTC))
    valid = agent.secrets["operator"]
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {secret}",
        f"Bearer {unknown}",
        f"Bearer {valid[:-1]}",
        f"Bearer {valid}x",
        f"Bearer {valid.upper()}",
        f"Basic {valid}",
        valid,
        "Bearer ünknown",
    ):
        headers = {} if header is None else {"authorization": header.encode("latin-1")}
        answer = await send(agent, route[0], case, None, **headers)  # type: ignore[arg-type]
        assert problem_of(answer) == (401, "unauthenticated"), header
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await agent.state() == before


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_with_the_token_of_somebody_else(agent: Agent, route: tuple[str, str]) -> None:
    case = ROUTES[route]
    if case.who in (OPEN, ANY):
        for who in EVERYBODY:
            assert (await send(agent, route[0], case, who)).status_code == 200, who
        return
    before = await agent.state()
    for who in EVERYBODY:
        if who not in ALLOWED[case.who]:
            answer = await send(agent, route[0], case, who)
            assert problem_of(answer) == (403, "forbidden"), who
    assert await agent.state() == before


# Everybody may use the others, which is tested above; streams are tested on their own.
OWNED = [route for route, case in ROUTES.items() if case.who not in (OPEN, ANY) and not case.stream]


@pytest.mark.parametrize("route", OWNED, ids=" ".join)
async def test_with_the_right_token(tmp_path: Path, route: tuple[str, str]) -> None:
    case = ROUTES[route]
    async with running(tmp_path) as agent:
        await agent.populate()
        await agent.ask("POST", "/v1/cycles")
        for who in sorted(ALLOWED[case.who]):
            answer = await send(agent, route[0], case, who)
            if answer.status_code == 409:  # somebody let it leave before
                assert route[0] == "DELETE"
            else:
                assert answer.status_code == 200, (who, answer.text)


async def test_two_authorization_headers_are_none(agent: Agent) -> None:
    answer = await agent.client.get(
        "/v1/token",
        headers=[
            ("authorization", f"Bearer {agent.secrets['operator']}"),
            ("authorization", f"Bearer {agent.secrets['mu-1']}"),
        ],
    )
    assert problem_of(answer) == (401, "unauthenticated")


async def test_a_revoked_token_opens_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as agent:
        assert (await agent.ask("GET", "/v1/token", "mu-1")).status_code == 200
        await agent.parts.store.revoke_token(agent.tokens["mu-1"].id, datetime.now(UTC))
        with anyio.fail_after(30):
            while (await agent.ask("GET", "/v1/token", "mu-1")).status_code == 200:
                await anyio.sleep(0.05)
        assert problem_of(await agent.ask("GET", "/v1/token", "mu-1")) == (401, "unauthenticated")


async def test_unknown_paths_tell_nothing_without_a_token(agent: Agent) -> None:
    assert problem_of(await agent.ask("GET", "/v1/nothing", None)) == (401, "unauthenticated")
    assert problem_of(await agent.ask("GET", "/v1/nothing")) == (404, "not-found")
    assert problem_of(await agent.ask("GET", "/nothing", None)) == (404, "not-found")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8321", "", "127.0.0.1.evil.example", "[::2]:8321"]
)
async def test_other_hosts_are_refused_on_loopback(agent: Agent, host: str) -> None:
    for path in ("/", "/healthz", "/v1/token"):
        answer = await agent.ask("GET", path, headers={"host": host})
        assert problem_of(answer) == (421, "misdirected"), path


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:8321"])
async def test_hosts_of_this_machine(agent: Agent, host: str) -> None:
    assert (await agent.ask("GET", "/healthz", headers={"host": host})).status_code == 200


async def test_hosts_by_setting(tmp_path: Path) -> None:
    async with running(tmp_path, allowed_hosts=("market.example",)) as agent:
        good = await agent.ask("GET", "/healthz", headers={"host": "market.example"})
        assert good.status_code == 200
        assert problem_of(await agent.ask("GET", "/healthz")) == (421, "misdirected")


async def test_metrics_are_for_this_machine_and_operators(tmp_path: Path) -> None:
    async with running(tmp_path) as agent:
        assert (await agent.ask("GET", "/metrics", None)).status_code == 200
        # A proxy on this machine speaks for anybody.
        for name, value in (("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")):
            forwarded = await agent.ask("GET", "/metrics", None, headers={name: value})
            assert problem_of(forwarded) == (401, "unauthenticated")
            node = await agent.ask("GET", "/metrics", "mu-1", headers={name: value})
            assert problem_of(node) == (403, "forbidden")
            operator = await agent.ask("GET", "/metrics", headers={name: value})
            assert operator.status_code == 200


async def test_metrics_by_setting(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    async with running(tmp_path / "1", metrics=MetricsAccess.OPERATOR) as agent:
        assert problem_of(await agent.ask("GET", "/metrics", None)) == (401, "unauthenticated")
        assert (await agent.ask("GET", "/metrics")).status_code == 200
    async with running(tmp_path / "2", metrics=MetricsAccess.ANYONE) as agent:
        answer = await agent.ask("GET", "/metrics", None, headers={"forwarded": "for=x"})
        assert answer.status_code == 200


async def test_answers_carry_what_browsers_need(agent: Agent) -> None:
    for path, who in (("/v1/token", "operator"), ("/v1/token", None), ("/healthz", None)):
        headers = (await agent.ask("GET", path, who)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
    page = (await agent.ask("GET", "/", None)).headers
    assert "script-src 'self'" in page["content-security-policy"]
    assert "'unsafe-inline'" not in page["content-security-policy"]
    assert "http" not in page["content-security-policy"]


async def test_no_secret_is_logged(tmp_path: Path) -> None:
    text = io.StringIO()
    with logging_to(text):
        async with running(tmp_path, log_level=LogLevel.DEBUG) as agent:
            await agent.populate()
            secret = agent.secrets["operator"]
            await agent.ask("GET", "/v1/token", headers={"authorization": f"Bearer {secret}x"})
            await agent.ask("GET", f"/v1/{secret}")
            await agent.ask("GET", f"/v1/token?token={secret}")
            await agent.report("PATCH", "/v1/users/mu-1", {secret: 1})
            secrets = list(agent.secrets.values())
    logged = [json.loads(line) for line in text.getvalue().splitlines()]
    requests = [line for line in logged if line["event"] == "request"]
    assert {line["status"] for line in requests} >= {200, 401, 404, 422}
    assert any(line["token_id"] == agent.tokens["operator"].id for line in requests)
    for secret in secrets:
        assert secret not in text.getvalue()
        assert secret[len("qoex_12345678_") :] not in text.getvalue()
