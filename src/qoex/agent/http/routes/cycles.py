"""How the market was settled, cycle by cycle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import ProblemKind
from qoex.agent.http.bodies import json_answer
from qoex.agent.http.describe import WITH_PARAMETERS, WITH_TOKEN, described
from qoex.agent.http.operations import QUERY, Operations
from qoex.agent.http.parts import parts_of
from qoex.agent.http.security import require_operator
from qoex.wire.answers import CycleAnswer, CyclePage

router = Operations()

MOST_CYCLES = 1_000
LARGEST = 2**63 - 1

CycleNumber = Annotated[
    int, Field(ge=1, le=LARGEST, description="Number of a cycle.", examples=[1])
]


@router.get(
    "/v1/cycles",
    **described(
        "getCycles",
        "Past cycles, the newest first",
        "cycles",
        refusals=(*WITH_PARAMETERS, ProblemKind.STORAGE_FAILED),
        answer=CyclePage,
    ),
)
async def get_cycles(
    request: Request,
    before: Annotated[
        int | None, QUERY, Field(ge=1, le=LARGEST, description="Only cycles of a smaller number.")
    ] = None,
    limit: Annotated[
        int, QUERY, Field(ge=1, le=MOST_CYCLES, description="Most cycles to return.")
    ] = 100,
) -> Response:
    """For operators."""
    require_operator(request)
    found = await parts_of(request).store.cycles(before=before, limit=limit + 1, newest_first=True)
    cycles = [record.summary for record in found[:limit]]
    following = found[limit - 1].number if len(found) > limit else None
    return json_answer({"cycles": cycles, "next": following})


@router.post(
    "/v1/cycles",
    **described(
        "runCycle",
        "Run a cycle now",
        "cycles",
        refusals=(*WITH_TOKEN, ProblemKind.STORAGE_FAILED),
        answer=CycleAnswer,
    ),
)
async def run_cycle(request: Request) -> Response:
    """For operators. The answer comes when the cycle is committed, decided or kept."""
    require_operator(request)
    record = await parts_of(request).engine.run_cycle()
    return json_answer(record.summary)


@router.get(
    "/v1/cycles/{number}",
    **described(
        "getCycle",
        "A past cycle",
        "cycles",
        refusals=(*WITH_PARAMETERS, ProblemKind.NOT_FOUND, ProblemKind.STORAGE_FAILED),
        answer=CycleAnswer,
    ),
)
async def get_cycle(number: CycleNumber, request: Request) -> Response:
    """For operators."""
    require_operator(request)
    record = await parts_of(request).history.record(number)
    return json_answer(record.summary)
