"""The weights of a provider's kinks, from the impact on prices that its users reckon with.

A pinned capacity counts with a weight ω ∈ [0, 1] between slack and binding, a marginal pair with a
weight α ∈ [0, 1] between off and at the floor (theory, section 6). In the canonical equilibrium
all users of a provider reckon with the same; then E₁, E₂ and E₃ of

    e = aE₁ + bE₂ + √(ab)E₃,   E = (ω_f W′, ω_b F′, 2ω_f ω_b G)/(F′W′ − ω_f ω_b G²)

follow from the rewards of a few users, and the weights from these three numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qoex.certificate.response import Response
from qoex.game.solution import Regime
from qoex.model.market import FloatArray, Market

# Weights this close to 0 or 1 may be on either side of the kink.
_DOUBTFUL = 1e-6
# No more weights than this follow from three numbers.
_MOST_WEIGHTS = 3
_MOST_ROUNDS = 100
_CONVERGED = 1e-13
# Singular values of the weighed equations, relative to the largest, that tell nothing.
_RANK = 1e-9


class Unknown(NamedTuple):
    """An unknown of the equilibrium's conditions, and the condition that belongs to it.

    Attributes:
        provider: its index.
        resource: 0 for the compute capacity, 1 for the bandwidth capacity; None for a pair.
        user: index of the user of a marginal pair; None for a capacity.
        weighed: whether the unknown is a weight; else it is ln of the price of a capacity.
    """

    provider: int
    resource: int | None
    user: int | None
    weighed: bool


class Weights(NamedTuple):
    """How the capacities and marginal pairs of a provider count.

    Attributes:
        unknowns: of this provider: its capacities in use, then its marginal pairs.
        impact: E₁, E₂ and E₃.
        by: 3×5, derivatives of these by ω_f, ω_b, F′, W′ and G.
        terms: 3 by marginal pair: a/κ, b/κ and √(ab)/κ.
    """

    unknowns: tuple[Unknown, ...]
    impact: FloatArray
    by: FloatArray
    terms: dict[int, FloatArray]

    def moves(self, unknown: Unknown, roots: FloatArray) -> FloatArray:
        """Return by how much an unknown moves x, y, E₁, E₂ and E₃, the roots x, y being given."""
        moves = np.zeros(5)
        if not unknown.weighed:
            assert unknown.resource is not None
            moves[unknown.resource] = 0.5 * roots[unknown.resource]  # the price is the square
        else:
            moves[2:] = self.by @ self._numbers_by(unknown)
        return moves

    def _numbers_by(self, unknown: Unknown) -> FloatArray:
        return _numbers_by(unknown, self.terms)


def fitted_weights(
    market: Market, response: Response, n: int, regimes: tuple[Regime, Regime]
) -> Weights | None:
    """Return the weights at a provider, or None where they do not follow or lie at an end.

    Args:
        market: N providers × M users.
        response: where its pairs are.
        n: index of the provider.
        regimes: of its compute and its bandwidth.
    """
    capacities = [
        Unknown(n, resource, None, weighed=regime is Regime.PINNED)
        for resource, regime in enumerate(regimes)
        if regime is not Regime.SLACK
    ]
    users = [m for k, m in response.marginal if k == n]
    unknowns = (*capacities, *(Unknown(n, None, m, weighed=True) for m in users))
    terms = {m: _terms(response, n, np.array([m])) for m in users}
    floor = _terms(response, n, np.flatnonzero(response.floor[n]))
    # ω_f, ω_b, F′, W′ and G with no weights counted.
    numbers = np.array(
        [
            float(regimes[0] is Regime.BINDING),
            float(regimes[1] is Regime.BINDING),
            market.compute_capacity[n] - floor[0],
            market.bandwidth_capacity[n] - floor[1],
            floor[2],
        ]
    )
    weighed = [unknown for unknown in unknowns if unknown.weighed]
    if len(weighed) > _MOST_WEIGHTS:
        return None
    if weighed:
        by = np.stack([_numbers_by(unknown, terms) for unknown in weighed], axis=1)
        found = _fit(response, n, numbers, by)
        if found is None:
            return None
        numbers = numbers + by @ found
    impact, slopes = _impact(numbers)
    return Weights(unknowns, impact, slopes, terms)


def _fit(response: Response, n: int, numbers: FloatArray, by: FloatArray) -> FloatArray | None:
    """Return the weights (k) at which e is what the rewards say, by Gauss–Newton, or None."""
    free = np.flatnonzero(response.free[n])
    if free.size < by.shape[1]:
        return None
    a, b = response.root_work[n, free], response.root_traffic[n, free]
    # Each user's impact as a share of its latency h/u.
    share = response.reward[n, free] / response.height[n, free]
    parts = np.stack([a**2, b**2, a * b], axis=1) * share[:, None]
    told = response.observed_impact(n)[free] * share
    weights = np.full(by.shape[1], 0.5)
    for _ in range(_MOST_ROUNDS):
        impact, slopes = _impact(numbers + by @ weights)
        equations = parts @ slopes @ by
        if not np.isfinite(equations).all():
            return None
        step, _, _, singular = np.linalg.lstsq(equations, told - parts @ impact, rcond=None)
        if not singular[-1] > _RANK * singular[0]:
            return None
        moved = np.clip(weights + step, 0.0, 1.0)
        done = np.abs(moved - weights).max() <= _CONVERGED
        weights = moved
        if done:
            break
    inside = (weights > _DOUBTFUL) & (weights < 1.0 - _DOUBTFUL)
    return weights if inside.all() else None


def _numbers_by(unknown: Unknown, terms: dict[int, FloatArray]) -> FloatArray:
    """Return the derivatives of ω_f, ω_b, F′, W′ and G by a weight."""
    by = np.zeros(5)
    if unknown.user is None:
        assert unknown.resource is not None
        by[unknown.resource] = 1.0
    else:
        by[2:] = terms[unknown.user] * np.array([-1.0, -1.0, 1.0])
    return by


def _terms(response: Response, n: int, users: np.ndarray) -> FloatArray:
    """Return Σ a/κ, Σ b/κ and Σ √(ab)/κ over some users of a provider."""
    a, b = response.root_work[n, users], response.root_traffic[n, users]
    return np.asarray((np.stack([a**2, b**2, a * b]) / response.budget[n, users]).sum(axis=1))


def _impact(numbers: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return E₁, E₂ and E₃, and their derivatives (3×5) by ω_f, ω_b, F′, W′ and G."""
    omega_f, omega_b, room_f, room_b, cross = numbers
    both = omega_f * omega_b
    determinant = room_f * room_b - both * cross**2
    impact = np.array([omega_f * room_b, omega_b * room_f, 2.0 * both * cross]) / determinant
    numerator_by = np.array(
        [
            [room_b, 0.0, 0.0, omega_f, 0.0],
            [0.0, room_f, omega_b, 0.0, 0.0],
            [2.0 * omega_b * cross, 2.0 * omega_f * cross, 0.0, 0.0, 2.0 * both],
        ]
    )
    determinant_by = np.array(
        [-omega_b * cross**2, -omega_f * cross**2, room_b, room_f, -2.0 * both * cross]
    )
    return impact, (numerator_by - np.outer(impact, determinant_by)) / determinant
