"""Whether every user of a provider can be served at all (C1 and C2 of eq. 8 together).

With a′ = a/κ, b′ = b/κ and G = Σ√(ab)/κ, provider n can give all its users a non-negative QoE
exactly when F > Σa′, W > Σb′ and (F − Σa′)(W − Σb′) ≥ G² (Cauchy–Schwarz; theory, section 3).

References:
    J. M. Steele, "The Cauchy–Schwarz Master Class", Cambridge University Press, 2004.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol, overload

import numpy as np

from qoex.errors import InfeasibleMarketError, Shortfall
from qoex.model.market import BoolArray, FloatArray, Market

# A provider whose capacities exceed the least ones by less than this share has no room in which a
# finite price exists in double precision, so it counts as one that cannot serve its users.
CAPACITY_MARGIN = 1e-9
# What rounding makes of a factor: sums over a million users, in whatever order, err by less. A
# factor taken at its word, capacities multiplied by it, must not be refused for its last digits.
_ROUNDING = 1e-12

# Doubles hold a capacity to 1e-16, and its room beyond the least one, a share ε of it, to 1e-16/ε.
# In 400 random markets with ε of 1e-8 to 1e-5 the regret was within that; the rest is margin.
_ROUNDING = 4.0 * float(np.finfo(np.float64).eps)


class Demands(Protocol):
    """What floors follow from: a market, or the users of one part of it."""

    @property
    def work(self) -> FloatArray:
        """Return a, N×M, TFLOPS·ms."""
        ...

    @property
    def traffic(self) -> FloatArray:
        """Return b, N×M, MHz·ms."""
        ...

    @property
    def latency_budget(self) -> FloatArray:
        """Return κ, N×M, ms."""
        ...

    @property
    def present(self) -> BoolArray:
        """Return N×M booleans; true where the user demands something of the provider."""
        ...


class Capacities(Protocol):
    """What providers have; a market says it, and so does a stored one."""

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Return N names."""
        ...

    @property
    def compute_capacity(self) -> FloatArray:
        """Return F, N, TFLOPS."""
        ...

    @property
    def bandwidth_capacity(self) -> FloatArray:
        """Return W, N, MHz."""
        ...


class FloorLoad(NamedTuple):
    """What serving every user with QoE zero takes of each provider (N each).

    Attributes:
        compute: Σ a/κ, TFLOPS.
        bandwidth: Σ b/κ, MHz.
        cross: Σ √(ab)/κ, √(TFLOPS·MHz).
    """

    compute: FloatArray
    bandwidth: FloatArray
    cross: FloatArray


def floor_terms(demands: Demands) -> FloorLoad:
    """Return a/κ, b/κ and √(ab)/κ of every pair (N×M each; zero at absent pairs)."""
    budget = np.where(demands.present, demands.latency_budget, 1.0)
    return FloorLoad(
        demands.work / budget,
        demands.traffic / budget,
        np.sqrt(demands.work) * np.sqrt(demands.traffic) / budget,
    )


def capacity_factor(market: Market) -> FloatArray:
    """Return the least factor (N) on both capacities of a provider that is accepted as feasible.

    Capacities multiplied by it are feasible as they stand: it is :func:`frontier_factor` with the
    margin of ``CAPACITY_MARGIN`` in it. A market is feasible where it is at most 1.
    """
    return frontier_factor(market) / (1.0 - CAPACITY_MARGIN)


def frontier_factor(market: Market) -> FloatArray:
    """Return the factor (N) on both capacities at which a single allocation serves everyone.

    It is the larger root φ of (φF − Σa′)(φW − Σb′) = G². At it prices are infinite; see
    :func:`capacity_factor` for the least factor that leaves room for finite ones.
    """
    return least_factor(_load(market), market.compute_capacity, market.bandwidth_capacity)


def _load(market: Market) -> FloorLoad:
    return FloorLoad(*(term.sum(axis=1) for term in floor_terms(market)))


def regret_resolution(market: Market) -> float:
    """Return the relative regret that no arithmetic on doubles can tell from none, dimensionless.

    It is far below 1e-12 but where capacities hardly exceed the least ones: utilities are known no
    better than the room that these leave.
    """
    room = 1.0 - float(frontier_factor(market).max())
    return _ROUNDING / room if room > 0.0 else 0.0


def least_factor(
    load: FloorLoad, compute_capacity: FloatArray, bandwidth_capacity: FloatArray
) -> FloatArray:
    """Return what ``frontier_factor`` does, from what serving everyone takes.

    Args:
        load: sums over all users.
        compute_capacity: F, N, TFLOPS.
        bandwidth_capacity: W, N, MHz.

    """
    compute = load.compute / compute_capacity
    bandwidth = load.bandwidth / bandwidth_capacity
    cross = load.cross**2 / compute_capacity / bandwidth_capacity
    factor: FloatArray = 0.5 * (
        compute + bandwidth + np.sqrt((compute - bandwidth) ** 2 + 4.0 * cross)
    )
    return factor


def falls_short(market: Market) -> BoolArray:
    """Return which providers (N booleans) cannot serve all of their users."""
    return too_small(frontier_factor(market))


def too_small(frontier: FloatArray) -> BoolArray:
    """Return at which of these frontier factors (N) capacities do not do; they do not at NaN."""
    short: BoolArray = ~(frontier <= (1.0 - CAPACITY_MARGIN) * (1.0 + _ROUNDING))
    return short


@overload
def require_feasible(market: Market) -> None: ...


@overload
def require_feasible(market: Capacities, load: FloorLoad) -> None: ...


def require_feasible(market: Market | Capacities, load: FloorLoad | None = None) -> None:
    """Raise unless every provider can serve all of its users.

    Args:
        market: N providers, and their users unless ``load`` says what these take.
        load: what serving all users with QoE zero takes; computed if not given.

    Raises:
        InfeasibleMarketError: names each provider that cannot, what it would need of each
            resource, and the least common factor on its capacities that would do.
    """
    if load is None:
        assert isinstance(market, Market)
        load = _load(market)
    frontier = least_factor(load, market.compute_capacity, market.bandwidth_capacity)
    short = np.flatnonzero(too_small(frontier))
    if short.size:
        raise InfeasibleMarketError([_shortfall(market, load, frontier, int(n)) for n in short])


def _shortfall(market: Capacities, load: FloorLoad, frontier: FloatArray, n: int) -> Shortfall:
    compute, bandwidth = float(market.compute_capacity[n]), float(market.bandwidth_capacity[n])
    floor_f, floor_b, cross = (float(term[n]) for term in load)
    return Shortfall(
        provider=market.provider_names[n],
        capacity_factor=float(frontier[n]) / (1.0 - CAPACITY_MARGIN),
        compute_capacity=compute,
        bandwidth_capacity=bandwidth,
        compute_needed=_needed(floor_f, floor_b, cross, bandwidth),
        bandwidth_needed=_needed(floor_b, floor_f, cross, compute),
    )


def _needed(own: float, other: float, cross: float, other_capacity: float) -> float:
    """Return the least of one resource that does with the other as it is, or infinity.

    It is Σa′ + G²/(W − Σb′) where W > Σb′, or the same with the two resources exchanged, and the
    margin in both capacities.
    """
    room = (1.0 - CAPACITY_MARGIN) * other_capacity - other
    if cross == 0.0 and room >= 0.0:
        return own / (1.0 - CAPACITY_MARGIN)
    return (own + cross * cross / room) / (1.0 - CAPACITY_MARGIN) if room > 0.0 else math.inf
