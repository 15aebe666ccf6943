"""How the market was settled, cycle by cycle."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import Problem
from qoex.agent.http.answers import CycleAnswer, CyclePage
from qoex.agent.http.bodies import JSON
from qoex.agent.http.describe import WITH_PARAMETERS, WITH_TOKEN, described
from qoex.agent.http.parts import parts_of
from qoex.agent.http.security import require_operator

router = APIRouter()

MOST_CYCLES = 1_000
LARGEST = 2**63 - 1

CycleNumber = Annotated[int, Path(ge=1, le=LARGEST, description="Number of a cycle.", examples=[1])]


@router.get(
    "/v1/cycles",
    **described(
        "getCycles",
        "Past cycles, the newest first",
        "cycles",
        refusals=(*WITH_PARAMETERS, Problem.STORAGE_FAILED),
        answer=CyclePage,
    ),
)
async def get_cycles(
    request: Request,
    before: Annotated[
        int | None, Query(ge=1, le=LARGEST, description="Only cycles of a smaller number.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_CYCLES, description="Most cycles to return.")] = 100,
) -> Response:
    """For operators."""
    require_operator(request)
    found = await parts_of(request).store.cycles(before=before, limit=limit + 1, newest_first=True)
    cycles = [record.summary for record in found[:limit]]
    following = found[limit - 1].number if len(found) > limit else None
    return Response(to_json({"cycles": cycles, "next": following}), media_type=JSON)


@router.post(
    "/v1/cycles",
    **described(
        "runCycle",
        "Run a cycle now",
        "cycles",
        refusals=(*WITH_TOKEN, Problem.STORAGE_FAILED),
        answer=CycleAnswer,
    ),
)
async def run_cycle(request: Request) -> Response:
    """For operators. The answer comes when the cycle is committed, decided or kept."""
    require_operator(request)
    record = await parts_of(request).engine.run_cycle()
    return Response(to_json(record.summary), media_type=JSON)


@router.get(
    "/v1/cycles/{number}",
    **described(
        "getCycle",
        "A past cycle",
        "cycles",
        refusals=(*WITH_PARAMETERS, Problem.NOT_FOUND, Problem.STORAGE_FAILED),
        answer=CycleAnswer,
    ),
)
async def get_cycle(number: CycleNumber, request: Request) -> Response:
    """For operators."""
    require_operator(request)
    record = await parts_of(request).history.record(number)
    return Response(to_json(record.summary), media_type=JSON)
