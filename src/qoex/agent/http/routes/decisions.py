"""What was decided, as a whole and for one node, and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from qoex.agent.cycle.history import Decided
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.bodies import NDJSON, json_answer
from qoex.agent.http.describe import WITH_PARAMETERS, WITH_TOKEN, described
from qoex.agent.http.operations import QUERY, Operations
from qoex.agent.http.parts import AgentParts, parts_of
from qoex.agent.http.routes.cycles import LARGEST, CycleNumber
from qoex.agent.http.security import require_operator, require_owner
from qoex.agent.http.views import node_view, pair_lines, place_of, require_known
from qoex.agent.reports.entries import CycleRecord, NodeKind
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.wire.answers import (
    ExplanationAnswer,
    ProviderDecisionAnswer,
    UserDecisionAnswer,
)
from qoex.wire.names import NodeName

router = Operations()

OfCycle = Annotated[
    int | None,
    QUERY,
    Field(ge=1, le=LARGEST, description="Number of a cycle; the last one unless given."),
]

_PAST = (ProblemKind.NOT_FOUND, ProblemKind.STORAGE_FAILED)
_WHOLE = {
    200: {
        "description": "A CycleAnswer in the first line, a PairAnswer in every other (see "
        "components)",
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/v1/decisions/latest",
    **described(
        "getLatestDecision",
        "The decision in force, whole",
        "decisions",
        refusals=(*WITH_TOKEN, *_PAST),
        answers=_WHOLE,
    ),
)
async def get_latest_decision(request: Request) -> Response:
    """For operators. NDJSON: a line about the last cycle, then one for each pair."""
    require_operator(request)
    latest = parts_of(request).engine.latest
    if latest is None or latest.decided is None:
        raise Refused(ProblemKind.NOT_FOUND, "No decision is in force yet.")
    return _whole(latest.record, latest.decided.allocation)


@router.get(
    "/v1/decisions/{number}",
    **described(
        "getDecision",
        "The decision in force after a cycle, whole",
        "decisions",
        refusals=(*WITH_PARAMETERS, *_PAST),
        answers=_WHOLE,
    ),
)
async def get_decision(number: CycleNumber, request: Request) -> Response:
    """For operators. NDJSON: a line about the cycle, then one for each pair."""
    require_operator(request)
    record, decided = await parts_of(request).history.in_force(number)
    return _whole(record, decided.allocation)


@router.get(
    "/v1/users/{name}/decision",
    **described(
        "getUserDecision",
        "What a decision means to a user",
        "decisions",
        refusals=(*WITH_PARAMETERS, *_PAST),
        answer=UserDecisionAnswer,
    ),
)
async def get_user_decision(name: NodeName, request: Request, cycle: OfCycle = None) -> Response:
    """Of the decision in force, or of the one in force after a past cycle."""
    return await _decision(request, NodeKind.USER, name, cycle)


@router.get(
    "/v1/providers/{name}/decision",
    **described(
        "getProviderDecision",
        "What a decision means to a provider",
        "decisions",
        refusals=(*WITH_PARAMETERS, *_PAST),
        answer=ProviderDecisionAnswer,
    ),
)
async def get_provider_decision(
    name: NodeName, request: Request, cycle: OfCycle = None
) -> Response:
    """Of the decision in force, or of the one in force after a past cycle."""
    return await _decision(request, NodeKind.PROVIDER, name, cycle)


@router.get(
    "/v1/users/{name}/explanation",
    **described(
        "getUserExplanation",
        "A user's decision in sentences",
        "decisions",
        refusals=(*WITH_PARAMETERS, *_PAST),
        answer=ExplanationAnswer,
    ),
)
async def get_user_explanation(name: NodeName, request: Request, cycle: OfCycle = None) -> Response:
    """Say what was scarce, at what price, and what deviating would have brought."""
    return await _explanation(request, NodeKind.USER, name, cycle)


@router.get(
    "/v1/providers/{name}/explanation",
    **described(
        "getProviderExplanation",
        "A provider's decision in sentences",
        "decisions",
        refusals=(*WITH_PARAMETERS, *_PAST),
        answer=ExplanationAnswer,
    ),
)
async def get_provider_explanation(
    name: NodeName, request: Request, cycle: OfCycle = None
) -> Response:
    """Say what it earns, what is scarce at which price, and who pays most."""
    return await _explanation(request, NodeKind.PROVIDER, name, cycle)


async def _decision(request: Request, kind: NodeKind, name: str, cycle: int | None) -> Response:
    require_owner(request, kind, name)
    parts = parts_of(request)
    record, decided = await _in_force(parts, cycle)
    require_known(parts, kind, name, decided)
    return json_answer(node_view(kind, name, record, decided))


async def _explanation(request: Request, kind: NodeKind, name: str, cycle: int | None) -> Response:
    require_owner(request, kind, name)
    parts = parts_of(request)
    record, decided = await _in_force(parts, cycle)
    require_known(parts, kind, name, decided)
    if record is None or decided is None:
        said = ["No decision is in force yet."]
    elif place_of(decided.allocation, kind, name) is None:
        said = [
            f"The decision of cycle {decided.record.number} has nothing for {name}, which was not "
            "active when it was made."
        ]
    else:
        said = list((await parts.history.explanation(record.number, kind, name)).paragraphs)
    number = None if record is None else record.number
    return json_answer({"cycle": number, "paragraphs": said})


async def _in_force(
    parts: AgentParts, cycle: int | None
) -> tuple[CycleRecord | None, Decided | None]:
    """Return a cycle, or the last one, and the decision in force after it, if there is any."""
    if cycle is None:
        latest = parts.engine.latest
        return (None, None) if latest is None else (latest.record, latest.decided)
    record = await parts.history.record(cycle)
    if record.in_force is None:
        return record, None
    return record, await parts.history.decided(record.in_force)


def _whole(record: CycleRecord, allocation: CertifiedAllocation) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        yield to_json(record.summary) + b"\n"
        for some in pair_lines(allocation):
            yield some
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type=NDJSON)
