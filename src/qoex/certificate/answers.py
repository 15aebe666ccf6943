"""The providers' exact answers, to all rewards and to all but one user's (Theorem 2, eq. 8).

Let t = (√a x + √b y)/κ. The roots x = √(c+λ), y = √(d+ρ) of a provider's prices are the least
solution (theory, section 2) of

    x = max(√c, Σ max(√(Ra), √a t)/F)        y = max(√d, Σ max(√(Rb), √b t)/W).

For a fixed set of users at the floor (√R < t) and of capacities that bind the system is linear; its
solution is a line in one user's own root reward u, and nowhere above the least solution of the
maximum. So each price is the largest of a family of lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qoex.model.market import BoolArray, FloatArray, Market

IndexArray = NDArray[np.int64]

# Entries of one array that tells which users are at the floor under which deviation: 8 MB.
_ENTRIES = 1 << 20


class Answers:
    """The providers' exact answer to all rewards, and how it moves with one user's own.

    Attributes:
        x: √(c + λ), N; NaN where a provider cannot serve its users at all.
        y: √(d + ρ), N; likewise.
        root_rewards: √R, N×M, zero at absent pairs.
    """

    def __init__(
        self,
        market: Market,
        rewards: FloatArray,
        roots: tuple[FloatArray, FloatArray] | None = None,
    ) -> None:
        self._budget = market.latency_budget
        self._root_work, self._root_traffic = np.sqrt(market.work), np.sqrt(market.traffic)
        self._capacity = market.compute_capacity, market.bandwidth_capacity
        self._root_cost = np.sqrt(market.compute_cost), np.sqrt(market.bandwidth_cost)
        self.root_rewards = np.sqrt(np.where(market.present, rewards, 0.0))
        # What a user adds to (S_f, S_b, Σa/κ, Σb/κ, Σ√(ab)/κ), off the floor and at it.
        budget = np.where(market.present, market.latency_budget, 1.0)
        none = np.zeros(market.work.shape)
        cross = self._root_work * self._root_traffic
        served = self.root_rewards * self._root_work, self.root_rewards * self._root_traffic
        self._off_floor = np.stack([*served, none, none, none])
        self._at_floor = np.stack(
            [none, none, market.work / budget, market.traffic / budget, cross / budget]
        )
        # Where they are known already, x and y need not be sought.
        self.x, self.y = self._settle() if roots is None else roots

    def lines(self, users: IndexArray, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return lines of the prices in each deviator's own root reward.

        They belong to the set of other users that are at the floor at the prices given.

        Args:
            users: indices of the m deviators.
            x: root of the price of compute at each deviation, N×m or N×1.
            y: root of the price of bandwidth, likewise.

        Returns:
            3×4×N×m: lines × (start of x, slope of x, start of y, slope of y) × pairs. The first
            line is the unit costs.

        """
        shape = self._budget.shape[0], users.size
        x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
        load = np.stack([self._load(n, x[n], y[n]) for n in range(shape[0])], axis=1)
        # The load counts the deviator as a user like the others: take it out again.
        root_work, root_traffic = self._root_work[:, users], self._root_traffic[:, users]
        offer = self.root_rewards[:, users] * self._budget[:, users]
        own_floor = root_work * x + root_traffic * y > offer
        load -= np.where(own_floor, self._at_floor[..., users], self._off_floor[..., users])
        return self._solve(np.maximum(load, 0.0), root_work, root_traffic)

    def _settle(self) -> tuple[FloatArray, FloatArray]:
        """Return the prices by growing the set at the floor until it stands."""
        no_own = np.zeros(self._budget.shape[0])
        offer = self.root_rewards * self._budget
        floor: BoolArray = np.zeros(offer.shape, dtype=np.bool_)
        while True:
            load = np.where(floor, self._at_floor, self._off_floor).sum(axis=-1)
            x, y = highest(self._solve(load, no_own, no_own), no_own)
            grown = floor | (self._root_work * x[:, None] + self._root_traffic * y[:, None] > offer)
            if (grown == floor).all():
                return x, y
            floor = grown

    def _load(self, n: int, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return 5×m: what all users of provider n add up to at each pair of prices (m each)."""
        # A user at the floor at the lowest prices is there at all of them, one off it at the
        # highest at none; that leaves few in doubt, as one user does not move prices far.
        offer = self.root_rewards[n] * self._budget[n]
        work, traffic = self._root_work[n], self._root_traffic[n]
        surely = work * x.min() + traffic * y.min() > offer
        doubtful = np.flatnonzero((work * x.max() + traffic * y.max() > offer) & ~surely)
        load = np.where(surely, self._at_floor[:, n], self._off_floor[:, n]).sum(axis=-1)
        loads = np.repeat(load[:, None], x.size, axis=1)
        if doubtful.size == 0:
            return loads
        change = self._at_floor[:, n, doubtful] - self._off_floor[:, n, doubtful]
        columns = max(_ENTRIES // doubtful.size, 1)
        for first in range(0, x.size, columns):
            some = slice(first, first + columns)
            height = np.outer(work[doubtful], x[some]) + np.outer(traffic[doubtful], y[some])
            loads[:, some] += change @ (height > offer[doubtful, None]).astype(np.float64)
        return loads

    def _solve(self, load: FloatArray, own_work: FloatArray, own_traffic: FloatArray) -> FloatArray:
        """Return 3×4×N×…: the prices with no, one and both capacities binding, as lines in u.

        Args:
            load: (S_f, S_b, Σa/κ, Σb/κ, Σ√(ab)/κ), 5×N×….
            own_work: √a of the one whose u it is, N×….
            own_traffic: √b of the same.

        """
        column = (-1,) + (1,) * (load.ndim - 2)
        compute, bandwidth = (np.reshape(term, column) for term in self._capacity)
        root_c, root_d = (np.reshape(term, column) for term in self._root_cost)
        sum_f, sum_b, floor_f, floor_b, cross = load
        room_f, room_b = compute - floor_f, bandwidth - floor_b
        determinant = room_f * room_b - cross**2
        # Without room for its users a provider has no answer.
        serves = (room_f > 0) & (room_b > 0) & (determinant > 0)
        room_f, room_b = np.where(serves, room_f, np.nan), np.where(serves, room_b, np.nan)
        lines = np.zeros((3, 4, *sum_f.shape))
        lines[0, 0], lines[0, 2] = root_c, root_d
        lines[1, 0], lines[1, 1] = (sum_f + root_d * cross) / room_f, own_work / room_f
        lines[1, 2], lines[1, 3] = (sum_b + root_c * cross) / room_b, own_traffic / room_b
        lines[2, 0] = (room_b * sum_f + cross * sum_b) / determinant
        lines[2, 1] = (room_b * own_work + cross * own_traffic) / determinant
        lines[2, 2] = (room_f * sum_b + cross * sum_f) / determinant
        lines[2, 3] = (room_f * own_traffic + cross * own_work) / determinant
        return lines


def highest(lines: FloatArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the largest of the lines (J×4×…) of x, and of those of y, at u (…)."""
    x = (lines[:, 0] + lines[:, 1] * u).max(axis=0)
    y = (lines[:, 2] + lines[:, 3] * u).max(axis=0)
    return x, y
