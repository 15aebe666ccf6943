"""Every error is a problem as RFC 9457 has it, and says no more than it should."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent_http import Agent, problem_of, running
from qoex.agent.errors import ProblemKind
from qoex.agent.http.problems import MOST_FAULTS, problem_response
from qoex.agent.storage import StorageError
from qoex.wire.problems import Fault, ProblemBody

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def agent(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Agent]:
    async with running(tmp_path_factory.mktemp("problems")) as agent:
        await agent.populate()
        yield agent


@pytest.mark.parametrize("problem", ProblemKind)
def test_every_kind_has_its_form(problem: ProblemKind) -> None:
    answer = problem_response(
        problem, "Some sentence.", request_id="r-1", faults=[Fault("a.b", "Wrong")], retry_after=0.2
    )
    body = ProblemBody.model_validate_json(bytes(answer.body))
    assert answer.status_code == body.status == problem.status
    assert body.type == f"urn:qoex:problem:{problem.slug}"
    assert body.instance == "urn:qoex:request:r-1"
    assert body.errors is not None
    assert body.errors[0].where == "a.b"
    assert answer.headers["retry-after"] == "1"
    assert ("www-authenticate" in answer.headers) is (problem is ProblemKind.UNAUTHENTICATED)


def test_faults_are_cut_short() -> None:
    faults = [Fault("x" * 10_000, "y" * 10_000)] * 1_000
    answer = problem_response(ProblemKind.INVALID_REPORT, "Some sentence.", faults=faults)
    body = ProblemBody.model_validate_json(bytes(answer.body))
    assert body.errors is not None
    assert len(body.errors) == MOST_FAULTS
    assert len(answer.body) < 50_000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/users/mu-1", "DELETE, GET, PATCH, PUT"),
        ("TRACE", "/v1/providers/asp-1", "DELETE, GET, PATCH, PUT"),
        ("PUT", "/v1/providers/asp-1/links", "GET, PATCH"),
        ("DELETE", "/v1/cycles", "GET, POST"),
        ("POST", "/healthz", "GET"),
        ("QUERY", "/v1/reports", "POST"),
    ],
)
async def test_other_methods(agent: Agent, method: str, path: str, allowed: str) -> None:
    answer = await agent.ask(method, path)
    assert problem_of(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/users", "/v1/users/", "/v1/users/mu-1/", "/docs", "/redoc", "/x"]
)
async def test_paths_that_lead_nowhere(agent: Agent, path: str) -> None:
    assert problem_of(await agent.ask("GET", path)) == (404, "not-found")


async def test_files_that_are_not_there(agent: Agent) -> None:
    for path in ("/dashboard/none.js", "/dashboard/../settings.py", "/dashboard/%2e%2e/x"):
        assert problem_of(await agent.ask("GET", path, None)) == (404, "not-found")


async def test_a_mistake_of_ours_is_not_shown(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*args: object, **options: object) -> None:
        raise RuntimeError("a secret of the agent")

    monkeypatch.setattr(agent.parts.engine, "run_cycle", breaks)
    answer = await agent.ask("POST", "/v1/cycles")
    assert problem_of(answer) == (500, "internal-error")
    assert "secret" not in answer.text


async def test_a_database_that_fails(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*args: object, **options: object) -> None:
        raise StorageError("/var/lib/secret.db cannot be read")

    monkeypatch.setattr(agent.parts.store, "cycles", fails)
    answer = await agent.ask("GET", "/v1/cycles")
    assert problem_of(answer) == (503, "storage-failed")
    assert "secret" not in answer.text


async def test_a_request_may_bring_its_name(agent: Agent) -> None:
    answer = await agent.ask("GET", "/v1/x", headers={"x-request-id": "proxy-17"})
    assert answer.json()["instance"] == "urn:qoex:request:proxy-17"
    for bad in ("two words", "x" * 65, '"', "ä".encode()):
        answer = await agent.ask("GET", "/v1/x", headers={"x-request-id": bad})
        assert problem_of(answer) == (404, "not-found")
        assert answer.headers["x-request-id"] not in (bad, "")
