"""Where the solver begins: the decision in force, carried over to who is there now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qoex.agent.solving.allocation import METHOD, CertifiedAllocation, ResourceUse
from qoex.game.solution import CapacityState, Solution, Status
from qoex.model.market import BoolArray, FloatArray, Market

Places = NDArray[np.intp]

# With fewer of the users known than this share, a start from a sample of them is as good.
_LEAST_KNOWN = 0.5


def warm_start(market: Market, last: CertifiedAllocation) -> Solution | None:
    """Return a point for the solver to start from, or None where the last decision says nothing.

    Pairs that both have keep their rewards and QoE, and providers their prices. Of a user who is
    new the solver knows nothing but the prices it will see; a provider who is new changes all
    prices around it, so that a start from the old ones would be no better than none.

    Args:
        market: N providers × M users.
        last: of any providers and users.
    """
    rows = _places(market.provider_names, last.provider_names)
    if (rows < 0).any():
        return None
    columns = _places(market.user_names, last.user_names)
    if np.count_nonzero(columns >= 0) < _LEAST_KNOWN * market.users:
        return None
    present = market.present
    return Solution(
        status=Status.CONVERGED,
        method=METHOD,
        steps=0,
        rewards=_carried(last.rewards, rows, columns, present),
        compute=np.zeros(present.shape),
        bandwidth=np.zeros(present.shape),
        qoe=_carried(last.qoe, rows, columns, present),
        user_utility=np.zeros(market.users),
        provider_utility=np.zeros(market.providers),
        compute_state=_state(last.compute_resource, rows),
        bandwidth_state=_state(last.bandwidth_resource, rows),
    )


def _places(names: Sequence[str], among: Sequence[str]) -> Places:
    """Return where each name stands among others, −1 where it does not."""
    if tuple(names) == tuple(among):
        return np.arange(len(names))
    place = {name: i for i, name in enumerate(among)}
    return np.array([place.get(name, -1) for name in names], dtype=np.intp)


def _carried(values: FloatArray, rows: Places, columns: Places, present: BoolArray) -> FloatArray:
    carried = values[np.ix_(rows, np.maximum(columns, 0))]
    carried[:, columns < 0] = 0.0
    return np.where(present, carried, 0.0)


def _state(resource: ResourceUse, rows: Places) -> CapacityState:
    return CapacityState(
        use=resource.use[rows],
        price=resource.price[rows],
        regime=tuple(resource.regime[int(n)] for n in rows),
    )
