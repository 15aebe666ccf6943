"""Decisions, explanations, cycles, nodes and ledgers over HTTP, of a market that is settled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent_http import PROVIDER_BODY, Agent, checked, problem_of, running, user_body
from qoex.agent.http import views
from qoex.wire import answers

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with running(tmp_path) as agent:
        await agent.populate()
        yield agent


async def cycle(agent: Agent) -> dict[str, Any]:
    answer = await agent.ask("POST", "/v1/cycles")
    assert answer.status_code == 200, answer.text
    return checked(answers.CycleAnswer, answer.json())


async def get(agent: Agent, path: str, form: type[BaseModel], who: str = "operator") -> Any:
    answer = await agent.ask("GET", path, who)
    assert answer.status_code == 200, answer.text
    return checked(form, answer.json())


async def test_before_the_first_cycle(agent: Agent) -> None:
    user = await get(agent, "/v1/users/mu-1/decision", answers.UserDecisionAnswer, "mu-1")
    assert (user["cycle"], user["in_force"], user["services"]) == (None, None, [])
    provider = "/v1/providers/asp-1/decision"
    told = await get(agent, provider, answers.ProviderDecisionAnswer, "asp-1")
    assert (told["compute"], told["users"]) == (None, [])
    why = await get(agent, "/v1/users/mu-1/explanation", answers.ExplanationAnswer)
    assert why == {"cycle": None, "paragraphs": ["No decision is in force yet."]}
    for path in ("/v1/decisions/latest", "/v1/decisions/1", "/v1/cycles/1"):
        assert problem_of(await agent.ask("GET", path)) == (404, "not-found"), path
    page = await get(agent, "/v1/cycles", answers.CyclePage)
    assert page == {"cycles": [], "next": None}
    ledger = await get(agent, "/v1/ledger", answers.LedgerAnswer)
    assert ledger == {"unit": "money", "total": "0.000000", "entries": []}


async def test_all_that_a_decision_says_agrees(agent: Agent) -> None:
    summary = await cycle(agent)
    assert (summary["result"], summary["in_force"], summary["pairs"]) == ("decided", 1, 3)
    whole = await agent.ask("GET", "/v1/decisions/latest")
    assert whole.headers["content-type"] == "application/x-ndjson"
    head, *pairs = map(json.loads, whole.text.splitlines())
    assert checked(answers.CycleAnswer, head)["number"] == 1
    found = {(pair["provider"], pair["user"]): checked(answers.PairAnswer, pair) for pair in pairs}
    assert set(found) == {("asp-1", "mu-1"), ("asp-1", "mu-2"), ("asp-2", "mu-1")}
    assert (await agent.ask("GET", "/v1/decisions/1")).text.splitlines()[1:] == (
        whole.text.splitlines()[1:]
    )
    user = await get(agent, "/v1/users/mu-1/decision", answers.UserDecisionAnswer, "mu-1")
    for service in user["services"]:
        latency = service.pop("latency_ms")
        assert latency == pytest.approx(100.0 - service["qoe"])
        pair = found[service.pop("provider"), "mu-1"]
        assert service == {name: pair[name] for name in service}
    assert len(user["services"]) == 2
    provider = await get(
        agent, "/v1/providers/asp-1/decision", answers.ProviderDecisionAnswer, "asp-1"
    )
    for served in provider["users"]:
        pair = found["asp-1", served.pop("user")]
        assert served == {name: pair[name] for name in served}
    used = sum(found["asp-1", name]["compute"] for name in ("mu-1", "mu-2"))
    assert provider["compute"]["use"] == pytest.approx(used)
    assert provider["compute"] == summary["capacity"][0]["compute"]
    paid = sum(pair["payment"] for pair in found.values())
    assert summary["payments_total"] == pytest.approx(paid)


async def test_explanations_name_what_happened(agent: Agent) -> None:
    await cycle(agent)
    user = await get(agent, "/v1/users/mu-1/explanation", answers.ExplanationAnswer, "mu-1")
    assert user["cycle"] == 1
    assert user["paragraphs"][0].startswith("mu-1 pays ")
    why = "/v1/providers/asp-1/explanation?cycle=1"
    provider = await get(agent, why, answers.ExplanationAnswer, "asp-1")
    assert any("asp-1" in paragraph for paragraph in provider["paragraphs"])
    await agent.report("PUT", "/v1/users/mu-3", user_body("asp-1"))
    late = await get(agent, "/v1/users/mu-3/explanation", answers.ExplanationAnswer)
    assert "has nothing for mu-3" in late["paragraphs"][0]


async def test_past_decisions_stay_as_they_were(agent: Agent) -> None:
    await cycle(agent)
    first = (await agent.ask("GET", "/v1/users/mu-1/decision")).json()
    await agent.report("PATCH", "/v1/users/mu-1", {"profit_factor": 20.0})
    assert (await cycle(agent))["number"] == 2
    latest = (await agent.ask("GET", "/v1/users/mu-1/decision")).json()
    assert latest["cycle"] == 2
    assert latest["services"] != first["services"]
    assert (await agent.ask("GET", "/v1/users/mu-1/decision?cycle=1")).json() == first
    assert problem_of(await agent.ask("GET", "/v1/users/mu-1/decision?cycle=3")) == (
        404,
        "not-found",
    )


async def test_a_kept_cycle_says_so(agent: Agent) -> None:
    await cycle(agent)
    for name in ("mu-1", "mu-2"):
        await agent.report("DELETE", f"/v1/users/{name}")
    kept = await cycle(agent)
    assert (kept["result"], kept["in_force"]) == ("kept", 1)
    assert kept["reason"].startswith("empty: ")
    user = await get(agent, "/v1/users/mu-1/decision", answers.UserDecisionAnswer)
    assert (user["cycle"], user["in_force"], user["result"]) == (2, 1, "kept")
    assert len(user["services"]) == 2
    head = json.loads((await agent.ask("GET", "/v1/decisions/2")).text.splitlines()[0])
    assert (head["number"], head["in_force"]) == (2, 1)


async def test_pages_of_cycles(agent: Agent) -> None:
    for _ in range(3):
        await cycle(agent)
    first = await get(agent, "/v1/cycles?limit=2", answers.CyclePage)
    assert [item["number"] for item in first["cycles"]] == [3, 2]
    rest = await get(agent, f"/v1/cycles?limit=2&before={first['next']}", answers.CyclePage)
    assert [item["number"] for item in rest["cycles"]] == [1]
    assert rest["next"] is None
    assert (await get(agent, "/v1/cycles/2", answers.CycleAnswer))["number"] == 2
    for path in ("/v1/cycles?limit=0", "/v1/cycles?before=x", "/v1/cycles/0", "/v1/cycles/1e3"):
        assert problem_of(await agent.ask("GET", path)) == (422, "invalid-parameter"), path


async def test_pages_of_nodes(agent: Agent) -> None:
    await cycle(agent)
    await agent.report("PUT", "/v1/users/other", user_body())
    await agent.report("DELETE", "/v1/users/mu-2")
    everybody = ["asp-1", "asp-2", "mu-1", "mu-2", "other"]
    for limit in range(1, 7):
        found, after = [], ""
        while True:
            page = await get(agent, f"/v1/nodes?limit={limit}&after={after}", answers.NodePage)
            found += [node["name"] for node in page["nodes"]]
            after = page["next"]
            if after is None:
                break
            assert len(page["nodes"]) == limit
        assert found == everybody

    async def names(query: str) -> list[str]:
        page = await get(agent, f"/v1/nodes?{query}", answers.NodePage)
        return [node["name"] for node in page["nodes"]]

    assert await names("kind=user") == ["mu-1", "mu-2", "other"]
    assert await names("kind=provider&after=provider:asp-1") == ["asp-2"]
    assert await names("kind=provider&after=user:mu-1") == []
    assert await names("search=MU") == ["mu-1", "mu-2"]
    assert await names("active=true&kind=user") == ["mu-1", "other"]
    assert await names("active=false") == ["mu-2"]
    for query in ("kind=x", "after=mu-1", "after=user:", "limit=1001", "search=" + "x" * 65):
        answer = await agent.ask("GET", f"/v1/nodes?{query}")
        assert problem_of(answer) == (422, "invalid-parameter"), query


async def test_nodes_show_their_part(agent: Agent) -> None:
    await cycle(agent)
    rows = {row["name"]: row for row in (await get(agent, "/v1/nodes", answers.NodePage))["nodes"]}
    user = (await agent.ask("GET", "/v1/users/mu-1/decision")).json()
    assert rows["mu-1"]["payment"] == pytest.approx(
        sum(service["payment"] for service in user["services"])
    )
    assert rows["mu-1"]["utility"] == user["utility"]
    assert rows["mu-1"]["compute_price"] is None
    provider = (await agent.ask("GET", "/v1/providers/asp-1/decision")).json()
    assert rows["asp-1"]["compute_price"] == provider["compute"]["price"]
    assert rows["asp-1"]["bandwidth_use"] == provider["bandwidth"]["use"]
    assert rows["asp-1"]["payment"] == pytest.approx(
        sum(served["payment"] for served in provider["users"])
    )


async def test_ledgers_add_up(agent: Agent) -> None:
    for _ in range(2):
        await cycle(agent)
    whole = await get(agent, "/v1/ledger", answers.LedgerAnswer)
    amounts = {
        (item["user"], item["provider"]): Decimal(item["amount"]) for item in whole["entries"]
    }
    assert Decimal(whole["total"]) == sum(amounts.values()) > 0
    pairs = (await agent.ask("GET", "/v1/decisions/1")).text.splitlines()[1:]
    for pair in map(json.loads, pairs):
        charged = amounts[pair["user"], pair["provider"]]
        assert float(charged) == pytest.approx(2 * pair["payment"], abs=2e-6)
    for path, place, name, who in (
        ("/v1/users/mu-1/ledger", 0, "mu-1", "mu-1"),
        ("/v1/providers/asp-1/ledger", 1, "asp-1", "asp-1"),
    ):
        own = await get(agent, path, answers.LedgerAnswer, who)
        mine = {pair: amount for pair, amount in amounts.items() if pair[place] == name}
        assert Decimal(own["total"]) == sum(mine.values())
        assert len(own["entries"]) == len(mine)
    nobody = await agent.ask("GET", "/v1/users/nobody/ledger")
    assert problem_of(nobody) == (404, "not-found")
    await agent.report("PUT", "/v1/users/new", user_body())
    assert (await get(agent, "/v1/users/new/ledger", answers.LedgerAnswer))["entries"] == []


async def test_documents(agent: Agent) -> None:
    user = await get(agent, "/v1/users/mu-1", answers.UserDocument, "mu-1")
    assert user["report"] == user_body("asp-1", "asp-2")
    provider = await get(agent, "/v1/providers/asp-1", answers.ProviderDocument, "asp-1")
    assert provider["report"] == {**PROVIDER_BODY}
    token = await get(agent, "/v1/token", answers.TokenAnswer, "asp-1")
    assert (token["role"], token["node"]) == ("provider", "asp-1")


async def test_a_whole_decision_comes_in_pieces(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cycle(agent)
    at_once = (await agent.ask("GET", "/v1/decisions/1")).text
    monkeypatch.setattr(views, "PAIRS_AT_A_TIME", 1)
    assert (await agent.ask("GET", "/v1/decisions/1")).text == at_once


async def test_readiness(agent: Agent) -> None:
    not_yet = await agent.ask("GET", "/readyz", None)
    assert not_yet.status_code == 503
    assert not_yet.json()["reasons"] == ["No cycle has been run since the agent started."]
    await cycle(agent)
    ready = await get(agent, "/readyz", answers.HealthAnswer)
    assert ready == {"status": "ready", "reasons": []}
    agent.parts.intake.healthy = False
    broken = await agent.ask("GET", "/readyz", None)
    assert broken.status_code == 503
    assert "database" in broken.json()["reasons"][0]
    agent.parts.intake.healthy = True
    agent.parts.lifecycle.stopping = True
    assert (await agent.ask("GET", "/readyz", None)).status_code == 503
    assert (await agent.ask("GET", "/healthz", None)).status_code == 200
    refused = await agent.report("PATCH", "/v1/users/mu-1", {})
    assert problem_of(refused) == (503, "stopping")
    assert refused.headers["connection"] == "close"


async def test_an_agent_without_nodes_is_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as agent:
        assert (await agent.ask("GET", "/readyz", None)).status_code == 200
