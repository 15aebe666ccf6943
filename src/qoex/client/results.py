"""What the agent answers, as frozen models; fields that a newer agent adds are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Regime = Literal["slack", "pinned", "binding"]


class Result(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Receipt(Result):
    """A report that will never be lost."""

    seq: int
    """Its place in the agent's log."""
    received_at: datetime
    """When it was first taken in."""
    replayed: bool
    """Whether its key had been used before with the same content."""


class BulkReceipt(Result):
    """What became of the lines of a bulk request, or of several."""

    accepted: int
    """Lines, replayed ones included."""
    replayed: int
    """Lines whose keys had been used before with the same content."""
    first_seq: int | None
    """Least place in the log; None where there was no line."""
    last_seq: int | None
    """Largest place in the log."""


class NodeState(Result):
    """Where a node stands."""

    kind: Literal["provider", "user"]
    name: str
    active: bool
    """Whether it is registered now: it did not leave, and its lifetime is not over."""
    received_at: datetime
    """When its last report was taken in."""
    reported_at: datetime | None = None
    """When it made the last report that says so."""
    expires_at: datetime | None = None
    """When it expires unless it reports; None if it is not active."""


class NodeDocument(NodeState):
    """A node: where it stands, and all that it said."""

    report: Mapping[str, Any]


class Links(Result):
    """The links that a provider reported."""

    snr_db: Mapping[str, float]
    """By name of the user, dB."""


class Histogram(Result):
    """Counts between edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Distribution(Result):
    """How a quantity is distributed over the users that have a pair."""

    mean: float
    quantiles: tuple[float, ...]
    """Least, 10 %, 25 %, median, 75 %, 90 %, largest."""
    histogram: Histogram


class Resource(Result):
    """Compute (TFLOPS) or bandwidth (MHz) of one provider."""

    use: float
    capacity: float
    price: float
    """Money per unit, cost included."""
    unit_cost: float
    regime: Regime


class ProviderCapacity(Result):
    """Both resources of a provider."""

    provider: str
    compute: Resource
    bandwidth: Resource


class Charged(Result):
    """What a cycle charged all users together."""

    position: int
    """Place in the log up to which nodes that left are not charged."""
    total: Decimal


class CycleSummary(Result):
    """One update cycle in numbers."""

    number: int
    result: Literal["decided", "kept"]
    reason: str = ""
    """Why the last decision was kept; empty if decided."""
    in_force: int | None
    """Number of the cycle whose decision is in force from then on."""
    position: int
    snapshot_at: datetime
    committed_at: datetime
    duration_ms: Mapping[str, float | None] = Field(default_factory=dict)
    """By phase, and in total; None for a phase that it never came to."""
    providers: int = 0
    users: int = 0
    pairs: int | None = None
    dropped: int = 0
    """Demands that admission turned away."""
    left_out: int | None = None
    """Demands that could not be priced."""
    sweeps: int | None = None
    regret_relative: float | None = None
    kkt_residual: float | None = None
    payments_total: float | None = None
    qoe: Distribution | None = None
    payments: Distribution | None = None
    capacity: tuple[ProviderCapacity, ...] = ()
    charged: Charged | None = None
    """None where the cycle charged nothing."""


class CyclePage(Result):
    """Some cycles, newest first."""

    cycles: tuple[CycleSummary, ...]
    next: int | None = None
    """What to give as ``before`` for the page that follows; None on the last one."""


class Node(NodeState):
    """A node in the list of all, with its part in the decision in force; None if it has none."""

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


class NodePage(Result):
    """Some nodes: providers first, each side by name."""

    nodes: tuple[Node, ...]
    next: str | None = None
    """What to give as ``after`` for the page that follows; None on the last one."""


class Pair(Result):
    """What a decision gives one user at one provider."""

    provider: str
    user: str
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


class Decision(Result):
    """A whole decision."""

    cycle: CycleSummary
    pairs: tuple[Pair, ...]


class Service(Result):
    """What a user gets from one provider."""

    provider: str
    reward: float
    compute: float
    bandwidth: float
    qoe: float
    latency_ms: float | None = None
    payment: float


class Served(Result):
    """What a provider gives one user."""

    user: str
    reward: float
    compute: float
    bandwidth: float
    qoe: float
    payment: float


class NodeDecision(Result):
    """What decisions of users and of providers share."""

    cycle: int | None
    """The cycle that was asked for."""
    in_force: int | None = None
    """The cycle whose decision this is."""
    result: Literal["decided", "kept"] | None = None
    reason: str = ""
    decided_at: datetime | None = None
    utility: float | None = None


class UserDecision(NodeDecision):
    """What a decision means to one user."""

    services: tuple[Service, ...] = ()
    regret: float | None = None
    """What it could have gained by deviating alone, money."""


class ProviderDecision(NodeDecision):
    """What a decision means to one provider."""

    compute: Resource | None = None
    bandwidth: Resource | None = None
    users: tuple[Served, ...] = ()


class Explanation(Result):
    """A decision in plain sentences."""

    cycle: int | None
    paragraphs: tuple[str, ...]


class Debt(Result):
    """What one user owes one provider."""

    user: str
    provider: str
    amount: Decimal


class Ledger(Result):
    """What is owed, exactly."""

    unit: str
    total: Decimal
    entries: tuple[Debt, ...]
