"""Whose token a request bears: what a page has to know before it can ask for anything else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.http.bodies import json_answer
from qoex.agent.http.describe import WITH_TOKEN, described
from qoex.agent.http.operations import Operations
from qoex.agent.http.security import token_of
from qoex.wire.answers import TokenAnswer

router = Operations()


@router.get(
    "/v1/token",
    **described(
        "getToken",
        "Whose token this is",
        "operation",
        refusals=WITH_TOKEN,
        answer=TokenAnswer,
    ),
)
async def get_token(request: Request) -> Response:
    """Of any valid token."""
    token = token_of(request)
    answer = {"role": token.role, "node": token.node, "expires_at": token.expires_at}
    return json_answer(answer)
