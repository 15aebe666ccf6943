"""Whether an equilibrium stands alone, with a second one as the witness where it does not.

Where a capacity is *pinned* (full, its price still the unit cost) or a pair *marginal* (its reward
exactly where its QoE begins), users face a kink that each may weigh in its own way, and equilibria
may form a continuum (theory, section 7). The search moves rewards along it, lets users
response until they rest, and leaves the judgement of what it found to the certificate.

References:
    J. B. Rosen, "Existence and uniqueness of equilibrium points for concave N-person games",
    Econometrica 33, 1965.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qoex.certificate import CERTIFIED, Certificate
from qoex.certificate import certify as certify_conditions
from qoex.certificate.index import equilibrium_index
from qoex.certificate.quantities import NO_QOE
from qoex.game.best_response import best_response_equilibrium
from qoex.game.solution import Solution
from qoex.model.market import BoolArray, FloatArray, Market

# Relative distance within which use is at capacity, a price is the unit cost, and a reward is at
# the threshold t² of its pair: far above rounding, far below what anyone would call a difference.
KINK_TOLERANCE = 1e-9
# Two equilibria differ if QoE of some pair does by this share of its κ: a thousand times what
# certifying to 1e-9 leaves open where rewards hardly matter.
DIFFERENT_QOE = 1e-6
# How far to move root rewards, relatively: some tenths of a per cent, or less where the continuum
# is short; either way, for an equilibrium may lie near one of its ends.
_MOVES = (3e-3, -3e-3, 3e-4, -3e-4, 3e-5, -3e-5)
# A move from a kink comes to rest at the next one within a few rounds; one that leads nowhere is
# not worth more.
_MOST_ROUNDS = 200
# A round of responses costs some N·M² steps: beyond a few seconds for the whole search, none is
# made.
_LARGEST_SEARCH = 2e7
# A direction of moves shorter than this, relatively, is rounding: nothing can be moved.
_NO_DIRECTION = 1e-9


def certify(
    market: Market,
    solution: Solution,
    *,
    tolerance: float = CERTIFIED,
    progress: Callable[[float], None] | None = None,
) -> Certificate:
    """Judge a solution as :func:`qoex.certificate.certify` does, and whether it stands alone.

    ``unique`` becomes True where no capacity is pinned between users and no pair is marginal: then
    no other equilibrium is near by, but for idle rewards, which buy nothing. (That none is far
    away is known for one capacity only; with several it is open.) It becomes False where another
    equilibrium was found, the witness, itself certified to 1e-9 or better. None means not
    determined: no witness was found, the market is too large to search, or the solution is no
    equilibrium in the first place. ``index`` is that of :mod:`qoex.certificate.index`.

    Args:
        market: N providers × M users.
        solution: of the same shape.
        tolerance: to which the solution has to hold, as in
            :meth:`qoex.certificate.Certificate.holds`.
        progress: called with the share of the users judged, up to 1; the search comes after that.

    Raises:
        InvalidInputError: an array of the solution does not have the shape the market needs.
    """
    certificate = certify_conditions(market, solution, progress=progress)
    if not certificate.holds(tolerance):
        return certificate
    certificate = replace(
        certificate, index=equilibrium_index(market, solution, certificate, tolerance)
    )
    # What is certified to a rougher tolerance is no closer than that to a kink it belongs to.
    near = max(tolerance, KINK_TOLERANCE)
    found = (_kink(market, solution, certificate, n, near) for n in range(market.providers))
    kinks = [kink for kink in found if kink is not None]
    if not kinks:
        return replace(certificate, unique=True)
    if market.providers * market.users**2 > _LARGEST_SEARCH:
        return certificate
    # Where users rest who start at the solution itself: a rough solution is no second equilibrium.
    settled = best_response_equilibrium(market, start=solution, max_rounds=_MOST_ROUNDS)
    for rewards in _starts(market, solution, kinks):
        witness = best_response_equilibrium(market, start=rewards, max_rounds=_MOST_ROUNDS)
        if (
            _differ(market, solution, witness)
            and _differ(market, settled, witness)
            and certify_conditions(market, witness).holds(min(tolerance, CERTIFIED))
        ):
            return replace(certificate, unique=False, witness=witness)
    return certificate


class _Kink(NamedTuple):
    """A provider at which users may weigh a kink in different ways.

    Attributes:
        provider: its index.
        movable: M, users whose rewards there may move a little either way.
        full: 2 booleans: compute and bandwidth are used up.
        pinned: 2 booleans: the same, with the price still the unit cost.
    """

    provider: int
    movable: BoolArray
    full: BoolArray
    pinned: BoolArray


def _kink(
    market: Market, solution: Solution, certificate: Certificate, n: int, near: float
) -> _Kink | None:
    """Return the kink at provider n, or None if no two of its users face one together."""
    served = solution.qoe[n] > NO_QOE * market.latency_budget[n]
    rewards = solution.rewards[n]
    movable = served & (rewards > market.reward_min) & (rewards < market.reward_max)
    use = np.array([solution.compute[n].sum(), solution.bandwidth[n].sum()])
    price = np.array([certificate.compute_price[n], certificate.bandwidth_price[n]])
    capacity = np.array([market.compute_capacity[n], market.bandwidth_capacity[n]])
    cost = np.array([market.compute_cost[n], market.bandwidth_cost[n]])
    amounts = _amounts(market, n)
    full = use >= capacity * (1.0 - near)
    # A single user has nobody to share the kink with: no continuum comes of it.
    shared = ((amounts > 0) & movable).sum(axis=1) > 1
    pinned = full & shared & (price <= cost * (1.0 + near))
    height = np.sqrt(amounts * price[:, None]).sum(axis=0)
    # R against t² = (h/κ)², with nothing to divide by at absent pairs.
    at_threshold = rewards * market.latency_budget[n] ** 2 >= height**2 * (1.0 - near)
    marginal = market.present[n] & ~served & at_threshold
    if not pinned.any() and not (marginal.any() and movable.any()):
        return None
    return _Kink(n, movable, full, pinned)


def _starts(market: Market, solution: Solution, kinks: list[_Kink]) -> Iterator[FloatArray]:
    """Yield rewards (N×M) that may lie near another equilibrium, those worth most trying first."""
    for move in _MOVES:
        for kink in kinks:
            for held in (kink.full, kink.pinned):
                direction = _direction(market, solution, kink, held)
                if direction is not None:
                    rewards = solution.rewards.copy()
                    rewards[kink.provider] *= (1.0 + move * direction) ** 2
                    yield rewards


def _direction(
    market: Market, solution: Solution, kink: _Kink, held: BoolArray
) -> FloatArray | None:
    """Return relative moves of √R (M, largest 1) that keep the use of capacities, or None.

    Use is Σ√(Ra)/x or Σ√(Rb)/y, so moves have to be at right angles to √(Ra), √(Rb); neighbours
    are moved opposite ways as far as that allows.
    """
    root_rewards = np.sqrt(solution.rewards[kink.provider])
    across = (root_rewards * np.sqrt(_amounts(market, kink.provider)))[held][:, kink.movable]
    apart = np.where(np.arange(kink.movable.sum()) % 2 == 0, 1.0, -1.0)
    moves = apart - across.T @ np.linalg.lstsq(across.T, apart, rcond=None)[0]
    largest = np.abs(moves).max()
    if largest < _NO_DIRECTION:
        return None
    direction = np.zeros(market.users)
    direction[kink.movable] = moves / largest
    return direction


def _amounts(market: Market, n: int) -> FloatArray:
    """Return what each user demands of provider n, 2×M: work and traffic."""
    return np.stack([market.work[n], market.traffic[n]])


def _differ(market: Market, one: Solution, other: Solution) -> bool:
    """Return whether QoE of some pair tells the two apart."""
    difference = np.abs(one.qoe - other.qoe)
    return bool((difference > DIFFERENT_QOE * market.latency_budget).any())
