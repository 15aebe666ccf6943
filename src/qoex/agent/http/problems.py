"""Refusals as problem details (RFC 9457): the one form of every error that the agent answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.security import REQUEST_ID
from qoex.agent.storage.failures import StorageError
from qoex.wire.problems import Fault

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 20
_LONGEST = 200  # characters of a place, which may be a name that the client made up

# One token of the headers that says how a token is given (RFC 6750).
CHALLENGE = 'Bearer realm="qoex"'

_OF_STATUS = {404: ProblemKind.NOT_FOUND, 405: ProblemKind.METHOD_NOT_ALLOWED}


def problem_response(
    problem: ProblemKind,
    detail: str,
    *,
    request_id: str | None = None,
    status: int | None = None,
    faults: Sequence[Fault] = (),
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that refuses a request.

    Args:
        problem: its kind.
        detail: one sentence.
        request_id: of the request.
        status: in place of the usual one of the kind.
        faults: single places that are wrong.
        retry_after: seconds; the client learns whole ones.
        headers: of the answer.
    """
    body: dict[str, Any] = {
        "type": f"urn:qoex:problem:{problem.slug}",
        "title": problem.title,
        "status": problem.status if status is None else status,
        "detail": detail,
    }
    if request_id is not None:
        body["instance"] = f"urn:qoex:request:{request_id}"
    if faults:
        body["errors"] = [
            {"where": fault.where[:_LONGEST], "what": fault.what[: 5 * _LONGEST]}
            for fault in faults[:MOST_FAULTS]
        ]
    given = dict(headers or {})
    if problem is ProblemKind.UNAUTHENTICATED:
        given.setdefault("WWW-Authenticate", CHALLENGE)
    if problem in (ProblemKind.TOO_LARGE, ProblemKind.TOO_MANY_LINES, ProblemKind.REQUEST_TIMEOUT):
        given["Connection"] = "close"  # nobody reads the rest of the body
    if retry_after is not None:
        given["Retry-After"] = str(max(1, math.ceil(retry_after)))
    # A name may hold half of a surrogate pair; escaped, it does not break the answer.
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    return Response(text, body["status"], headers=given, media_type=MEDIA_TYPE)


async def refused_handler(request: Request, error: Exception) -> Response:
    """Answer a refusal."""
    assert isinstance(error, Refused)
    return problem_response(
        error.problem,
        error.detail,
        request_id=request.scope.get(REQUEST_ID),
        faults=error.faults,
        retry_after=error.retry_after,
    )


async def storage_handler(request: Request, error: Exception) -> Response:
    """Answer that the database failed; what exactly stands in the log, for operators."""
    assert isinstance(error, StorageError)
    return problem_response(
        ProblemKind.STORAGE_FAILED,
        "The agent cannot use its database now.",
        request_id=request.scope.get(REQUEST_ID),
        retry_after=1.0,
    )


async def http_handler(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path, or a method that a path does not have."""
    assert isinstance(error, HTTPException)
    problem = _OF_STATUS.get(error.status_code, ProblemKind.INTERNAL_ERROR)
    path = request.url.path[:_LONGEST]
    headers = dict(error.headers or {})
    if problem is ProblemKind.METHOD_NOT_ALLOWED:
        methods = _methods(request)
        headers["Allow"] = ", ".join(methods)
        detail = f"{request.method} is no method of {path}; it has {' and '.join(methods)}."
    else:
        detail = f"There is nothing at {path}."
    request_id = request.scope.get(REQUEST_ID)
    return problem_response(problem, detail, request_id=request_id, headers=headers)


async def mistake_handler(request: Request, error: Exception) -> Response:
    """Answer that something broke; what it was is for the log only."""
    return broken_response(request.scope.get(REQUEST_ID))


def broken_response(request_id: str | None) -> Response:
    """Return the answer to a request at which the agent made a mistake."""
    detail = "The agent could not answer; its log says more."
    return problem_response(ProblemKind.INTERNAL_ERROR, detail, request_id=request_id)


def _methods(request: Request) -> list[str]:
    """Return every method of the path, of all routes that have it."""
    found: set[str] = set()
    for route in request.app.router.routes:
        regex = getattr(route, "path_regex", None)
        if regex is not None and regex.match(request.scope["path"]):
            found |= getattr(route, "methods", None) or set()
    return sorted(found)
