from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_state import (
    PROVIDER,
    PROVIDER_BODY,
    PROVIDER_NAMES,
    START,
    USER,
    USER_NAMES,
    Log,
    accepted,
    formed,
    histories,
    replayed,
    reports,
    state_bytes,
    user_body,
)
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import EntryKind, NewEntry, NodeKind
from qoex.agent.state.registry import Registry, roster

PUT, PATCH, LEAVE = EntryKind.PUT, EntryKind.PATCH, EntryKind.LEAVE
EXPIRE, LINKS, SERVED = EntryKind.EXPIRE, EntryKind.LINKS, EntryKind.SERVED


def merged(target: Any, change: Any) -> Any:
    """JSON merge patch, word for word as RFC 7396 has it."""
    if not isinstance(change, Mapping):
        return change
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class Plain:
    """The registry as nested dicts."""

    def __init__(self) -> None:
        self.documents: dict[tuple[NodeKind, str], dict[str, Any]] = {}
        self.links: dict[str, dict[str, float]] = {}
        self.active: set[tuple[NodeKind, str]] = set()

    def apply(self, new: NewEntry) -> None:
        owner = new.node_kind, new.node
        body = deepcopy(dict(new.body))
        if new.kind is PUT:
            if new.node_kind is USER:
                body.setdefault("demands", {})
            elif owner not in self.active:
                self.links[new.node] = {}
            self.documents[owner] = body
            self.active.add(owner)
        elif new.kind is PATCH:
            self.documents[owner] = merged(self.documents[owner], body)
        elif new.kind is LINKS:
            self.links[new.node] = merged(self.links[new.node], body)
        elif new.kind is LEAVE:
            self.active.remove(owner)


def refusal(log: Log, *args: Any) -> Refused:
    before = state_bytes(log.registry)
    with pytest.raises(Refused) as caught:
        log.send(*args)
    assert state_bytes(log.registry) == before
    return caught.value


@settings(max_examples=150, deadline=None)
@given(histories())
def test_it_holds_what_merge_patches_make_of_documents(sent: list[Any]) -> None:
    log, plain = Log(), Plain()
    for number, report in enumerate(sent):
        new = formed(report, f"k{number}")
        if new is not None and accepted(log, new):
            plain.apply(new)
    for (kind, name), document in plain.documents.items():
        assert log.registry.document(kind, name) == document
        assert log.registry.rosters[kind].is_active(name) == ((kind, name) in plain.active)
    for name, links in plain.links.items():
        assert log.registry.links(name) == links


@settings(max_examples=150, deadline=None)
@given(
    histories(40),
    st.integers(0, 40),
    st.integers(1, 2),
)
def test_live_replay_and_checkpoint_agree_to_the_bit(
    sent: list[Any], cut: int, remembered: int
) -> None:
    with patch.object(roster, "LEAST_REMEMBERED", remembered):
        log = Log()
        for number, report in enumerate(sent):
            log.now = START + timedelta(seconds=number)
            new = formed(report, f"k{number}")
            if new is None:
                continue
            before = state_bytes(log.registry)
            if not accepted(log, new):
                assert state_bytes(log.registry) == before
        cut = min(cut, len(log.entries))
        first = replayed(log.entries[:cut])
        other = Registry()
        other.fill(first.contents())
        for entry in log.entries[cut:]:
            other.apply(entry)
        live = state_bytes(log.registry)
        assert state_bytes(replayed(log.entries)) == live
        assert state_bytes(other) == live


