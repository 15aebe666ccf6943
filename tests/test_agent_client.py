"""The clients against answers made up for them: what is sent, read, repeated and refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, assert_type

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from qoex.client import AgentError, AsyncClient, Client, Fault, Line, Retries
from qoex.client.calls import requests_of
from qoex.client.following import Following, Stream
from qoex.errors import InvalidInputError
from qoex.wire.answers import ReceiptAnswer
from qoex.wire.reports import ProviderReport

AT_ONCE = Retries(attempts=4, first=0.0)
RECEIPT = {"seq": 7, "received_at": "2031-05-01T10:00:00.25Z", "replayed": False, "new": 1}
PROVIDER: ProviderReport = {
    "compute_capacity": 10.0,
    "bandwidth_capacity": 100.0,
    "compute_cost": 22.0,
    "bandwidth_cost": 0.15,
    "latency_budget": 900.0,
}
CYCLE = {
    "number": 3,
    "result": "kept",
    "reason": "deadline: too late",
    "in_force": 2,
    "position": 12,
    "snapshot_at": "2031-05-01T10:00:00Z",
    "committed_at": "2031-05-01T10:00:01Z",
}

Answer = httpx.Response | Exception


def problem(slug: str, status: int, **more: Any) -> httpx.Response:
    headers = {"content-type": "application/problem+json"}
    retry_after = more.pop("retry_after", None)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    document = {"type": f"urn:qoex:problem:{slug}", "title": "No", "status": status, **more}
    return httpx.Response(status, headers=headers, content=json.dumps(document))


class Scripted:
    """Gives its answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self._answers: Iterator[Answer] = iter(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, retries: Retries = AT_ONCE, token: str | None = "secret") -> Client:
        return Client(
            "http://agent.test", token, retries=retries, transport=httpx.MockTransport(self)
        )

    def async_client(self) -> AsyncClient:
        return AsyncClient(
            "http://agent.test", "secret", retries=AT_ONCE, transport=httpx.MockTransport(self)
        )


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_a_report_carries_token_key_and_body() -> None:
    agent = Scripted(httpx.Response(200, json=RECEIPT))
    with agent.client() as client:
        receipt = assert_type(client.put_provider("asp 1/ü", PROVIDER, key="k-1"), ReceiptAnswer)
    assert (receipt.seq, receipt.replayed) == (7, False)
    (request,) = agent.requests
    assert request.method == "PUT"
    assert request.url.raw_path == b"/v1/providers/asp%201%2F%C3%BC"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["idempotency-key"] == "k-1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == PROVIDER


# Name of a call, its arguments, and the request that it makes.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str]] = [
    ("patch_provider", ("p", {"compute_load": 0.5}), {}, "PATCH", "/v1/providers/p"),
    ("remove_provider", ("p",), {}, "DELETE", "/v1/providers/p"),
    ("patch_links", ("p", {"u": 12.5, "v": None}), {}, "PATCH", "/v1/providers/p/links"),
    ("report_served", ("p", "u", 3), {}, "POST", "/v1/providers/p/served"),
    ("put_user", ("u", {"demands": {}}), {}, "PUT", "/v1/users/u"),
    ("patch_user", ("u", {}), {}, "PATCH", "/v1/users/u"),
    ("remove_user", ("u",), {}, "DELETE", "/v1/users/u"),
]


@pytest.mark.parametrize(("name", "given", "named", "method", "path"), CALLS)
def test_both_clients_send_the_same(
    name: str, given: tuple[Any, ...], named: dict[str, Any], method: str, path: str
) -> None:
    agent = Scripted(httpx.Response(200, json=RECEIPT), httpx.Response(200, json=RECEIPT))
    with agent.client() as client:
        first = getattr(client, name)(*given, **named, key="k")

    async def again() -> ReceiptAnswer:
        async with agent.async_client() as client:
            answer: Awaitable[ReceiptAnswer] = getattr(client, name)(*given, **named, key="k")
            return await answer

    assert run(again()) == first
    one, other = agent.requests
    assert (one.method, one.url.path) == (method, path)
    assert (one.method, one.url, one.headers.raw, one.content) == (
        other.method,
        other.url,
        other.headers.raw,
        other.content,
    )


