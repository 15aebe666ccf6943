"""What the agent answers.

The agent makes its answers directly of what it holds; these models are their description, which is
complete and closed, and what a client reads, which passes over fields that a newer agent adds, and
does without some that an older one may lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema

from qoex.wire.names import NodeName, Side
from qoex.wire.reports import ProviderReport, UserReport

Money = Annotated[
    Decimal,
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+\.\d{6}$", "examples": ["12.345678"]}),
]
# A client takes a name as it comes.
AnsweredName = Annotated[str, WithJsonSchema(TypeAdapter(NodeName).json_schema())]
Regime = Literal["slack", "pinned", "binding"]
CycleEnd = Literal["decided", "kept"]

PHASES = ("snapshot", "admit", "solve", "certify", "commit", "total")


def _complete(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("default", None)


def _phases(schema: dict[str, Any]) -> None:
    number = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    schema |= {
        "properties": dict.fromkeys(PHASES, number),
        "required": list(PHASES),
        "additionalProperties": False,
    }


class Answer(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True, json_schema_extra=_complete
    )


class ReceiptAnswer(Answer):
    """A report that will never be lost."""

    seq: int = Field(ge=1, examples=[4711])
    """Its place in the agent's log."""
    received_at: datetime
    """When it was first taken in."""
    replayed: bool
    """Whether its key had been used before with the same content; nothing changed then."""


class BulkAnswer(Answer):
    """What became of the lines of a bulk request."""

    accepted: int = Field(ge=0)
    """Lines, replayed ones included."""
    replayed: int = Field(ge=0)
    """Lines whose keys had been used before with the same content."""
    first_seq: int | None
    """Least place in the log; null where there was no line."""
    last_seq: int | None
    """Largest place in the log; null where there was no line."""


class NodeAnswer(Answer):
    """Where a node stands."""

    kind: Side
    name: AnsweredName
    active: bool
    """Whether it is registered now: it did not leave, and its lifetime is not over."""
    received_at: datetime
    """When its last report was taken in."""
    reported_at: datetime | None = None
    """When it made the last report that says so."""
    expires_at: datetime | None = None
    """When it expires unless it reports; null if it is not active."""


class NodeDocument(NodeAnswer):
    """A node: where it stands, and all that it said."""

    report: Mapping[str, Any]


class ProviderDocument(NodeAnswer):
    """A provider: where it stands, and all that it said of itself."""

    report: ProviderReport


class UserDocument(NodeAnswer):
    """A user: where it stands, and all that it said of itself and of what it demands."""

    report: UserReport


class LinksAnswer(Answer):
    """Signal-to-noise ratios that a provider reported."""

    snr_db: Mapping[AnsweredName, float]
    """dB, by the name of the user."""


class NodeRow(NodeAnswer):
    """A node in the list of all, with its part in the decision in force; null if it has none."""

    cycle: int | None = None
    """The cycle whose decision the numbers are of."""
    qoe: float | None = None
    """Of a user: QoE in all, ms. Of a provider: QoE that it gives in all."""
    payment: float | None = None
    """Of a user: what it pays in all, money. Of a provider: what it is paid."""
    utility: float | None = None
    """Money."""
    compute_use: float | None = None
    """Of a provider: TFLOPS in use."""
    compute_price: float | None = None
    """Of a provider: money per TFLOPS."""
    bandwidth_use: float | None = None
    """Of a provider: MHz in use."""
    bandwidth_price: float | None = None
    """Of a provider: money per MHz."""


class NodePage(Answer):
    """Some nodes: providers first, each side by name."""

    nodes: tuple[NodeRow, ...]
    next: str | None = None
    """What to give as ``after`` for the page that follows; null on the last one."""


