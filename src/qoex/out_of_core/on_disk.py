"""The users of a stored market on this machine: read anew for every pass, a chunk at a time."""

from __future__ import annotations

import math
from pathlib import Path

from qoex.equilibrium.population import LocalShards, shard_borders
from qoex.errors import InvalidInputError
from qoex.files.parquet import Chunk, MarketDirectory
from qoex.files.parquet.directory import memory_of_machine
from qoex.kernels import BLOCK
from qoex.model.market import PAIR_FIELDS, USER_FIELDS
from qoex.out_of_core.shards import StoredShard

# Of a chunk's demands. While the last pass allocates, half as much again and more is in memory.
_CHUNK_BYTES = 1 << 28
# What a chunk needs at most: demands, rewards, an allocation, and the table that is written.
_CHUNK_COPIES = 4


def borders(market: MarketDirectory, chunks: int | None = None, at_least: int = 1) -> list[int]:
    """Return where each chunk begins: at a user whose index is a multiple of ``BLOCK``.

    Args:
        market: N providers × M users.
        chunks: about how many; by default as few as have about 256 MiB each.
        at_least: how many there are to be by default, as far as there are users.

    """
    found = _borders(market, chunks, at_least)
    # Rows of a few numbers each are near one another in memory, and compiled loops then do without
    # vector registers, for they cannot tell that nothing overlaps: the last bit may change.
    if len(found) > 1 and market.users - found[-1] < BLOCK:
        found.pop()
    return found


def _borders(market: MarketDirectory, chunks: int | None, at_least: int) -> list[int]:
    if chunks is not None:
        return shard_borders(market.users, chunks)
    # Powers of two: then all blocks of a chunk make up one node of the tree by which sums are
    # joined, and its response is that node.
    size = 2 ** max(round(math.log2(_CHUNK_BYTES / _user_bytes(market) / BLOCK)), 0)
    while size > 1 and market.users <= (at_least - 1) * size * BLOCK:
        size //= 2
    return list(range(0, market.users, size * BLOCK))


def _user_bytes(market: MarketDirectory) -> int:
    return 8 * (len(PAIR_FIELDS) * market.providers + len(USER_FIELDS))


class OnDisk(LocalShards):
    """All users, on this machine's disk; of each pair some 8 + 8/N + 1 bytes are in memory.

    A chunk is read by the thread that needs it: reading ahead in another gained nothing where
    files come out of the system's cache, for decoding them takes all cores already.

    Args:
        market: N providers × M users.
        chunks: in about how many the users are read; by default such that each takes about 256 MiB.

    Attributes:
        firsts: index of the first user of each chunk.

    Raises:
        InvalidInputError: the machine has less memory than that takes.
    """

    def __init__(self, market: MarketDirectory, chunks: int | None = None) -> None:
        self.firsts = borders(market, chunks)
        ends = [*self.firsts[1:], market.users]
        sizes = [end - first for first, end in zip(self.firsts, ends, strict=True)]
        needed = market.users * (9 * market.providers + 8)
        needed += _CHUNK_COPIES * _user_bytes(market) * max(sizes)
        if needed > memory_of_machine():
            raise InvalidInputError(
                f"{market.path}: solving it takes some {needed / 1e9:.3g} GB of memory, which is "
                "more than this machine has; the workers of a cluster may have it together"
            )
        parts = [
            _PartOnDisk(market, number, first, size, alone=len(sizes) == 1)
            for number, (first, size) in enumerate(zip(self.firsts, sizes, strict=True))
        ]
        super().__init__([StoredShard(part, market.providers) for part in parts])

    def require_reachable(self, folder: Path, shown: str) -> None:
        """Return, for what this process makes it can reach."""


class _PartOnDisk:
    def __init__(
        self, market: MarketDirectory, number: int, first: int, users: int, *, alone: bool
    ) -> None:
        self._market = market
        self.number = number
        self.first = first
        self.users = users
        self._alone = alone
        self._chunk: Chunk | None = None

    def load(self) -> Chunk:
        if self._chunk is not None:
            return self._chunk
        chunk = self._market.read(self.first, self.first + self.users)
        if self._alone:  # nothing else wants its place
            self._chunk = chunk
        return chunk

    def load_around(self, m: int) -> tuple[Chunk, int]:
        return self._market.read(m, m + 1), 0

    def names(self) -> list[str]:
        return self._market.user_names(self.first, self.first + self.users)
