"""The dashboard in a real browser: tokens, live cycles, reconnection, and every view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest

from agent_dashboard_fake import OPERATOR, PROVIDER, USER, FakeAgent, serving
from agent_dashboard_page import Opened, launched, opened, require_chromium
from qoex.agent.reports.entries import NodeKind
from qoex.agent.solving.explanations import explain_node
from qoex.text.numbers import column, number

if TYPE_CHECKING:
    from playwright.sync_api import Browser

require_chromium()

LATE = "deadline: The cycle took longer than 800 ms, so it was stopped."
HOSTILE = '<img src=x onerror="document.title=1">&amp;'


class Running(NamedTuple):
    agent: FakeAgent
    url: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """An agent with some cycles; tests may run more of them, and leave the last one decided."""
    agent = FakeAgent(3, 12)
    agent.decide()
    agent.keep(LATE)
    agent.decide()
    with serving(agent) as url:
        yield Running(agent, url)


@pytest.fixture
def page(browser: Browser, running: Running) -> Iterator[Opened]:
    with opened(browser, running.url) as page:
        yield page
        assert page.messages == []
        assert {
            request for request in page.requests if not request.startswith(running.url)
        } == set()


def live(page: Opened, running: Running) -> None:
    """Wait until the page shows the newest cycle."""
    page.wait("#state .since", f"cycle {len(running.agent.cycles)},")


def test_a_token_of_the_address_is_kept_in_the_tab_only(page: Opened) -> None:
    page.enter(OPERATOR)
    assert OPERATOR not in page.page.url
    assert page.value("Object.values(sessionStorage)") == [OPERATOR]
    assert page.value("[localStorage.length, document.cookie]") == [0, ""]
    page.page.reload()
    page.wait(".line", "live")
    page.page.go_back()
    assert OPERATOR not in page.page.url
    assert not [url for url in page.requests if OPERATOR in url]


def test_a_token_is_asked_for_and_can_be_given_back(page: Opened) -> None:
    page.page.goto(page.url)
    page.page.get_by_label("Token").fill(OPERATOR)
    page.press("Enter")
    page.wait(".line", "live")
    page.page.get_by_role("button", name="Sign out").click()
    page.page.get_by_label("Token").wait_for()
    assert page.value("sessionStorage.length") == 0


def test_a_refused_token_is_said_to_be(browser: Browser, running: Running) -> None:
    with opened(browser, running.url) as page:
        page.page.goto(f"{running.url}#token=nobody")
        page.wait("[role=alert]", "The agent refused this token")
        assert page.value("sessionStorage.length") == 0
        assert all("401" in message for message in page.messages)  # the browser notes the status


def test_the_overview_shows_the_decision_in_force(page: Opened, running: Running) -> None:
    page.enter(OPERATOR)
    summary = running.agent.cycles[-1]
    page.wait(".vital", f"cycle {summary['number']}")
    assert number(summary["qoe"]["quantiles"][3]) in page.texts(".vital .value")[2]
    rows = page.texts(".capacities tbody tr")
    assert [row.split()[0] for row in rows] == [one["provider"] for one in summary["capacity"]]
    for resource in ("compute", "bandwidth"):
        states = [one[resource] for one in summary["capacity"]]
        shown = column([state[field] for state in states for field in ("use", "capacity")])
        for row, state, use, capacity in zip(rows, states, shown[::2], shown[1::2], strict=True):
            assert f"{use} / {capacity}" in row
            assert state["regime"] in row
    assert page.find("canvas").count() == 6
    labels = page.value("[...document.querySelectorAll('svg[role=img]')].map(s => s.ariaLabel)")
    assert any(number(summary["payments"]["quantiles"][3]) in label for label in labels)


def test_a_histogram_draws_every_count(page: Opened, running: Running) -> None:
    page.enter(OPERATOR)
    counts = running.agent.cycles[-1]["qoe"]["histogram"]["counts"]
    heights = page.value(
        "[...document.querySelector('figure svg').querySelectorAll('.bar')]"
        ".map(bar => Number(bar.getAttribute('height')))"
    )
    most = max(heights)
    assert [round(height / most * max(counts)) for height in heights] == counts


def test_cycles_arrive_by_themselves(page: Opened, running: Running) -> None:
    page.enter(OPERATOR)
    live(page, running)
    running.agent.decide()
    live(page, running)
    page.wait(".cycles tbody tr:first-child", str(len(running.agent.cycles)))
    asked = [url for url in page.requests if "/v1/cycles" in url]
    assert len(asked) == 1  # all else came by the stream


def test_a_kept_cycle_is_announced_with_its_reason(page: Opened, running: Running) -> None:
    page.enter(OPERATOR)
    in_force = running.agent.in_force
    running.agent.keep(LATE)
    page.wait(".banner", LATE)
    page.wait(".banner", f"The decision of cycle {in_force} stays in force.")
    page.wait("#announcement", LATE)
    page.wait(".vital", f"cycle {in_force}")
    page.wait(".capacities tbody", "asp-1")  # what is in force is still shown
    running.agent.decide()
    page.find(".banner").wait_for(state="detached")
    page.wait("#announcement", "A new decision is in force.")


def test_what_a_broken_line_missed_comes_again(browser: Browser, running: Running) -> None:
    with opened(browser, running.url) as page:
        page.enter(OPERATOR)
        live(page, running)
        known = len(running.agent.cycles)
        running.agent.closed = True
        running.agent.drop_lines()
        page.wait(".line", "no answer")
        page.wait("#announcement", "The agent does not answer.")
        page.wait("#line", "what is shown is from before")
        running.agent.decide()
        running.agent.decide()
        running.agent.closed = False
        page.page.get_by_role("button", name="Try now").click()
        live(page, running)
        assert running.agent.last_event_ids[-1] == ("/v1/events", str(known))
        assert page.find("#line .banner").count() == 0
        newest = [text.split()[0] for text in page.texts(".cycles tbody tr")[:3]]
        assert newest == [str(known + 2), str(known + 1), str(known)]
        page.wait("#announcement", "A new decision is in force.")
        assert all("503" in message for message in page.messages)


def test_a_page_waits_for_an_agent_that_is_away(browser: Browser, running: Running) -> None:
    with opened(browser, running.url) as page:
        running.agent.closed = True
        page.page.goto(f"{running.url}#token={OPERATOR}")
        page.wait(".empty", "The page tries again by itself.")
        running.agent.closed = False
        page.wait(".line", "live")


def test_a_hidden_tab_lets_its_line_go(page: Opened, running: Running) -> None:
    page.enter(OPERATOR)
    live(page, running)
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true })
        document.dispatchEvent(new Event("visibilitychange"))
    }"""
    page.value(hide, True)
    page.page.wait_for_timeout(100)
    known = len(running.agent.cycles)
    running.agent.decide()
    assert page.texts("#state .since")[0].startswith(f"cycle {known},")
    page.value(hide, False)
    live(page, running)
    assert running.agent.last_event_ids[-1] == ("/v1/events", str(known))


