"""One step of the search in the capacity prices, from a linear model of the users' answers.

References:
    J.-S. Pang, "Newton's method for B-differentiable equations", Mathematics of Operations
    Research 15, 1990.
"""

from __future__ import annotations

import numpy as np

from qoex.equilibrium.evaluation import Evaluation, Point
from qoex.equilibrium.price_system import PriceSystem
from qoex.model.market import FloatArray

# How far below the first threshold prices go, as a share, when all users are at their floor.
_BELOW_THRESHOLD = 1e-3
# Singular values below this share of the largest count as zero in a step.
_RANK_TOLERANCE = 1e-12


def newton_step(
    system: PriceSystem, point: Point, slack: FloatArray, matrix: FloatArray
) -> FloatArray:
    """Return the semismooth Newton step of z ⟂ slack and of its two-sided form for α."""
    size = point.z.size
    unknown = np.append(point.z, point.alpha)
    lower = np.append(np.full(size, system.lower), np.zeros(point.alpha.size))
    upper = np.append(np.full(size, np.inf), np.ones(point.alpha.size))
    target = np.clip(unknown - slack, lower, upper)
    free = target == unknown - slack
    step = np.where(free, 0.0, target - unknown)
    if free.any():
        right = -slack[free] - matrix[np.ix_(free, ~free)] @ step[~free]
        inner = matrix[np.ix_(free, free)]
        # Singular where all users of a provider are at their floor, or where one user alone fills
        # both of its capacities; the least step then leaves alone what it cannot tell.
        step[free] = np.linalg.lstsq(inner, right, rcond=_RANK_TOLERANCE)[0]
    return step


def lower_idle_prices(system: PriceSystem, point: Point, at: Evaluation, step: FloatArray) -> None:
    """Where all users of a provider are at their floor, lower its prices until one wants QoE.

    There the use tells only the ratio of the two prices; the linear model knows nothing of their
    level.
    """
    n = at.highest.size
    for k in np.flatnonzero((at.highest > 0.0) & (at.highest < 1.0)):
        pair = [k, n + k]
        if (point.z[pair] > 1.0).all() and (at.slack[pair] >= 0.0).all():
            step[pair] = np.log(at.highest[k]) - _BELOW_THRESHOLD
