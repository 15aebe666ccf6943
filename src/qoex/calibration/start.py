"""Where the search starts: parameters read off the observations by the conditions of equilibrium.

A provider's answer is f = √(aR)/x and B = √(bR)/y, so its latencies tell the capacity prices x² and
y²: κ − Q = (x²f + y²B)/R. They are the unit costs, unless all of a capacity is in use: then the
cost is lower, or the same where the capacity is pinned; both are tried. A user's first-order
condition, (p − R)(L − e) = 2RQ with the pull e, tells p and so μ = p(1 + ΣQ) (theory, sections 2
and 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qoex.calibration.observed import Observations
from qoex.calibration.unknowns import Unknowns
from qoex.model.feasibility import frontier_factor
from qoex.model.market import BoolArray, FloatArray, Market

# Share of the money that pays for compute where nothing tells: with the token counts and bandwidths
# of the paper's Table III it pays for nearly all of the latency.
_COMPUTING = 0.9
# What keeps the prices apart where latencies do not tell one from the other, as a share; small, for
# exact observations tell them exactly.
_RIDGE = 1e-6
# A price is at least this share of what it is where nothing tells.
_CHEAPEST = 0.05
# Latencies are kept between these shares of their budgets, and a pull to this share of a latency.
_SHORTEST, _LONGEST = 0.02, 0.98
_LARGEST_PULL = 0.9
# Observed use of this share of a capacity counts as all of it.
_FULL = 0.99
# Demands shrink until no provider needs more than this share of its capacities.
_ROOM = 0.999


@dataclass(frozen=True)
class _Seen:
    """The observations with guesses for what is missing, N×M each."""

    present: BoolArray
    served: BoolArray
    budget: FloatArray
    latency: FloatArray
    compute: FloatArray
    bandwidth: FloatArray
    rewards: FloatArray


def starting_markets(unknowns: Unknowns) -> Iterator[Market]:
    """Yield feasible markets near the observations, what is known taken over as it is."""
    seen = _completed(unknowns.observations)
    full = np.stack(
        [
            np.nansum(getattr(unknowns.observations, name), axis=1) >= _FULL * capacity
            for name, capacity in zip(("compute", "bandwidth"), unknowns.capacities, strict=True)
        ]
    )
    prices = _prices(unknowns.observations, seen, full)
    # Half the price is a cost at which a capacity surely binds; a pinned one has half its weight.
    tries = ((0.5, 1.0), (1.0, 0.5)) if full.any() else ((1.0, 0.0),)
    for share, weight in tries:
        costs = np.where(full, share, 1.0) * prices
        values = _parameters(unknowns, seen, prices, np.where(full, weight, 0.0))
        values |= {"compute_cost": costs[0], "bandwidth_cost": costs[1]}
        yield _made_feasible(unknowns, unknowns.market(unknowns.logs(values)))


def _completed(observed: Observations) -> _Seen:
    present = observed.present
    budget = np.where(present, observed.latency_budget, 1.0)
    latency = np.where(np.isnan(observed.qoe), 0.5 * budget, budget - observed.qoe)
    served = present & (latency < budget)
    latency = np.where(served, np.clip(latency, _SHORTEST * budget, _LONGEST * budget), budget)
    if np.isfinite(observed.rewards).any():
        rewards = _filled(observed.rewards)
    else:
        # p = R(1 + 2Q/L) is about 3R where Q is about L; without μ the unit of money is free.
        profit = np.nan_to_num(observed.known_or_nan("profit_factor"), nan=100.0)
        qoe = np.where(present, budget - latency, 0.0).sum(axis=0)
        rewards = np.broadcast_to(profit / (1.0 + qoe) / 3.0, budget.shape)
    return _Seen(
        present=present,
        served=served,
        budget=budget,
        latency=latency,
        compute=_filled(observed.compute),
        bandwidth=_filled(observed.bandwidth),
        rewards=rewards,
    )


def _filled(array: FloatArray) -> FloatArray:
    typical = float(np.nanmedian(array)) if np.isfinite(array).any() else 1.0
    return np.where(np.isnan(array), typical, array)


def _prices(observed: Observations, seen: _Seen, full: BoolArray) -> FloatArray:
    """Return the prices x² and y² (2×N) that the latencies of the served pairs are nearest to."""
    known = np.stack([observed.known_or_nan(f"{r}_cost") for r in ("compute", "bandwidth")])
    prices = np.ones_like(known)
    for n in range(prices.shape[1]):
        pairs = seen.served[n] if seen.served[n].any() else seen.present[n]
        money = seen.rewards[n, pairs] * seen.latency[n, pairs]
        shares = np.stack([seen.compute[n, pairs], seen.bandwidth[n, pairs]]) / money
        likely = np.array([_COMPUTING, 1.0 - _COMPUTING]) / np.median(shares, axis=1)
        fixed = np.isfinite(known[:, n]) & ~full[:, n]
        likely = np.where(fixed, known[:, n], likely)
        ridge = np.where(fixed, 1e6, _RIDGE) * pairs.sum()
        scaled = shares * likely[:, None]
        matrix = scaled @ scaled.T + np.diag(ridge)
        factor = np.linalg.solve(matrix, scaled.sum(axis=1) + ridge)
        prices[:, n] = likely * np.maximum(factor, _CHEAPEST)
    return prices


def _parameters(
    unknowns: Unknowns, seen: _Seen, prices: FloatArray, weight: FloatArray
) -> dict[str, FloatArray]:
    """Return work, traffic and profit factors at these prices and weights of the kinks (2×N)."""
    spent = prices[0][:, None] * seen.compute, prices[1][:, None] * seen.bandwidth
    # Latency is shared between the resources as the money is; then all of it is accounted for.
    computing = spent[0] / (spent[0] + spent[1]) * seen.latency
    work = np.where(seen.present, seen.compute * computing, 0.0)
    traffic = np.where(seen.present, seen.bandwidth * (seen.latency - computing), 0.0)
    pull = _pull(unknowns, seen, work, traffic, weight)
    qoe = np.where(seen.served, seen.budget - seen.latency, 0.0)
    left = np.maximum(seen.latency - pull, (1.0 - _LARGEST_PULL) * seen.latency)
    marginal = seen.rewards * (1.0 + 2.0 * qoe / left)
    told = np.where(seen.served, np.log(marginal), 0.0).sum(axis=0)
    own = np.log1p(qoe.sum(axis=0)) + told / np.maximum(seen.served.sum(axis=0), 1)
    # A user that nobody serves tells nothing of its own.
    anyone = seen.served.any(axis=0)
    own = np.where(anyone, own, own[anyone].mean() if anyone.any() else 0.0)
    return {"work": work, "traffic": traffic, "profit_factor": np.exp(own)}


def _pull(
    unknowns: Unknowns, seen: _Seen, work: FloatArray, traffic: FloatArray, weight: FloatArray
) -> FloatArray:
    """Return e (N×M, ms), as section 5 of the theory has it."""
    floor = seen.present & ~seen.served

    def load(amount: FloatArray) -> FloatArray:
        total: FloatArray = np.where(floor, amount / seen.budget, 0.0).sum(axis=1)
        return total

    rooms = [
        np.maximum(capacity - load(amount), (1.0 - _FULL) * capacity)
        for capacity, amount in zip(unknowns.capacities, (work, traffic), strict=True)
    ]
    cross = load(np.sqrt(work * traffic)) * weight[0] * weight[1]
    bottom = np.maximum(rooms[0] * rooms[1] - cross * load(np.sqrt(work * traffic)), 1e-300)
    top = (
        work * (weight[0] * rooms[1])[:, None]
        + traffic * (weight[1] * rooms[0])[:, None]
        + 2.0 * np.sqrt(work * traffic) * cross[:, None]
    )
    pull: FloatArray = top / bottom[:, None]
    return pull


def _made_feasible(unknowns: Unknowns, market: Market) -> Market:
    """Return the market with the work and traffic that are sought shrunk until it has room."""
    shrink = np.minimum(_ROOM / frontier_factor(market), 1.0)[:, None]
    changes = {
        name: np.where(unknowns.positions[name] >= 0, shrink, 1.0) * getattr(market, name)
        for name in ("work", "traffic")
    }
    return market.replace(**changes)
