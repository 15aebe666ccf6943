"""The OpenAPI document, made from the routes and from the forms of what is sent and answered."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema
from starlette.applications import Starlette

from qoex.agent.http.operations import Operation
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


_TAGS = {
    "reports": "What nodes say.",
    "decisions": "What they get.",
    "cycles": "How the market was settled.",
    "ledger": "What users owe providers.",
    "events": "Cycles as they end (Server-Sent Events).",
    "operation": "Whether all is well.",
}


def openapi_document(app: Starlette) -> dict[str, Any]:
    """Return the description of all operations of an app."""
    paths: dict[str, dict[str, Any]] = {}
    for route in app.routes:
        if isinstance(route, Operation):
            paths.setdefault(route.path, {})[route.method.lower()] = route.described()
    return {
        "openapi": "3.1.0",
        "info": {"title": "qoex agent", "description": _DESCRIPTION, "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(_schemas().items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that the operator made with qoex token create.",
                }
            },
        },
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
    }


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
