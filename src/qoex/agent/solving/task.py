"""What the process that solves is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from qoex.agent.reports.kept import CycleEnding, Kept
from qoex.agent.solving.snapshot import Snapshot

Demands = tuple[tuple[str, str], ...]


class AdmissionObjective(StrEnum):
    """Which demands are turned away where not all can be served."""

    NONE = "none"
    COUNT = "count"
    VALUE = "value"


@dataclass(frozen=True)
class AdmissionRule:
    """How to turn demands away.

    Attributes:
        by: as few as possible, the least valuable, or none.
        most: share of the demands that may be turned away; beyond it the market is infeasible.
        seconds: for the search, over all providers; a good choice is made where the best is not
            found in this time.
    """

    by: AdmissionObjective = AdmissionObjective.NONE
    most: float = 0.5
    seconds: float = 10.0


@dataclass(frozen=True, repr=False)
class Start:
    """A stored decision to start from.

    Attributes:
        payload: bytes of its allocation.
        provider_names: in the order of its membership.
        user_names: likewise.
    """

    payload: bytes
    provider_names: tuple[str, ...]
    user_names: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What to settle.

    Attributes:
        snapshot: what the nodes said.
        start: decision to start from, if there is one.
        admission: how to turn demands away.
        dropped: (provider, user) of demands that were turned away already, as a record has them;
            None to let admission choose.
    """

    snapshot: Snapshot
    start: Start | None = None
    admission: AdmissionRule = field(default_factory=AdmissionRule)
    dropped: Demands | None = None


@dataclass(frozen=True, repr=False)
class CycleOutcome:
    """What came of a task.

    Attributes:
        kept: why it brought no decision; None if it did.
        payload: bytes of the allocation; None unless decided.
        digest: of the allocation; None unless decided.
        warm: whether the result was reached from the task's start.
        dropped: (provider, user) of each demand turned away.
        timings: milliseconds of "market", "admit", "solve", "certify" and "encode", as far as it
            came.
        summary: the part of a cycle's summary that follows from the market and the allocation.
    """

    kept: Kept | None
    payload: bytes | None = None
    digest: str | None = None
    warm: bool = False
    dropped: Demands = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ending(self) -> CycleEnding:
        """How the cycle of the task ends."""
        return CycleEnding.DECIDED if self.kept is None else self.kept.ending

    @property
    def sentence(self) -> str:
        """Why it brought no decision; "" if it did."""
        return "" if self.kept is None else self.kept.sentence
