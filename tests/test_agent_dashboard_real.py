"""The dashboard on a real agent: `qoex serve` as a process of its own, with nodes that report."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import numpy as np
import pytest

import qoex
from agent_dashboard_page import Opened, launched, opened, require_chromium
from qoex.agent.storage import Store
from qoex.agent.tokens import Role, new_token
from qoex.text.numbers import number

if TYPE_CHECKING:
    from playwright.sync_api import Browser

require_chromium()
pytestmark = pytest.mark.slow

PROVIDERS, USERS = 3, 70


class Served(NamedTuple):
    url: str
    tokens: dict[str, str]
    database: Path

    def ask(self, method: str, path: str, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self.tokens['operator']}", "idempotency-key": "one"}
        headers |= options.pop("headers", {})
        answer = httpx.request(
            method, f"{self.url}v1/{path}", headers=headers, timeout=60, **options
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An agent whose cycles run when they are asked for; one has been run."""
    database = tmp_path_factory.mktemp("agent") / "agent.db"
    with ThreadPoolExecutor(1) as threads:  # in this one playwright's event loop runs
        tokens = threads.submit(asyncio.run, create_tokens(database)).result()
    command = [sys.executable, "-m", "qoex", "serve", "--port", "0", "--cycle", "0"]
    process = subprocess.Popen(
        [*command, "--database", str(database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"QOEX_LOG_FORMAT": "json", "QOEX_EVENT_HEARTBEAT_S": "1", "PATH": ""},
        cwd=database.parent,
    )
    assert process.stdout is not None
    address = None
    for line in process.stdout:
        entry = json.loads(line)
        if entry["event"] == "started":
            address = entry["address"]
            break
    assert address is not None, "the agent ended before it had started"
    served = Served(f"{address}/", tokens, database)
    try:
        served.ask(
            "POST",
            "reports",
            content=bulk(),
            headers={"content-type": "application/x-ndjson"},
        )
        while served.ask("POST", "cycles")["result"] != "decided":  # until the solver has started
            continue
        yield served
    finally:
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0


async def create_tokens(database: Path) -> dict[str, str]:
    made = {}
    async with await Store.open(str(database)) as store:
        for name, role, node in (
            ("operator", Role.OPERATOR, None),
            ("user", Role.USER, "mu-1"),
            ("provider", Role.PROVIDER, "asp-1"),
            ("revoked", Role.OPERATOR, None),
        ):
            token, made[name] = new_token(role, node, created_at=datetime.now(UTC))
            await store.create_token(token)
    return made


def bulk() -> str:
    """Return what the nodes of a random market report."""
    scenario = qoex.sample_scenario(PROVIDERS, USERS, np.random.default_rng(3), feasible=True)
    defaults = scenario.defaults.model_dump(exclude_none=True)
    lines = []

    def add(kind: str, name: str, body: dict[str, Any], what: str = "put") -> None:
        line = {"key": f"first-{what}", "node_kind": kind, "node": name, "kind": what}
        lines.append(json.dumps(line | {"body": body}))

    for provider in scenario.providers:
        given = provider.model_dump(exclude_none=True, exclude={"name"})
        for field in ("bandwidth_cost", "gap_scale", "example_ambiguity"):
            given.setdefault(field, defaults[field])
        add("provider", provider.name, given)
    for user in scenario.users:
        given = user.model_dump(exclude_none=True, exclude={"name"})
        for field in ("profit_factor", "reward_min", "reward_max"):
            given.setdefault(field, defaults[field])
        demands = {
            one.provider: one.model_dump(
                exclude_none=True, include={"examples", "input_tokens", "output_tokens"}
            )
            for one in scenario.demands
            if one.user == user.name
        }
        add("user", user.name, given | {"demands": demands})
    for provider in scenario.providers:
        links = {one.user: one.snr_db for one in scenario.demands if one.provider == provider.name}
        add("provider", provider.name, links, "links")
    return "\n".join(lines)


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Opened]:
    with opened(browser, served.url) as page:
        yield page
        assert page.messages == []
        assert all(request.startswith(served.url) for request in page.requests)


def test_the_market_is_shown_live(page: Opened, served: Served) -> None:
    page.enter(served.tokens["operator"])
    before = served.ask("GET", "cycles?limit=1")["cycles"][0]
    page.wait("#state .since", f"cycle {before['number']},")
    page.wait(".vital", number(before["qoe"]["quantiles"][3]))
    assert page.find(".capacities tbody tr").count() == PROVIDERS
    assert page.find(".banner").count() == 0
    served.ask("POST", "cycles")
    page.wait("#state .since", f"cycle {before['number'] + 1},")
    page.page.get_by_role("button", name="Run a cycle now").click()
    page.wait(".actions", f"Cycle {before['number'] + 2}: decided")
    page.wait("#state .since", f"cycle {before['number'] + 2},")


def test_all_nodes_can_be_reached(page: Opened, served: Served) -> None:
    page.enter(served.tokens["operator"], "#/nodes")
    page.wait(".hint", "50 on page 1, more follow")
    page.page.get_by_role("link", name="Next").click()
    page.wait(".hint", "23 on page 2, the last")
    page.page.get_by_label("Name").fill("MU-7")
    page.wait(".hint", "2 on page 1")
    assert page.texts(".nodes tbody th") == ["mu-7", "mu-70"]
    page.find(".nodes a").last.click()
    page.wait("h1", "mu-70")
    explained = served.ask("GET", "users/mu-70/explanation")["paragraphs"]
    page.wait(".prose", explained[0])
    assert page.texts(".prose p") == explained
    services = served.ask("GET", "users/mu-70/decision")["services"]
    assert page.find(".services tbody tr").count() == len(services) == PROVIDERS
    total = served.ask("GET", "users/mu-70/ledger")["total"]
    page.wait(".total", total)
    page.find(".services a").first.click()
    page.wait("h1", "asp-1")
    page.wait(".own-capacities tbody", "Bandwidth")
    assert page.texts(".prose p") == served.ask("GET", "providers/asp-1/explanation")["paragraphs"]


@pytest.mark.parametrize(("who", "name"), [("user", "mu-1"), ("provider", "asp-1")])
def test_a_node_follows_its_own_decisions(
    page: Opened, served: Served, who: str, name: str
) -> None:
    page.enter(served.tokens[who])
    page.wait("h1", name)
    page.wait(".prose", name)
    page.wait(".services tbody", "mu-1" if who == "provider" else "asp-1")
    cycle = served.ask("POST", "cycles")["number"]
    page.wait("#state .since", f"cycle {cycle},")
    page.wait(".facts", f"cycle {cycle}")
    assert not [url for url in page.requests if "/v1/cycles" in url or "/v1/nodes" in url]


def test_a_revoked_token_ends_the_view(browser: Browser, served: Served) -> None:
    with opened(browser, served.url) as page:
        page.enter(served.tokens["revoked"])
        revoke = ["token", "revoke", served.tokens["revoked"].split("_")[1]]
        subprocess.run(
            [sys.executable, "-m", "qoex", *revoke, "--database", str(served.database)],
            check=True,
            capture_output=True,
        )
        page.wait("[role=alert]", "The agent refused this token")
        assert page.find("h1").inner_text() == "The market, live"
        assert page.value("sessionStorage.length") == 0