NODE = {"kind": "user", "name": "u", "active": True, "received_at": "2031-05-01T10:00:00Z"}
READS: list[tuple[Callable[[Client], Any], str, Any]] = [
    (lambda c: c.provider("p"), "/v1/providers/p", {**NODE, "report": {"x": 1}}),
    (lambda c: c.user("u"), "/v1/users/u", {**NODE, "report": {}}),
    (lambda c: c.links("p"), "/v1/providers/p/links", {"snr_db": {"u": 20.5}}),
    (lambda c: c.user_decision("u"), "/v1/users/u/decision", {"cycle": 1}),
    (lambda c: c.user_decision("u", cycle=4), "/v1/users/u/decision?cycle=4", {"cycle": 4}),
    (lambda c: c.provider_decision("p"), "/v1/providers/p/decision", {"cycle": 1}),
    (
        lambda c: c.user_explanation("u"),
        "/v1/users/u/explanation",
        {"cycle": 1, "paragraphs": ["So."]},
    ),
    (
        lambda c: c.provider_explanation("p", cycle=1),
        "/v1/providers/p/explanation?cycle=1",
        {"cycle": 1, "paragraphs": []},
    ),
    (
        lambda c: c.nodes(kind="user", active=True, search="a b"),
        "/v1/nodes?kind=user&search=a%20b&active=true",
        {"nodes": [], "next": None},
    ),
    (lambda c: c.cycles(before=9, limit=2), "/v1/cycles?before=9&limit=2", {"cycles": [CYCLE]}),
    (lambda c: c.cycle(3), "/v1/cycles/3", CYCLE),
]


@pytest.mark.parametrize(("ask", "target", "answer"), READS)
def test_what_is_asked_and_read(ask: Callable[[Client], Any], target: str, answer: Any) -> None:
    agent = Scripted(httpx.Response(200, json=answer))
    with agent.client() as client:
        result = ask(client)
    (request,) = agent.requests
    assert request.method == "GET"
    assert request.url.raw_path.decode().replace("+", "%20") == target
    assert set(result.model_dump(exclude_unset=True)) == set(answer)


def test_a_ledger_is_exact() -> None:
    entries = [{"user": "u", "provider": "p", "amount": "90071992547.409931"}]
    answer = {"unit": "money", "total": "90071992547.409931", "entries": entries}
    with Scripted(*[httpx.Response(200, json=answer)] * 3).client() as client:
        for ledger in (client.ledger(), client.user_ledger("u"), client.provider_ledger("p")):
            assert ledger.total == ledger.entries[0].amount == Decimal("90071992547.409931")


def test_a_decision_is_read_line_by_line() -> None:
    pair = {
        "provider": "p",
        "user": "a  b",
        "reward": 0.5,
        "compute": 1.0,
        "bandwidth": 2.0,
        "qoe": 10.0,
        "payment": 5.0,
    }
    lines = [json.dumps(item) for item in (CYCLE, pair, pair | {"user": "v"})]
    text = "\n".join(lines) + "\n"
    agent = Scripted(httpx.Response(200, text=text), httpx.Response(200, text=lines[0]))
    with agent.client() as client:
        decision = client.decision()
        empty = client.decision(3)
    assert decision.cycle.in_force == 2
    assert [item.user for item in decision.pairs] == ["a  b", "v"]
    assert empty.pairs == ()
    assert [r.url.path for r in agent.requests] == ["/v1/decisions/latest", "/v1/decisions/3"]


# Errors


def test_a_problem_becomes_an_error_that_says_everything() -> None:
    errors = [{"where": "demands.p.input_tokens", "what": "must be positive"}]
    agent = Scripted(problem("invalid-report", 422, detail="The report is wrong.", errors=errors))
    with agent.client() as client, pytest.raises(AgentError) as caught:
        client.put_user("u", {"profit_factor": 1, "reward_min": 0, "reward_max": 1, "demands": {}})
    error = caught.value
    assert (error.slug, error.status, error.detail) == (
        "invalid-report",
        422,
        "The report is wrong.",
    )
    assert error.faults == (Fault("demands.p.input_tokens", "must be positive"),)
    assert str(error) == (
        "The report is wrong. (demands.p.input_tokens: must be positive) [invalid-report]"
    )
    assert len(agent.requests) == 1


