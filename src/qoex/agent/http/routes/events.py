"""Cycles as they end, as server-sent events."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.cycle.publishing import Published
from qoex.agent.errors import ProblemKind
from qoex.agent.http.describe import WITH_PARAMETERS, described
from qoex.agent.http.events import MEDIA_TYPE, EventStream, View
from qoex.agent.http.operations import In, Operations
from qoex.agent.http.parts import parts_of
from qoex.agent.http.routes.cycles import LARGEST
from qoex.agent.http.security import require_operator, require_owner
from qoex.agent.http.views import node_view, require_known
from qoex.agent.reports.entries import NodeKind
from qoex.agent.tokens import Role, Token
from qoex.wire.names import NodeName

router = Operations()

# A summary is read from its row; what a cycle meant to a node takes its whole allocation.
MOST_MISSED_SUMMARIES = 1_000
MOST_MISSED_DECISIONS = 100

LastEventId = Annotated[
    int | None,
    In("header", "Last-Event-ID"),
    Field(
        ge=0,
        le=LARGEST,
        description="Number of the last cycle that is known; those after it come first.",
    ),
]


def _stream(of: str) -> dict[int, Any]:
    description = (
        f"Events named cycle, with the cycle's number as id; data is {of} (see components). "
        "A comment comes every 15 s of silence. An event named dropped ends the stream of a reader "
        "that is too slow."
    )
    return {
        200: {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    }


@router.get(
    "/v1/events",
    **described(
        "getEvents",
        "Cycles as they end",
        "events",
        refusals=(*WITH_PARAMETERS, ProblemKind.STORAGE_FAILED),
        answers=_stream("a CycleAnswer"),
    ),
)
async def get_events(request: Request, last_event_id: LastEventId = None) -> Response:
    """For operators. At most the last 1,000 cycles come again."""
    token = require_operator(request)
    return _open(request, token, _summary, last_event_id, MOST_MISSED_SUMMARIES)


@router.get(
    "/v1/users/{name}/events",
    **described(
        "getUserEvents",
        "What each cycle means to a user, as it ends",
        "events",
        refusals=(*WITH_PARAMETERS, ProblemKind.NOT_FOUND, ProblemKind.STORAGE_FAILED),
        answers=_stream("a UserDecisionAnswer"),
    ),
)
async def get_user_events(
    name: NodeName, request: Request, last_event_id: LastEventId = None
) -> Response:
    """At most the last 100 cycles come again."""
    return _of_node(request, NodeKind.USER, name, last_event_id)


@router.get(
    "/v1/providers/{name}/events",
    **described(
        "getProviderEvents",
        "What each cycle means to a provider, as it ends",
        "events",
        refusals=(*WITH_PARAMETERS, ProblemKind.NOT_FOUND, ProblemKind.STORAGE_FAILED),
        answers=_stream("a ProviderDecisionAnswer"),
    ),
)
async def get_provider_events(
    name: NodeName, request: Request, last_event_id: LastEventId = None
) -> Response:
    """At most the last 100 cycles come again."""
    return _of_node(request, NodeKind.PROVIDER, name, last_event_id)


def _of_node(request: Request, kind: NodeKind, name: str, last_id: int | None) -> Response:
    token = require_owner(request, kind, name)
    parts = parts_of(request)
    latest = parts.engine.latest
    require_known(parts, kind, name, None if latest is None else latest.decided)

    def view(item: Published) -> Any:
        return node_view(kind, name, item.record, item.decided)

    return _open(request, token, view, last_id, MOST_MISSED_DECISIONS)


def _open(
    request: Request, token: Token, view: View, last_id: int | None, most_missed: int
) -> Response:
    parts = parts_of(request)
    operator = token.role is Role.OPERATOR
    most = parts.settings.operator_streams if operator else parts.settings.node_streams
    parts.streams.open(token.id, most)
    return EventStream(parts, token, view, last_id, most_missed)


def _summary(item: Published) -> Any:
    return item.record.summary
