"""All users of a market, whoever has them: prices go out, sums come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from qoex.equilibrium.user_shard import Shard, User
from qoex.kernels import BLOCK
from qoex.kernels.arguments import Prices
from qoex.kernels.block_sums import Node, blocks_of, join
from qoex.model.market import FloatArray
from qoex.model.sides import UserArrays, UserSide


class Sums(NamedTuple):
    """What a sweep over all users says.

    Attributes:
        use: 2N, TFLOPS then MHz.
        use_by: 2N × C·N, derivative of use along direction c of provider n, in column c·N + n.
        unwanted: 3×N, Σ a/κ, Σ b/κ, Σ √(ab)/κ over pairs whose user wants no QoE.
        idle: 3×N, the same over pairs that have none.
        highest: N, the largest √p/t of a provider's pairs, or more than 1 where one wants QoE.
        crossed: how many pairs want to be on another side of their threshold than they count.
        near: (provider, user) of those near it; not all if ``near_count`` is larger.
        near_count: how many those are.
        alone: how many users had to be solved one by one.
    """

    use: FloatArray
    use_by: FloatArray
    unwanted: FloatArray
    idle: FloatArray
    highest: FloatArray
    crossed: int
    near: list[tuple[int, int]]
    near_count: int
    alone: int


class Hosts(Protocol):
    """Where the shards are: in this process, or in several."""

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Return what a method of every shard returns, in the order of the users."""
        ...

    def call_one(self, shard: int, method: str, *arguments: Any) -> Any:
        """Return what a method of one shard returns."""
        ...


class LocalShards:
    """Shards in this process, one after another: each uses all cores."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Return what a method of every shard returns."""
        return [getattr(shard, method)(*arguments) for shard in self.shards]

    def call_one(self, shard: int, method: str, *arguments: Any) -> Any:
        """Return what a method of one shard returns."""
        return getattr(self.shards[shard], method)(*arguments)


class Population:
    """The users of a market.

    Attributes:
        hosts: where they are.
        providers: N.
        users: M.
    """

    def __init__(self, hosts: Hosts, *, firsts: Sequence[int], users: int, providers: int) -> None:
        """Take shards that begin at the users ``firsts``, ascending from 0."""
        self.hosts = hosts
        self.providers = providers
        self.users = users
        self._firsts = list(firsts)

    @classmethod
    def of(cls, demand: UserSide) -> Population:
        """Return the users of a market in memory, as one shard."""
        providers, users = demand.work.shape
        shard = Shard(lambda: demand, first=0, users=users, providers=providers)
        return cls(LocalShards([shard]), firsts=[0], users=users, providers=providers)

    def floor_load(self) -> FloatArray:
        """Return Σ a/κ, Σ b/κ and Σ √(ab)/κ over all pairs (3×N)."""
        return self._join("floor_load").reshape(3, self.providers)

    def sweep(self, prices: Prices) -> Sums:
        """Let all users respond to the prices."""
        n = self.providers
        responses = self.hosts.call("sweep", prices)
        total = join((node for response in responses for node in response.sums), self._blocks)
        return Sums(
            use=total[: 2 * n],
            use_by=total[2 * n : -6 * n].reshape(2 * n, -1),
            unwanted=total[-6 * n : -3 * n].reshape(3, n),
            idle=total[-3 * n :].reshape(3, n),
            highest=np.max([response.highest for response in responses], axis=0),
            crossed=sum(response.crossed for response in responses),
            near=[pair for response in responses for pair in response.near],
            near_count=sum(response.near_count for response in responses),
            alone=sum(response.alone for response in responses),
        )

    def accept(self) -> None:
        """Count every pair as being where the latest sweep found it, the unknown ones excepted."""
        self.hosts.call("accept")

    def forget_crossings(self) -> None:
        """Count anew how often each pair crosses its threshold."""
        self.hosts.call("forget_crossings")

    def set_unknown(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Mark exactly these pairs as unknowns of the solver."""
        self.hosts.call("set_unknown", list(pairs))

    def user(self, m: int) -> User:
        """Return what is known of one user."""
        at = int(np.searchsorted(self._firsts, m, side="right")) - 1
        user: User = self.hosts.call_one(at, "user", m)
        return user

    def start(self, rewards: FloatArray, qoe: FloatArray) -> FloatArray:
        """Start from a solution (N×M each); return what its floors take, as ``Sums.unwanted``."""
        ends = [*self._firsts[1:], self.users]
        nodes: list[Node] = []
        for at, (first, end) in enumerate(zip(self._firsts, ends, strict=True)):
            part = rewards[:, first:end], qoe[:, first:end]
            nodes += self.hosts.call_one(at, "start", *map(np.ascontiguousarray, part))
        return join(nodes, self._blocks).reshape(3, self.providers)

    def every(self, stride: int) -> UserArrays:
        """Return the demand of every so many users."""
        parts = zip(*self.hosts.call("every", stride), strict=True)
        return UserArrays(*(np.concatenate(part, axis=-1) for part in parts))

    @property
    def _blocks(self) -> int:
        return blocks_of(self.users)

    def _join(self, method: str) -> FloatArray:
        nodes = [node for part in self.hosts.call(method) for node in part]
        return join(nodes, self._blocks)


def shard_borders(users: int, shards: int) -> list[int]:
    """Return where each of about so many shards of equal size begins, at whole blocks."""
    blocks = blocks_of(users)
    count = min(shards, blocks)
    return [BLOCK * (i * blocks // count) for i in range(count)]
