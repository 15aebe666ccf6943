"""Modules of the dashboard by themselves, in the browser that runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agent_dashboard_fake import FakeAgent, serving
from agent_dashboard_page import Opened, launched, opened, require_chromium
from qoex.text import numbers as phrases

if TYPE_CHECKING:
    from playwright.sync_api import Browser

require_chromium()

SPACE = "\u202f"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Opened]:
    with serving(FakeAgent(1, 1)) as url, opened(browser, url) as page:
        page.page.goto(url)
        yield page


def call(page: Opened, module: str, function: str, *arguments: Any) -> Any:
    return page.value(
        """async ([module, name, given]) =>
            (await import(`/dashboard/js/${module}.js`))[name](...given)""",
        [module, function, list(arguments)],
    )


def many(page: Opened, function: str, values: list[Any]) -> list[str]:
    """Apply a function of format.js to each of many values."""
    texts: list[str] = page.value(
        """async ([name, values]) => {
            const module = await import("/dashboard/js/format.js")
            return values.map(value => module[name](value))
        }""",
        [function, values],
    )
    return texts


def plain(text: str) -> str:
    return text.replace(SPACE, "").replace("−", "-")


def test_numbers_read_as_in_sentences(page: Opened) -> None:
    rng = np.random.default_rng(5)
    values = (rng.choice([-1, 1], 500) * 10 ** rng.uniform(-4, 7, 500)).tolist()
    shown = many(page, "number", values)
    assert [plain(text) for text in shown] == [phrases.number(value) for value in values]


def test_columns_line_up_as_in_the_terminal(page: Opened) -> None:
    rng = np.random.default_rng(6)
    for low, high in ((-3, -1), (-1, 3), (2, 6), (-4, 6)):
        values = (10 ** rng.uniform(low, high, 20)).tolist()
        shown = [plain(text) for text in call(page, "format", "column", [*values, None])]
        assert shown == phrases.column([*values, float("nan")])


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("number", 0, "0"),
        ("number", None, "–"),
        ("number", 12345, f"12{SPACE}345"),
        ("number", -1234.5678, "−1235"),
        ("number", 1.9e-16, "1.9×10⁻¹⁶"),
        ("number", 3e12, "3.0×10¹²"),
        ("scientific", 0, "0"),
        ("scientific", 2.5e-9, "2.5×10⁻⁹"),
        ("percent", 0.12345, f"12.3{SPACE}%"),
        ("percent", None, "–"),
        ("count", 1234567, f"1{SPACE}234{SPACE}567"),
        (
            "amount",
            "-12345678901234567890.000001",
            SPACE.join(("−12", "345", "678", "901", "234", "567", "890.000001")),
        ),
        ("duration", 1499, f"1{SPACE}s"),
        ("duration", 120_000, f"2{SPACE}min"),
        ("duration", 7_200_000, f"2{SPACE}h"),
        ("duration", 260_000_000, f"3{SPACE}days"),
    ],
)
def test_single_values(page: Opened, function: str, value: Any, text: str) -> None:
    assert many(page, function, [value]) == [text]


def test_ticks_are_round_and_within(page: Opened) -> None:
    assert call(page, "histogram", "niceTicks", 0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert call(page, "histogram", "niceTicks", 0.3, 2.1, 4) == [0.5, 1, 1.5, 2]
    assert call(page, "histogram", "niceTicks", 0, 1e-9, 3) == pytest.approx([0, 5e-10, 1e-9])


STREAM = (
    ": hello\r\n\r\n"
    "event: cycle\nid: 7\ndata: {\"a\":\ndata: 1}\n\n"
    "retry: 250\nid: 8\rdata:é\r\r"
    "event: none\n\n"
    "id: bad\0\ndata\n\n"
    "data: cut off"
)  # fmt: skip
EVENTS = [
    {"event": "cycle", "data": '{"a":\n1}', "id": "7"},
    {"event": "message", "data": "é", "id": "8"},
    {"event": "message", "data": "", "id": "8"},
]


def test_events_are_read_however_they_are_cut(page: Opened) -> None:
    read = page.value(
        """async text => {
            const { EventParser } = await import("/dashboard/js/stream.js")
            const parse = pieces => {
                const events = []
                const parser = new EventParser(event => events.push(event))
                pieces.forEach(piece => parser.push(piece))
                return JSON.stringify([events, parser.retry])
            }
            const cuts = [...text].map((_, at) => parse([text.slice(0, at), text.slice(at)]))
            return [...new Set([parse([...text]), ...cuts])]
        }""",
        STREAM,
    )
    assert [json.loads(one) for one in read] == [[EVENTS, 250]]


def test_a_history_keeps_what_is_in_force(page: Opened) -> None:
    found = page.value(
        """async () => {
            const { History, KEPT_CYCLES } = await import("/dashboard/js/history.js")
            const at = number => new Date(1e12 + number * 1000).toISOString()
            const cycle = (number, in_force) => ({ number, in_force, committed_at: at(number) })
            const history = new History()
            history.add(cycle(1, 1))
            for (let n = 2; n <= KEPT_CYCLES + 5; n += 1) history.add(cycle(n, 1))
            history.add(cycle(3, 1)) // a replay
            const kept = [history.cycles.length, history.inForce.number, history.missing]
            const opened = new History() // on a page that came later
            opened.add(cycle(950, 1))
            kept.push(opened.inForce, opened.missing)
            opened.hold(cycle(1, 1))
            kept.push(opened.inForce.number, opened.missing)
            opened.add({ ...cycle(1, null), committed_at: at(5000) }) // an agent with a new log
            return [...kept, opened.cycles.length, opened.inForce, opened.missing]
        }"""
    )
    assert found == [900, 1, None, None, 1, 1, None, 1, None, None]


def test_work_is_paced(page: Opened) -> None:
    counts = page.value(
        """async () => {
            const { paced } = await import("/dashboard/js/parts.js")
            let runs = 0
            let open
            const ask = paced(() => { runs += 1; return new Promise(done => { open = done }) }, 0)
            const turn = () => new Promise(done => setTimeout(done, 5))
            const counts = []
            ask(); ask(); ask(); counts.push(runs) // one at a time
            open(); await turn(); counts.push(runs) // all that asked meanwhile are one
            open(); await turn(); counts.push(runs) // nobody asked
            ask(); ask(); ask.stop(); open(); await turn(); counts.push(runs)
            return counts
        }"""
    )
    assert counts == [1, 2, 2, 3]
