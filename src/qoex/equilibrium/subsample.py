"""Some of the users of a large market, who tell how the sums of all of them answer to prices.

Every so many users, with as large a share of the capacities as they would take of them at their
floors, have nearly the capacity prices of all, and nearly the same curvature: a step that all users
have to judge by their derivatives alone, a sample can try out at a fraction of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoex.equilibrium.evaluation import Point
from qoex.equilibrium.population import Population
from qoex.equilibrium.price_system import PriceSystem
from qoex.model.feasibility import FloorLoad, least_factor
from qoex.model.market import FloatArray
from qoex.model.sides import ProviderSide

# One user in so many, by the users there are at least. With 16 000 of a million users prices are
# off by a few parts in a thousand, with 64 of 512 by a tenth or so.
_STRIDES = {1 << 19: 64, 1 << 15: 32, 1 << 9: 8}
# Fewer of them show a price, but not how sums bend: for that each kink must be hit by some.
_TELLING = 1000
# With less room to spare than this, a sample tells too little of the market.
_LEAST_ROOM = 1e-3


@dataclass(frozen=True)
class _Share:
    """A share of the providers' capacities, at the same costs (N each)."""

    compute_cost: FloatArray
    bandwidth_cost: FloatArray
    compute_capacity: FloatArray
    bandwidth_capacity: FloatArray


class Sample:
    """Every so many users of a market.

    Attributes:
        stride: how many.
        share: 3×N, of what the floors of all take, theirs.
        system: their prices.
        tells: whether they are enough to try steps out with.
    """

    def __init__(self, stride: int, share: FloatArray, system: PriceSystem) -> None:
        self.stride = stride
        self.share = share
        self.system = system
        self.tells = system.users.users >= _TELLING
        self._slope = np.zeros(0)

    def forget_marginal_pairs(self) -> None:
        """Let no pair of the sample be an unknown any longer: those of all users are others."""
        self.system.marginal_pairs.clear()
        self.system.users.set_unknown([])

    def linearise(self, point: Point) -> None:
        """Remember how the slack of the sample's capacities answers to z at a point of all."""
        own = self._own(point)
        self._slope = self.system.jacobian(own, self.system.evaluate(own))

    def slack(self, point: Point) -> FloatArray:
        """Return ln(capacity/use) of the sample at a point of all (2N)."""
        return self.system.evaluate(self._own(point), derivatives=False).slack

    def curvature(self, here: FloatArray, there: Point, step: FloatArray) -> FloatArray:
        """Return what of the slack after a step the remembered derivatives do not tell (2N).

        Args:
            here: the slack before the step.
            there: the point after it, with the floors from before.
            step: of z, 2N.

        """
        missed: FloatArray = self.slack(there) - here - self._slope @ step
        return missed

    def _own(self, point: Point) -> Point:
        return Point(z=point.z, alpha=np.zeros(0), floors=point.floors * self.share)


def sample_of(system: PriceSystem, supply: ProviderSide, load: FloorLoad) -> Sample | None:
    """Return a sample of the users, if there are enough of them and it leaves them room.

    Args:
        system: of the whole market.
        supply: its providers.
        load: what serving all users at their floors takes.

    """
    stride = next((s for least, s in _STRIDES.items() if system.users.users >= least), None)
    if stride is None:
        return None
    users = Population.of(system.users.every(stride))
    part = users.floor_load()
    share = part / np.maximum(np.array(load), 1e-300)
    share[share == 0] = 1.0 / stride  # nothing is demanded there
    some = _Share(
        compute_cost=supply.compute_cost,
        bandwidth_cost=supply.bandwidth_cost,
        compute_capacity=supply.compute_capacity * share[0],
        bandwidth_capacity=supply.bandwidth_capacity * share[1],
    )
    factor = least_factor(FloorLoad(*part), some.compute_capacity, some.bandwidth_capacity)
    if not (factor < 1.0 - _LEAST_ROOM).all():
        return None
    return Sample(stride, share, PriceSystem(some, users, system.behaviour))