@settings(max_examples=100, deadline=None)
@given(histories(15), st.lists(reports(), max_size=25), st.integers(1, 2))
def test_all_is_taken_back_or_nothing(
    before: list[Any], within: list[Any], remembered: int
) -> None:
    with patch.object(roster, "LEAST_REMEMBERED", remembered):
        log, noted = Log(), Log()
        for number, report in enumerate(before):
            new = formed(report, f"k{number}")
            if new is not None:
                accepted(log, new)
                accepted(noted, new)
        start = state_bytes(log.registry)

        def go() -> None:
            for number, report in enumerate(within):
                new = formed(report, f"w{number}")
                if new is not None:
                    accepted(noted, new)

        def fail() -> None:
            with noted.registry.all_or_nothing():
                go()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert state_bytes(noted.registry) == start
        # What is taken in afterwards finds nothing of it.
        with noted.registry.all_or_nothing():
            go()
        for number, report in enumerate(within):
            new = formed(report, f"w{number}")
            if new is not None:
                accepted(log, new)
        assert state_bytes(noted.registry) == state_bytes(log.registry)


def test_growth_is_taken_back_too() -> None:
    log = Log()
    log.provider("asp-0")

    def go() -> None:
        for k in range(40):
            log.user(f"mu-{k}", "asp-0")
            log.send(PROVIDER, "asp-0", LINKS, {f"mu-{k}": 3.0})

    taken_back(log, go)
    for k in range(40):
        log.user(f"mu-{k}", "asp-0")
    assert log.registry.links("asp-0") == {}
    assert len(log.registry.snapshot(START).user_names) == 40


def taken_back(log: Log, go: Callable[[], None]) -> None:
    """Do something, take it back, and compare."""
    before = state_bytes(log.registry)

    def fail() -> None:
        with log.registry.all_or_nothing():
            go()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state_bytes(log.registry) == before


def test_what_is_taken_back_may_have_forgotten_a_node_and_grown_after_it() -> None:
    with patch.object(roster, "LEAST_REMEMBERED", 1):
        log = Log()
        log.provider("asp-0")
        log.user("mu-0", "asp-0")
        log.send(PROVIDER, "asp-0", LINKS, {"mu-0": 3.0})
        log.send(USER, "mu-0", LEAVE)

        def go() -> None:
            log.user("mu-1", "asp-0")
            assert log.registry.links("asp-0") == {}
            for k in range(1, 40):
                log.provider(f"asp-{k}")

        taken_back(log, go)


def test_who_left_stays_in_order_when_a_return_is_taken_back() -> None:
    log = Log()
    for name in ("mu-0", "mu-1", "mu-2"):
        log.user(name)
        log.send(USER, name, LEAVE)

    def go() -> None:
        log.user("mu-0")
        log.user("mu-1")

    taken_back(log, go)
    assert list(log.registry.rosters[USER].departed) == [0, 1, 2]


def test_a_report_needs_a_node_that_is_registered() -> None:
    log = Log()
    log.user("mu-0")
    for kind in (PATCH, LEAVE):
        assert refusal(log, USER, "mu-1", kind).problem is ProblemKind.NOT_FOUND
    log.send(USER, "mu-0", LEAVE)
    for kind in (PATCH, LEAVE, EXPIRE):
        error = refusal(log, USER, "mu-0", kind)
        assert error.problem is ProblemKind.NOT_ACTIVE
        assert "user 'mu-0'" in error.detail
    log.user("mu-0")
    log.send(USER, "mu-0", EXPIRE)
    assert not log.registry.rosters[USER].is_active("mu-0")


