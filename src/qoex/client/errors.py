"""What a client raises when the agent refuses a request, or gives no answer that can be used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qoex.errors import QoexError
from qoex.wire.problems import Fault

# Slugs of the client itself; all others come from the agent.
UNREACHABLE = "unreachable"
UNREADABLE = "unreadable"
NOT_READY = "not-ready"

_LONGEST_EXTRACT = 200  # characters of an answer that is no problem document


class AgentError(QoexError):
    """The agent refused a request, or gave no answer that can be used.

    The message is one sentence that names what was wrong, and where.

    Attributes:
        slug: kind of problem, as in the agent's description (``invalid-report``, ``forbidden``,
            …); or ``unreachable`` where no answer came, ``unreadable`` where one came that no
            agent gives, ``not-ready`` where it says that it is not ready.
        status: HTTP status, or None where no answer came.
        detail: the agent's own sentence.
        faults: every single thing that is wrong with the request, if the agent listed any.
        retry_after: seconds after which the same request may be accepted, or None.
    """

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        status: int | None = None,
        faults: Sequence[Fault] = (),
        retry_after: float | None = None,
    ) -> None:
        self.slug = slug
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after = retry_after
        shown = "; ".join(f"{item.where}: {item.what}" for item in self.faults[:3])
        more = f"; and {len(self.faults) - 3} more" if len(self.faults) > 3 else ""
        told = f" ({shown}{more})" if shown and shown not in detail else ""
        super().__init__(f"{detail}{told} [{slug}]")


def problem_of(
    status: int, headers: Mapping[str, str], content: bytes, retry_after: float | None
) -> AgentError:
    """Return the problem that an answer of 400 or more states (RFC 9457), however odd it is."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    document: Any = None
    if kind in ("application/problem+json", "application/json"):
        try:
            document = json.loads(content)
        except ValueError:
            document = None
    if isinstance(document, dict) and document.get("status") == NOT_READY:
        why = "; ".join(map(str, document.get("reasons", ()))) or "it does not say why"
        return AgentError(NOT_READY, f"the agent is not ready: {why}", status=status)
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        extract = " ".join(content.decode("utf-8", "replace").split())[:_LONGEST_EXTRACT]
        detail = f"the answer has status {status} and is not the agent's: {extract!r}"
        return AgentError(UNREADABLE, detail, status=status, retry_after=retry_after)
    listed = document.get("errors")
    faults = [
        Fault(str(item.get("where", "")), str(item.get("what", "")))
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict)
    ]
    return AgentError(
        document["type"].rpartition(":")[2],
        str(document.get("detail") or document.get("title") or f"status {status}"),
        status=status,
        faults=faults,
        retry_after=retry_after,
    )
