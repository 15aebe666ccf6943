"""Some users of a stored market: what they do in a solution besides responding to prices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from qoex.certificate.passes import FirstPass, Totals, first_pass, second_pass
from qoex.certificate.verdict import ChunkRegret, summarise
from qoex.equilibrium.user_shard import Shard
from qoex.files.parquet import Chunk
from qoex.game.provider import allocate, answer_sums, empty_allocation
from qoex.kernels import BLOCK
from qoex.kernels.arguments import RootPrices
from qoex.kernels.block_sums import Node
from qoex.model.market import FloatArray
from qoex.model.sides import UserSide
from qoex.out_of_core.files import write_users
from qoex.out_of_core.spread import Spread


class Part(Protocol):
    """Consecutive users of a stored market, whole blocks of them, and how to get at them."""

    @property
    def number(self) -> int:
        """Return which part of the market it is, from 0."""
        ...

    @property
    def first(self) -> int:
        """Return the index in the market of the first of these users."""
        ...

    @property
    def users(self) -> int:
        """Return how many there are."""
        ...

    def load(self) -> Chunk:
        """Return all of them."""
        ...

    def load_around(self, m: int) -> tuple[Chunk, int]:
        """Return some of them, user m of the market among them, and the place of that one."""
        ...

    def names(self) -> list[str]:
        """Return their names."""
        ...


class Target(NamedTuple):
    """Where a solution is written to: a folder, and the name that messages give it."""

    folder: Path
    shown: str
    provider_names: tuple[str, ...]


class Settled(NamedTuple):
    """What is kept of an allocation to the users of a shard.

    Attributes:
        sums: nodes of Σf, ΣB, payments and pairs that changed sides (4N).
        users: nodes of ΣU, ΣQ, how many users have QoE, and how many of each provider's (3 + N).
        first: the certificate's first pass.
        qoe: of a user, ΣQ over providers, ms.
        payment: of a user, ΣRQ, money.
    """

    sums: list[Node]
    users: list[Node]
    first: FirstPass
    qoe: Spread
    payment: Spread


class StoredShard(Shard):
    """Users of a stored market; see :class:`qoex.equilibrium.user_shard.Shard`."""

    def __init__(self, part: Part, providers: int) -> None:
        super().__init__(part.load, first=part.first, users=part.users, providers=providers)
        self._part = part
        self._held: list[tuple[int, int, float]] = []

    def hold(self, pairs: Sequence[tuple[tuple[int, int], float]]) -> None:
        """Set the rewards of marginal pairs (provider, user of the market), money per ms."""
        last = self.first + self.users
        self._held = [
            (n, m - self.first, reward) for (n, m), reward in pairs if self.first <= m < last
        ]

    def answer_sums(self, prices: RootPrices) -> list[Node]:
        """Return what the providers' next prices follow from (5N)."""
        demand, rewards = self._demand_and_rewards()
        return self._nodes(answer_sums(demand, rewards, prices))

    def outcome_of(
        self,
        prices: RootPrices,
        before: RootPrices,
        guess: FloatArray,
        target: Target | None = None,
    ) -> Settled:
        """Allocate at given prices, judge that for a first time, and write it if asked to.

        Args:
            prices: at which providers answer.
            before: those that tell which pairs changed sides.
            guess: 2×N, roots of the prices that tell the certificate who is at the floor.
            target: where to write.

        Raises:
            InvalidInputError: a file cannot be written.

        """
        demand, rewards = self._demand_and_rewards()
        allocation = empty_allocation(self.providers, self.users)
        with np.errstate(all="ignore"):
            sums = allocate(demand, rewards, prices, before, allocation)
            first = first_pass(demand, _Reported(rewards, *allocation), guess, self.first)
        total, paid = _over_providers(rewards, allocation.qoe)
        some = [total > 0, *(row > 0 for row in allocation.qoe)]
        columns = [allocation.user_utility, total, *some]
        if target is not None:
            names = self._part.names()
            write_users(
                target.folder,
                target.shown,
                self._part.number,
                names,
                target.provider_names,
                rewards,
                allocation,
            )
        return Settled(
            sums=self._nodes(sums),
            users=self._nodes(np.stack([_by_block(item) for item in columns], axis=1)),
            first=first,
            qoe=Spread.of(total),
            payment=Spread.of(paid),
        )

    def bound(self, lines: FloatArray, totals: Totals) -> ChunkRegret:
        """Return what these users could gain at most, from the first pass over all users."""
        demand, rewards = self._demand_and_rewards()
        with np.errstate(all="ignore"):
            return summarise(second_pass(demand, rewards, lines), totals, self.first)

    def _demand_and_rewards(self) -> tuple[UserSide, FloatArray]:
        """Return the demand, read once, and R (N×users), marginal pairs held where they are."""
        demand = self._load()
        rewards = self._offers(demand, np.empty_like(self.wanted))
        for n, j, reward in self._held:
            rewards[n, j] = reward
        return demand, rewards

    def _load_around(self, m: int) -> tuple[UserSide, int]:
        return self._part.load_around(m)


class _Reported(NamedTuple):
    """Part of a solution, as the certificate reads it (N×users; users)."""

    rewards: FloatArray
    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    user_utility: FloatArray


def _over_providers(rewards: FloatArray, qoe: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ΣQ and ΣRQ of every user."""
    total, paid = np.zeros((2, qoe.shape[1]))
    # Row by row: NumPy adds up the other way round where there is one user only.
    for reward_row, row in zip(rewards, qoe, strict=True):
        total += row
        paid += reward_row * row
    return total, paid


def _by_block(values: FloatArray) -> FloatArray:
    """Return the sum over each block of users."""
    starts = np.arange(0, values.shape[0], BLOCK)
    sums: FloatArray = np.add.reduceat(values.astype(np.float64, copy=False), starts)
    return sums
