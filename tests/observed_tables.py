"""Observed tables for tests: of markets whose parameters are known, as objects and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from markets import random_market
from qoex.calibration import Observations
from qoex.calibration.observed import QUANTITIES
from qoex.equilibrium.solver import solve
from qoex.model.market import FloatArray, Market

HEADER = "provider,user,reward,compute,bandwidth,qoe,latency_budget"
# Two pairs of a provider and one of another; a pair is absent.
ROWS = (
    "near,ann,0.06,0.4,1.58,353,500",
    "near,bob,0.1,0.93,2.13,298,500",
    "far,ann,0.056,0.62,1.73,730,1000",
)


def shared_market(providers: int, users: int, seed: int) -> Market:
    """A market without scarcity whose users share μ, and whose providers share d."""
    rng = np.random.default_rng(seed)
    market = random_market(rng, providers, users, "slack")
    return market.replace(
        profit_factor=np.full(users, rng.uniform(100.0, 500.0)),
        bandwidth_cost=np.full(providers, rng.uniform(0.1, 1.0)),
    )


def seen(market: Market) -> Observations:
    """All that an exact equilibrium of the market shows."""
    solution = solve(market)
    assert solution.status.ok
    told = ("compute_capacity", "bandwidth_capacity", "reward_min", "reward_max")
    return Observations(
        latency_budget=market.latency_budget,
        known={name: getattr(market, name) for name in told},
        provider_names=market.provider_names,
        user_names=market.user_names,
        **{name: np.where(market.present, getattr(solution, name), np.nan) for name in QUANTITIES},
    )


def seeing(observations: Observations, **quantities: FloatArray) -> Observations:
    """The same table, but that these quantities were observed instead."""
    return Observations(
        latency_budget=observations.latency_budget,
        known=observations.known,
        provider_names=observations.provider_names,
        user_names=observations.user_names,
        **{**observations.quantities, **quantities},
    )


def noisy(observations: Observations, share: float, rng: np.random.Generator) -> Observations:
    """The same numbers with errors of this relative size."""

    def blurred(array: FloatArray) -> FloatArray:
        return array * (1.0 + share * rng.normal(size=array.shape))

    return seeing(
        observations, **{name: blurred(array) for name, array in observations.quantities.items()}
    )


def write_table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "observed.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path
