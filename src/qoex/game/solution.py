"""One result type for every way of settling a market, and what its status means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from qoex.errors import QoexError
from qoex.model.market import FloatArray


class Status(StrEnum):
    """How a computation ended; only the first three are a success. Files hold the values."""

    CONVERGED = "converged"
    EXACT = "exact"
    OWN_RULE = "own_rule"
    STEP_LIMIT = "step_limit"
    STALLED = "stalled"
    NOT_FINITE = "not_finite"
    NOT_CERTIFIED = "not_certified"

    @property
    def ok(self) -> bool:
        """Whether the method did what it promises; a limit or a NaN is never a success."""
        return self in (Status.CONVERGED, Status.EXACT, Status.OWN_RULE)

    def judged(self, holds: bool) -> Status:
        """Return the status once a certificate holds or does not: none claims what it refutes."""
        return Status.NOT_CERTIFIED if self is Status.CONVERGED and not holds else self

    @property
    def sentence(self) -> str:
        """The status in words."""
        return _SENTENCES[self]


# What a computation that is no success fell short of.
_SHORTCOMINGS = {
    Status.STEP_LIMIT: "the step limit was reached before the conditions held",
    Status.STALLED: "no step improves the conditions any further, and they do not hold",
    Status.NOT_FINITE: "a number that is not finite appeared",
    Status.NOT_CERTIFIED: (
        "the method's own conditions hold, but the certificate finds no equilibrium"
    ),
}

_SENTENCES = {
    Status.CONVERGED: "Converged: every equilibrium condition holds to the tolerance asked for.",
    Status.EXACT: (
        "Exact: the scheme fixes its rewards by a formula, and providers answered exactly."
    ),
    Status.OWN_RULE: (
        "Stopped by its own rule: utilities no longer change between iterations, "
        "which is no proof of an equilibrium; look at the regret."
    ),
    **{status: f"Not solved: {what}." for status, what in _SHORTCOMINGS.items()},
}


class Regime(StrEnum):
    """How a capacity stands at a solution (theory, section 6).

    ``slack``: use is below capacity. ``pinned``: use equals capacity and the price is still the
    unit cost. ``binding``: use equals capacity and the price is above the unit cost.
    """

    SLACK = "slack"
    PINNED = "pinned"
    BINDING = "binding"


@dataclass(frozen=True)
class CapacityState:
    """One resource (compute or bandwidth) at every provider.

    Attributes:
        use: N, in the unit of the resource (TFLOPS or MHz).
        price: N, marginal value of a unit, cost included: c + λ, money per TFLOPS or per MHz.
        regime: N values.
    """

    use: FloatArray
    price: FloatArray
    regime: tuple[Regime, ...]


@dataclass(frozen=True)
class Step:
    """One step of a method.

    Attributes:
        number: of the sweep, round or iteration that it begins with.
        residual: what the method tries to drive to zero, as it is there.
        note: what else was seen, in words.
        reason: why the method did next what it did, if it has a choice: a member of its own
            enumeration, such as :class:`qoex.equilibrium.decisions.Reason`, with a ``sentence``.
    """

    number: int
    residual: float
    note: str = ""
    reason: StrEnum | None = None


@dataclass(frozen=True)
class Solution:
    """A settled market: rewards, allocations, and what follows from them.

    Attributes:
        status: how the computation ended; ``status.ok`` tells success.
        method: name of the method or scheme.
        steps: iterations done (sweeps, rounds or iterations of the method).
        rewards: R, N×M, money per ms of QoE (0 for an absent pair).
        compute: f, N×M, TFLOPS.
        bandwidth: B, N×M, MHz.
        qoe: Q, N×M, ms (eq. 7; 0 for an absent or unserved pair).
        user_utility: M, money (eq. 9).
        provider_utility: N, money (eq. 8).
        compute_state: use, price and regime of compute at each provider.
        bandwidth_state: use, price and regime of bandwidth at each provider.
        trace: the steps, first to last; empty where a formula gave the result.
        notes: what a reader must know to read the numbers rightly (pairs not served, …).
    """

    status: Status
    method: str
    steps: int
    rewards: FloatArray
    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    user_utility: FloatArray
    provider_utility: FloatArray
    compute_state: CapacityState
    bandwidth_state: CapacityState
    trace: Sequence[Step] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()


class UnsolvedMarketError(QoexError):
    """A market that was not solved, for who would rather have an error than look at the status.

    Attributes:
        solution: what was reached; its status and its trace say why it went no further.
    """

    def __init__(self, solution: Solution) -> None:
        self.solution = solution
        super().__init__(
            f"the market is not solved ({solution.method}, {solution.steps} steps): "
            f"{_SHORTCOMINGS[solution.status]}"
        )
