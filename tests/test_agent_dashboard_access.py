"""The dashboard for everybody: keyboard, screen readers, dark and light, small windows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest

from agent_dashboard_fake import OPERATOR, FakeAgent, serving
from agent_dashboard_page import PHONE, Opened, launched, opened, require_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

require_chromium()

VIEWS = {
    "#/": ".cycles tbody",
    "#/nodes": ".nodes tbody tr",
    "#/users/mu-1": ".prose p",
    "#/providers/asp-1": ".prose p",
}
KEPT = "deadline: The cycle took longer than 800 ms, so it was stopped."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    agent = FakeAgent(
        3, 60, names={"mu-9": "a-user-with-the-longest-name-that-the-agent-accepts_0123456789.ab"}
    )
    for _ in range(3):
        agent.decide()
    agent.keep(KEPT)
    with serving(agent) as url:
        yield url


@pytest.fixture(scope="module")
def laptop(browser: Browser, url: str) -> Iterator[Opened]:
    with opened(browser, url) as page:
        yield page.enter(OPERATOR)


@pytest.fixture(scope="module")
def phone(browser: Browser, url: str) -> Iterator[Opened]:
    with opened(browser, url, size=PHONE, has_touch=True, is_mobile=True) as page:
        yield page.enter(OPERATOR)


def show(page: Opened, view: str) -> None:
    page.go(view)
    page.find(VIEWS[view]).first.wait_for()


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_is_wider_than_a_phone(phone: Opened, view: str) -> None:
    show(phone, view)
    phone.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert phone.value("document.documentElement.scrollWidth") <= PHONE[0]
    # What is wider scrolls in a box of its own, which the keyboard reaches.
    wide = phone.value(
        """[...document.querySelectorAll('main *')]
            .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
            .filter(one => !one.closest('.scroll, .hidden, thead, canvas, .uplot'))
            .map(one => one.outerHTML)"""
    )
    assert wide == []
    assert phone.value("[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0)")


def test_charts_stand_side_by_side_where_there_is_room(laptop: Opened, phone: Opened) -> None:
    for page, columns in ((laptop, 3), (phone, 1)):
        show(page, "#/")
        grid = page.value("getComputedStyle(document.querySelector('.three')).gridTemplateColumns")
        assert len(grid.split()) == columns
        widths = page.value("[...document.querySelectorAll('.uplot')].map(c => c.offsetWidth)")
        room = page.value("document.querySelector('.canvas').clientWidth")
        assert set(widths) == {room}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(
    laptop: Opened, view: str, scheme: Literal["light", "dark"]
) -> None:
    laptop.page.emulate_media(color_scheme=scheme)
    show(laptop, view)
    laptop.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    pairs = laptop.value(
        """[...document.querySelectorAll('body *')]
            .filter(one => one.checkVisibility() && [...one.childNodes].some(
                child => child.nodeType === 3 && child.textContent.trim()))
            .map(one => {
                let ground = one
                while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)')
                    ground = ground.parentElement
                const style = getComputedStyle(one)
                return [one instanceof SVGElement ? style.fill : style.color,
                    getComputedStyle(ground).backgroundColor]
            })"""
    )
    seen = {(text, ground) for text, ground in pairs}
    assert len(seen) >= 4
    for text, ground in seen:
        assert contrast(text, ground) >= 4.5, (text, ground)  # WCAG 2.1, level AA


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_stands_out(laptop: Opened, scheme: Literal["light", "dark"]) -> None:
    laptop.page.emulate_media(color_scheme=scheme)
    named = ["accent", "slack", "pinned", "binding", "good", "bad", "kept"]
    named += [f"hue-{number}" for number in range(1, 11)]
    paper, *colours = laptop.value(
        """names => names.map(name => {
            const probe = document.body.appendChild(document.createElement('i'))
            probe.style.color = `var(--${name})`
            const colour = getComputedStyle(probe).color
            probe.remove()
            return colour
        })""",
        ["paper", *named],
    )
    # Graphics need 3 to 1; a meter in the colour of slack is read beside its number.
    low = {name: contrast(colour, paper) for name, colour in zip(named, colours, strict=True)}
    assert {name for name, ratio in low.items() if ratio < 3} <= {"slack", "pinned"}
    assert min(low.values()) > 2


def contrast(text: str, ground: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2.1 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(text), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_canvas_follows_the_scheme(browser: Browser, url: str) -> None:
    with opened(browser, url, color_scheme="light") as page:
        page.enter(OPERATOR)
        page.find(VIEWS["#/"]).wait_for()
        drawn = "document.querySelector('canvas').toDataURL()"
        light = page.value(drawn)
        page.page.emulate_media(color_scheme="dark")
        page.page.wait_for_function(f"light => {drawn} !== light", arg=light)


@pytest.mark.parametrize("view", VIEWS)
def test_a_screen_reader_finds_names_for_everything(laptop: Opened, view: str) -> None:
    show(laptop, view)
    assert laptop.value("document.documentElement.lang") == "en"
    assert laptop.find("h1").count() == 1
    levels = laptop.value("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    nameless = laptop.value(
        """[
            ...[...document.querySelectorAll('input')].filter(one => !one.labels.length),
            ...[...document.querySelectorAll('button, a, summary, th[scope]:not(.group)')]
                .filter(one => !one.textContent.trim()),
            ...[...document.querySelectorAll('[role=img], [role=region], nav, [role=table]')]
                .filter(one => !one.ariaLabel),
            ...[...document.querySelectorAll('canvas')].filter(one => !one.closest('[role=img]')),
            ...[...document.querySelectorAll('.meter, .lamp, .swatch')]
                .filter(one => one.ariaHidden !== 'true'),
        ].map(one => one.outerHTML)"""
    )
    assert nameless == []
    assert laptop.value("new Set([...document.querySelectorAll('[id]')].map(o => o.id)).size") == (
        laptop.find("[id]").count()
    )
    cells = laptop.value(
        """[...document.querySelectorAll('table.rows')].map(table => [
            [...table.querySelectorAll('thead tr:last-child th')].map(th => th.scope),
            [...table.querySelectorAll('tbody tr')].map(row => row.children.length)])"""
    )
    assert cells
    for scopes, lengths in cells:
        assert set(scopes) == {"col"}
        assert set(lengths) <= {len(scopes)}


def test_charts_say_in_words_what_they_show(laptop: Opened) -> None:
    show(laptop, "#/")
    labels = laptop.value(
        "[...document.querySelectorAll('.canvas[role=img]')].map(c => c.ariaLabel)"
    )
    assert len(labels) == 6
    assert any("The dearest is asp-" in label for label in labels)
    laptop.find("figure summary").first.click()
    laptop.find("figure tbody tr").first.wait_for()
    table = laptop.find("figure").first.locator("table")
    assert table.locator("thead th").all_inner_texts() == ["time", "asp-1", "asp-2", "asp-3"]
    assert table.locator("tbody tr").count() == 4


def test_the_keyboard_alone_reaches_everything(browser: Browser, url: str) -> None:
    with opened(browser, url) as page:
        page.page.goto(url)
        page.wait("label", "Token")
        page.page.keyboard.type(OPERATOR)  # the field has the focus
        page.press("Enter")
        page.wait(".cycles tbody", "decided")
        page.page.reload()
        page.wait(".cycles tbody", "decided")
        page.press("Tab")
        assert page.focused == "Skip to the content"
        page.press("Enter", "Tab")
        assert page.value("document.activeElement.closest('main') !== null")
        page.find(".capacities a").first.focus()
        page.press("ArrowDown", "ArrowDown")
        assert page.focused == "asp-3"
        page.press("ArrowDown", "ArrowUp", "Home")
        assert page.focused == "asp-1"
        page.press("End", "Enter")
        page.wait("h1", "asp-3")
        assert page.value("document.activeElement.id") == "main"
        page.page.go_back()
        page.wait(".cycles tbody", "decided")
        page.find("#views a").last.focus()
        page.press("Enter")
        page.wait(".nodes tbody", "asp-1")
        page.page.get_by_label("All").focus()
        page.press("ArrowRight")  # radio buttons
        page.wait(".hint", "3 on page 1")
        page.press("ArrowRight")
        page.wait(".hint", "50 on page 1, more follow")
        page.page.get_by_role("link", name="Next").focus()
        page.press("Enter")
        page.wait(".hint", "10 on page 2, the last")
        assert page.find(".nodes tbody tr").count() == 10
        page.page.get_by_role("link", name="Previous").focus()
        page.press("Enter")
        page.wait(".hint", "50 on page 1")


def test_arrow_keys_read_a_chart(laptop: Opened) -> None:
    show(laptop, "#/")
    chart = laptop.find(".canvas[role=img]").last
    spoken = laptop.find("figure [role=status]").nth(5)
    chart.focus()
    read = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight"):
        laptop.press(key)
        read.append(spoken.inner_text())
    assert read[0].startswith("Relative regret, ")
    assert read[0].endswith("relative regret –")  # the last cycle was kept
    assert "10⁻" in read[1] or read[1].endswith(" 0")
    assert read[2] == read[0]
    laptop.press("Tab")
    assert spoken.inner_text() == ""


def test_focus_can_be_seen(laptop: Opened) -> None:
    show(laptop, "#/nodes")
    laptop.find(".nodes a").first.focus()
    laptop.press("ArrowDown")
    outline = laptop.value(
        "(s => [s.outlineStyle, s.outlineWidth])(getComputedStyle(document.activeElement))"
    )
    assert outline == ["solid", "2px"]


def test_only_changes_of_state_are_spoken(laptop: Opened) -> None:
    show(laptop, "#/")
    assert laptop.value("[...document.querySelectorAll('[aria-live]')].length") == 0
    spoken = laptop.texts("#announcement")
    assert KEPT in spoken[0]
    assert laptop.find("#state [role=status], #state[role=status]").count() == 0


def test_nothing_moves_for_those_who_asked_for_that(browser: Browser, url: str) -> None:
    moving = "getComputedStyle(document.querySelector('.meter i')).transitionDuration"
    for wish, duration in (("reduce", "0s"), ("no-preference", "0.3s")):
        with opened(browser, url, reduced_motion=wish) as page:
            page.enter(OPERATOR)
            page.find(".meter").first.wait_for()
            assert page.value(moving) == duration
