"""The lower level: a provider's exact answer to the rewards it is offered (Theorem 2, eq. 8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoex.errors import InvalidInputError
from qoex.feasibility import require_feasible
from qoex.market import FloatArray, Market
from qoex.solution import CapacityState, Regime

# Use within this share of a capacity counts as all of it, and a price within this share of the unit
# cost as the cost: far above rounding (1e-15), far below what anyone would call slack.
REGIME_TOLERANCE = 1e-9


@dataclass(frozen=True)
class ProviderAnswer:
    """What providers allocate, and at what marginal value of their capacities.

    Attributes:
        compute: f, N×M, TFLOPS.
        bandwidth: B, N×M, MHz.
        qoe: Q, N×M, ms.
        compute_price: x² = c + λ, N, money per TFLOPS.
        bandwidth_price: y² = d + ρ, N, money per MHz.
    """

    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    compute_price: FloatArray
    bandwidth_price: FloatArray


def answer_rewards(market: Market, rewards: FloatArray) -> ProviderAnswer:
    """Return the unique optimal allocation of every provider at the given rewards.

    Args:
        market: N providers × M users.
        rewards: R, N×M, money per ms; not negative. Those of absent pairs are not looked at.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: rewards of a wrong shape, negative or not finite.
    """
    require_feasible(market)
    return answer_feasible(market, check_rewards(market, rewards))


def check_rewards(market: Market, rewards: FloatArray) -> FloatArray:
    """Return rewards as a float array, zero at absent pairs.

    Raises:
        InvalidInputError: a wrong shape, or a reward that is negative or not finite.
    """
    given = np.asarray(rewards, dtype=np.float64)
    if given.shape != market.work.shape:
        raise InvalidInputError(
            f"rewards has shape {given.shape}; it must be {market.work.shape} (providers × users)"
        )
    array = np.where(market.present, given, 0.0)
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        n, m = (int(i) for i in np.argwhere(bad)[0])
        raise InvalidInputError(
            f"rewards of {market.provider_names[n]}, {market.user_names[m]} is "
            f"{float(array[n, m])!r}; it must be a finite number, not negative"
        )
    return array


def answer_feasible(market: Market, rewards: FloatArray) -> ProviderAnswer:
    """Do what :func:`answer_rewards` does for input known to be good."""
    from qoex.kernels.provider import answer_all

    root_work, root_traffic = np.sqrt(market.work), np.sqrt(market.traffic)
    root_rewards = np.sqrt(rewards)
    x, y = np.empty(market.providers), np.empty(market.providers)
    s = np.empty_like(rewards)
    answer_all(
        root_rewards,
        root_work,
        root_traffic,
        market.latency_budget,
        market.compute_cost,
        market.bandwidth_cost,
        market.compute_capacity,
        market.bandwidth_capacity,
        x,
        y,
        s,
    )
    latency = (root_work * x[:, None] + root_traffic * y[:, None]) / np.where(s > 0, s, 1.0)
    at_floor = s > root_rewards
    return ProviderAnswer(
        compute=s * root_work / x[:, None],
        bandwidth=s * root_traffic / y[:, None],
        qoe=np.where(at_floor, 0.0, np.maximum(market.latency_budget - latency, 0.0)),
        compute_price=x * x,
        bandwidth_price=y * y,
    )


def capacity_state(
    allocation: FloatArray, price: FloatArray, cost: FloatArray, capacity: FloatArray
) -> CapacityState:
    """Return use, price and regime of one resource at every provider (N each)."""
    use = allocation.sum(axis=1)
    full = use >= capacity * (1.0 - REGIME_TOLERANCE)
    dear = price > cost * (1.0 + REGIME_TOLERANCE)
    regime = tuple(
        (Regime.BINDING if above else Regime.PINNED) if at_capacity else Regime.SLACK
        for at_capacity, above in zip(full, dear, strict=True)
    )
    return CapacityState(use=use, price=price, regime=regime)
