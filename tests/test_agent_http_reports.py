"""Reports over HTTP: what is taken in, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_http import PROVIDER_BODY, Agent, problem_of, running, user_body

pytestmark = pytest.mark.anyio

USER = "/v1/users/mu-1"
PROVIDER = "/v1/providers/asp-1"
NDJSON = "application/x-ndjson"


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with running(tmp_path, max_body_bytes=4_000, max_bulk_bytes=8_000) as agent:
        await agent.populate()
        yield agent


@pytest.fixture(scope="module")
async def unchanged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Agent]:
    """One agent for all requests that are refused: what one changed, the next would see."""
    folder = tmp_path_factory.mktemp("refused")
    async with running(folder, max_body_bytes=4_000, max_bulk_bytes=8_000) as agent:
        await agent.populate()
        before = await agent.state()
        yield agent
        assert await agent.state() == before


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def line(key: str, node: str = "mu-1", kind: str = "patch", **body: Any) -> dict[str, Any]:
    side = "user" if node.startswith("mu") else "provider"
    return {"key": key, "node_kind": side, "node": node, "kind": kind, "body": body}


async def test_report_is_taken_in_and_read_back(agent: Agent) -> None:
    answer = await agent.report("PATCH", USER, {"reward_max": 7.5}, who="mu-1")
    assert answer.status_code == 200
    receipt = answer.json()
    assert receipt["seq"] == 5
    assert receipt["replayed"] is False
    document = (await agent.ask("GET", USER, "mu-1")).json()
    assert document["report"] == user_body("asp-1", "asp-2", reward_max=7.5)
    assert document["active"] is True
    assert datetime.fromisoformat(document["received_at"]) == datetime.fromisoformat(
        receipt["received_at"]
    )
    links = await agent.report("PATCH", PROVIDER + "/links", {"mu-1": 12.5}, who="asp-1")
    assert links.status_code == 200, links.text
    assert (await agent.ask("GET", PROVIDER + "/links", "asp-1")).json() == {
        "snr_db": {"mu-1": 12.5}
    }


async def test_a_key_counts_once(agent: Agent) -> None:
    first = await agent.report("PATCH", USER, {"reward_max": 7.5}, key="once")
    before = await agent.state()
    again = await agent.report("PATCH", USER, {"reward_max": 7.5}, key="once")
    assert again.json() == {**first.json(), "replayed": True}
    other = await agent.report("PATCH", USER, {"reward_max": 8.5}, key="once")
    assert problem_of(other) == (409, "key-reused")
    assert await agent.state() == before
    # Keys are those of one node: another may use the same.
    assert (await agent.report("PATCH", "/v1/users/mu-2", {}, key="once")).status_code == 200


async def test_nodes_leave_and_come_back(agent: Agent) -> None:
    assert (await agent.report("DELETE", USER)).status_code == 200
    assert (await agent.ask("GET", USER)).json()["active"] is False
    gone = await agent.report("PATCH", USER, {"reward_max": 2.0})
    assert problem_of(gone) == (409, "not-active")
    assert (await agent.report("PUT", USER, user_body("asp-1"))).status_code == 200
    assert (await agent.ask("GET", USER)).json()["active"] is True
    now = datetime.now(UTC).isoformat()
    left = await agent.report("DELETE", PROVIDER, {"reported_at": now})
    assert left.status_code == 200, left.text


# What is sent, how, and which problem comes of it.
BAD: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "not json": (b'{"reward_max": 2', {}, 400, "malformed-json"),
    "nothing": (b"", {}, 400, "malformed-json"),
    "two values": (b"{} {}", {}, 400, "malformed-json"),
    "single quotes": (b"{'reward_max': 2}", {}, 400, "malformed-json"),
    "not UTF-8": (b'{"reward_max": "\xff"}', {}, 400, "malformed-json"),
    "UTF-16": ('{"reward_max": 2}'.encode("utf-16"), {}, 400, "malformed-json"),
    "NaN": (b'{"reward_max": NaN}', {}, 400, "malformed-json"),
    "Infinity": (b'{"reward_max": Infinity}', {}, 400, "malformed-json"),
    "-Infinity": (b'{"reward_max": -Infinity}', {}, 400, "malformed-json"),
    "a name twice": (b'{"reward_max": 2, "reward_max": 3}', {}, 400, "malformed-json"),
    "a name twice inside": (
        b'{"demands": {"asp-1": {"input_tokens": 1, "input_tokens": 2}}}',
        {},
        400,
        "malformed-json",
    ),
    "deep": (b'{"a":' + b"[" * 1_900, {}, 400, "malformed-json"),
    "deep and closed": (b"[" * 1_900 + b"]" * 1_900, {}, 400, "malformed-json"),
    "deep, but not too deep": (
        b'{"demands": ' + b"[" * 300 + b"]" * 300 + b"}",
        {},
        422,
        "invalid-report",
    ),
    "an array": (b"[]", {}, 422, "invalid-report"),
    "null": (b"null", {}, 422, "invalid-report"),
    "overflow": (b'{"reward_max": 1e999}', {}, 422, "invalid-report"),
    "huge": (b'{"reward_max": 1e13}', {}, 422, "invalid-report"),
    "huge integer": (b'{"reward_max": 1' + b"0" * 3_000 + b"}", {}, 422, "invalid-report"),
    "tiny": (b'{"profit_factor": 1e-300}', {}, 422, "invalid-report"),
    "negative": (b'{"reward_max": -1}', {}, 422, "invalid-report"),
    "text for a number": (b'{"reward_max": "2"}', {}, 422, "invalid-report"),
    "true for a number": (b'{"reward_max": true}', {}, 422, "invalid-report"),
    "unknown field": (b'{"reward_most": 2}', {}, 422, "invalid-report"),
    "unknown field inside": (
        b'{"demands": {"asp-1": {"tokens": 2}}}',
        {},
        422,
        "invalid-report",
    ),
    "half a surrogate": (b'{"\\ud800": 2}', {}, 422, "invalid-report"),
    "null for what must be": (b'{"reward_max": null}', {}, 422, "invalid-report"),
    "min above max": (b'{"reward_min": 6.0}', {}, 422, "invalid-report"),
    "both accuracies": (
        b'{"demands": {"asp-1": {"examples": 3}}}',
        {},
        422,
        "invalid-report",
    ),
    "impossible name": (b'{"demands": {"a b": null}}', {}, 422, "invalid-report"),
    "unknown provider": (b'{"demands": {"asp-9": null}}', {}, 422, "unknown-node"),
    "no such time": (b'{"reported_at": "2026-02-30T00:00:00Z"}', {}, 422, "invalid-report"),
    "no zone": (b'{"reported_at": "2026-02-20T00:00:00"}', {}, 422, "invalid-report"),
    "too large": (b'{"a": "' + b"x" * 4_000 + b'"}', {}, 413, "too-large"),
    "no media type": (b"{}", {"content-type": ""}, 415, "unsupported-media-type"),
    "form": (
        b"a=b",
        {"content-type": "application/x-www-form-urlencoded"},
        415,
        "unsupported-media-type",
    ),
    "latin-1": (
        b"{}",
        {"content-type": "application/json; charset=latin-1"},
        415,
        "unsupported-media-type",
    ),
    "compressed": (b"{}", {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
    "empty key": (b"{}", {"idempotency-key": ""}, 400, "key-missing"),
    "long key": (b"{}", {"idempotency-key": "k" * 129}, 400, "key-missing"),
    "key of the agent": (b"{}", {"idempotency-key": "expire-1"}, 422, "invalid-report"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_changes_nothing(unchanged: Agent, case: str) -> None:
    content, changes, status, slug = BAD[case]
    before = await unchanged.state()
    headers = {"idempotency-key": "fresh", "content-type": "application/json", **changes}
    answer = await unchanged.ask("PATCH", USER, "mu-1", headers=headers, content=content)
    assert problem_of(answer) == (status, slug), answer.text
    assert answer.json()["detail"].endswith(".")
    assert await unchanged.state() == before


async def test_a_report_needs_a_key(unchanged: Agent) -> None:
    before = await unchanged.state()
    for method, path in (
        ("PUT", USER),
        ("PATCH", USER),
        ("DELETE", USER),
        ("PATCH", PROVIDER + "/links"),
        ("POST", PROVIDER + "/served"),
    ):
        answer = await unchanged.ask(method, path, json={})
        assert problem_of(answer) == (400, "key-missing"), (method, path)
    twice = await unchanged.client.patch(
        USER,
        json={},
        headers=[
            ("authorization", f"Bearer {unchanged.secrets['mu-1']}"),
            ("idempotency-key", "one"),
            ("idempotency-key", "two"),
        ],
    )
    assert problem_of(twice) == (400, "key-missing")
    assert await unchanged.state() == before


@pytest.mark.parametrize(
    "seconds", [-301.0, 301.0, -1e9, 1e9], ids=["behind", "ahead", "far behind", "far ahead"]
)
async def test_clock_skew(unchanged: Agent, seconds: float) -> None:
    before = await unchanged.state()
    moment = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    answer = await unchanged.report("PATCH", USER, {"reported_at": moment, "reward_max": 2.0})
    assert problem_of(answer) == (422, "clock-skew")
    assert await unchanged.state() == before


async def test_out_of_order(agent: Agent) -> None:
    now = datetime.now(UTC)
    assert (await agent.report("PATCH", USER, {"reported_at": now.isoformat()})).is_success
    before = await agent.state()
    earlier = (now - timedelta(seconds=1)).isoformat()
    answer = await agent.report("PATCH", USER, {"reported_at": earlier, "reward_max": 2.0})
    assert problem_of(answer) == (409, "out-of-order")
    assert await agent.state() == before


async def test_every_fault_is_named(unchanged: Agent) -> None:
    body = {"reward_max": -1, "unknown": 1, "demands": {"asp-1": {"input_tokens": "3"}}}
    answer = await unchanged.report("PATCH", USER, body)
    places = {item["where"] for item in answer.json()["errors"]}
    assert places == {"reward_max", "unknown", "demands.asp-1.input_tokens"}


async def test_what_is_refused_repeats_little_of_what_was_sent(unchanged: Agent) -> None:
    body = {f"field-{k}-{'x' * 100}": k for k in range(30)}
    answer = await unchanged.report("PATCH", USER, body)
    assert problem_of(answer) == (422, "invalid-report")
    assert len(answer.json()["errors"]) == 20


async def test_unknown_nodes(unchanged: Agent) -> None:
    for method, path, body in (
        ("PATCH", "/v1/users/mu-9", {}),
        ("DELETE", "/v1/users/mu-9", None),
        ("PATCH", "/v1/providers/asp-9/links", {"mu-1": 3}),
    ):
        answer = await unchanged.report(method, path, body)
        assert problem_of(answer) == (404, "not-found"), (method, path)
    for path in ("/v1/users/mu-9", "/v1/providers/asp-9", "/v1/providers/asp-9/links"):
        assert problem_of(await unchanged.ask("GET", path)) == (404, "not-found")
    for path in ("/v1/users/a b", "/v1/users/" + "x" * 65, "/v1/users/.hidden", "/v1/users/%C3%A4"):
        answer = await unchanged.ask("GET", path)
        assert problem_of(answer) == (422, "invalid-parameter"), path


async def test_bulk(agent: Agent) -> None:
    body = lines(
        line("1", reward_max=3.0),
        line("2", "asp-1", "links", **{"mu-1": 20.0}),
        line("3", "asp-1", "served", user="mu-1", requests=2),
        line("4", "mu-2", "leave"),
        line("5", "asp-3", "put", **PROVIDER_BODY),
        line("6", "mu-1", demands={"asp-3": {**user_body("x")["demands"]["x"]}}),
    )
    answer = await agent.report("POST", "/v1/reports", content=body, media_type=NDJSON)
    assert answer.json() == {"accepted": 6, "replayed": 0, "first_seq": 5, "last_seq": 10}
    again = await agent.report("POST", "/v1/reports", content=body, media_type=NDJSON)
    assert again.json() == {"accepted": 6, "replayed": 6, "first_seq": 5, "last_seq": 10}
    assert (await agent.ask("GET", "/v1/users/mu-2")).json()["active"] is False
    assert set((await agent.ask("GET", USER)).json()["report"]["demands"]) == {
        "asp-1",
        "asp-2",
        "asp-3",
    }
    nothing = await agent.report("POST", "/v1/reports", content=b"", media_type=NDJSON)
    assert nothing.json() == {"accepted": 0, "replayed": 0, "first_seq": None, "last_seq": None}


BAD_LINES: dict[str, tuple[bytes, int, str]] = {
    "not json": (b'{"key": ', 400, "malformed-json"),
    "empty line": (b"\n" + lines(line("z")), 400, "malformed-json"),
    "NaN": (lines(line("z")).replace(b"{}", b'{"reward_max":NaN}'), 400, "malformed-json"),
    "a name twice": (
        b'{"key":"z","key":"y","node_kind":"user","node":"mu-1","kind":"leave","body":{}}',
        400,
        "malformed-json",
    ),
    "unknown field": (lines({**line("z"), "more": 1}), 422, "invalid-report"),
    "no key": (lines({k: v for k, v in line("z").items() if k != "key"}), 422, "invalid-report"),
    "bad report": (lines(line("z", reward_max="3")), 422, "invalid-report"),
    "not of its side": (lines(line("z", "mu-1", "links")), 422, "invalid-report"),
    "agent's kind": (lines(line("z", "mu-1", "expire")), 422, "invalid-report"),
    "unknown node": (lines(line("z", "mu-9")), 404, "not-found"),
    "unknown provider": (lines(line("z", demands={"asp-9": None})), 422, "unknown-node"),
    "not active": (lines(line("y", kind="leave"), line("z")), 409, "not-active"),
    "key of a line before": (lines(line("first", reward_max=9.0)), 409, "key-reused"),
    "too large": (lines(line("z", more="x" * 8_000)), 413, "too-large"),
}


@pytest.mark.parametrize("case", BAD_LINES)
async def test_bulk_is_all_or_nothing(unchanged: Agent, case: str) -> None:
    content, status, slug = BAD_LINES[case]
    before = await unchanged.state()
    good = lines(line("first", reward_max=3.0), line("second", "mu-2", reward_max=3.0))
    answer = await unchanged.report(
        "POST", "/v1/reports", content=good + content, media_type=NDJSON
    )
    assert problem_of(answer) == (status, slug), answer.text
    if status != 413:
        number = 4 if case == "not active" else 3
        assert answer.json()["detail"].lower().startswith(f"line {number}"), answer.text
    assert await unchanged.state() == before


async def test_lines_of_others_are_refused(agent: Agent) -> None:
    before = await agent.state()
    body = lines(line("a"), line("b", "mu-2"))
    answer = await agent.report("POST", "/v1/reports", content=body, media_type=NDJSON, who="mu-1")
    assert problem_of(answer) == (403, "forbidden")
    assert await agent.state() == before
    own = await agent.report(
        "POST", "/v1/reports", content=lines(line("a")), media_type=NDJSON, who="mu-1"
    )
    assert own.json()["accepted"] == 1


async def test_too_many_lines(tmp_path: Path) -> None:
    async with running(tmp_path, max_bulk_lines=3) as agent:
        await agent.populate()
        before = await agent.state()
        body = lines(*(line(str(k)) for k in range(4)))
        answer = await agent.report("POST", "/v1/reports", content=body, media_type=NDJSON)
        assert problem_of(answer) == (413, "too-many-lines")
        assert await agent.state() == before


async def test_lines_may_be_cut_anywhere(agent: Agent) -> None:
    body = lines(line("1", reward_max=3.0), line("2", reward_max=4.0)).rstrip(b"\n")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    answer = await agent.ask(
        "POST", "/v1/reports", headers={"content-type": NDJSON}, content=pieces()
    )
    assert answer.json()["accepted"] == 2, answer.text


async def test_what_the_store_does_not_take_is_not_acknowledged(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qoex.agent.storage import StorageError

    async def fails(entries: object) -> None:
        raise StorageError("the disk is full")

    before = await agent.state()
    with monkeypatch.context() as patched:
        patched.setattr(agent.parts.store, "append", fails)
        answer = await agent.report("PATCH", USER, {"reward_max": 2.0})
        assert problem_of(answer) == (503, "storage-failed")
        assert "retry-after" in answer.headers
    while not agent.parts.intake.healthy:  # it reads back what is stored
        await anyio.sleep(0.01)
    assert await agent.state() == before
    assert (await agent.report("PATCH", USER, {"reward_max": 2.0})).status_code == 200
