"""What kernels are given, in groups: tuples of arrays, which compiled code takes apart for free.

They hold what the caller has, or slices of it; nothing here is copied or checked.
"""

from __future__ import annotations

from typing import NamedTuple

from qoex.kernels import Booleans, Bytes, Floats, Integers


class Demand(NamedTuple):
    """What users ask of all providers.

    Attributes:
        work: a, N×M, TFLOPS·ms.
        traffic: b, N×M, MHz·ms.
        budget: κ, N×M, ms; zero where a pair is absent.
        profit_factor: μ, M, money.
        reward_min: R^min, M, money per ms.
        reward_max: R^max, M, money per ms.
    """

    work: Floats
    traffic: Floats
    budget: Floats
    profit_factor: Floats
    reward_min: Floats
    reward_max: Floats


class RootDemand(NamedTuple):
    """What pairs demand, by the roots that formulas are made of: N×M each, or M at one provider.

    Attributes:
        work: √a.
        traffic: √b.
        budget: κ, ms; zero where a pair is absent.
    """

    work: Floats
    traffic: Floats
    budget: Floats


class Supply(NamedTuple):
    """What N providers have: c, d (money per unit), F (TFLOPS) and W (MHz)."""

    c: Floats
    d: Floats
    compute: Floats
    bandwidth: Floats


class Provider(NamedTuple):
    """The same of one provider."""

    c: float
    d: float
    compute: float
    bandwidth: float


class RootPrices(NamedTuple):
    """Roots of the capacity prices (N each)."""

    x: Floats
    y: Floats


class Prices(NamedTuple):
    """What users are told before a sweep.

    Attributes:
        x: N, root of the compute price.
        y: N, root of the bandwidth price.
        impact: 3×N, coefficients (E1, E2, E3) of their own impact on these.
        directions: C×5×N, along which (x, y, E1, E2, E3) of each provider may move.
        behaviour: STRATEGIC or WELFARE of :mod:`qoex.kernels.user`.
        most_steps: of the method that solves many users at once; who needs more is solved alone.
    """

    x: Floats
    y: Floats
    impact: Floats
    directions: Floats
    behaviour: int
    most_steps: int


class Known(NamedTuple):
    """What is remembered of users from one sweep to the next: warm starts and results.

    Attributes:
        wanted: N×M, root of the reward wanted.
        marginal: M, p = μ/(1 + ΣQ); likewise, zero where nothing is known.
        memory: N×M, one byte per pair, see :mod:`qoex.kernels.sides`.
    """

    wanted: Floats
    marginal: Floats
    memory: Bytes


class Swept(NamedTuple):
    """What a sweep says of each block of users (a row each).

    Attributes:
        sums: use (2N), its derivatives (2N × CN, by direction and provider), then Σ a/κ, Σ b/κ and
            Σ √(ab)/κ over the pairs whose user wants no QoE (3N) and over those that have none
            (3N).
        highest: N, the largest √p/t, or WANTED.
        crossed: how many pairs changed sides.
        crossing: (1 + most) × 2, how many of them are near their threshold, and which.
        alone: how many users the joint method leaves to be solved one by one.
    """

    sums: Floats
    highest: Floats
    crossed: Integers
    crossing: Integers
    alone: Integers


class Sides(NamedTuple):
    """Where the sides of a block's pairs are noted: its part of :class:`Swept`.

    Attributes:
        floors: 6N, the end of its sums.
        highest: N.
        crossed: 1.
        crossing: (1 + most) × 2.
    """

    floors: Floats
    highest: Floats
    crossed: Integers
    crossing: Integers


class Group(NamedTuple):
    """What is known of a group of users; rows as in :mod:`qoex.kernels.joint`."""

    pairs: Floats
    users: Floats


class Answers(NamedTuple):
    """How a group of users answers to prices that move along C directions per provider.

    Attributes:
        qoe: CN × GROUP, flat: derivative of ΣQ along each direction, p held.
        own: C×2×N, sums of √a ds and √b ds along the pair's own directions, p held.
    """

    qoe: Floats
    own: Floats


class UserTerms(NamedTuple):
    """One user's μ, and its bounds on rewards: their roots, unless a kernel says otherwise."""

    mu: float
    low: float
    high: float


class Users(NamedTuple):
    """The same of M users (M each)."""

    mu: Floats
    low: Floats
    high: Floats


class ResponseScratch(NamedTuple):
    """Where a best response is worked out.

    Attributes:
        pieces: N × rows × 3, see ``response_pieces``.
        counts: N, how many rows of each are filled.
        floor: M.
    """

    pieces: Floats
    counts: Integers
    floor: Booleans


class Response(NamedTuple):
    """A user's best response, filled: √R and Q (N each)."""

    root_rewards: Floats
    qoe: Floats


class Allocation(NamedTuple):
    """What users are given, filled: f, B and Q (N×M), and their utility (M)."""

    compute: Floats
    bandwidth: Floats
    qoe: Floats
    user_utility: Floats


class Trials(NamedTuple):
    """What a user may do at each provider (N×3: stay, up, down): the reward, and Q at it."""

    reward: Floats
    qoe: Floats
