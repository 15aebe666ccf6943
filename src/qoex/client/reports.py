"""Reports on their way to the agent; what they may say is in :mod:`qoex.wire.reports`."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qoex.errors import InvalidInputError
from qoex.wire.names import Side
from qoex.wire.reports import BulkLine, ReportKind


def new_key() -> str:
    """Return a fresh idempotency key: 32 random hexadecimal digits."""
    return uuid.uuid4().hex


def encoded(document: Mapping[str, Any], what: str) -> bytes:
    """Return a document as compact JSON.

    Args:
        document: of strings, numbers and mappings.
        what: it is, for the sentence of an error.

    Raises:
        InvalidInputError: a number is not finite; names its place.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        place, value = next(_not_finite(document))
        raise InvalidInputError(
            f"{place} in {what} is {value!r}; it must be a finite number"
        ) from None
    return text.encode()


def _not_finite(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _not_finite(item, f"{place}.{name}" if place else str(name))
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, value


@dataclass(frozen=True, slots=True)
class Line:
    """One report of a bulk request.

    Attributes:
        node_kind: "provider" or "user".
        node: name of the node.
        kind: what it does: "put", "patch", "leave", "links" or "served".
        body: of that kind; {} to leave, or to patch nothing and only be heard of.
        key: idempotency key; a line sent again with its key counts once.
    """

    node_kind: Side
    node: str
    kind: ReportKind
    body: Mapping[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=new_key)

    def encoded(self) -> bytes:
        """Return the line as it is sent, its end included."""
        line: BulkLine = {
            "key": self.key,
            "node_kind": self.node_kind,
            "node": self.node,
            "kind": self.kind,
            "body": dict(self.body),
        }
        return encoded(line, f"the report of {self.node_kind} {self.node}") + b"\n"