def test_nodes_are_found_by_name_and_kind(page: Opened, running: Running) -> None:
    page.enter(OPERATOR, "#/nodes")
    names = [*running.agent.market.provider_names, *sorted(running.agent.market.user_names)]
    page.wait(".nodes tbody", names[-1])
    assert page.texts(".nodes tbody th") == names
    page.page.get_by_label("Providers").check(force=True)
    page.wait(".hint", "3 on page 1")
    assert page.texts(".nodes tbody th") == names[:3]
    page.page.get_by_label("All").check(force=True)
    page.page.get_by_label("Name").fill("mu-1")
    page.wait(".hint", "4 on page 1")
    assert page.texts(".nodes tbody th") == ["mu-1", "mu-10", "mu-11", "mu-12"]
    page.page.reload()  # the address holds what was asked for
    page.wait(".hint", "4 on page 1")
    page.page.get_by_label("Name").fill("nobody")
    page.wait(".empty", "No node of that name")


def test_a_user_sees_what_it_asked_gets_and_owes(page: Opened, running: Running) -> None:
    page.enter(OPERATOR, "#/users/mu-2")
    market, allocation = running.agent.decisions[running.agent.in_force or 0]
    user = market.user_index("mu-2")
    page.wait("h1", "mu-2")
    page.wait(".services tbody", "asp-1")
    rows = page.texts(".services tbody tr")
    for field in (allocation.qoe, allocation.rewards, allocation.payments, allocation.compute):
        for row, text in zip(rows, column(field[:, user]), strict=True):
            assert text in row.split()
    record = running.agent.records[-1]
    explained = explain_node(record, market, allocation, NodeKind.USER, "mu-2")
    page.wait(".prose", explained.paragraphs[-1])
    assert tuple(page.texts(".prose p")) == explained.paragraphs
    page.wait(".demands tbody", "asp-3")
    decided = [allocation for _, allocation in running.agent.decisions.values()]
    owed = sum(round(float(a.payments[n, user]) * 1e6) for a in decided for n in range(3))
    total = page.texts(".total strong")[0].replace("\u202f", "")
    assert total == f"{owed // 10**6}.{owed % 10**6:06d}"


