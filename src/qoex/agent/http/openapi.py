"""The OpenAPI document, made from the routes and from the forms of what is sent and answered."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from qoex.agent.reports.lines import FORMS, LINE
from qoex.agent.solving.recording import VERSION
from qoex.wire import answers
from qoex.wire.problems import ProblemBody

# Of these nothing is answered as it stands.
_BASES = (
    answers.Answer,
    answers.DecisionHead,
    answers.NodeAnswer,
    answers.NodeDocument,
    answers.PairNumbers,
)

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
    adapters: dict[str, TypeAdapter[Any]] = {form.name: form.adapter for form in FORMS.values()}
    adapters["BulkLine"] = LINE
    sent, defined = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters.items()],
        ref_template=_TEMPLATE,
    )
    answered: list[type[BaseModel]] = [ProblemBody]
    answered += [
        model
        for model in vars(answers).values()
        if isinstance(model, type) and issubclass(model, answers.Answer) and model not in _BASES
    ]
    _, described = models_json_schema(
        [(model, "validation") for model in answered], ref_template=_TEMPLATE
    )
    whole = {name: schema for (name, _), schema in sent.items() if "$ref" not in schema}
    return {**whole, **defined["$defs"], **described["$defs"]}
