"""What a decision means to one node, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleRecord, CycleResult, NodeKind
from qoex.agent.reports.nodes import Owner
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.certificate.explanation import explain_provider, explain_user
from qoex.model.market import BoolArray, FloatArray, Market


@dataclass(frozen=True)
class Explanation:
    """What a cycle means to one node.

    Attributes:
        cycle: number of the cycle.
        in_force: number of the cycle whose decision is in force after it.
        paragraphs: sentences for a person.
    """

    cycle: int
    in_force: int
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class _Certified:
    """What is known of deviations from a decision: that none brings anything."""

    regret_per_user: FloatArray
    best_deviation: FloatArray
    utility_scale: float
    bounded: BoolArray | None = None


def explain_node(
    record: CycleRecord, market: Market, allocation: CertifiedAllocation, kind: NodeKind, name: str
) -> Explanation:
    """Explain a decision to a node.

    Args:
        record: of the cycle that is asked for; it decided, or kept this decision.
        market: that was settled, N×M.
        allocation: of it, N×M.
        kind: side of the node.
        name: of the node.

    Raises:
        Refused: the node was not in the market.
    """
    assert record.in_force is not None
    place = place_in(allocation, record.in_force, kind, name)
    solution = allocation.solution()
    if kind is NodeKind.USER:
        certified = _Certified(
            allocation.regret_per_user, allocation.rewards, allocation.utility_scale
        )
        paragraphs = explain_user(market, solution, certified, place)
    else:
        paragraphs = explain_provider(market, solution, place)
    return Explanation(record.number, record.in_force, (*_kept(record), *paragraphs))


def place_in(allocation: CertifiedAllocation, number: int, kind: NodeKind, name: str) -> int:
    """Return where a node stands in an allocation.

    Raises:
        Refused: it was not in the market of that cycle.
    """
    names: Sequence[str] = (
        allocation.user_names if kind is NodeKind.USER else allocation.provider_names
    )
    try:
        return names.index(name)
    except ValueError:
        detail = f"The decision of cycle {number} has nothing for {Owner(kind, name)}."
        raise Refused(ProblemKind.NOT_FOUND, detail) from None


def _kept(record: CycleRecord) -> list[str]:
    if record.result is CycleResult.DECIDED:
        return []
    return [
        f"Cycle {record.number} kept the decision of cycle {record.in_force} in force "
        f"({record.reason})."
    ]
