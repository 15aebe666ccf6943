"""The OpenAPI description is complete, closed and valid, and its examples are what it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from jsonschema import Draft202012Validator

from qoex.agent.http.app import create_api
from qoex.agent.http.openapi import openapi_document
from qoex.agent.reports.lines import FORMS

METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document(create_api())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_operation_has_a_name_and_says_what_it_does(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert operation["tags"], (method, path)


def test_every_refusal_is_a_problem(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        below_v1 = path.startswith("/v1/")
        assert ("security" in operation) is (below_v1 or path == "/metrics")
        answers = operation["responses"]
        assert any(status.startswith("2") for status in answers), (method, path)
        assert {"421", "500"} <= set(answers)
        if below_v1:
            assert {"401", "403", "429", "503"} <= set(answers), (method, path)
        if "requestBody" in operation:
            assert {"400", "408", "413", "415", "422"} <= set(answers), (method, path)
        for status, answer in answers.items():
            if not status.startswith("2") and path != "/readyz":
                described = answer["content"]["application/problem+json"]
                assert described["schema"] == {"$ref": "#/components/schemas/ProblemBody"}
                for example in described["examples"].values():
                    assert str(example["value"]["status"]) == status


def test_reports_need_a_key(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        keyed = method in METHODS - {"get"} and path not in ("/v1/reports", "/v1/cycles")
        names = [item["name"] for item in operation.get("parameters", []) if item["required"]]
        assert ("Idempotency-Key" in names) is keyed, (method, path)


def test_all_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    found = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= found
    assert {form.name for form in FORMS.values()} <= set(document["components"]["schemas"])
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("description"), name


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    checked = 0
    for path, method, operation in operations(document):
        for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
            schema = {**body["schema"], "components": document["components"]}
            for example in body["examples"].values():
                Draft202012Validator(schema).validate(example["value"])
                checked += 1
            assert body["examples"], (method, path, media_type)
    assert checked >= 9


def test_the_forms_of_reports_are_closed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for form in (*FORMS.values(),):
        schema = schemas[form.name]
        closed = schema.get("additionalProperties") is False or "patternProperties" in schema
        closed |= "propertyNames" in schema
        assert closed, form.name


def test_it_is_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()
