"""Where to begin in a market of many users: at the equilibrium of some of them.

Every so many users, with as large a share of the capacities as they would take of them at their
floors, have nearly the capacity prices of all; solving for them costs a fraction of one sweep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoex.capacity_prices import Point, PriceSystem, Supply
from qoex.feasibility import FloorLoad, least_factor
from qoex.market import FloatArray
from qoex.population import Population
from qoex.search import Search
from qoex.solution import Step

# One user in so many, by the users there are at least. With 16 000 of a million users prices are
# off by a few parts in a thousand, with 64 of 512 by a tenth or so.
_STRIDES = {1 << 19: 64, 1 << 15: 32, 1 << 9: 8}
# Prices of the sample need not be better known than they are those of the market.
_TOLERANCE = 1e-6
_MOST_SWEEPS = 60
# With less room to spare than this, a sample tells too little of the market.
_LEAST_ROOM = 1e-3


@dataclass(frozen=True)
class _Share:
    """A share of the providers' capacities, at the same costs (N each)."""

    compute_cost: FloatArray
    bandwidth_cost: FloatArray
    compute_capacity: FloatArray
    bandwidth_capacity: FloatArray


def sampled_start(
    system: PriceSystem, supply: Supply, load: FloorLoad, trace: list[Step]
) -> Point | None:
    """Return the point that the equilibrium of a sample of the users suggests, if there is one.

    Args:
        system: of the whole market.
        supply: its providers.
        load: what serving all users at their floors takes.
        trace: gets a step that says what was done.

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
    sample = PriceSystem(some, users, system.conduct)
    search = Search(sample, _TOLERANCE, _MOST_SWEEPS, None)
    status, point, at = search.run(sample.origin())
    if not status.ok:
        return None
    note = f"every {stride}th user solved first, in {sample.sweeps} sweeps of theirs"
    trace.append(Step(0, at.error, note))
    return Point(z=point.z, alpha=np.zeros(0), floors=point.floors / share)
