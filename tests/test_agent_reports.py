from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from agent_state import DEMAND, PROVIDER, PROVIDER_BODY, USER, formed, reports, user_body
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import EntryKind
from qoex.agent.reports.lines import FORMS, LINE, read_line, refused_form

PUT, PATCH = EntryKind.PUT, EntryKind.PATCH


def faults(kind: Any, what: EntryKind, body: Any) -> list[str]:
    """Where a body is wrong, by way of Python objects and of JSON text alike."""
    form = FORMS[kind, what]
    with pytest.raises(ValidationError) as caught:
        form.read(body)
    places = [fault.where for fault in refused_form(caught.value.errors()).faults]
    with pytest.raises(ValidationError) as from_text:
        form.adapter.validate_json(json.dumps(body))
    assert [fault.where for fault in refused_form(from_text.value.errors()).faults] == places
    return places


def line(**changes: Any) -> str:
    whole = {"key": "k", "node_kind": "user", "node": "mu-1", "kind": "put", "body": user_body()}
    return json.dumps(whole | changes)


def refusal(text: str | bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        read_line(text)
    return caught.value


@pytest.mark.parametrize("field", sorted(set(PROVIDER_BODY) - {"snr_db"}))
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 1e13, 10**400, -1.0, "1", True, [1.0], None]
)
def test_numbers_are_finite_and_of_a_size(field: str, value: Any) -> None:
    assert faults(PROVIDER, PUT, PROVIDER_BODY | {field: value}) == [field]


@pytest.mark.parametrize("field", ["compute_capacity", "latency_budget", "compute_cost"])
@pytest.mark.parametrize("value", [0.0, 1e-13])
def test_what_is_divided_by_is_not_too_small(field: str, value: float) -> None:
    assert faults(PROVIDER, PUT, PROVIDER_BODY | {field: value}) == [field]
    assert faults(PROVIDER, PATCH, {field: value}) == [field]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"unknown": 1}, "unknown"),
        ({"snr_db": 201}, "snr_db"),
        ({"compute_load": 1.01}, "compute_load"),
        ({"example_ambiguity": 0.5}, "example_ambiguity"),
        ({"work_model": "linear"}, "work_model"),
        ({"work_per_token_pair": None}, "work_per_token_pair"),
        ({"work_per_token_pair": 0}, "work_per_token_pair"),
        ({"work_model": "cached", "work_per_input_token": 1}, "work_per_output_token"),
        ({"lifetime_s": 0}, "lifetime_s"),
        ({"lifetime_s": 1e9}, "lifetime_s"),
        ({"reported_at": "2026-01-01T00:00:00"}, "reported_at"),
        ({"reported_at": "2026-02-30T00:00:00Z"}, "reported_at"),
        ({"reported_at": "0001-01-01T00:00:00+23:59"}, "reported_at"),
        ({"reported_at": "1767225600"}, "reported_at"),
        ({"reported_at": 1767225600}, "reported_at"),
    ],
)
def test_providers_are_refused(change: dict[str, Any], place: str) -> None:
    assert faults(PROVIDER, PUT, PROVIDER_BODY | change) == [place]


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"reward_min": 6}, ["reward_min"]),
        ({"profit_factor": None}, ["profit_factor"]),
        ({"demands": {"a": {"input_tokens": 1}}}, ["demands.a.output_tokens"]),
        ({"demands": {"a": DEMAND | {"examples": 2}}}, ["demands.a.examples"]),
        ({"demands": {"a": DEMAND | {"performance_gap": None}}}, ["demands.a.performance_gap"]),
        ({"demands": {"a": DEMAND | {"performance_gap": 1}}}, ["demands.a.performance_gap"]),
        ({"demands": {"a": None}}, ["demands.a"]),
        ({"demands": {"-a": DEMAND}}, ["demands.-a"]),
        ({"demands": {"x" * 65: DEMAND}}, [f"demands.{'x' * 65}"]),
        ({"demands": {"a\n": DEMAND}}, ["demands.a\n"]),
        ({"demands": {f"a{k}": DEMAND for k in range(1001)}}, ["demands"]),
        ({"demands": [DEMAND]}, ["demands"]),
        ({"demands": {"a": DEMAND | {"snr_db": 3.0}}}, ["demands.a.snr_db"]),
    ],
)
def test_users_are_refused(change: dict[str, Any], places: list[str]) -> None:
    assert faults(USER, PUT, user_body() | change) == places


def test_links_are_a_map_of_decibels() -> None:
    links = FORMS[PROVIDER, EntryKind.LINKS]
    assert links.read({"mu-1": 3, "mu-2": None}) == {"mu-1": 3.0, "mu-2": None}
    assert faults(PROVIDER, EntryKind.LINKS, {"mu-1": 300}) == ["mu-1"]
    assert faults(PROVIDER, EntryKind.LINKS, {f"m{k}": 1.0 for k in range(10_001)}) == [""]


@pytest.mark.parametrize("requests", [0, 1.5, "1", 10**13])
def test_requests_are_counted(requests: Any) -> None:
    body = {"user": "mu-1", "requests": requests}
    assert faults(PROVIDER, EntryKind.SERVED, body) == ["requests"]


