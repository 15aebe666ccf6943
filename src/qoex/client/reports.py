"""What nodes send: plain dicts with typed fields, in the units of :mod:`qoex.model.market`.

Each report exists complete, for ``put_…``, and as a patch, for ``patch_…``: there a missing field
stays as it is and None removes an optional one (JSON merge patch, RFC 7396). The agent checks
values; these types only say what there is.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

from qoex.errors import InvalidInputError

NodeKind = Literal["provider", "user"]
LineKind = Literal["put", "patch", "leave", "links", "served"]


class ProviderReport(TypedDict):
    """What a provider has and charges."""

    compute_capacity: float  # f^max, TFLOPS
    bandwidth_capacity: float  # B^max, MHz
    compute_cost: float  # c^f, money per TFLOPS
    bandwidth_cost: float  # c^B, money per MHz
    latency_budget: float  # κ, ms
    work_model: NotRequired[Literal["quadratic", "cached"]]
    work_per_token_pair: NotRequired[float]  # ξ, TFLOPS·ms
    work_per_request: NotRequired[float]  # TFLOPS·ms
    work_per_input_token: NotRequired[float]  # TFLOPS·ms
    work_per_output_token: NotRequired[float]  # TFLOPS·ms
    gap_scale: NotRequired[float]  # β
    example_ambiguity: NotRequired[float]  # η
    snr_db: NotRequired[float]  # dB, of links that are not reported
    compute_load: NotRequired[float]  # share of the capacity that other work takes
    bandwidth_load: NotRequired[float]
    lifetime_s: NotRequired[float]  # seconds without a report after which the provider expires
    reported_at: NotRequired[str]  # RFC 3339 with zone


class ProviderPatch(TypedDict, total=False):
    """Changes of a provider's report."""

    compute_capacity: float
    bandwidth_capacity: float
    compute_cost: float
    bandwidth_cost: float
    latency_budget: float
    work_model: Literal["quadratic", "cached"] | None
    work_per_token_pair: float | None
    work_per_request: float | None
    work_per_input_token: float | None
    work_per_output_token: float | None
    gap_scale: float | None
    example_ambiguity: float | None
    snr_db: float | None
    compute_load: float | None
    bandwidth_load: float | None
    lifetime_s: float | None
    reported_at: str


class DemandReport(TypedDict):
    """What a user demands of one provider; performance_gap or examples, one of the two."""

    performance_gap: NotRequired[float]  # θ̂
    examples: NotRequired[float]  # K
    input_tokens: float  # x_in
    output_tokens: float  # x_out
    latency_budget: NotRequired[float]  # κ of this pair, ms


class DemandPatch(TypedDict, total=False):
    """Changes of a demand."""

    performance_gap: float | None
    examples: float | None
    input_tokens: float
    output_tokens: float
    latency_budget: float | None


class UserReport(TypedDict):
    """What a user pays, and demands of each provider, by name."""

    profit_factor: float  # μ, money
    reward_min: float  # R^min, money per ms
    reward_max: float  # R^max, money per ms
    demands: Mapping[str, DemandReport]
    lifetime_s: NotRequired[float]
    reported_at: NotRequired[str]


class UserPatch(TypedDict, total=False):
    """Changes of a user's report; a demand of None is withdrawn."""

    profit_factor: float
    reward_min: float
    reward_max: float
    demands: Mapping[str, DemandPatch | None]
    lifetime_s: float | None
    reported_at: str


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

    node_kind: NodeKind
    node: str
    kind: LineKind
    body: Mapping[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=new_key)

    def encoded(self) -> bytes:
        """Return the line as it is sent, its end included."""
        line = {
            "key": self.key,
            "node_kind": self.node_kind,
            "node": self.node,
            "kind": self.kind,
            "body": self.body,
        }
        return encoded(line, f"the report of {self.node_kind} {self.node}") + b"\n"
