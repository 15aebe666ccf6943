"""How much a client may ask for: rates, streams, sizes, time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_http import problem_of, running
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.limits import Streams, TokenBuckets


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    buckets = TokenBuckets(rate=2.0, burst=3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0  # a bucket of its own
    clock.now = 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == 0.5
    clock.now = 100.0  # never more than it holds
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


@given(
    rate=st.floats(0.1, 100.0),
    burst=st.integers(1, 20),
    gaps=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60),
)
def test_no_more_than_rate_and_burst_pass(rate: float, burst: int, gaps: list[float]) -> None:
    clock = Clock()
    buckets = TokenBuckets(rate, burst, clock)
    passed = 0
    for gap in gaps:
        clock.now += gap
        wait = buckets.take("a")
        if wait:
            # What it says is when it would pass.
            assert wait <= 1.0 / rate * (1 + 1e-9)
            clock.now += wait * (1 + 1e-9)
            assert buckets.take("a") == 0.0
        passed += 1
    assert passed <= burst + rate * clock.now * (1 + 1e-6) + 1


def test_keys_that_are_made_up_do_not_fill_the_memory() -> None:
    clock = Clock()
    buckets = TokenBuckets(rate=1.0, burst=2, clock=clock, most_keys=10)
    for k in range(10):
        buckets.take(f"old-{k}")
    clock.now = 100.0
    buckets.take("kept")
    buckets.take("kept")
    assert buckets.take("kept") > 0.0  # the full ones went, not this one
    for k in range(1_000):
        buckets.take(f"new-{k}")
    assert len(buckets._levels) <= 10


def test_streams_are_counted_per_key() -> None:
    streams = Streams()
    streams.open("a", 2)
    streams.open("a", 2)
    streams.open("b", 2)
    with pytest.raises(Refused) as caught:
        streams.open("a", 2)
    assert caught.value.problem is ProblemKind.TOO_MANY_REQUESTS
    streams.close("a")
    streams.open("a", 2)
    assert streams.total == 3


@pytest.mark.anyio
async def test_requests_that_come_too_fast(tmp_path: Path) -> None:
    settings = {"node_rate": 0.001, "node_burst": 3, "operator_burst": 50, "operator_rate": 0.001}
    async with running(tmp_path, **settings) as agent:
        await agent.populate()
        before = await agent.state()
        for _ in range(3):
            assert (await agent.ask("GET", "/v1/users/mu-1", "mu-1")).status_code == 200
        answer = await agent.report("PATCH", "/v1/users/mu-1", {"reward_max": 2.0}, who="mu-1")
        assert problem_of(answer) == (429, "too-many-requests")
        assert 900 <= int(answer.headers["retry-after"]) <= 1_000
        assert await agent.state() == before
        # Other tokens have buckets of their own.
        assert (await agent.ask("GET", "/v1/token", "mu-2")).status_code == 200
        assert (await agent.ask("GET", "/v1/token")).status_code == 200


@pytest.mark.anyio
async def test_requests_without_a_token_are_slowed_down_but_not_those_with_one(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, failed_logins_rate=0.001, failed_logins_burst=2) as agent:
        for _ in range(2):
            assert (await agent.ask("GET", "/v1/token", None)).status_code == 401
        headers = {"authorization": f"Bearer {agent.secrets['mu-1']}x"}
        answer = await agent.ask("GET", "/v1/token", None, headers=headers)
        assert problem_of(answer) == (429, "too-many-requests")
        assert "retry-after" in answer.headers
        # Nobody can lock a token out by failing from the same address.
        assert (await agent.ask("GET", "/v1/token", "mu-1")).status_code == 200


@pytest.mark.anyio
async def test_a_body_is_measured_while_it_comes(tmp_path: Path) -> None:
    """Content-Length may be missing, or a lie; no more than the limit is ever read."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1_000
            yield b" " * 1_000

    async with running(tmp_path, max_body_bytes=10_000, max_bulk_bytes=20_000) as agent:
        await agent.populate()
        before = await agent.state()
        headers = {"idempotency-key": "k", "content-type": "application/json"}
        answer = await agent.ask("PATCH", "/v1/users/mu-1", headers=headers, content=endless())
        assert problem_of(answer) == (413, "too-large")
        assert answer.headers["connection"] == "close"
        assert sent <= 12_000
        headers = {"content-type": "application/x-ndjson"}
        answer = await agent.ask("POST", "/v1/reports", headers=headers, content=endless())
        assert problem_of(answer) == (413, "too-large")
        assert sent <= 34_000
        headers = {"content-length": "9" * 30, "content-type": "application/json"}
        headers["idempotency-key"] = "k"
        answer = await agent.ask("PATCH", "/v1/users/mu-1", headers=headers, content=endless())
        assert problem_of(answer) == (413, "too-large")
        assert await agent.state() == before


@pytest.mark.anyio
async def test_a_body_that_does_not_come(tmp_path: Path) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)
        yield b"}"

    async with running(tmp_path, body_timeout_s=0.05) as agent:
        headers = {"idempotency-key": "k", "content-type": "application/json"}
        answer = await agent.ask("PATCH", "/v1/users/mu-1", headers=headers, content=stalled())
        assert problem_of(answer) == (408, "request-timeout")