ODD_ANSWERS = {
    "html": httpx.Response(500, html="<h1>Oh</h1>"),
    "redirect": httpx.Response(307, headers={"location": "http://elsewhere.test/"}),
    "broken json": httpx.Response(
        400, headers={"content-type": "application/problem+json"}, content=b"{"
    ),
    "no problem": httpx.Response(404, json=["not found"]),
    "not the result": httpx.Response(200, json={"seq": "x"}),
    "no json": httpx.Response(200, text="fine"),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_answers_that_no_agent_gives(name: str) -> None:
    agent = Scripted(ODD_ANSWERS[name])
    with agent.client() as client, pytest.raises(AgentError) as caught:
        client.patch_user("u", {})
    assert caught.value.slug == "unreadable"
    assert caught.value.status == ODD_ANSWERS[name].status_code
    assert len(agent.requests) == 1


def test_an_agent_that_is_not_ready_says_why() -> None:
    reasons = {"status": "not-ready", "reasons": ["it starts", "no cycle was run"]}
    agent = Scripted(*[httpx.Response(503, json=reasons)] * 4, httpx.Response(200, json={}))
    with agent.client() as client:
        with pytest.raises(AgentError, match="it starts; no cycle was run") as caught:
            client.ready()
        client.ready()
    assert (caught.value.slug, caught.value.status) == ("not-ready", 503)
    assert agent.requests[0].url.path == "/readyz"


# Retries


GONE: list[Answer] = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("late"),
    httpx.RemoteProtocolError("closed"),
    problem("too-many-requests", 429, retry_after=0),
    problem("storage-failed", 503),
    httpx.Response(502, text="proxy"),
]


@pytest.mark.parametrize("failure", GONE, ids=repr)
def test_a_report_is_sent_again_with_the_same_key(failure: Answer) -> None:
    agent = Scripted(failure, failure, httpx.Response(200, json=RECEIPT))
    with agent.client() as client:
        assert client.patch_user("u", {"profit_factor": 2.0}).seq == 7
    assert len(agent.requests) == 3
    assert len({r.headers["idempotency-key"] for r in agent.requests}) == 1
    assert len({r.content for r in agent.requests}) == 1


def test_every_report_has_its_own_key() -> None:
    agent = Scripted(httpx.Response(200, json=RECEIPT), httpx.Response(200, json=RECEIPT))
    with agent.client() as client:
        client.patch_user("u", {})
        client.patch_user("u", {})
    assert len({r.headers["idempotency-key"] for r in agent.requests}) == 2


def test_it_gives_up_after_the_attempts_allowed() -> None:
    agent = Scripted(*[httpx.ConnectError("refused")] * 5)
    with agent.client() as client, pytest.raises(AgentError, match="refused") as caught:
        client.remove_user("u")
    assert (caught.value.slug, caught.value.status) == ("unreachable", None)
    assert "http://agent.test" in caught.value.detail
    assert len(agent.requests) == AT_ONCE.attempts


def test_the_last_problem_is_told() -> None:
    agent = Scripted(*[problem("stopping", 503, detail="It stops.")] * 5)
    with agent.client() as client, pytest.raises(AgentError, match="It stops") as caught:
        client.remove_user("u")
    assert caught.value.slug == "stopping"


@pytest.mark.parametrize(
    ("failure", "requests"),
    [
        (httpx.ConnectError("refused"), 2),
        (problem("stopping", 503), 2),
        (httpx.ReadTimeout("late"), 1),
        (httpx.Response(504, text="proxy"), 1),
    ],
    ids=repr,
)
def test_a_cycle_is_asked_for_again_only_if_none_was_run(failure: Answer, requests: int) -> None:
    agent = Scripted(failure, httpx.Response(200, json=CYCLE))
    with agent.client() as client:
        if requests == 1:
            with pytest.raises(AgentError):
                client.run_cycle()
        else:
            assert client.run_cycle().in_force == 2
    assert len(agent.requests) == requests


def test_pauses_grow_and_honour_what_the_agent_asks() -> None:
    retries = Retries(attempts=10, first=0.1, longest=2.0, patience=30.0)

    class Ends:
        def __init__(self, end: int) -> None:
            self._end = end

        def uniform(self, low: float, high: float) -> float:
            return (low, high)[self._end]

    low, high = Ends(0), Ends(1)
    highest = [retries.pause(n, None, high) for n in range(1, 7)]  # type: ignore[arg-type]
    assert highest == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0])
    lowest = [retries.pause(n, None, low) for n in range(1, 7)]  # type: ignore[arg-type]
    assert lowest == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0])
    assert retries.pause(1, 8.0, low) == 8.0  # type: ignore[arg-type]
    assert retries.pause(1, 8.0, high) == 10.0  # type: ignore[arg-type]
    assert retries.pause(1, 31.0, low) is None  # type: ignore[arg-type]
    assert retries.pause(10, None, low) is None  # type: ignore[arg-type]


