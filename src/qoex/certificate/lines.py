"""From the first pass's totals to the providers' prices, and how they move with one user's rewards.

For a fixed floor A and fixed regimes of the two capacities, the roots x and y of the prices solve
(theory, section 2)

    x = √c or (S_f + yG)/F′,   y = √d or (S_b + xG)/W′.

Whatever A and the regimes, the solution is nowhere above the true prices, and moves with one user's
root reward u as a line: its impact on the user's latency is e = aE₁ + bE₂ + √(ab)E₃. Where several
such lines pass through the prices, the one with the least impact has capacities slack and marginal
pairs off the floor, the one with the largest has them full and those at the floor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qoex.certificate.passes import Totals
from qoex.model.market import BoolArray, FloatArray
from qoex.model.sides import ProviderSide

# Lines that lie below the prices by no more than this share count as passing through them. How far
# they do is part of the bound, so this decides how sharp it is, not whether it holds.
_THROUGH = 1e-9

_FLOOR_SUMS = ("sum_f", "sum_b", "floor_f", "floor_b", "cross")


class Prices(NamedTuple):
    """The prices at which providers answer, and the lines through them.

    Attributes:
        roots: 2×N, √(c + λ) and √(d + ρ); NaN where a provider cannot serve its users at all.
        lines: N×16, what the second pass needs of every provider.
    """

    roots: FloatArray
    lines: FloatArray


class _Floor:
    """The sums of one set of users at the floor, and the lines that belong to it; N each."""

    def __init__(self, costs: ProviderSide, sums: list[FloatArray]) -> None:
        self.root_c, self.root_d = np.sqrt(costs.compute_cost), np.sqrt(costs.bandwidth_cost)
        # Sums of what is not negative; that users are taken out again may leave roundings.
        self.sum_f, self.sum_b, floor_f, floor_b, self.cross = (np.maximum(s, 0.0) for s in sums)
        room_f, room_b = costs.compute_capacity - floor_f, costs.bandwidth_capacity - floor_b
        determinant = room_f * room_b - self.cross**2
        self.serves = (room_f > 0) & (room_b > 0) & (determinant > 0)
        # Without room for its users a provider has no answer.
        self.room_f, self.room_b, self.determinant = (
            np.where(self.serves, room, np.nan) for room in (room_f, room_b, determinant)
        )

    def full_x(self, y: FloatArray) -> FloatArray:
        return np.asarray((self.sum_f + y * self.cross) / self.room_f)

    def full_y(self, x: FloatArray) -> FloatArray:
        return np.asarray((self.sum_b + x * self.cross) / self.room_b)

    def prices(self, full_f: BoolArray, full_b: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return x and y with these capacities full."""
        both = full_f & full_b
        x_both = (self.room_b * self.sum_f + self.cross * self.sum_b) / self.determinant
        y_both = (self.room_f * self.sum_b + self.cross * self.sum_f) / self.determinant
        x = np.where(both, x_both, np.where(full_f, self.full_x(self.root_d), self.root_c))
        y = np.where(both, y_both, np.where(full_b, self.full_y(self.root_c), self.root_d))
        return x, y

    def impact(self, full_f: BoolArray, full_b: BoolArray) -> tuple[FloatArray, ...]:
        """Return E₁, E₂ and E₃ with these capacities full."""
        both = full_f & full_b
        return (
            np.where(both, self.room_b / self.determinant, np.where(full_f, 1 / self.room_f, 0.0)),
            np.where(both, self.room_f / self.determinant, np.where(full_b, 1 / self.room_b, 0.0)),
            np.where(both, 2.0 * self.cross / self.determinant, 0.0),
        )


def price_lines(totals: Totals, costs: ProviderSide, guess: FloatArray) -> Prices:
    """Return the prices that follow from the totals, and the lines through them.

    Args:
        totals: of all users.
        costs: of the providers.
        guess: 2×N, the roots of prices that the first pass was given.

    """
    with np.errstate(all="ignore"):
        sums = [totals.sum(name) for name in _FLOOR_SUMS]
        off, on = (
            [s + totals.sum(f"{side}_{name}") for s, name in zip(sums, _FLOOR_SUMS, strict=True)]
            for side in ("off", "on")
        )
        own, least, largest = (_Floor(costs, terms) for terms in (sums, off, on))
        everywhere = np.ones(own.serves.shape, dtype=np.bool_)
        # The largest of the lines of one floor is the least solution of the maximum.
        choices = [
            own.prices(f, b) for f in (everywhere, ~everywhere) for b in (everywhere, ~everywhere)
        ]
        x = np.max([choice[0] for choice in choices], axis=0)
        y = np.max([choice[1] for choice in choices], axis=0)
        full_x, full_y = own.full_x(y), own.full_y(x)
        full = full_x > own.root_c, full_y > own.root_d
        may_be_slack = x <= own.root_c * (1 + _THROUGH), y <= own.root_d * (1 + _THROUGH)
        may_be_full = full_x >= x * (1 - _THROUGH), full_y >= y * (1 - _THROUGH)
        # Pairs that would leave a provider no room cannot all be at the floor.
        for floor in (least, largest):
            for name in ("sum_f", "sum_b", "cross", "room_f", "room_b", "determinant"):
                setattr(
                    floor, name, np.where(floor.serves, getattr(floor, name), getattr(own, name))
                )
        low = ~may_be_slack[0], ~may_be_slack[1]
        high = may_be_full[0] | full[0], may_be_full[1] | full[1]
        low_x, low_y = least.prices(*low)
        high_x, high_y = largest.prices(*high)
        marginal = sum(
            np.abs(totals.sum(f"{side}_{n}")) for side in ("off", "on") for n in _FLOOR_SUMS
        )
        kinked = (low[0] != high[0]) | (low[1] != high[1]) | (marginal > 0)
        table = np.stack(
            [
                x,
                y,
                *guess,
                kinked.astype(np.float64),
                *least.impact(*low),
                *own.impact(*full),
                *largest.impact(*high),
                np.maximum(np.maximum(x - low_x, x - high_x), 0.0),
                np.maximum(np.maximum(y - low_y, y - high_y), 0.0),
            ],
            axis=1,
        )
    return Prices(np.stack([x, y]), table)
