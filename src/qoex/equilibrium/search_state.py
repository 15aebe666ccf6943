"""What a search works on, where it stands, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoex.equilibrium.evaluation import Evaluation, Point
from qoex.equilibrium.price_system import PriceSystem
from qoex.equilibrium.restart import Restarts
from qoex.equilibrium.subsample import Sample
from qoex.game.solution import Status, Step
from qoex.model.market import BoolArray, FloatArray


@dataclass(frozen=True)
class Problem:
    """The prices to be found, and who can help to find them.

    Attributes:
        system: of the market.
        restarts: rounds of best responses to start anew from, for games in memory.
        sample: of the users, to try steps out with.
    """

    system: PriceSystem
    restarts: Restarts | None = None
    sample: Sample | None = None


class LinearModel(NamedTuple):
    """How the slack answers to the unknowns, by the last sweep that took derivatives.

    Attributes:
        matrix: derivative of slack by (z, α).
        by_impact: 2N×N, derivative of the capacities' slack by ln of each provider's impact.
        without: 2N, capacities whose z the sweep did not move, since it moved their impact.
        judge: the sample, if it tells how all users answer to a step.
    """

    matrix: FloatArray
    by_impact: FloatArray
    without: BoolArray
    judge: Sample | None

    @classmethod
    def empty(cls, system: PriceSystem) -> LinearModel:
        """Return one that says nothing."""
        size = system.capacity.size
        return cls(
            matrix=np.zeros((size, size)),
            by_impact=np.zeros((size, system.users.providers)),
            without=np.zeros(size, dtype=np.bool_),
            judge=None,
        )


@dataclass
class SearchState:
    """Where a search stands. It changes in place, for the users remember the last sweep only.

    Attributes:
        point: the unknowns.
        at: what the sweep there said.
        model: the linear model; until it is made for ``at`` that of an earlier sweep.
        linearised: whether it is of ``at``.
        jumps: 2N, steps over the kink that each capacity has taken since the last fresh start.
        detours: how often line searches and short steps have taken turns.
        best_merit: the least since the last fresh start.
        waited: steps since it was reached.
        previous_error: that of the sweep before; infinite after a fresh start.
        slow: whether the latest sweep left most of the error.
        last_error: that at the last line search; infinite after a fresh start.
        trace: the steps so far.
    """

    point: Point
    at: Evaluation
    model: LinearModel
    jumps: NDArray[np.int64]
    linearised: bool = False
    detours: int = 0
    best_merit: float = np.inf
    waited: int = 0
    previous_error: float = np.inf
    slow: bool = False
    last_error: float = np.inf
    trace: list[Step] = field(default_factory=list)

    def move(self, point: Point, at: Evaluation) -> None:
        """Go to another point, where a sweep said this."""
        self.point, self.at = point, at
        self.linearised = False

    def forget_progress(self) -> None:
        """Count steps, jumps and errors anew."""
        self.jumps = np.zeros_like(self.jumps)
        self.best_merit, self.waited = np.inf, 0
        self.previous_error, self.slow = np.inf, False
        self.last_error = np.inf


@dataclass(frozen=True)
class SearchResult:
    """How a search ended, and where.

    Attributes:
        status: success, or why there is none.
        point: the unknowns.
        at: what the last sweep said there.
        by_responses: whether the rounds of best responses, at rest, are the result instead.
        trace: the steps, first to last, each with the reason for what was done next.
    """

    status: Status
    point: Point
    at: Evaluation
    by_responses: bool
    trace: Sequence[Step]