def test_an_agent_that_asks_for_a_long_pause_is_not_waited_for() -> None:
    agent = Scripted(problem("too-many-requests", 429, retry_after=3600))
    with agent.client() as client, pytest.raises(AgentError) as caught:
        client.patch_user("u", {})
    assert caught.value.retry_after == 3600.0
    assert len(agent.requests) == 1


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon"])
def test_other_forms_of_retry_after(value: str) -> None:
    agent = Scripted(
        problem("too-many-requests", 429, retry_after=value), httpx.Response(200, json=RECEIPT)
    )
    with agent.client() as client:
        assert client.patch_user("u", {}).seq == 7


# Bulk


def lines_of(count: int) -> list[Line]:
    return [Line("user", f"u-{i}", "patch", {}, key=f"k-{i}") for i in range(count)]


@given(st.integers(0, 60), st.integers(1, 20), st.integers(80, 600))
def test_bulk_requests_keep_every_line_in_order(count: int, lines: int, size: int) -> None:
    bodies = list(requests_of(lines_of(count), most_lines=lines, most_bytes=size))
    sent = [json.loads(line) for body in bodies for line in body.splitlines()]
    assert [item["key"] for item in sent] == [f"k-{i}" for i in range(count)]
    assert all(len(body.splitlines()) <= lines for body in bodies)
    assert all(len(body) <= size or body.count(b"\n") == 1 for body in bodies)


def test_bulk_reports_are_cut_and_added_up() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        numbers = [int(json.loads(x)["key"][2:]) for x in request.content.splitlines()]
        assert request.headers["content-type"] == "application/x-ndjson"
        return httpx.Response(
            200,
            json={
                "accepted": len(numbers),
                "replayed": 1,
                "first_seq": numbers[0],
                "last_seq": numbers[-1],
            },
        )

    transport = httpx.MockTransport(answer)
    with Client("http://agent.test", transport=transport) as client:
        receipt = client.report_many(lines_of(20_001))
        assert client.report_many([]).first_seq is None
    assert (receipt.accepted, receipt.replayed) == (20_001, 3)
    assert (receipt.first_seq, receipt.last_seq) == (0, 20_000)


def test_numbers_that_json_has_not_are_refused_before_anything_is_sent() -> None:
    agent = Scripted()
    with agent.client() as client:
        with pytest.raises(InvalidInputError, match=r"compute_load.*nan"):
            client.patch_provider("p", {"compute_load": float("nan")})
        with pytest.raises(InvalidInputError, match=r"user u.*inf"):
            client.report_many([Line("user", "u", "patch", {"profit_factor": float("inf")})])
    assert agent.requests == []


# Events


EVENTS = {"content-type": "text/event-stream"}


def events_of(content: bytes) -> httpx.Response:
    return httpx.Response(200, headers=EVENTS, content=content)


def event(number: int) -> bytes:
    data = json.dumps(CYCLE | {"number": number})
    return f"id: {number}\nevent: cycle\ndata: {data}\n\n".encode()


def test_events_go_on_where_a_connection_ended() -> None:
    agent = Scripted(
        events_of(b": heartbeat\n\n" + event(4) + b"id: 5\nevent: cy"),
        httpx.ConnectError("refused"),
        problem("stopping", 503),
        events_of(b"event: note\ndata: {}\n\n" + event(5) + event(6)),
    )
    with agent.client() as client:
        events = client.events()
        assert [next(events).number for _ in range(3)] == [4, 5, 6]
        events.close()
    asked = [r.headers.get("last-event-id") for r in agent.requests]
    assert asked == [None, "4", "4", "4"]
    assert agent.requests[0].headers["accept"] == "text/event-stream"
    assert agent.requests[0].headers["authorization"] == "Bearer secret"


