"""Who is there: the list of all nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.http.bodies import json_answer
from qoex.agent.http.describe import WITH_PARAMETERS, described
from qoex.agent.http.operations import QUERY, Operations
from qoex.agent.http.parts import parts_of
from qoex.agent.http.security import require_operator
from qoex.agent.http.views import short_numbers, state_view
from qoex.agent.reports.entries import NodeKind
from qoex.agent.state.registry import NodeState, Registry
from qoex.wire.answers import NodePage
from qoex.wire.names import NODE_NAME

router = Operations()

MOST_NODES = 1_000
_AT_A_TIME = 100
# What ``next`` looks like: the last node of the page, by side and name.
_AFTER = rf"^({'|'.join(NodeKind)}):{NODE_NAME.strip('^$')}$"


@router.get(
    "/v1/nodes",
    **described(
        "getNodes",
        "All nodes: providers, then users, each by name",
        "reports",
        refusals=WITH_PARAMETERS,
        answer=NodePage,
    ),
)
async def get_nodes(
    request: Request,
    kind: Annotated[NodeKind | None, QUERY, Field(description="Only this side.")] = None,
    search: Annotated[
        str, QUERY, Field(max_length=64, description="Part that names contain, in any case.")
    ] = "",
    active: Annotated[
        bool | None,
        QUERY,
        Field(description="Only those that are active, or only those that are not."),
    ] = None,
    after: Annotated[
        str, QUERY, Field(pattern=f"{_AFTER}|^$", description="What next was on the page before.")
    ] = "",
    limit: Annotated[
        int, QUERY, Field(ge=1, le=MOST_NODES, description="Most nodes to return.")
    ] = 100,
) -> Response:
    """For operators; also nodes that left, until they are forgotten."""
    require_operator(request)
    parts = parts_of(request)
    latest = parts.engine.latest
    decided = None if latest is None else latest.decided
    rows: list[dict[str, Any]] = []
    following = None
    async for state in _found(parts.intake.registry, kind, search, active, after):
        if len(rows) == limit:
            following = f"{rows[-1]['kind']}:{rows[-1]['name']}"
            break
        numbers = short_numbers(state.kind, state.name, decided)
        rows.append({**state_view(state), **numbers})
        if len(rows) % _AT_A_TIME == 0:
            await asyncio.sleep(0)
    return json_answer({"nodes": rows, "next": following})


async def _found(
    registry: Registry, kind: NodeKind | None, search: str, active: bool | None, after: str
) -> AsyncIterator[NodeState]:
    side, _, name = after.partition(":")
    for one in NodeKind:
        if kind not in (None, one) or (side == NodeKind.USER and one is NodeKind.PROVIDER):
            continue
        start = name if side == one else ""
        for state in registry.nodes(one, search=search, active=active, after=start):
            yield state
