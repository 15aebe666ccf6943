"""Fields of reports: their ranges and units, and what they mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from qoex.wire.rules import LEAST, MOST

LONGEST_LIFETIME_S = 31_536_000.0  # a year

Positive = Annotated[float, Field(ge=LEAST, le=MOST)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]
Decibels = Annotated[float, Field(ge=-200, le=200)]  # beyond it the unit must be another one
Load = Annotated[float, Field(ge=0, le=1)]

TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$"


def _in_utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("timestamp", "There is no such date and time") from None
    return moment.isoformat(timespec="microseconds")


Timestamp = Annotated[
    str,
    Field(
        pattern=TIMESTAMP,
        json_schema_extra={"format": "date-time"},
        examples=["2026-01-31T12:00:00.250Z"],
    ),
    AfterValidator(_in_utc),
]

# Fields that a complete report needs stand in its patch as well, where they may be left out.
ComputeCapacity = Annotated[Positive, Field(description="f^max, TFLOPS (C2 of eq. 8).")]
BandwidthCapacity = Annotated[Positive, Field(description="B^max, MHz (C2 of eq. 8).")]
ComputeCost = Annotated[Positive, Field(description="c^f, money per TFLOPS (eq. 8).")]
BandwidthCost = Annotated[Positive, Field(description="c^B, money per MHz (eq. 8).")]
LatencyBudget = Annotated[
    Positive,
    Field(
        description="κ, the latency in ms at which QoE is zero (eq. 7), where a demand gives none "
        "of its own."
    ),
]
InputTokens = Annotated[Positive, Field(description="x_in; a mean may be a real number (eq. 7).")]
OutputTokens = Annotated[Positive, Field(description="x_out; a mean may be a real number (eq. 7).")]
ProfitFactor = Annotated[Positive, Field(description="μ, money (eq. 9).")]
RewardMin = Annotated[
    NotNegative,
    Field(description="R^min, money per ms of QoE (eq. 9); at most reward_max."),
]
RewardMax = Annotated[Positive, Field(description="R^max, money per ms of QoE (eq. 9).")]
Lifetime = Annotated[
    Annotated[float, Field(ge=1e-3, le=LONGEST_LIFETIME_S)] | None,
    Field(
        description="Seconds without a report after which the node expires; the agent's setting "
        "unless given."
    ),
]
