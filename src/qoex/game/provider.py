"""The lower level: a provider's exact answer to the rewards it is offered (Theorem 2, eq. 8).

References:
    W. Karush, "Minima of functions of several variables with inequalities as side constraints",
    master's thesis, University of Chicago, 1939.

    H. W. Kuhn, A. W. Tucker, "Nonlinear programming", Proceedings of the Second Berkeley Symposium
    on Mathematical Statistics and Probability, 1951.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qoex.errors import InvalidInputError
from qoex.game.solution import CapacityState, Regime
from qoex.kernels.arguments import Allocation, Demand, RootDemand, RootPrices, Supply
from qoex.kernels.block_sums import blocks_of, join, reduce_blocks
from qoex.kernels.threads import over_blocks
from qoex.model.feasibility import require_feasible
from qoex.model.market import FloatArray, Market
from qoex.model.sides import ProviderSide, UserSide

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
        compute_use: Σf, N, TFLOPS.
        bandwidth_use: ΣB, N, MHz.
        user_utility: M, money (eq. 9).
        provider_utility: N, money (eq. 8).
    """

    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    compute_price: FloatArray
    bandwidth_price: FloatArray
    compute_use: FloatArray
    bandwidth_use: FloatArray
    user_utility: FloatArray
    provider_utility: FloatArray


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


def answer_feasible(
    market: Market, rewards: FloatArray, near: RootPrices | None = None
) -> ProviderAnswer:
    """Do what :func:`answer_rewards` does for input known to be good.

    Args:
        market: N providers × M users, feasible.
        rewards: R, N×M, money per ms, zero at absent pairs.
        near: x and y (N each) if they are known already, up to rounding.

    """
    offers = _Offers(market, rewards)
    (x, y), total = answer_offers(offers, market, near)
    compute_use, bandwidth_use = total[:2]
    allocation = offers.allocation
    return ProviderAnswer(
        compute=allocation.compute,
        bandwidth=allocation.bandwidth,
        qoe=allocation.qoe,
        compute_price=x * x,
        bandwidth_price=y * y,
        compute_use=compute_use,
        bandwidth_use=bandwidth_use,
        user_utility=allocation.user_utility,
        provider_utility=utility_of_providers(market, total),
    )


def empty_allocation(providers: int, users: int) -> Allocation:
    """Return an allocation to be filled: f, B and Q (N×m), and the users' utility (m, money)."""
    compute, bandwidth, qoe = (np.empty((providers, users)) for _ in range(3))
    return Allocation(compute, bandwidth, qoe, np.empty(users))


def demand_of(users: UserSide) -> Demand:
    """Return what users ask for, as kernels take it."""
    return Demand(
        work=users.work,
        traffic=users.traffic,
        budget=users.latency_budget,
        profit_factor=users.profit_factor,
        reward_min=users.reward_min,
        reward_max=users.reward_max,
    )


def root_demand(users: UserSide) -> RootDemand:
    """Return the roots of what users ask for, as kernels take them."""
    return RootDemand(np.sqrt(users.work), np.sqrt(users.traffic), users.latency_budget)


def supply_of(providers: ProviderSide) -> Supply:
    """Return what providers have, as kernels take it."""
    return Supply(
        c=providers.compute_cost,
        d=providers.bandwidth_cost,
        compute=providers.compute_capacity,
        bandwidth=providers.bandwidth_capacity,
    )


class Offers(Protocol):
    """The rewards of all users, whoever has them."""

    def answer_sums(self, prices: RootPrices) -> FloatArray:
        """Return what :func:`answer_sums` does, added up over all users (5×N)."""
        ...

    def allocate(self, prices: RootPrices, before: RootPrices) -> FloatArray:
        """Return what :func:`allocate` does, added up over all users (4×N)."""
        ...


def answer_offers(
    offers: Offers, supply: ProviderSide, near: RootPrices | None = None
) -> tuple[RootPrices, FloatArray]:
    """Let all providers answer; return their prices and the sums of the last allocation (4×N).

    Args:
        offers: of a feasible market.
        supply: N providers.
        near: as in :func:`answer_feasible`.

    """
    if near is not None:
        # Any prices that fit the floors they bring about are the answer, for it is unique.
        prices = _next_prices(offers, supply, near)
        total = offers.allocate(prices, near)
        if not total[3].any():
            return prices, total
    prices, before = _least_prices(offers, supply)
    return prices, offers.allocate(prices, before)


