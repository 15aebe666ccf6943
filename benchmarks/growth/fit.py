"""Exponents by least squares on logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .measure import Row

# The exponents that we want: of users within this distance of one, of providers at most this.
USERS_GOAL, USERS_MARGIN = 1.0, 0.05
PROVIDERS_GOAL = 1.3
# From so many users on, what does not grow with them is no matter; and from so many on, all
# markets are solved the same way: beginning with a sample of their users.
FROM_USERS, FROM_SAMPLED = 10_000, 100_000


@dataclass(frozen=True)
class Fit:
    """cost ≈ factor · sizeᵉˣᵖᵒⁿᵉⁿᵗ over a range.

    Attributes:
        axis: "users" or "providers".
        quantity: which of a row's costs.
        low: smallest size.
        high: largest size.
        exponent: dimensionless.
        error: its standard error; NaN of two points.
        factor: bytes at size one.
    """

    axis: str
    quantity: str
    low: int
    high: int
    exponent: float
    error: float
    factor: float

    @property
    def met(self) -> bool:
        """Whether the exponent is what we want."""
        if self.axis == "users":
            return abs(self.exponent - USERS_GOAL) <= USERS_MARGIN
        return self.exponent <= PROVIDERS_GOAL


def fit(rows: Sequence[Row], axis: str, low: int = 0, quantity: str = "cost") -> Fit | None:
    """Return the fit over the rows of an axis from a size on; None of fewer than two."""
    mine = [row for row in rows if row.axis == axis and getattr(row, axis) >= low]
    if len(mine) < 2:
        return None
    sizes = np.array([getattr(row, axis) for row in mine])
    x, y = np.log(sizes), np.log([getattr(row, quantity) for row in mine])
    away = x - x.mean()
    exponent = float(away @ y / (away @ away))
    level = float(y.mean() - exponent * x.mean())
    left = y - level - exponent * x
    error = float("nan")
    if len(mine) > 2:
        error = float(np.sqrt(left @ left / (len(mine) - 2) / (away @ away)))
    ends = int(sizes.min()), int(sizes.max())
    return Fit(axis, quantity, *ends, exponent, error, float(np.exp(level)))


def fits(rows: Sequence[Row]) -> list[Fit]:
    """Return the fits of the page: of the whole axes, of large markets, and of the parts."""
    wanted = [
        fit(rows, "users"),
        fit(rows, "users", FROM_USERS),
        fit(rows, "users", FROM_SAMPLED),
        fit(rows, "providers"),
        *(
            fit(rows, axis, low, quantity)
            for axis, low in (("users", FROM_SAMPLED), ("providers", 0))
            for quantity in ("processor_cost", "sweep_cost", "settle_cost", "certificate_cost")
        ),
    ]
    return [item for item in wanted if item is not None]
