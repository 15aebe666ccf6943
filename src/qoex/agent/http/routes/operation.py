"""Whether all is well: health, readiness, metrics, and the description of everything."""

from __future__ import annotations

import asyncio

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent import instruments
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.bodies import JSON, json_answer
from qoex.agent.http.describe import ANYWHERE, content, described, reference
from qoex.agent.http.openapi import openapi_document
from qoex.agent.http.operations import Operations
from qoex.agent.http.parts import parts_of
from qoex.agent.http.security import TOKEN
from qoex.agent.settings import MetricsAccess, is_loopback
from qoex.agent.tokens import Role, Token
from qoex.wire.answers import HealthAnswer

router = Operations()

_TEXT = {"type": "string"}
_NOT_READY = {
    "description": "The agent is not ready; the reasons say why",
    "content": content(reference("HealthAnswer"), JSON),
}


@router.get(
    "/healthz",
    **described(
        "getHealth",
        "Whether the agent's process answers",
        "operation",
        refusals=ANYWHERE,
        answer=HealthAnswer,
    ),
)
async def get_health(request: Request) -> Response:
    """No more than that: a process that does not answer here is to be started anew."""
    del request
    return Response(b'{"status":"alive","reasons":[]}', media_type=JSON)


@router.get(
    "/readyz",
    **described(
        "getReadiness",
        "Whether the agent takes reports and has tried to settle the market",
        "operation",
        refusals=ANYWHERE,
        answer=HealthAnswer,
        answers={503: _NOT_READY},
    ),
)
async def get_readiness(request: Request) -> Response:
    """Not while it starts or stops, nor while its database fails."""
    reasons = parts_of(request).reasons_not_ready()
    answer = {"status": "not-ready" if reasons else "ready", "reasons": reasons}
    return json_answer(answer, 503 if reasons else 200)


@router.get(
    "/metrics",
    **described(
        "getMetrics",
        "Metrics in Prometheus' text form",
        "operation",
        refusals=(*ANYWHERE, ProblemKind.UNAUTHENTICATED, ProblemKind.FORBIDDEN),
        answers={
            200: {
                "description": "Metrics",
                "content": {instruments.MEDIA_TYPE.partition(";")[0]: {"schema": _TEXT}},
            }
        },
        public=True,
    ),
)
async def get_metrics(request: Request) -> Response:
    """For this machine and for operators, unless the setting ``metrics`` says otherwise."""
    parts = parts_of(request)
    _require_reader(request, parts.settings.metrics)
    # With a thousand providers the text takes long enough to be missed elsewhere.
    text = await asyncio.to_thread(parts.instruments.text)
    return Response(text, media_type=instruments.MEDIA_TYPE)


@router.get(
    "/openapi.json",
    **described(
        "getOpenApi",
        "This description",
        "operation",
        refusals=ANYWHERE,
        answers={
            200: {
                "description": "An OpenAPI 3.1 document",
                "content": content({"type": "object"}, JSON),
            }
        },
    ),
)
async def get_openapi(request: Request) -> Response:
    """OpenAPI 3.1."""
    state = request.app.state
    if state.openapi is None:
        state.openapi = to_json(await asyncio.to_thread(openapi_document, request.app))
    return Response(state.openapi, media_type=JSON)


def _require_reader(request: Request, access: MetricsAccess) -> None:
    token: Token | None = request.scope[TOKEN]
    if access is MetricsAccess.ANYONE or (token is not None and token.role is Role.OPERATOR):
        return
    if access is MetricsAccess.LOOPBACK and _from_this_machine(request):
        return
    if token is None:
        raise Refused(ProblemKind.UNAUTHENTICATED, "Metrics need an operator's token from there.")
    raise Refused(ProblemKind.FORBIDDEN, "Only an operator's token allows this.")


def _from_this_machine(request: Request) -> bool:
    """Return whether a client runs here; one that a proxy speaks for may be anywhere."""
    if "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    return request.client is not None and is_loopback(request.client.host)
