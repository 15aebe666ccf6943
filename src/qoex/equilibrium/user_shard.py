"""Some of the users of a market, and what they remember from one sweep to the next.

Everything here is about users; of the providers only prices come in, and only sums go out. A shard
holds whole blocks of users (:mod:`qoex.kernels.block_sums`), the last of a market excepted, so that
sums do not depend on how a market is divided. Kernels are imported where they are called, for numba
is slow to load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from qoex.game.provider import demand_of
from qoex.kernels import BLOCK
from qoex.kernels.arguments import Demand, Known, Prices, Swept
from qoex.kernels.block_sums import Node, blocks_of, reduce_blocks
from qoex.kernels.threads import over_blocks
from qoex.model.market import BoolArray, FloatArray
from qoex.model.sides import UserArrays, UserSide

# Pairs near their threshold that a block lists at most.
MOST_LISTED = 33


class Responses(NamedTuple):
    """What the users of a shard say after a sweep.

    Attributes:
        sums: nodes of use (2N), its derivatives (2N·C·N), and what floors take (6N).
        highest: N, the largest √p/t, or more than 1 where a pair wants QoE.
        crossed: how many pairs want to be on another side of their threshold than they count.
        near: (provider, user) of those near it, as far as they fit the lists, and their number.
        alone: how many users had to be solved one by one.
    """

    sums: list[Node]
    highest: FloatArray
    crossed: int
    near: list[tuple[int, int]]
    near_count: int
    alone: int


class User(NamedTuple):
    """A user's demand, latest response, and where its pairs count as at their floor (N each)."""

    work: FloatArray
    traffic: FloatArray
    latency_budget: FloatArray
    profit_factor: float
    reward_min: float
    reward_max: float
    wanted: FloatArray
    marginal: float
    at_floor: BoolArray