class Histogram(Answer):
    """Counts between edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Distribution(Answer):
    """How a quantity is distributed over the users that have a pair."""

    mean: float
    quantiles: tuple[float, ...]
    """Least, 10 %, 25 %, median, 75 %, 90 %, largest."""
    histogram: Histogram


class ResourceAnswer(Answer):
    """Compute (TFLOPS) or bandwidth (MHz) of a provider."""

    use: float
    capacity: float
    price: float
    """Marginal value of a unit, cost included, money."""
    unit_cost: float
    """Money."""
    regime: Regime
    """Whether the capacity is scarce."""


class CapacityAnswer(Answer):
    """Both resources of a provider."""

    provider: AnsweredName
    compute: ResourceAnswer
    bandwidth: ResourceAnswer


class Charged(Answer):
    """What a cycle charged all users together."""

    position: int
    """Place in the log up to which nodes that left are not charged."""
    total: Money


class CycleAnswer(Answer):
    """An update cycle in numbers."""

    number: int = Field(ge=1)
    position: int
    """Place in the log of the last report that it stands on."""
    result: CycleEnd
    ending: str = ""
    """What kept the last decision in force, as a code; decided if nothing did."""
    reason: str = ""
    """Why the last decision was kept, in words; empty if decided."""
    in_force: int | None
    """Number of the cycle whose decision is in force from then on; null while there is none."""
    snapshot_at: datetime
    committed_at: datetime
    duration_ms: Annotated[Mapping[str, float | None], Field(json_schema_extra=_phases)] = {}
    """Milliseconds that the phases took, and all; null for those it did not come to."""
    providers: int = 0
    users: int = 0
    pairs: int | None = None
    """Demands that are in the market."""
    dropped: int = 0
    """Demands that admission turned away."""
    left_out: int | None = None
    """Demands that could not be priced, for something about them is not known."""
    sweeps: int | None = None
    regret_relative: float | None = None
    """The most that a user could gain by deviating alone, relative to the utilities."""
    kkt_residual: float | None = None
    """Largest residual of the providers' optimality conditions."""
    payments_total: float | None = None
    """R·Q of all pairs, money."""
    qoe: Distribution | None = None
    payments: Distribution | None = None
    capacity: tuple[CapacityAnswer, ...] = ()
    charged: Charged | None = None
    """Null where the cycle charged nothing."""


class CyclePage(Answer):
    """Some cycles, the newest first."""

    cycles: tuple[CycleAnswer, ...]
    next: int | None = None
    """What to give as ``before`` for the page that follows; null on the last one."""


class PairNumbers(Answer):
    """What a decision gives at one pair."""

    reward: float
    """R, money per ms of QoE."""
    compute: float
    """f, TFLOPS."""
    bandwidth: float
    """B, MHz."""
    qoe: float
    """Q, ms."""
    payment: float
    """R·Q, money."""


class PairAnswer(PairNumbers):
    """What a decision gives one user at one provider."""

    provider: AnsweredName
    user: AnsweredName


class ServiceAnswer(PairNumbers):
    """What a user gets of one provider."""

    provider: AnsweredName
    latency_ms: float | None = None


class ServedAnswer(PairNumbers):
    """What a provider gives one user."""

    user: AnsweredName


class DecisionHead(Answer):
    """Which decision it is."""

    cycle: int | None
    """The cycle that was asked for, or the last one; null while there was none."""
    in_force: int | None = None
    """The cycle whose decision was in force after it; null if there was none."""
    result: CycleEnd | None = None
    reason: str = ""
    """Why the decision was kept; empty if decided."""
    decided_at: datetime | None = None
    """When the cycle was committed that brought the decision."""


class UserDecisionAnswer(DecisionHead):
    """What a decision means to one user; a user it did not know has no services."""

    services: tuple[ServiceAnswer, ...] = ()
    utility: float | None = None
    """Money; null if the decision did not know the user."""
    regret: float | None = None
    """What it could have gained by deviating alone, money."""


class ProviderDecisionAnswer(DecisionHead):
    """What a decision means to one provider; one it did not know has no resources."""

    compute: ResourceAnswer | None = None
    bandwidth: ResourceAnswer | None = None
    utility: float | None = None
    """Money; null if the decision did not know the provider."""
    users: tuple[ServedAnswer, ...] = ()


class ExplanationAnswer(Answer):
    """A decision in plain sentences."""

    cycle: int | None
    """The cycle whose decision is explained; null while there is none."""
    paragraphs: tuple[str, ...]


class Debt(Answer):
    """What one user owes one provider."""

    user: AnsweredName
    provider: AnsweredName
    amount: Money


class LedgerAnswer(Answer):
    """What is owed, to the millionth."""

    unit: Literal["money"]
    """The unit of all rewards and costs."""
    total: Money
    entries: tuple[Debt, ...]


class TokenAnswer(Answer):
    """Whose token it is."""

    role: Literal["operator", "provider", "user"]
    node: AnsweredName | None
    """Name of the provider or user; null for an operator."""
    expires_at: datetime | None
    """When it stops being valid; null for never."""


class HealthAnswer(Answer):
    """Whether the agent is alive, or ready."""

    status: Literal["alive", "ready", "not-ready"]
    reasons: tuple[str, ...]
    """Why it is not ready."""
