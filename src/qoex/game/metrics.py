"""What every scheme is scored by: usage and costs as in section VI-C, and what they buy.

References:
    E. Koutsoupias, C. Papadimitriou, "Worst-case equilibria", STACS, 1999 (the price of anarchy).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qoex.game.solution import Solution
from qoex.model.market import Market


@dataclass(frozen=True)
class Metrics:
    """One solution in numbers.

    Costs alone tell little, for a scheme that pays less may also deliver less; so QoE, both
    utilities and welfare stand beside them.

    Attributes:
        compute_usage: mean over providers of use/capacity of compute (Fig. 7a), dimensionless.
        bandwidth_usage: the same of bandwidth (Fig. 7b).
        user_cost: mean over users of Σ_n RQ (Fig. 7c), money.
        provider_cost: mean over providers of c Σf + d ΣB (Fig. 7d), money.
        mean_qoe: mean over users of Σ_n Q, ms.
        user_utility: mean over users (eq. 9), money.
        provider_utility: mean over providers (eq. 8), money.
        welfare: Σ μ ln(1+ΣQ) − Σ cf − Σ dB, money; the sum of all utilities.
        served_pairs: demands that were given resources.
        demanded_pairs: demands, served or not.
    """

    compute_usage: float
    bandwidth_usage: float
    user_cost: float
    provider_cost: float
    mean_qoe: float
    user_utility: float
    provider_utility: float
    welfare: float
    served_pairs: int
    demanded_pairs: int


def score(market: Market, solution: Solution) -> Metrics:
    """Return the metrics of a solution of this market."""
    compute, bandwidth = solution.compute.sum(axis=1), solution.bandwidth.sum(axis=1)
    served = market.present & ((solution.compute > 0) | (solution.bandwidth > 0))
    return Metrics(
        compute_usage=float(np.mean(compute / market.compute_capacity)),
        bandwidth_usage=float(np.mean(bandwidth / market.bandwidth_capacity)),
        user_cost=float((solution.rewards * solution.qoe).sum() / market.users),
        provider_cost=_resource_cost(market, solution) / market.providers,
        mean_qoe=float(solution.qoe.sum() / market.users),
        user_utility=float(np.mean(solution.user_utility)),
        provider_utility=float(np.mean(solution.provider_utility)),
        welfare=welfare_of(market, solution),
        served_pairs=int(served.sum()),
        demanded_pairs=int(market.present.sum()),
    )


def welfare_of(market: Market, solution: Solution) -> float:
    """Return Σ μ ln(1+ΣQ) − Σ cf − Σ dB in money; rewards cancel out of it."""
    gain = float(market.profit_factor @ np.log1p(solution.qoe.sum(axis=0)))
    return gain - _resource_cost(market, solution)


def price_of_anarchy(market: Market, solution: Solution, optimum: Solution) -> float:
    """Return the welfare of the social optimum over that of a solution of the same market.

    It is at least one where the solution serves every pair, as the optimum must. A scheme that
    leaves pairs unserved (``only_f``, ``only_b``) is free of their cost and may come out below.

    Where one of the two is not positive the ratio says nothing, and the result is NaN: resources
    may cost more than they bring where C1 forces providers to serve pairs that nobody pays for.
    """
    best, reached = welfare_of(market, optimum), welfare_of(market, solution)
    return best / reached if best > 0 and reached > 0 else math.nan


def _resource_cost(market: Market, solution: Solution) -> float:
    """Return Σ cf + Σ dB, money."""
    return float(
        market.compute_cost @ solution.compute.sum(axis=1)
        + market.bandwidth_cost @ solution.bandwidth.sum(axis=1)
    )
