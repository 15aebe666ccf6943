"""What the agent refuses, as problems in the sense of RFC 9457.

    Refused             says which kind of problem it is, in one sentence, and where it lies

A kind has a title and an HTTP status here and nowhere else, so that a problem reads the same
whether it comes by HTTP, in a bulk request or on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from qoex.errors import QoexError
from qoex.wire.problems import Fault


class ProblemKind(Enum):
    """The kinds of problem: slug of the type, HTTP status, title."""

    MALFORMED_JSON = ("malformed-json", 400, "The body is not JSON")
    KEY_MISSING = ("key-missing", 400, "A report needs an idempotency key")
    UNAUTHENTICATED = ("unauthenticated", 401, "A valid token is needed")
    FORBIDDEN = ("forbidden", 403, "The token does not allow this")
    NOT_FOUND = ("not-found", 404, "There is nothing here")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "That cannot be done here")
    REQUEST_TIMEOUT = ("request-timeout", 408, "The request came too slowly")
    KEY_REUSED = ("key-reused", 409, "The idempotency key was used for other content")
    OUT_OF_ORDER = ("out-of-order", 409, "A later report of the node was accepted already")
    NOT_ACTIVE = ("not-active", 409, "The node is not registered now")
    TOO_LARGE = ("too-large", 413, "The request is too large")
    TOO_MANY_LINES = ("too-many-lines", 413, "The bulk request has too many lines")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body has the wrong media type")
    MISDIRECTED = ("misdirected", 421, "The agent does not go by this name")
    INVALID_PARAMETER = ("invalid-parameter", 422, "A parameter cannot be used")
    INVALID_REPORT = ("invalid-report", 422, "The report cannot be accepted")
    UNKNOWN_NODE = ("unknown-node", 422, "The report names a node that never registered")
    CLOCK_SKEW = ("clock-skew", 422, "The clocks of node and agent differ too much")
    TOO_MANY_REQUESTS = ("too-many-requests", 429, "Requests come too fast")
    INTERNAL_ERROR = ("internal-error", 500, "The agent made a mistake")
    STORAGE_FAILED = ("storage-failed", 503, "The report could not be stored")
    STOPPING = ("stopping", 503, "The agent is stopping or not ready")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title


class Refused(QoexError):  # noqa: N818  (what happened, not that something broke)
    """Something was refused, and nothing was changed.

    Attributes:
        problem: its kind.
        detail: one sentence that names what was wrong and where.
        faults: every single thing that is wrong, if there are several places.
        retry_after: seconds after which the same request may be accepted, or None.
    """

    def __init__(
        self,
        problem: ProblemKind,
        detail: str,
        faults: Sequence[Fault] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after = retry_after

    def within(self, place: str) -> Refused:
        """Return the same refusal of something that lies within a place, such as "line 3"."""
        faults = [Fault(f"{place}: {fault.where}", fault.what) for fault in self.faults]
        return Refused(self.problem, f"{place}: {self.detail}", faults, self.retry_after)