def test_events_of_asyncio() -> None:
    agent = Scripted(events_of(event(4)), events_of(event(5)))

    async def collect() -> list[int]:
        async with agent.async_client() as client:
            events = client.events(after=3)
            numbers = [(await anext(events)).number for _ in range(2)]
            await events.aclose()
            return numbers

    assert run(collect()) == [4, 5]
    assert [r.headers["last-event-id"] for r in agent.requests] == ["3", "4"]


def test_events_of_a_node() -> None:
    decision = b'id: 2\nevent: cycle\ndata: {"cycle": 2,\ndata: "utility": 1.5}\n\n'
    agent = Scripted(events_of(decision), events_of(decision))
    with agent.client() as client:
        assert next(client.user_events("u")).utility == 1.5
        assert next(client.provider_events("p", after=1)).cycle == 2
    assert [r.url.path for r in agent.requests] == ["/v1/users/u/events", "/v1/providers/p/events"]


def test_events_end_where_it_is_useless_to_ask_again() -> None:
    agent = Scripted(problem("forbidden", 403, detail="Not yours."))
    with agent.client() as client, pytest.raises(AgentError, match="Not yours"):
        next(client.events())


def test_events_give_up_on_an_agent_that_is_gone() -> None:
    agent = Scripted(*[events_of(b"")] * 10)
    with agent.client() as client, pytest.raises(AgentError) as caught:
        next(client.events())
    assert caught.value.slug == "unreachable"
    assert len(agent.requests) == AT_ONCE.attempts


def test_an_event_that_no_agent_sends() -> None:
    agent = Scripted(events_of(b"event: cycle\ndata: 1\n\n"))
    with agent.client() as client, pytest.raises(AgentError) as caught:
        next(client.events())
    assert caught.value.slug == "unreadable"


@given(st.lists(st.integers(0, 120)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_may_be_cut_anywhere(cuts: list[int], end: str) -> None:
    text = (
        ": hi|id: 1|event: cycle|data: a\u2028b|data: c||data:d||id: 2|retry: 1500||"
        "event: cycle||id: 3|event: cycle|data: e|"
    )
    content = text.replace("|", end).encode()
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})
    parts = (content[start:stop] for start, stop in itertools.pairwise(places))
    following = Following(Stream("/x", bytes.decode, None), "", AT_ONCE, random.Random(1))
    response = httpx.Response(200, headers=EVENTS, content=parts)
    said = [item for event in EventSource(response).iter_sse() for item in following.take(event)]
    assert said == ["a\u2028b\nc"]
    assert following.call().headers["last-event-id"] == "2"
    assert following.ended() == 1.5


def test_a_page_is_no_stream_of_events() -> None:
    agent = Scripted(*[httpx.Response(200, html="<p>Hello</p>")] * 10)
    with agent.client() as client, pytest.raises(AgentError, match="text/html") as caught:
        next(client.events())
    assert caught.value.slug == "unreachable"


# Where the agent is, and who asks


def test_address_and_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QOEX_AGENT", "http://elsewhere.test:1/below/")
    monkeypatch.setenv("QOEX_TOKEN", "of-environment")
    agent = Scripted(httpx.Response(200, json=RECEIPT), httpx.Response(200, json=RECEIPT))
    with Client(transport=httpx.MockTransport(agent)) as client:
        client.patch_user("u", {})
    with agent.client(token="given") as client:
        client.patch_user("u", {})
    first, second = agent.requests
    assert str(first.url) == "http://elsewhere.test:1/below/v1/users/u"
    assert first.headers["authorization"] == "Bearer of-environment"
    assert str(second.url) == "http://agent.test/v1/users/u"
    assert second.headers["authorization"] == "Bearer given"


@pytest.mark.parametrize("agent", ["ftp://x.test", "agent.test:80", "http://", "http://[::1"])
def test_addresses_that_are_none(agent: str) -> None:
    with pytest.raises(InvalidInputError, match="address"):
        Client(agent)


def test_a_token_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Client("http://agent.test", "secret\nsecret")
    assert "secret" not in str(caught.value)
    agent = Scripted(httpx.ConnectError("refused"), problem("forbidden", 403))
    with (
        caplog.at_level(logging.DEBUG),
        agent.client(token="hush-hush") as client,
        pytest.raises(AgentError) as error,
    ):
        client.patch_user("u", {})
    assert "hush-hush" not in f"{error.value!r} {caplog.text} {client!r} {agent.requests[0]!r}"
