"""The OpenAPI description is complete and true: Schemathesis asks a running agent."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import positive_data_acceptance

from agent_cycles import Here
from agent_http import PROVIDER_BODY, user_body
from qoex.agent import service
from qoex.agent.http.app import create_api
from qoex.agent.http.openapi import openapi_document
from qoex.agent.lines import FORMS
from qoex.agent.settings import Settings
from qoex.agent.tokens import Role, new_token

EXAMPLES = 12
METHODS = {"get", "put", "post", "patch", "delete"}
# Schemathesis makes requests from examples before any agent runs.
TOKEN, SECRET = new_token(Role.OPERATOR, created_at=datetime.now(UTC))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve an agent from another thread; yield its address."""
    started: Future[tuple[asyncio.AbstractEventLoop, Any]] = Future()
    listener = service.listening_socket("127.0.0.1", 0)
    chosen = Settings(
        database=str(folder / "agent.db"),
        cycle_s=0,
        operator_rate=1e6,
        operator_burst=1_000_000,
        failed_logins_burst=1_000_000,
        shutdown_grace_s=1,
    )

    async def serve() -> None:
        async with service.running(chosen, Here()) as parts:
            await parts.store.create_token(TOKEN)
            parts.tokens.replace(await parts.store.tokens())
            server = service.server_of(parts)
            started.set_result((asyncio.get_running_loop(), server))
            await server.serve(sockets=[listener])

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        _, server = started.result(60)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        if started.done() and started.exception() is None:
            server.should_exit = True
        thread.join(60)
        listener.close()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("openapi")) as url:
        headers = {"authorization": f"Bearer {SECRET}"}
        with httpx.Client(base_url=url, headers=headers) as client:
            for path, body in (
                ("/v1/providers/asp-1", PROVIDER_BODY),
                ("/v1/providers/asp-2", PROVIDER_BODY),
                ("/v1/users/mu-1", user_body("asp-1", "asp-2")),
            ):
                client.put(path, json=body, headers={"idempotency-key": path}).raise_for_status()
            client.post("/v1/cycles", timeout=60).raise_for_status()
        yield url


@schemathesis.serializer("application/x-ndjson")
def as_ndjson(context: object, lines: object) -> bytes:
    """Send a string as it is; what is made to be wrong goes as JSON."""
    return (lines if isinstance(lines, str) else json.dumps(lines)).encode()


# Streams do not end by themselves; they have tests of their own.
schema = schemathesis.openapi.from_dict(openapi_document(create_api())).exclude(
    path_regex="/events$"
)


@schema.auth()
class Bearer:
    """Lets Schemathesis try what happens without the token, too."""

    def get(self, case: schemathesis.Case[Any], context: object) -> str:
        return SECRET

    def set(self, case: schemathesis.Case[Any], secret: str, context: object) -> None:
        case.headers["Authorization"] = f"Bearer {secret}"


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_the_agent_does_what_it_says(case: schemathesis.Case[Any], agent: str) -> None:
    case.call_and_validate(
        base_url=agent,
        # What fits the schema may still be refused, for it contradicts itself or what others said.
        excluded_checks=[positive_data_acceptance],
    )


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
    assert {form.__name__ for form in FORMS.values()} <= set(document["components"]["schemas"])
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
        schema = schemas[form.__name__]
        closed = schema.get("additionalProperties") is False or "patternProperties" in schema
        closed |= "propertyNames" in schema
        assert closed, form.__name__
