"""Markets without the demands that admission turned away."""

from __future__ import annotations

import numpy as np

from qoex.agent.task import Demands
from qoex.errors import InvalidInputError
from qoex.market import Market


def without(market: Market, demands: Demands) -> Market:
    """Return the market without some demands, (provider, user) each.

    Raises:
        InvalidInputError: a name is not one of the market's.
    """
    rows = {name: n for n, name in enumerate(market.provider_names)}
    columns = {name: m for m, name in enumerate(market.user_names)}
    marked = np.zeros(market.work.shape, dtype=np.bool_)
    for provider, user in demands:
        if provider not in rows or user not in columns:
            raise InvalidInputError(
                f"a demand of {user!r} at {provider!r} was turned away, "
                "but the market does not have both"
            )
        marked[rows[provider], columns[user]] = True
    return market.without(marked)
