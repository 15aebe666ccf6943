"""The report in a real browser: it fetches nothing, fits its window, and shows every picture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from small_reproduction import reproduction

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
LAPTOP, PHONE = (1280, 800), (390, 844)

if CHROMIUM is None and not os.environ.get("QOEX_REQUIRE_BROWSER"):
    pytest.skip("chromium is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "QOEX_REQUIRE_BROWSER is set, but chromium is not installed"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container has no user namespaces for the sandbox; the page is our own.
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Seen:
    """A page that was opened, with all that it asked for and complained of."""

    def __init__(self, browser: Browser, size: tuple[int, int]) -> None:
        self.width = size[0]
        self.page: Page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(report().as_uri())

    def value(self, script: str) -> object:
        return self.page.evaluate(script)


def report() -> Path:
    return reproduction() / "report.html"


@pytest.fixture(scope="module")
def laptop(browser: Browser) -> Seen:
    return Seen(browser, LAPTOP)


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Seen:
    return Seen(browser, PHONE)


@pytest.fixture(params=["laptop", "phone"])
def seen(request: pytest.FixtureRequest) -> Seen:
    opened: Seen = request.getfixturevalue(request.param)
    return opened


def test_nothing_but_the_file_is_asked_for(seen: Seen) -> None:
    others = [url for url in seen.requests if url != report().as_uri()]
    assert all(url.startswith("data:") for url in others), others
    assert seen.messages == []


def test_no_part_is_wider_than_the_window(seen: Seen) -> None:
    seen.value("document.querySelectorAll('details').forEach(item => { item.open = true })")
    width = seen.value("document.documentElement.scrollWidth")
    assert isinstance(width, int)
    assert width <= seen.width
    # Wide tables scroll within their own box, and can be reached with the keyboard.
    boxes = seen.value("[...document.querySelectorAll('.scroll')].map(item => item.tabIndex)")
    assert boxes
    assert set(boxes) == {0}  # type: ignore[call-overload]


def test_every_picture_is_decoded(seen: Seen) -> None:
    widths = seen.value("[...document.images].map(image => image.naturalWidth)")
    assert isinstance(widths, list)
    assert len(widths) == 8
    assert all(width > 0 for width in widths)


def test_panels_stand_side_by_side_where_there_is_room(laptop: Seen, phone: Seen) -> None:
    for opened, columns in ((laptop, {2, 3}), (phone, {1})):
        grid = opened.value(
            "getComputedStyle(document.querySelector('.panels')).gridTemplateColumns"
        )
        assert len(str(grid).split()) in columns


def test_claims_become_cards_on_a_phone(laptop: Seen, phone: Seen) -> None:
    row = "getComputedStyle(document.querySelector('.claims tr.main')).display"
    assert (laptop.value(row), phone.value(row)) == ("table-row", "block")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(laptop: Seen, scheme: Literal["light", "dark"]) -> None:
    laptop.page.emulate_media(color_scheme=scheme)
    pairs = laptop.value(
        """[...document.querySelectorAll('body, .chip, .ends, figcaption, a, summary, td')].map(
            item => {
                let ground = item
                while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)')
                    ground = ground.parentElement
                return [getComputedStyle(item).color, getComputedStyle(ground).backgroundColor]
            })"""
    )
    assert isinstance(pairs, list)
    seen = {(text, ground) for text, ground in pairs}
    assert len(seen) > 5
    for text, ground in seen:
        assert contrast(text, ground) >= 4.5, (text, ground)  # WCAG 2.1, level AA


def contrast(text: str, ground: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2.1 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(text), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_keyboard_opens_what_is_folded(laptop: Seen) -> None:
    summary = laptop.page.locator("#appendix-a summary").first
    was_open = summary.evaluate("item => item.parentElement.open")
    summary.focus()
    laptop.page.keyboard.press("Enter")
    assert summary.evaluate("item => item.parentElement.open") is not was_open