def test_a_body_holds_what_was_said_and_nothing_else() -> None:
    put = FORMS[USER, PUT]
    said: dict[str, Any] = {
        "profit_factor": 1,
        "reward_min": 0,
        "reward_max": 2,
        "lifetime_s": None,
    }
    body = put.read(said)
    assert body == {"profit_factor": 1.0, "reward_min": 0.0, "reward_max": 2.0}
    patch = FORMS[USER, PATCH]
    said = {"lifetime_s": None, "demands": {"a": None, "b": {"latency_budget": None}}}
    assert patch.read(said) == said
    assert patch.read({}) == {}


def test_times_are_the_same_in_every_zone() -> None:
    form = FORMS[USER, PATCH]
    texts = ["2026-01-31T12:00:00.25Z", "2026-01-31t13:30:00.250000+01:30"]
    bodies = [form.read({"reported_at": text}) for text in texts]
    assert bodies[0] == bodies[1] == {"reported_at": "2026-01-31T12:00:00.250000+00:00"}


@settings(max_examples=200, deadline=None)
@given(reports())
def test_the_schema_takes_what_the_model_takes(report: Any) -> None:
    kind, name, what, body = report
    if formed(report, name) is not None:
        jsonschema.validate(body, FORMS[kind, what].adapter.json_schema())


@pytest.mark.parametrize(
    ("kind", "what", "body"),
    [
        (USER, PUT, user_body() | {"extra": 1}),
        (USER, PUT, user_body() | {"reward_max": None}),
        (USER, PUT, user_body() | {"demands": {"-": DEMAND}}),
        (USER, PUT, user_body() | {"demands": {"a": DEMAND | {"examples": 1}}}),
        (USER, PUT, user_body() | {"demands": {"a": DEMAND | {"performance_gap": None}}}),
        (USER, PATCH, {"reward_max": None}),
        (USER, PATCH, {"demands": {"a": {"input_tokens": None}}}),
        (PROVIDER, PUT, PROVIDER_BODY | {"compute_capacity": 0}),
        (PROVIDER, PUT, PROVIDER_BODY | {"reported_at": "yesterday"}),
        (PROVIDER, EntryKind.LINKS, {"not a name": 1.0}),
        (PROVIDER, EntryKind.SERVED, {"user": "mu-1", "requests": 0}),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(kind: Any, what: EntryKind, body: Any) -> None:
    form = FORMS[kind, what]
    with pytest.raises(ValidationError):
        form.read(body)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, form.adapter.json_schema())


@pytest.mark.parametrize("form", sorted(set(FORMS.values()), key=str))
def test_every_field_is_described_and_none_has_a_default(form: Any) -> None:
    schema = form.adapter.json_schema()
    assert schema["description"]
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("description"), name
            assert field.get("default") is None, name


def test_a_line_is_an_entry() -> None:
    entry = read_line(line(body=user_body("asp-1")))
    assert (entry.node_kind, entry.node, entry.kind, entry.key) == (USER, "mu-1", PUT, "k")
    assert entry.body == user_body("asp-1")
    leaving = json.dumps({"key": "k", "node_kind": "provider", "node": "a", "kind": "leave"})
    assert read_line(leaving).body == {}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (line(node="mu 1"), ["node"]),
        (line(node="ä"), ["node"]),
        (line(key=""), ["key"]),
        (line(key="k" * 129), ["key"]),
        (line(key="k\n"), ["key"]),
        (line(key="é"), ["key"]),
        (line(kind="expire"), ["kind"]),
        (line(kind="links"), ["kind"]),
        (line(node_kind="operator"), ["node_kind"]),
        (line(extra=1), ["extra"]),
        (line(body=[]), ["body"]),
        (line(body=user_body(reward_min=7, demands={"a": {}})), ["body.demands.a.input_tokens"]),
        (line(body=user_body(reward_min=7)), ["body.reward_min"]),
        (line(node_kind="provider", kind="links", body={"mu-1": "x"}), ["body.mu-1"]),
        ("[]", [""]),
        ("1", [""]),
    ],
)
def test_lines_are_refused(text: str, places: list[str]) -> None:
    error = refusal(text)
    assert error.problem is ProblemKind.INVALID_REPORT
    assert [fault.where for fault in error.faults][: len(places)] == places
    assert error.detail.endswith(".")


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"key": "k"} {}', '{"key": "\ud800"}'])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    assert refusal(text.encode("utf-8", "surrogatepass")).problem is ProblemKind.MALFORMED_JSON


def test_content_is_the_same_whatever_its_order() -> None:
    body = user_body("asp-1", "asp-2")
    other = dict(reversed(body.items()))
    hashes = {read_line(line(body=item)).content_hash() for item in (body, other)}
    assert len(hashes) == 1
    changed = read_line(line(body=body | {"reward_max": 5.5})).content_hash()
    assert changed not in hashes
    assert read_line(line(body={}, kind="patch")).content_hash() != (
        read_line(line(body={}, kind="leave")).content_hash()
    )
    assert LINE.json_schema()["required"] == ["key", "node_kind", "node", "kind"]
