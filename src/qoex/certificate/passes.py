"""The two passes over the users, for markets in memory, in chunks, or spread over machines.

A market too large for an exact search is judged by reading its users twice. The first pass sums up
what its providers' conditions and prices need; from the totals follow the prices and how they move
with one user's rewards (:mod:`qoex.certificate.lines`); the second pass bounds by them what each
user can gain. Chunks may be passed over in any order and anywhere. Totals are the same to the last
bit however a market was cut up, for users are added up in blocks of 4096.

References:
    N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific Computing
    14, 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from qoex.certificate.first_kernel import first_blocks
from qoex.certificate.quantities import COLUMNS, EXTREMES, SUMS
from qoex.certificate.second_kernel import second_blocks
from qoex.errors import InvalidInputError
from qoex.kernels import BLOCK
from qoex.kernels.block_sums import Node, blocks_of, join, reduce_blocks
from qoex.kernels.threads import over_blocks
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, FloatArray
from qoex.model.sides import UserSide


class Reported(Protocol):
    """The same users' part of a solution; a :class:`qoex.game.solution.Solution` is one."""

    @property
    def rewards(self) -> FloatArray:
        """Return R, N×m, money per ms."""
        ...

    @property
    def compute(self) -> FloatArray:
        """Return f, N×m, TFLOPS."""
        ...

    @property
    def bandwidth(self) -> FloatArray:
        """Return B, N×m, MHz."""
        ...

    @property
    def qoe(self) -> FloatArray:
        """Return Q, N×m, ms."""
        ...

    @property
    def user_utility(self) -> FloatArray:
        """Return U, m, money."""
        ...


class FirstPass(NamedTuple):
    """What the first pass over a chunk found.

    Attributes:
        users: how many users the chunk has.
        added: sums over whole blocks of users (N×28 each), in the order of ``SUMS``; few numbers,
            however many users there are.
        most: N×13, largest values, in the order of ``EXTREMES``.
        wrong_utility: largest difference between a user's utility and the same recomputed from
            its rewards and allocation, relative to μ.
        largest_factor: the largest μ, money.
    """

    users: int
    added: list[Node]
    most: FloatArray
    wrong_utility: float
    largest_factor: float


class Totals(NamedTuple):
    """The same of all users together: ``sums`` is N×28, and the rest as in ``FirstPass``."""

    sums: FloatArray
    most: FloatArray
    wrong_utility: float
    largest_factor: float

    def sum(self, name: str) -> FloatArray:
        """Return one of ``SUMS`` (N)."""
        return self.sums[:, SUMS.index(name)]

    def largest(self, name: str) -> FloatArray:
        """Return one of ``EXTREMES`` (N)."""
        return self.most[:, EXTREMES.index(name)]


class SecondPass(NamedTuple):
    """What the second pass over a chunk of m users found.

    Attributes:
        bound: m, money; by other rewards no user gains more than this.
        utility: m, money, at the reported rewards, the providers answering exactly.
        strays: N, how many pairs are not on the side of the floor that the lines were made for;
            unless there are none, prices and bounds are not final.
    """

    bound: FloatArray
    utility: FloatArray
    strays: FloatArray


def first_pass(users: UserSide, reported: Reported, roots: FloatArray, first: int = 0) -> FirstPass:
    """Sum up what conditions and prices need.

    Args:
        users: m users' part of the market.
        reported: their part of the solution.
        roots: 2×N, guesses of √(c + λ) and √(d + ρ): they tell who counts as at the floor. From
            good guesses, as a solution reports them, two passes follow; from others more.
        first: index in the market of the first of these users.

    Raises:
        InvalidInputError: an array does not have the shape that the market's needs, or the chunk
            does not begin at a multiple of 4096 users.
    """
    if first % BLOCK:
        raise InvalidInputError(
            f"a chunk begins at user {first}; it must begin at a multiple of {BLOCK}"
        )
    providers, count = users.work.shape
    blocks = blocks_of(count)
    added = np.zeros((blocks, providers, len(SUMS)))
    most = np.full((blocks, providers, len(EXTREMES)), -np.inf)
    user_most = np.full((blocks, 2), -np.inf)
    demands = _demands(users)
    rewards, compute, bandwidth, qoe = (
        _checked(name, getattr(reported, name), (providers, count))
        for name in ("rewards", "compute", "bandwidth", "qoe")
    )
    given, found = (rewards, compute, bandwidth, qoe), (added, most, user_most)
    utility = _checked("user_utility", reported.user_utility, (count,))
    roots = _checked("roots", roots, (2, providers))

    def run(start: int, end: int) -> None:
        first_blocks(start, end, *demands, *given, utility, roots, *found)

    over_blocks(run, blocks)
    wrong, factor = user_most.max(axis=0)
    nodes = reduce_blocks(added, first // BLOCK)
    return FirstPass(count, nodes, most.max(axis=0), float(wrong), float(factor))


def merged(parts: Sequence[FirstPass]) -> Totals:
    """Return the totals of a market from those of its chunks, in any order.

    Raises:
        InvalidInputError: the chunks do not make up a market.
    """
    try:
        nodes = (node for part in parts for node in part.added)
        sums = join(nodes, blocks_of(sum(part.users for part in parts)))
    except ValueError as error:
        raise InvalidInputError(f"the chunks do not make up a market ({error})") from None
    return Totals(
        sums=sums,
        most=np.max([part.most for part in parts], axis=0),
        # As arrays, which keep NaN; the built-in ``max`` may lose it.
        wrong_utility=float(np.max([part.wrong_utility for part in parts])),
        largest_factor=float(np.max([part.largest_factor for part in parts])),
    )


def second_pass(users: UserSide, rewards: FloatArray, lines: FloatArray) -> SecondPass:
    """Bound what each user can gain by other rewards.

    Args:
        users: m users' part of the market.
        rewards: R, N×m, money per ms, as in the first pass.
        lines: N×16, those of :func:`qoex.certificate.lines.price_lines` for all users' totals.

    Raises:
        InvalidInputError: an array does not have the shape that the market's needs.
    """
    providers, count = users.work.shape
    blocks = blocks_of(count)
    bound, utility = np.empty(count), np.empty(count)
    strays = np.zeros((blocks, providers))
    demands = _demands(users)
    rewards = _checked("rewards", rewards, (providers, count))
    lines = _checked("lines", lines, (providers, len(COLUMNS)))

    def run(first: int, last: int) -> None:
        second_blocks(first, last, *demands, rewards, lines, bound, utility, strays)

    over_blocks(run, blocks)
    return SecondPass(bound, utility, strays.sum(axis=0))


def _demands(
    users: UserSide,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return a, b, κ, μ and the bounds, as the kernels take them."""
    shape = users.work.shape
    a, b, budget = (_checked(name, getattr(users, name), shape) for name in PAIR_FIELDS)
    factor, low, high = (_checked(name, getattr(users, name), shape[1:]) for name in USER_FIELDS)
    return a, b, budget, factor, low, high


def _checked(name: str, given: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return an array as the kernels need it; they do not look where they read."""
    array = np.ascontiguousarray(given, dtype=np.float64)
    if array.shape != shape:
        raise InvalidInputError(f"{name} has shape {array.shape}; it must be {shape}")
    return array