def test_a_provider_sees_its_capacities_and_users(page: Opened, running: Running) -> None:
    page.enter(OPERATOR, "#/providers/asp-2")
    _, allocation = running.agent.decisions[running.agent.in_force or 0]
    page.wait("h1", "asp-2")
    page.wait(".services tbody", "mu-12")
    paid = sorted(
        zip(allocation.payments[1].tolist(), allocation.user_names, strict=True), reverse=True
    )
    assert page.texts(".services tbody th") == [name for _, name in paid]
    page.wait(".facts", number(float(allocation.payments[1].sum())))
    page.page.get_by_label("Name").fill("mu-1")
    page.wait(".filters .hint", "4 users of 12")
    page.wait(".prose", "asp-2")
    decided = len(running.agent.decisions)
    page.find("figure summary").first.click()
    page.find("figure tbody tr").first.wait_for()
    assert page.find("figure").first.locator("tbody tr").count() == decided


@pytest.mark.parametrize(
    ("token", "own"), [(USER, "#/users/mu-1"), (PROVIDER, "#/providers/asp-1")]
)
def test_a_node_sees_its_own_page_only(
    page: Opened, running: Running, token: str, own: str
) -> None:
    page.enter(token)
    name = own.rsplit("/", 1)[1]
    page.wait("h1", name)
    page.wait(".services tbody", "mu-1" if "asp" in name else "asp-1")
    for other in ("#/", "#/nodes", "#/users/mu-2"):
        page.go(other)
        page.page.wait_for_url(f"**/{own}")
    page.wait("h1", name)
    assert page.find("main a").count() == 0
    running.agent.decide()
    live(page, running)
    running.agent.keep(LATE)
    page.wait(".banner", LATE)
    running.agent.decide()
    page.find(".banner").wait_for(state="detached")


def test_names_are_text(browser: Browser) -> None:
    agent = FakeAgent(1, 2, names={"mu-1": HOSTILE, "asp-1": HOSTILE})
    agent.decide()
    with serving(agent) as url, opened(browser, url) as page:
        page.enter(OPERATOR)
        page.wait(".capacities tbody", HOSTILE)
        page.go("#/nodes")
        page.wait(".nodes tbody", HOSTILE)
        page.find(".nodes tbody a").nth(1).click()
        page.wait("h1", HOSTILE)
        page.wait(".prose", HOSTILE)
        page.wait(".services tbody", HOSTILE)
        assert page.find("img").count() == 0
        assert page.page.title() == f"{HOSTILE} · qoex"
        assert page.messages == []


def test_markup_is_refused_even_to_scripts(page: Opened) -> None:
    page.enter(OPERATOR)
    refused = "document.body.innerHTML = '<b>x</b>'"
    assert page.value(f"(() => {{ try {{ {refused} }} catch (e) {{ return e.name }} }})()") == (
        "TypeError"
    )
    assert any("TrustedHTML" in message for message in page.messages)
    page.messages.clear()


def test_before_the_first_cycle_there_is_a_word_for_it(browser: Browser) -> None:
    agent = FakeAgent(1, 2)
    with serving(agent) as url, opened(browser, url) as page:
        page.enter(OPERATOR)
        page.wait(".empty", "No cycle has run yet")
        agent.keep("empty: Nobody can be served.")
        page.wait(".banner", "No decision is in force yet.")
        page.wait(".vital", "none yet")
        page.wait(".empty", "No provider has a part in the decision")
        agent.decide()
        page.wait(".capacities tbody", "asp-1")
        assert page.messages == []


def test_a_cycle_can_be_run(page: Opened, running: Running) -> None:
    page.enter(OPERATOR)
    live(page, running)
    following = len(running.agent.cycles) + 1
    page.page.get_by_role("button", name="Run a cycle now").click()
    page.wait(".actions", f"Cycle {following}: decided")
    live(page, running)


def test_a_name_that_nobody_has_is_said_to_be_unknown(browser: Browser, running: Running) -> None:
    with opened(browser, running.url) as page:
        page.enter(OPERATOR, "#/users/nobody")
        page.wait("article .hint", "No user 'nobody' is registered.")
        page.find("article section").first.wait_for(state="hidden")
        page.go("#/users/mu-1")
        page.wait(".prose", "mu-1")
        assert all("404" in message for message in page.messages)
