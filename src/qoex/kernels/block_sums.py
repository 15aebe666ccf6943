"""Sums over the users that come out the same to the last bit however the users are divided.

Users come in blocks of a fixed size, numbered through the whole market. Whoever has some of the
blocks adds their sums up along the edges of one binary tree over all blocks, as far as it goes, and
hands on the few nodes that are left; at the end these are joined along the same tree.

Chunks of a market therefore begin and end at multiples of the block size, and sums have the same
bits whatever the sizes of chunks, files and row groups. One block of one provider's numbers takes
32 KiB, which fits into a core's first cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from qoex.kernels import BLOCK, Floats


class Node(NamedTuple):
    """The sum over blocks place·2^level, …, (place + 1)·2^level − 1, as far as there are blocks."""

    level: int
    place: int
    total: Floats


def blocks_of(users: int) -> int:
    """Return how many blocks this many users make."""
    return -(-users // BLOCK)


def reduce_blocks(sums: Floats, first: int) -> list[Node]:
    """Return the fewest nodes of the tree that hold the sums of neighbouring blocks.

    Args:
        sums: blocks × K.
        first: number of the first of them in the whole market.

    """
    nodes: list[Node] = []
    level = 0
    while sums.shape[0] > 0:
        if first % 2 == 1:
            nodes.append(Node(level, first, sums[0]))
            sums, first = sums[1:], first + 1
        if sums.shape[0] % 2 == 1:
            nodes.append(Node(level, first + sums.shape[0] - 1, sums[-1]))
            sums = sums[:-1]
        sums = sums[0::2] + sums[1::2]
        first, level = first // 2, level + 1
    return nodes


def join(nodes: Iterable[Node], blocks: int) -> Floats:
    """Return the sum over all blocks from nodes that cover each of them once (K numbers).

    Raises:
        ValueError: they do not.
    """
    open_nodes = {(node.level, node.place): node.total for node in nodes}
    level, width = 0, blocks
    while width > 1:
        parents = sorted({place // 2 for at, place in open_nodes if at == level})
        for parent in parents:
            left = open_nodes.pop((level, 2 * parent), None)
            right = open_nodes.pop((level, 2 * parent + 1), None)
            alone = 2 * parent + 1 >= width  # the last of an odd number
            if left is None or alone != (right is None) or (level + 1, parent) in open_nodes:
                raise ValueError(f"blocks of node {parent} at level {level + 1} lack or are twice")
            open_nodes[level + 1, parent] = left if right is None else left + right
        level, width = level + 1, -(-width // 2)
    if set(open_nodes) != {(level, 0)}:
        raise ValueError(f"the nodes left are {sorted(open_nodes)}")
    return np.array(open_nodes[level, 0])
