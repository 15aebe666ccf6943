"""The forms of answers, for the OpenAPI document; tests hold the two together.

Answers themselves are made directly of what the agent holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from qoex.agent.reports.entries import CycleResult, NodeKind
from qoex.agent.reports.forms import ProviderReport, UserReport
from qoex.agent.reports.nodes import NodeName
from qoex.agent.tokens import Role
from qoex.game.solution import Regime

Money = Annotated[str, Field(pattern=r"^-?\d+\.\d{6}$", examples=["12.345678"])]


class Answer(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


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

    kind: NodeKind
    name: NodeName
    active: bool
    """Whether it is registered now: it did not leave, and its lifetime is not over."""
    received_at: datetime
    """When its last report was taken in."""
    reported_at: datetime | None
    """When it made the last report that says so."""
    expires_at: datetime | None
    """When it expires unless it reports; null if it is not active."""


class ProviderDocument(NodeAnswer):
    """A provider: where it stands, and all that it said of itself."""

    report: ProviderReport


class UserDocument(NodeAnswer):
    """A user: where it stands, and all that it said of itself and of what it demands."""

    report: UserReport


class LinksAnswer(Answer):
    """Signal-to-noise ratios that a provider reported."""

    snr_db: dict[NodeName, float]
    """dB, by the name of the user."""


class NodeRow(NodeAnswer):
    """A node in the list of all, with its part in the decision in force; null if it has none."""

    cycle: int | None
    """The cycle whose decision the numbers are of."""
    qoe: float | None
    """Of a user: QoE in all, ms. Of a provider: QoE that it gives in all."""
    payment: float | None
    """Of a user: what it pays in all, money. Of a provider: what it is paid."""
    utility: float | None
    """Money."""
    compute_use: float | None
    """Of a provider: TFLOPS in use."""
    compute_price: float | None
    """Of a provider: money per TFLOPS."""
    bandwidth_use: float | None
    """Of a provider: MHz in use."""
    bandwidth_price: float | None
    """Of a provider: money per MHz."""


class NodePage(Answer):
    """Some nodes: providers first, each side by name."""

    nodes: list[NodeRow]
    next: str | None
    """What to give as ``after`` for the page that follows; null on the last one."""


class Durations(Answer):
    """Milliseconds that the phases of a cycle took; null for those it did not come to."""

    snapshot: float | None
    admit: float | None
    solve: float | None
    certify: float | None
    commit: float | None
    total: float | None


class Histogram(Answer):
    """Counts between edges."""

    edges: list[float]
    counts: list[int]


class Distribution(Answer):
    """How a quantity is distributed over the users that have a pair."""

    mean: float
    quantiles: list[float]
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

    provider: NodeName
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
    result: CycleResult
    reason: str
    """Why the last decision was kept: a slug, a colon, a sentence; empty if decided."""
    in_force: int | None
    """Number of the cycle whose decision is in force from then on; null while there is none."""
    snapshot_at: datetime
    committed_at: datetime
    duration_ms: Durations
    providers: int
    users: int
    pairs: int | None
    """Demands that are in the market."""
    dropped: int
    """Demands that admission turned away."""
    left_out: int | None
    """Demands that could not be priced, for something about them is not known."""
    sweeps: int | None
    regret_relative: float | None
    """The most that a user could gain by deviating alone, relative to the utilities."""
    kkt_residual: float | None
    """Largest residual of the providers' optimality conditions."""
    payments_total: float | None
    """R·Q of all pairs, money."""
    qoe: Distribution | None
    payments: Distribution | None
    capacity: list[CapacityAnswer]
    charged: Charged | None = None
    """Null where the cycle charged nothing."""


class CyclePage(Answer):
    """Some cycles, the newest first."""

    cycles: list[CycleAnswer]
    next: int | None
    """What to give as ``before`` for the page that follows; null on the last one."""


class PairAnswer(Answer):
    """What a decision gives one user at one provider."""

    provider: NodeName
    user: NodeName
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


class ServiceAnswer(Answer):
    """What a user gets of one provider."""

    provider: NodeName
    reward: float
    """R, money per ms of QoE."""
    compute: float
    """f, TFLOPS."""
    bandwidth: float
    """B, MHz."""
    qoe: float
    """Q, ms."""
    latency_ms: float | None
    payment: float
    """R·Q, money."""


class ServedAnswer(Answer):
    """What a provider gives one user."""

    user: NodeName
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


class DecisionHead(Answer):
    """Which decision it is."""

    cycle: int | None
    """The cycle that was asked for, or the last one; null while there was none."""
    in_force: int | None
    """The cycle whose decision was in force after it; null if there was none."""
    result: CycleResult | None
    reason: str
    """Why the decision was kept; empty if decided."""
    decided_at: datetime | None
    """When the cycle was committed that brought the decision."""


class UserDecisionAnswer(DecisionHead):
    """What a decision means to one user; a user it did not know has no services."""

    services: list[ServiceAnswer]
    utility: float | None
    """Money; null if the decision did not know the user."""
    regret: float | None
    """What it could have gained by deviating alone, money."""


class ProviderDecisionAnswer(DecisionHead):
    """What a decision means to one provider; one it did not know has no resources."""

    compute: ResourceAnswer | None
    bandwidth: ResourceAnswer | None
    utility: float | None
    """Money; null if the decision did not know the provider."""
    users: list[ServedAnswer]


class ExplanationAnswer(Answer):
    """A decision in plain sentences."""

    cycle: int | None
    """The cycle whose decision is explained; null while there is none."""
    paragraphs: list[str]


class Debt(Answer):
    """What one user owes one provider."""

    user: NodeName
    provider: NodeName
    amount: Money


class LedgerAnswer(Answer):
    """What is owed, to the millionth."""

    unit: Literal["money"]
    """The unit of all rewards and costs."""
    total: Money
    entries: list[Debt]


class TokenAnswer(Answer):
    """Whose token it is."""

    role: Role
    node: NodeName | None
    """Name of the provider or user; null for an operator."""
    expires_at: datetime | None
    """When it stops being valid; null for never."""


class HealthAnswer(Answer):
    """Whether the agent is alive, or ready."""

    status: Literal["alive", "ready", "not-ready"]
    reasons: list[str]
    """Why it is not ready."""