def answer_sums(users: UserSide, rewards: FloatArray, prices: RootPrices) -> FloatArray:
    """Return what the next prices follow from (blocks × 5N), with the floors of given ones.

    These are Σ√(Ra) and Σ√(Rb) off the floor, and Σ a/κ, Σ b/κ and Σ √(ab)/κ at the floor.
    """
    from qoex.kernels import outcome as kernels

    providers, count = rewards.shape
    demand = demand_of(users)
    sums = np.empty((blocks_of(count), 5 * providers))

    def task(first: int, last: int) -> None:
        kernels.answer_sums(demand, rewards, prices, first, last, sums)

    over_blocks(task, sums.shape[0])
    return sums


def allocate(
    users: UserSide, rewards: FloatArray, prices: RootPrices, before: RootPrices, out: Allocation
) -> FloatArray:
    """Fill an allocation at given prices; return sums over the users (blocks × 4N).

    These are Σf and ΣB, what users pay, and how many pairs are on another side of their threshold
    than they were at the prices before.
    """
    from qoex.kernels import outcome as kernels

    providers, count = rewards.shape
    demand = demand_of(users)
    sums = np.empty((blocks_of(count), 4 * providers))

    def task(first: int, last: int) -> None:
        kernels.allocate(demand, rewards, prices, before, first, last, out, sums)

    over_blocks(task, sums.shape[0])
    return sums


def utility_of_providers(supply: ProviderSide, total: FloatArray) -> FloatArray:
    """Return U of every provider (N, money) from the sums of an allocation (4×N)."""
    compute_use, bandwidth_use, paid = total[:3]
    costs = supply.compute_cost * compute_use + supply.bandwidth_cost * bandwidth_use
    utility: FloatArray = paid - costs
    return utility


class _Offers:
    """Those of a market in memory, and what its users are given for them."""

    def __init__(self, market: Market, rewards: FloatArray) -> None:
        self._market = market
        self._rewards = rewards
        self.allocation = empty_allocation(*rewards.shape)

    def answer_sums(self, prices: RootPrices) -> FloatArray:
        return self._joined(answer_sums(self._market, self._rewards, prices))

    def allocate(self, prices: RootPrices, before: RootPrices) -> FloatArray:
        sums = allocate(self._market, self._rewards, prices, before, self.allocation)
        return self._joined(sums)

    def _joined(self, sums: FloatArray) -> FloatArray:
        total = join(reduce_blocks(sums, 0), sums.shape[0])
        return total.reshape(-1, self._market.providers)


def _least_prices(offers: Offers, supply: ProviderSide) -> tuple[RootPrices, RootPrices]:
    """Return the least prices that fit the floors they bring about, and the ones before.

    Prices and floors only grow together, so: solve, enlarge the floors, repeat until they stand.
    """
    nothing = np.zeros_like(supply.compute_cost)
    before = RootPrices(nothing, nothing)
    while True:
        prices = _next_prices(offers, supply, before)
        # Rounding may move a pair at its threshold to and fro, but not prices up and up.
        if not any((new > old).any() for new, old in zip(prices, before, strict=True)):
            return prices, before
        before = RootPrices(np.maximum(prices.x, before.x), np.maximum(prices.y, before.y))


def _next_prices(offers: Offers, supply: ProviderSide, prices: RootPrices) -> RootPrices:
    """Return x and y with the floors that given prices bring about."""
    from qoex.kernels.provider import binding_prices

    total = offers.answer_sums(prices)
    roots = [
        binding_prices(
            float(total[0, k]),
            float(total[1, k]),
            float(supply.compute_capacity[k] - total[2, k]),
            float(supply.bandwidth_capacity[k] - total[3, k]),
            float(total[4, k]),
            float(np.sqrt(supply.compute_cost[k])),
            float(np.sqrt(supply.bandwidth_cost[k])),
        )
        for k in range(total.shape[1])
    ]
    return RootPrices(*np.array(roots).T.copy())


def capacity_state(
    use: FloatArray, price: FloatArray, cost: FloatArray, capacity: FloatArray
) -> CapacityState:
    """Return use, price and regime of one resource at every provider (N each)."""
    full = use >= capacity * (1.0 - REGIME_TOLERANCE)
    dear = price > cost * (1.0 + REGIME_TOLERANCE)
    regime = tuple(
        (Regime.BINDING if above else Regime.PINNED) if at_capacity else Regime.SLACK
        for at_capacity, above in zip(full, dear, strict=True)
    )
    return CapacityState(use=use, price=price, regime=regime)
