"""The unknowns of the price system, and what a sweep over the users says of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from qoex.equilibrium.price_impact import PriceImpact
from qoex.equilibrium.user_shard import User
from qoex.kernels.arguments import Prices
from qoex.model.market import BoolArray, FloatArray


class BehaviourModel(Enum):
    """How users reckon when they set rewards."""

    STRATEGIC = "strategic"  # with their own impact on the capacity prices: the game of the paper
    PRICE_TAKING = "price_taking"  # without it: the limit of a large market
    WELFARE = "welfare"  # as a planner: every pair is served as if its user paid p everywhere


@dataclass
class Point:
    """The unknowns, and what the users' floors take there.

    Attributes:
        z: 2N, state of each capacity, compute first.
        alpha: one share per marginal pair.
        floors: 3×N, Σ a/κ, Σ b/κ and Σ √(ab)/κ over the pairs that count as at their floor in the
            users' impact, marginal ones excepted.
    """

    z: FloatArray
    alpha: FloatArray
    floors: FloatArray

    def copy(self) -> Point:
        """Return a copy that shares nothing."""
        return Point(self.z.copy(), self.alpha.copy(), self.floors.copy())


@dataclass(frozen=True)
class Evaluation:
    """What one sweep over the users says at a point.

    Attributes:
        slack: 2N + marginal pairs; ln(capacity/use), then ln(√p or bound / t) per marginal pair.
        residual: same shape; zero at an equilibrium. At a capacity in use it is the relative error
            of the price, at an idle one z, at a marginal pair the natural residual.
        x: N, root of the compute price.
        y: N, root of the bandwidth price.
        impact: what the users' own impact was computed from.
        use: 2N, TFLOPS then MHz.
        use_by_prices: 2N × C·N, derivative of use along the directions of ``prices``: all five of
            (x, y, E1, E2, E3), or where nothing else is unknown the two that z moves along; no
            columns where no derivatives were asked for.
        by_impact: 2N, for which of these two the impact itself was moved along, since z does not
            move.
        unwanted: 3×N, as ``Point.floors``, of the pairs whose user wants no QoE at these prices.
        crossed: how many pairs count as on another side of their threshold.
        near: those of them near it, and how many there are in all.
        highest: N, the largest ratio of √p (or a bound) to t; more than 1 if any exceeds 1.
        marginal_users: the user of each marginal pair, as this sweep left it.
        prices: what the users were told.
    """

    slack: FloatArray
    residual: FloatArray
    x: FloatArray
    y: FloatArray
    impact: PriceImpact
    use: FloatArray
    use_by_prices: FloatArray
    by_impact: BoolArray
    unwanted: FloatArray
    crossed: int
    near: list[tuple[int, int]]
    near_count: int
    highest: FloatArray
    marginal_users: list[User]
    prices: Prices

    @cached_property
    def merit(self) -> float:
        """Euclidean norm of the residual."""
        return float(np.linalg.norm(self.residual))

    @property
    def has_derivatives(self) -> bool:
        """Whether the sweep took the derivatives of use."""
        return bool(self.use_by_prices.shape[1] > 0)

    @cached_property
    def error(self) -> float:
        """Largest absolute residual; NaN if any is."""
        return float(np.abs(self.residual).max())
