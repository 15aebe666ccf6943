"""How a route is described in OpenAPI: what it takes, and every status that it can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from qoex.agent.errors import ProblemKind
from qoex.agent.http import problems
from qoex.agent.http.bodies import JSON
from qoex.wire.names import AGENT_KEY_PREFIX, IDEMPOTENCY_KEY
from qoex.wire.problems import ProblemBody

Example = Mapping[str, Any]

# What every route can answer, and every one below /v1.
ANYWHERE = (ProblemKind.MISDIRECTED, ProblemKind.INTERNAL_ERROR)
WITH_TOKEN = (
    *ANYWHERE,
    ProblemKind.UNAUTHENTICATED,
    ProblemKind.FORBIDDEN,
    ProblemKind.TOO_MANY_REQUESTS,
    ProblemKind.STOPPING,
)
WITH_PARAMETERS = (*WITH_TOKEN, ProblemKind.INVALID_PARAMETER)
WITH_BODY = (
    *WITH_PARAMETERS,
    ProblemKind.MALFORMED_JSON,
    ProblemKind.REQUEST_TIMEOUT,
    ProblemKind.TOO_LARGE,
    ProblemKind.UNSUPPORTED_MEDIA_TYPE,
    ProblemKind.INVALID_REPORT,
)
REPORT = (
    *WITH_BODY,
    ProblemKind.KEY_MISSING,
    ProblemKind.KEY_REUSED,
    ProblemKind.OUT_OF_ORDER,
    ProblemKind.CLOCK_SKEW,
    ProblemKind.STORAGE_FAILED,
)

KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Chosen by the client, distinct among the reports of a node; not starting with "
    f"{AGENT_KEY_PREFIX}. The same key with the same content is answered by the receipt of the "
    "first time, and changes nothing; with other content it is refused.",
    "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY},
    "example": "7f3c2a90-1",
}


def reference(name: str) -> dict[str, str]:
    """Return the schema that refers to one of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(schema: Mapping[str, Any], *media_types: str, examples: Example | None = None) -> Any:
    """Return the description of a body that has one of some media types."""
    described: dict[str, Any] = {"schema": dict(schema)}
    if examples:
        described["examples"] = {name: {"value": value} for name, value in examples.items()}
    return dict.fromkeys(media_types, described)


def described(
    operation: str,
    summary: str,
    tag: str,
    *,
    refusals: Sequence[ProblemKind],
    answer: type[BaseModel] | None = None,
    answers: Mapping[int, Mapping[str, Any]] | None = None,
    body: Mapping[str, Any] | None = None,
    body_required: bool = True,
    parameters: Sequence[Mapping[str, Any]] = (),
    public: bool = False,
) -> dict[str, Any]:
    """Return the arguments of a route that describe it.

    Args:
        operation: name of the operation.
        summary: what it does, in one line.
        tag: group that it belongs to.
        refusals: problems that it can answer.
        answer: form of a successful answer in JSON.
        answers: other successful answers, by status.
        body: content of the request's body.
        body_required: whether it may not be missing.
        parameters: beside those of the function.
        public: whether a token is of use, but not always needed.
    """
    responses: dict[int, dict[str, Any]] = {}
    if answer is not None:
        responses[200] = {
            "description": summary,
            "content": content(reference(answer.__name__), JSON),
        }
    for status, other in (answers or {}).items():
        responses[status] = dict(other)
    for status in sorted({problem.status for problem in refusals}):
        kinds = [problem for problem in refusals if problem.status == status]
        responses[status] = _refusal(kinds)
    extra: dict[str, Any] = {"parameters": list(parameters)} if parameters else {}
    if body is not None:
        extra["requestBody"] = {"required": body_required, "content": body}
    if ProblemKind.UNAUTHENTICATED in refusals:
        extra["security"] = [{"bearer": []}, *([{}] if public else [])]
    return {
        "operationId": operation,
        "summary": summary,
        "tags": [tag],
        "responses": {str(status): responses[status] for status in sorted(responses)},
        **extra,
    }


def _refusal(kinds: Sequence[ProblemKind]) -> dict[str, Any]:
    examples = {
        problem.slug: {
            "type": f"urn:qoex:problem:{problem.slug}",
            "title": problem.title,
            "status": problem.status,
            "detail": f"{problem.title}.",
        }
        for problem in kinds
    }
    refusal: dict[str, Any] = {
        "description": "; or ".join(problem.title for problem in kinds),
        "content": content(reference(ProblemBody.__name__), problems.MEDIA_TYPE, examples=examples),
    }
    if any(problem is ProblemKind.UNAUTHENTICATED for problem in kinds):
        refusal["headers"] = {
            "WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750."}
        }
    if any(problem is ProblemKind.TOO_MANY_REQUESTS for problem in kinds):
        refusal["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Whole seconds to wait."}
        }
    return refusal
