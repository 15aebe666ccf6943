"""The market that is measured, and the same after some of its users changed their demands."""

from __future__ import annotations

import numpy as np

from qoex.errors import InvalidInputError
from qoex.files.parquet.sampling import Draws
from qoex.kernels import BLOCK
from qoex.model.feasibility import Demands, FloorLoad, floor_terms, least_factor
from qoex.model.market import FloatArray, Market

# Of the users, get new demands before a warm start.
CHANGED_SHARE = 0.01
# A few users who all want more may be more than a small market has room for; then others are drawn.
# Below this share of the capacities there is room, as there is in what ``feasible`` draws.
_MOST_LOAD = 0.999
_MOST_DRAWS = 1000


def changed_demands(market: Market, seed: int) -> tuple[Market, int]:
    """Return the market after one user in a hundred (one at least) got new demands, and how many.

    The new ones are those of users whom a larger market of the seed would have. Capacities stay.

    Args:
        market: N×M, as ``sample_large_market`` draws it from ``seed``, feasible.
        seed: of that market; which users change follows from it, too.

    Raises:
        InvalidInputError: no new demands were found that the capacities serve.
    """
    count = max(round(CHANGED_SHARE * market.users), 1)
    users = np.sort(np.random.default_rng(seed).choice(market.users, count, replace=False))
    draws = Draws(market.providers, market.users, seed)
    first = -(-market.users // BLOCK) * BLOCK
    total, leaving = _load(market), _load(market.select(users=users))
    for _ in range(_MOST_DRAWS):
        given = draws.users_between(first, first + count)
        first += -(-count // BLOCK) * BLOCK
        load = FloorLoad(*(a - b + c for a, b, c in zip(total, leaving, _load(given), strict=True)))
        factor = least_factor(load, market.compute_capacity, market.bandwidth_capacity)
        if (factor < _MOST_LOAD).all():
            changes: dict[str, FloatArray] = {}
            for name in ("work", "traffic"):  # κ is a provider's own, the same for all users
                changes[name] = getattr(market, name).copy()
                changes[name][:, users] = getattr(given, name)
            return market.replace(**changes), count
    raise InvalidInputError(
        f"this market of {market.users} users has no room for other demands; try another seed"
    )


def _load(demands: Demands) -> FloorLoad:
    """Return what serving all of these users at their floors takes."""
    return FloorLoad(*(term.sum(axis=1) for term in floor_terms(demands)))
