"""The OpenAPI document, made from the routes and from the forms of what is sent and answered."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from qoex.agent.http import answers, problems
from qoex.agent.reports.lines import FORMS, BulkLine
from qoex.agent.solving.recording import VERSION

_TEMPLATE = "#/components/schemas/{model}"
_DESCRIPTION = """\
Providers and users of edge LLM services report what they have and what they demand; every cycle the
agent settles the market and hands out who gets what at which reward, with an explanation.

Reports are idempotent: each carries a key that the client chooses, and a report that is sent again
with its key counts once. Errors are problem details (RFC 9457); a refused request has changed
nothing. Units: ms, TFLOPS and MHz; a reward is money per ms of QoE.
"""


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the description of all routes of an app."""
    document = get_openapi(
        title="qoex agent",
        version=VERSION,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[
            {"name": "reports", "description": "What nodes say."},
            {"name": "decisions", "description": "What they get."},
            {"name": "cycles", "description": "How the market was settled."},
            {"name": "ledger", "description": "What users owe providers."},
            {"name": "events", "description": "Cycles as they end (Server-Sent Events)."},
            {"name": "operation", "description": "Whether all is well."},
        ],
    )
    components = document.setdefault("components", {})
    schemas = {**components.get("schemas", {}), **_schemas()}
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that the operator made with qoex token create.",
        }
    }
    return document


def _schemas() -> dict[str, Any]:
    sent: list[type[BaseModel]] = [BulkLine, *FORMS.values()]
    answered: list[type[BaseModel]] = [
        model
        for model in vars(answers).values()
        if isinstance(model, type) and issubclass(model, answers.Answer)
    ]
    models: list[type[BaseModel]] = [*sent, *answered, problems.ProblemBody]
    named = {model.__name__: model for model in models}
    for base in (answers.Answer, answers.NodeAnswer, answers.DecisionHead):
        del named[base.__name__]
    _, schema = models_json_schema(
        [(model, "validation") for _, model in sorted(named.items())], ref_template=_TEMPLATE
    )
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
