"""The dashboard in chromium, for tests: a page that notes all that it asks for and says."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

CHROMIUM = shutil.which("chromium")
LAPTOP, PHONE = (1280, 800), (360, 740)


def require_chromium() -> None:
    """Skip the module if there is no browser, unless there has to be one."""
    if CHROMIUM is None and not os.environ.get("QOEX_REQUIRE_BROWSER"):
        pytest.skip("chromium is not installed", allow_module_level=True)


@contextmanager
def launched() -> Iterator[Browser]:
    assert CHROMIUM is not None, "QOEX_REQUIRE_BROWSER is set, but chromium is not installed"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container has no user namespaces for the sandbox; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """The dashboard in a browser of its own storage."""

    def __init__(
        self, browser: Browser, url: str, *, size: tuple[int, int] = LAPTOP, **options: Any
    ) -> None:
        self.url = url
        viewport: Any = {"width": size[0], "height": size[1]}
        self.context: BrowserContext = browser.new_context(
            viewport=viewport, timezone_id="UTC", **options
        )
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))

    def enter(self, token: str, view: str = "") -> Opened:
        """Open the page with a token in its address, then one of its views."""
        self.page.goto(f"{self.url}#token={token}")
        self.page.wait_for_selector(".lamp.live")
        if view:
            self.go(view)
        return self

    def go(self, view: str) -> None:
        self.page.evaluate("view => { location.hash = view }", view)

    def value(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def wait(self, selector: str, text: str) -> None:
        """Wait until an element that the selector finds holds a text."""
        self.page.locator(selector, has_text=text).first.wait_for()

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def focused(self) -> str:
        """Text of the element that has the focus."""
        text: str = self.page.evaluate("document.activeElement.textContent")
        return text


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Opened]:
    page = Opened(browser, url, **options)
    yield page
    page.context.close()