class Shard:
    """Users ``first``, …, ``first + users − 1`` of a market.

    Attributes:
        wanted: N×users, root of the reward wanted; warm start of the next sweep.
        marginal: users, p = μ/(1 + ΣQ); likewise, zero where nothing is known.
        memory: N×users, one byte per pair, see :mod:`qoex.kernels.sides`.
    """

    def __init__(
        self, load: Callable[[], UserSide], *, first: int, users: int, providers: int
    ) -> None:
        """Take users from what ``load`` returns; it is called once per pass over them."""
        if first % BLOCK:
            raise ValueError(f"a shard begins at user {first}, not at a multiple of {BLOCK}")
        self._load = load
        self.first = first
        self.users = users
        self.providers = providers
        self.wanted = np.zeros((providers, users))
        self.marginal = np.zeros(users)
        self.memory = np.zeros((providers, users), dtype=np.uint8)
        self._known = Known(self.wanted, self.marginal, self.memory)

    def floor_load(self) -> list[Node]:
        """Return Σ a/κ, Σ b/κ and Σ √(ab)/κ of every provider over all pairs (3N)."""
        from qoex.kernels.floors import floor_load

        demand = self._demand()
        sums = np.empty((blocks_of(self.users), 3 * self.providers))

        def task(start: int, end: int) -> None:
            floor_load(demand, start, end, sums)

        over_blocks(task, sums.shape[0])
        return self._nodes(sums)

    def sweep(self, prices: Prices) -> Responses:
        """Let every user respond to the prices."""
        from qoex.kernels.sweep import sweep

        demand = self._demand()
        blocks, n = blocks_of(self.users), self.providers
        columns = prices.directions.shape[0] * n
        crossed, alone = np.empty((2, blocks), dtype=np.int64)
        swept = Swept(
            sums=np.empty((blocks, 2 * n + 2 * n * columns + 6 * n)),
            highest=np.empty((blocks, n)),
            crossed=crossed,
            crossing=np.empty((blocks, 1 + MOST_LISTED, 2), dtype=np.int64),
            alone=alone,
        )

        def task(start: int, end: int) -> None:
            sweep(demand, prices, start, end, self._known, swept)

        # Absent pairs and trial prices may bring infinities; what is not finite is found later.
        with np.errstate(all="ignore"):
            over_blocks(task, blocks)
        counts = swept.crossing[:, 0, 0]
        near = [
            (int(k), self.first + int(m))
            for block in np.flatnonzero(counts)
            for k, m in swept.crossing[block, 1 : 1 + min(int(counts[block]), MOST_LISTED)]
        ]
        return Responses(
            sums=self._nodes(swept.sums),
            highest=swept.highest.max(axis=0),
            crossed=int(crossed.sum()),
            near=near[:MOST_LISTED],
            near_count=int(counts.sum()),
            alone=int(alone.sum()),
        )

    def accept(self) -> None:
        """Count every pair as being where the latest sweep found it, the unknown ones excepted."""
        from qoex.kernels.floors import accept

        accept(self.memory)

    def forget_crossings(self) -> None:
        """Count anew how often each pair crosses its threshold."""
        from qoex.kernels.sides import CROSSED_MOST

        self.memory &= 255 - CROSSED_MOST

    def set_unknown(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Mark exactly these pairs (provider, user of the market) as unknowns of the solver."""
        from qoex.kernels.sides import UNKNOWN

        self.memory &= 255 - UNKNOWN
        for n, m in pairs:
            if self.first <= m < self.first + self.users:
                self.memory[n, m - self.first] |= UNKNOWN

    def user(self, m: int) -> User:
        """Return user m of the market, which must be one of the shard's."""
        from qoex.kernels.sides import COUNTED

        demand, at = self._load_around(m)
        j = m - self.first
        return User(
            demand.work[:, at].copy(),
            demand.traffic[:, at].copy(),
            demand.latency_budget[:, at].copy(),
            float(demand.profit_factor[at]),
            float(demand.reward_min[at]),
            float(demand.reward_max[at]),
            self.wanted[:, j].copy(),
            float(self.marginal[j]),
            (self.memory[:, j] & COUNTED) > 0,
        )

    def start(self, rewards: FloatArray, qoe: FloatArray) -> list[Node]:
        """Start from a solution (N×users each); return what its floors take, as a sweep does (3N).

        Pairs without QoE count as at their floor.
        """
        from qoex.kernels.floors import start

        demand = self._demand()
        sums = np.empty((blocks_of(self.users), 3 * self.providers))

        def task(first: int, last: int) -> None:
            start(demand, rewards, qoe, first, last, self._known, sums)

        over_blocks(task, sums.shape[0])
        return self._nodes(sums)

    def rewards(self, *, last: bool = False) -> FloatArray:
        """Return R (N×users, money per ms): what was wanted, inside the bounds.

        It is the least reward where no QoE was wanted, and zero where a pair is absent. If this is
        the last that is asked of the shard, rewards take the place of what it remembers: memory
        that was not used before is slow.
        """
        return self._offers(self._load(), self.wanted if last else np.empty_like(self.wanted))

    def every(self, stride: int) -> UserArrays:
        """Return the demand of every so many users, counted from the market's first."""
        demand = self._load()
        chosen = slice(-self.first % stride, None, stride)
        arrays = (getattr(demand, name)[..., chosen] for name in UserArrays._fields)
        return UserArrays(*map(np.ascontiguousarray, arrays))

    def _demand(self) -> Demand:
        """Return what kernels have to know of the users' demand."""
        return demand_of(self._load())

    def _offers(self, demand: UserSide, rewards: FloatArray) -> FloatArray:
        """Fill and return what ``rewards`` does."""
        from qoex.kernels.outcome import offered

        asked = demand_of(demand)

        def task(start: int, end: int) -> None:
            offered(asked, self._known, start, end, rewards)

        over_blocks(task, blocks_of(self.users))
        return rewards

    def _load_around(self, m: int) -> tuple[UserSide, int]:
        """Return some users, user m of the market among them, and the place of that one."""
        return self._load(), m - self.first

    def _nodes(self, sums: FloatArray) -> list[Node]:
        return reduce_blocks(sums, self.first // BLOCK)