def test_a_report_names_only_nodes_that_registered_some_time() -> None:
    log = Log()
    log.provider("asp-0")
    log.user("mu-0")
    put = refusal(log, USER, "mu-1", PUT, user_body("asp-0", "asp-7", "asp-8"))
    assert put.problem is ProblemKind.UNKNOWN_NODE
    assert [fault.where for fault in put.faults] == ["demands.asp-7", "demands.asp-8"]
    assert "provider 'asp-7'" in put.detail
    assert "mu-1" not in log.registry.rosters[USER].slots
    patched = refusal(log, USER, "mu-0", PATCH, {"demands": {"asp-7": None}})
    assert patched.problem is ProblemKind.UNKNOWN_NODE
    links = refusal(log, PROVIDER, "asp-0", LINKS, {"mu-0": 3.0, "mu-9": 4.0})
    assert [fault.where for fault in links.faults] == ["mu-9"]
    served = refusal(log, PROVIDER, "asp-0", SERVED, {"user": "mu-9", "requests": 1})
    assert [fault.where for fault in served.faults] == ["user"]
    log.send(PROVIDER, "asp-0", LEAVE)
    log.user("mu-1", "asp-0")  # it left, but it was there


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"reward_max": 0.001}, "reward_min"),
        ({"reward_min": 6.0}, "reward_min"),
        ({"demands": {"asp-0": {"examples": 3}}}, "demands.asp-0.examples"),
        ({"demands": {"asp-0": {"performance_gap": None}}}, "demands.asp-0.performance_gap"),
        ({"demands": {"asp-1": {"performance_gap": 0.1}}}, "demands.asp-1.input_tokens"),
    ],
)
def test_a_patch_must_leave_a_whole_user(body: dict[str, Any], where: str) -> None:
    log = Log()
    log.provider("asp-0")
    log.provider("asp-1")
    log.user("mu-0", "asp-0")
    error = refusal(log, USER, "mu-0", PATCH, body)
    assert error.problem is ProblemKind.INVALID_REPORT
    assert where in [fault.where for fault in error.faults]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"work_per_token_pair": None}, "work_per_token_pair"),
        ({"work_per_token_pair": 0}, "work_per_token_pair"),
        ({"work_model": "cached"}, "work_per_input_token"),
        (
            {
                "work_model": "cached",
                "work_per_input_token": 0,
                "work_per_output_token": 0,
                "work_per_token_pair": 0,
            },
            "work_model",
        ),
    ],
)
def test_a_patch_must_leave_a_work_model(body: dict[str, Any], where: str) -> None:
    log = Log()
    log.provider("asp-0")
    error = refusal(log, PROVIDER, "asp-0", PATCH, body)
    assert error.faults[0].where == where


def test_links_go_when_a_provider_registers_anew_and_stay_when_it_replaces_its_report() -> None:
    log = Log()
    log.provider("asp-0")
    log.user("mu-0")
    log.send(PROVIDER, "asp-0", LINKS, {"mu-0": 3.0})
    log.provider("asp-0", compute_capacity=7.0)
    assert log.registry.links("asp-0") == {"mu-0": 3.0}
    log.send(USER, "mu-0", LEAVE)
    log.user("mu-0")
    assert log.registry.links("asp-0") == {"mu-0": 3.0}  # the word of another
    log.send(PROVIDER, "asp-0", LEAVE)
    log.provider("asp-0")
    assert log.registry.links("asp-0") == {}


def test_clocks_may_differ_by_so_much_and_no_more() -> None:
    log = Log(Registry(max_clock_skew_s=60))
    for seconds, fits in ((-60, True), (60, True), (-60.001, False), (61, False)):
        at = (START + timedelta(seconds=seconds)).isoformat()
        name = f"asp-{seconds}"
        if fits:
            log.provider(name, reported_at=at)
        else:
            error = refusal(log, PROVIDER, name, PUT, PROVIDER_BODY | {"reported_at": at})
            assert error.problem is ProblemKind.CLOCK_SKEW
            assert [fault.where for fault in error.faults] == ["reported_at"]


def test_reports_of_a_node_come_in_order() -> None:
    log = Log()
    log.user("mu-0", reported_at="2026-01-01T00:00:10Z")
    log.send(USER, "mu-0", PATCH, {"reward_max": 6.0})  # does not say when
    log.send(USER, "mu-0", PATCH, {"reported_at": "2026-01-01T00:00:10Z"})
    late = {"reported_at": "2026-01-01T00:00:09.999999Z"}
    assert refusal(log, USER, "mu-0", PATCH, late).problem is ProblemKind.OUT_OF_ORDER
    assert refusal(log, USER, "mu-0", LEAVE, late).problem is ProblemKind.OUT_OF_ORDER
    log.send(USER, "mu-0", LEAVE, {"reported_at": "2026-01-01T00:00:11Z"})
    assert refusal(log, USER, "mu-0", PUT, user_body() | late).problem is ProblemKind.OUT_OF_ORDER
    state = log.registry.node(USER, "mu-0")
    assert state is not None
    assert state.reported_at == START + timedelta(seconds=11)


