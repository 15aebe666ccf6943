"""The files of the dashboard as they are served: types, caching, and what they may load."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

import qoex.agent.dashboard
from qoex.agent.dashboard import dashboard_routes
from qoex.certificate import CERTIFIED

STATIC = Path(qoex.agent.dashboard.__file__).parent / "static"
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts)
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes


def ask(path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for a path exactly as it is given: a client would take `..` out of it before."""
    sent: list[Any] = []
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": unquote(path), "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": fields, "root_path": ""}

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Starlette(routes=dashboard_routes())(scope, receive, send))
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], given, b"".join(part["body"] for part in sent[1:]))


def below(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


@pytest.mark.parametrize("path", OWN, ids=below)
def test_every_file_is_served_as_it_is(path: Path) -> None:
    answer = ask(f"/dashboard/{below(path)}")
    assert answer.status == 200
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == TYPES[path.suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_at_the_root() -> None:
    assert ask("/").content == (STATIC / "index.html").read_bytes()
    assert ask("/", "HEAD").headers["content-type"] == TYPES[".html"]
    assert ask("/", "POST").status == 405


def test_the_policy_lets_the_page_reach_its_own_agent_only() -> None:
    given = ask("/").headers["content-security-policy"]
    policy = dict(part.split(" ", 1) for part in given.split("; "))
    assert policy["default-src"] == "'none'"
    sources = {name: rule for name, rule in policy.items() if name.endswith("-src")}
    assert {"script-src", "style-src", "connect-src", "img-src"} < set(sources)
    assert set(sources.values()) <= {"'self'", "'none'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"


def test_what_is_known_is_not_sent_again() -> None:
    first = ask("/dashboard/styles.css")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (etag, f'"other", {etag}', f"W/{etag}"):
        again = ask("/dashboard/styles.css", if_none_match=known)
        assert (again.status, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    other = ask("/dashboard/styles.css", if_none_match='"other"')
    assert other.status == 200
    assert ask("/dashboard/icon.svg").headers["etag"] != etag


@pytest.mark.parametrize(
    "path",
    [
        "",
        "missing.js",
        "../routes.py",
        "..%2froutes.py",
        "%2e%2e/__init__.py",
        "js/../../routes.py",
        "js/%2e%2e/%2e%2e/routes.py",
        "..\\routes.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "js",
        "vendor/uplot/README.md",
        "js/app.js%00.css",
    ],
)
def test_nothing_else_is_served(path: str) -> None:
    answer = ask(f"/dashboard/{path}")
    assert answer.status == 404
    assert "import" not in answer.content.decode()


def test_all_that_the_files_name_is_there() -> None:
    page = (STATIC / "index.html").read_text()
    named = re.findall(r'(?:src|href)="dashboard/([^"]+)"', page)
    assert len(named) >= 5
    assert all((STATIC / name).is_file() for name in named)
    imported = {
        (script.parent / name).resolve()
        for script in SCRIPTS
        for name in re.findall(r'from "(\.[^"]+)"', script.read_text())
    }
    entry = STATIC / "js" / "app.js"
    assert imported | {entry} == set(SCRIPTS)  # none is missing, none is left over


@pytest.mark.parametrize("path", OWN, ids=below)
def test_no_file_names_another_host_or_parses_text_as_markup(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z0-9-]+\.[a-z]+/", text)
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in text
    if path.suffix == ".html":
        assert not re.search(r"<script>|<style|\bstyle=|\bon[a-z]+=", text)


def test_uplot_is_what_its_authors_published() -> None:
    digests = {
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    }
    for name, digest in digests.items():
        content = (STATIC / "vendor" / "uplot" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
    licence = ask("/dashboard/vendor/uplot/LICENSE")
    assert licence.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Leon Sorokin" in licence.content.decode()


def test_the_line_of_certified_regret_is_the_certificates() -> None:
    text = (STATIC / "js" / "views" / "cycle_charts.js").read_text()
    found = re.search(r"CERTIFIED = ([^;]+);", text)
    assert found
    assert float(found[1]) == CERTIFIED
