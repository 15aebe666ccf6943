"""The markets: two families drawn from Table III, and the sizes they are drawn at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qoex.model.market import Market
from qoex.scenario.sampling import TABLE_III, sample_scenario

SEED = 2026

# Providers × users. The number of pairs about doubles from one to the next.
SIZES = (
    (2, 3),
    (2, 6),
    (3, 8),
    (4, 12),
    (5, 20),
    (7, 29),
    (10, 40),
    (14, 57),
    (20, 80),
    (28, 114),
    (40, 160),
)


@dataclass(frozen=True)
class Family:
    """Markets that differ in size, at the same load.

    Attributes:
        name: in tables.
        title: of its panel.
        description: a sentence for the page.
        users_per_draw: users that capacities as drawn from Table III are for. With M users the
            ranges of both capacities are scaled by M over this.
        profit_scale: factor on everyone's profit factor.
    """

    name: str
    title: str
    description: str
    users_per_draw: float
    profit_scale: float = 1.0


FAMILIES = (
    Family(
        "slack",
        "Capacities slack",
        "both capacities are as drawn for 5 users, so none binds and users hardly meet",
        users_per_draw=5.0,
    ),
    Family(
        "binding",
        "Capacities bind",
        "both capacities are as drawn for 25 users and profit factors are 1/0.3 times those "
        "inferred for the paper, so capacities bind and some pairs get no QoE",
        users_per_draw=25.0,
        profit_scale=1.0 / 0.3,
    ),
)


def draw(family: Family, providers: int, users: int) -> Market:
    """Return the feasible market of a family at a size; the same one every time."""
    scale = users / family.users_per_draw
    compute, bandwidth = TABLE_III.compute_capacity, TABLE_III.bandwidth_capacity
    ranges = replace(
        TABLE_III,
        compute_capacity=(scale * compute[0], scale * compute[1]),
        bandwidth_capacity=(scale * bandwidth[0], scale * bandwidth[1]),
    )
    rng = np.random.default_rng(SEED)
    market = sample_scenario(providers, users, rng, ranges=ranges, feasible=True).market()
    return market.replace(profit_factor=family.profit_scale * market.profit_factor)