def test_lifetimes_end_without_a_report() -> None:
    log = Log(Registry(node_lifetime_s=100))
    log.provider("asp-0", lifetime_s=10)
    log.user("mu-0")
    log.user("mu-1", lifetime_s=1000)
    at = log.registry.due
    assert at(START + timedelta(seconds=9.999)) == []
    assert at(START + timedelta(seconds=10)) == [(PROVIDER, "asp-0")]
    assert at(START + timedelta(seconds=100)) == [(PROVIDER, "asp-0"), (USER, "mu-0")]
    log.now = START + timedelta(seconds=5)
    log.send(PROVIDER, "asp-0", LINKS, {})  # any report is a sign of life
    assert at(START + timedelta(seconds=14.9)) == []
    state = log.registry.node(PROVIDER, "asp-0")
    assert state is not None
    assert state.expires_at == START + timedelta(seconds=15)
    log.send(PROVIDER, "asp-0", PATCH, {"lifetime_s": None})
    log.send(USER, "mu-0", LEAVE)
    assert at(START + timedelta(seconds=104.9)) == []
    assert at(START + timedelta(seconds=105)) == [(PROVIDER, "asp-0")]


def test_those_who_left_long_ago_are_forgotten() -> None:
    with patch.object(roster, "LEAST_REMEMBERED", 2):
        log = Log()
        log.provider("asp-0")
        for k in range(50):
            log.user(f"mu-{k}", "asp-0")
            log.send(PROVIDER, "asp-0", LINKS, {f"mu-{k}": float(k)})
            log.send(USER, f"mu-{k}", LEAVE)
        users = log.registry.rosters[USER]
        assert sorted(users.slots) == ["mu-48", "mu-49"]
        assert len(users.names) == 2
        assert log.registry.links("asp-0") == {"mu-48": 48.0, "mu-49": 49.0}
        assert refusal(log, USER, "mu-0", PATCH).problem is ProblemKind.NOT_FOUND
        log.user("mu-0", "asp-0")
        assert "mu-0" not in log.registry.links("asp-0")
        # With more who are there, more who left are remembered.
        for k in range(3):
            log.user(f"new-{k}")
        for k in range(3):
            log.user(f"gone-{k}")
            log.send(USER, f"gone-{k}", LEAVE)
        assert {f"gone-{k}" for k in range(3)} <= set(users.slots)


def test_nodes_are_listed_by_name() -> None:
    log = Log()
    for name in ("mu-b", "MU-a", "mu-c"):
        log.user(name)
    log.send(USER, "mu-b", LEAVE)

    def names(**options: Any) -> list[str]:
        return [state.name for state in log.registry.nodes(USER, **options)]

    assert names() == ["MU-a", "mu-b", "mu-c"]
    assert names(active=True) == ["MU-a", "mu-c"]
    assert names(active=False) == ["mu-b"]
    assert names(search="U-A") == ["MU-a"]
    assert names(after="mu-b") == ["mu-c"]
    assert names(after="mu-") == ["mu-b", "mu-c"]
    left = log.registry.node(USER, "mu-b")
    assert left is not None
    assert left.expires_at is None
    assert log.registry.node(USER, "mu-x") is None


def test_entries_follow_one_another() -> None:
    log = Log()
    entry = log.provider("asp-0")
    with pytest.raises(ValueError, match="entry 1 cannot follow entry 1"):
        log.registry.apply(entry)


def test_unknown_nodes_have_no_document() -> None:
    registry = Registry()
    for kind in (PROVIDER, USER):
        with pytest.raises(Refused, match=r"No \w+ 'x' is registered"):
            registry.document(kind, "x")
    with pytest.raises(Refused, match="No provider 'x' is registered"):
        registry.links("x")
    assert len(PROVIDER_NAMES) != len(USER_NAMES)  # or a mix-up of the axes could pass
