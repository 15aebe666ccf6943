from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoex.kernels import BLOCK
from qoex.kernels.block_sums import Node, blocks_of, join, reduce_blocks


@given(
    blocks=st.integers(1, 200), cuts=st.lists(st.integers(1, 199), max_size=8), seed=st.integers(0)
)
def test_however_blocks_are_divided_the_sum_has_the_same_bits(
    blocks: int, cuts: list[int], seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(-1, 1, (blocks, 3)) ** 5
    whole = join(reduce_blocks(values, 0), blocks)
    borders = sorted({0, blocks, *(cut for cut in cuts if cut < blocks)})
    nodes = [
        node for first, end in pairwise(borders) for node in reduce_blocks(values[first:end], first)
    ]
    np.testing.assert_array_equal(join(nodes, blocks), whole)
    np.testing.assert_array_equal(join(reversed(nodes), blocks), whole)
    np.testing.assert_allclose(whole, values.sum(axis=0), rtol=0, atol=1e-13)


def test_few_nodes_are_handed_on() -> None:
    nodes = reduce_blocks(np.ones((1000, 2)), 333)
    assert len(nodes) <= 2 * np.log2(1000)
    assert sum(node.total[0] for node in nodes) == 1000


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [Node(0, 0, np.ones(1))],
        [Node(0, 1, np.ones(1)), Node(0, 2, np.ones(1))],
        [Node(0, 0, np.ones(1)), Node(0, 1, np.ones(1)), Node(1, 0, np.ones(1))],
        [Node(1, 0, np.ones(1)), Node(0, 2, np.ones(1)), Node(0, 3, np.ones(1))],
    ],
)
def test_nodes_that_do_not_make_up_all_blocks_are_refused(nodes: list[Node]) -> None:
    with pytest.raises(ValueError, match=r"lack or are twice|nodes left"):
        join(nodes, 3)


def test_a_last_block_may_be_short() -> None:
    assert [blocks_of(users) for users in (1, BLOCK, BLOCK + 1)] == [1, 1, 2]
