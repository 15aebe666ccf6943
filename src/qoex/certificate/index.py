"""The index of an equilibrium: the sign of det(−∂ln use/∂ln price) (theory, section 7).

An equilibrium in canonical weights is a zero of ln(capacity/use) in one unknown per capacity in
use: its price where it binds, the weight ω of its kink where it is pinned; and of ln(√p/t) in the
weight α of every marginal pair. All that this takes is read off the market, the rewards and the
allocation: prices from the conditions, weights from the impact that the users reckon with.

References:
    R. B. Kellogg, "Uniqueness in the Schauder fixed point theorem", Proceedings of the American
    Mathematical Society 60, 1976.

    A. Simsek, A. Ozdaglar, D. Acemoglu, "Generalized Poincaré–Hopf theorem for compact nonsmooth
    regions", Mathematics of Operations Research 32, 2007.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from qoex.certificate.conditions import reported_qoe
from qoex.certificate.quantities import NO_QOE
from qoex.certificate.response import Response
from qoex.certificate.weights import Unknown, Weights, fitted_weights
from qoex.game.solution import Regime, Solution
from qoex.model.market import FloatArray, Market

# Beyond this many pairs the index is not computed: it takes some 0.3 µs per pair, thirty times what
# bounding users' regret does.
MOST_PAIRS = 200_000
# What lies this close to a kink, relatively, might belong to either side of it.
_DOUBTFUL = 1e-8
# How far a user's reward may be from its first-order condition, relatively, at the weights found:
# more, and users weigh a kink in different ways, so that there is no common weight to speak of.
_MOST_MISFIT = 1e-6
# The same where nothing is weighed. A regret is the square of it, so a solution that is certified
# to a tolerance misses by the root of that.
_LEAST_ROUGHNESS = 1e-9
# A determinant is zero if the matrix, its rows and columns scaled, has a singular value below this
# share of the largest.
_SINGULAR = 1e-10


class Implied(Protocol):
    """What a certificate says of the capacities; :class:`qoex.certificate.Certificate` is one."""

    @property
    def compute_price(self) -> FloatArray: ...  # noqa: D102
    @property
    def bandwidth_price(self) -> FloatArray: ...  # noqa: D102
    @property
    def compute_regime(self) -> tuple[Regime, ...]: ...  # noqa: D102
    @property
    def bandwidth_regime(self) -> tuple[Regime, ...]: ...  # noqa: D102


class Linearised(NamedTuple):
    """The conditions of an equilibrium, linear in its unknowns.

    Attributes:
        unknowns: K; the k-th condition belongs to the k-th unknown.
        matrix: K×K, −∂ln use/∂unknown for the capacities, ∂ln(√p/t)/∂unknown for the marginal
            pairs; the unknown of a binding capacity is ln of its price.
        weights: of every provider.
    """

    unknowns: tuple[Unknown, ...]
    matrix: FloatArray
    weights: tuple[Weights, ...]

    def sign(self) -> int | None:
        """Return the sign of the determinant; None where it is zero but for rounding."""
        if not self.unknowns:
            return 1
        with np.errstate(all="ignore"):
            scaled = self.matrix / np.abs(self.matrix).max(axis=1, keepdims=True)
            scaled = scaled / np.abs(scaled).max(axis=0)
        if not np.isfinite(scaled).all():
            return None
        singular = np.linalg.svd(scaled, compute_uv=False)
        if singular[-1] <= _SINGULAR * singular[0]:
            return None
        return int(np.linalg.slogdet(scaled)[0])


def equilibrium_index(
    market: Market, solution: Solution, implied: Implied, tolerance: float
) -> int | None:
    """Return the index of a certified equilibrium, +1 or −1, or None where it is not determined.

    That is so in a market of more than ``MOST_PAIRS`` pairs; where something sits between two
    sides of a kink (a capacity only just full, a weight of 0 or 1, a reward that a bound only just
    touches); where users weigh a kink in different ways, for then the equilibrium is not the
    canonical one; where too few users face a kink to tell its weight; and where the determinant
    is zero.

    Args:
        market: N providers × M users.
        solution: of the same shape, an equilibrium.
        implied: prices and regimes by its allocation.
        tolerance: to which it is one, relative.
    """
    if market.work.size > MOST_PAIRS:
        return None
    linear = linearised(market, solution, implied, tolerance)
    return None if linear is None else linear.sign()


def linearised(
    market: Market, solution: Solution, implied: Implied, tolerance: float
) -> Linearised | None:
    """Return the conditions made linear, or None as :func:`equilibrium_index` does."""
    # What is not finite at absent pairs is never used, and elsewhere nothing is determined.
    with np.errstate(all="ignore"):
        return _linearised(market, solution, implied, tolerance)


def _linearised(
    market: Market, solution: Solution, implied: Implied, tolerance: float
) -> Linearised | None:
    doubtful = max(_DOUBTFUL, 10.0 * tolerance)
    if not _regimes_are_clear(market, solution, implied, doubtful):
        return None
    qoe = reported_qoe(market, solution)
    response = Response.of(
        market,
        np.where(market.present, solution.rewards, 0.0),
        np.where(qoe > NO_QOE * market.latency_budget, qoe, 0.0),
        np.sqrt(np.stack([implied.compute_price, implied.bandwidth_price])),
        doubtful,
    )
    if response is None:
        return None
    weights = []
    for n in range(market.providers):
        regimes = implied.compute_regime[n], implied.bandwidth_regime[n]
        found = fitted_weights(market, response, n, regimes)
        if found is None:
            return None
        weights.append(found)
    impact = np.stack([item.impact for item in weights], axis=1)
    weighed = any(unknown.weighed for item in weights for unknown in item.unknowns)
    rough = float(np.sqrt(10.0 * max(tolerance, _LEAST_ROUGHNESS)))
    if not response.rests(impact, _MOST_MISFIT if weighed else rough, doubtful):
        return None
    return _linear(response, tuple(weights), impact)


def _linear(response: Response, weights: tuple[Weights, ...], impact: FloatArray) -> Linearised:
    """Put together how every condition answers to every unknown."""
    unknowns = tuple(unknown for item in weights for unknown in item.unknowns)
    moves = np.zeros((5, len(weights), len(unknowns)))
    for k, unknown in enumerate(unknowns):
        n = unknown.provider
        moves[:, n, k] = weights[n].moves(unknown, response.roots[:, n])
    log_use, log_gain = response.derivatives(impact, moves)
    capped = dict(zip(response.marginal, response.capped, strict=True))
    matrix = np.empty((len(unknowns), len(unknowns)))
    for row, unknown in zip(matrix, unknowns, strict=True):
        n, m = unknown.provider, unknown.user
        if m is None:
            assert unknown.resource is not None
            row[:] = -log_use[unknown.resource, n]
            continue
        amounts = np.stack([response.root_work[n, m], response.root_traffic[n, m]])
        row[:] = -(amounts @ moves[:2, n]) / response.height[n, m]
        if not capped[n, m]:
            row += 0.5 * log_gain[m]
    return Linearised(unknowns, matrix, weights)


def _regimes_are_clear(
    market: Market, solution: Solution, implied: Implied, doubtful: float
) -> bool:
    """Return whether no capacity is so nearly full, or its price so near its cost, as to mislead.

    A pinned one is full at its cost, which is as clear as it can be.
    """
    resources = (
        (solution.compute, market.compute_capacity, market.compute_cost),
        (solution.bandwidth, market.bandwidth_capacity, market.bandwidth_cost),
    )
    prices = implied.compute_price, implied.bandwidth_price
    states = implied.compute_regime, implied.bandwidth_regime
    for (given, capacity, cost), price, regimes in zip(resources, prices, states, strict=True):
        full = given.sum(axis=1) >= capacity * (1.0 - doubtful)
        at_cost = price <= cost * (1.0 + doubtful)
        slack = np.array([regime is Regime.SLACK for regime in regimes])
        binding = np.array([regime is Regime.BINDING for regime in regimes])
        if ((slack & full) | (slack & ~at_cost) | (binding & at_cost)).any():
            return False
    return True
