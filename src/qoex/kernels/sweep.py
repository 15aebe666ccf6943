"""One pass over the users at given capacity prices: what they take, and how that answers to them.

Users come in blocks of a fixed size, whose sums are kept apart: added up in a fixed order they give
the same bits however the blocks are shared among threads, chunks and machines. Within a block,
groups of users are solved in vector registers (:mod:`qoex.kernels.joint`). What they end with is
checked; who fails is solved alone (:mod:`qoex.kernels.user`).

Prices move along C directions per provider, each with its own effect on the five numbers
(x, y, E1, E2, E3); the derivatives of the sums are taken along those.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from qoex.kernels import BLOCK, Floats, joint, kernel, vector_kernel
from qoex.kernels.arguments import (
    Answers,
    Demand,
    Group,
    Known,
    Prices,
    RootDemand,
    Sides,
    Swept,
    UserTerms,
)
from qoex.kernels.derivatives import add_use, linearise
from qoex.kernels.joint import (
    BUDGET,
    DOUBT,
    GROUP,
    HIGH,
    LOW,
    MARGINAL,
    PAIR_SIZE,
    PROFIT,
    ROOT,
    ROOT_MARGINAL,
    ROOT_TRAFFIC,
    ROOT_WORK,
    USER_SIZE,
)
from qoex.kernels.sides import note_sides
from qoex.kernels.user import user_reply


@vector_kernel
def sweep(
    demand: Demand, prices: Prices, first_block: int, last_block: int, known: Known, swept: Swept
) -> None:
    """Let the users of some blocks respond to the prices.

    ``prices.most_steps`` of the joint method are taken; without any all users are solved alone.
    """
    providers, all_users = demand.budget.shape
    directions = prices.directions
    group = Group(np.empty(providers * PAIR_SIZE), np.empty(USER_SIZE))
    pairs, users = group.pairs, group.users
    answers = Answers(
        np.empty(directions.shape[0] * providers * GROUP),
        np.empty((directions.shape[0], 2, providers)),
    )
    now = np.empty(GROUP, dtype=np.uint8)
    for block in range(first_block, last_block):
        total = swept.sums[block]
        for i in range(total.shape[0]):
            total[i] = 0.0
        for n in range(providers):
            swept.highest[block, n] = 0.0
        swept.crossed[block] = 0
        swept.crossing[block, 0, 0] = 0
        swept.alone[block] = 0
        noted = Sides(
            total[total.shape[0] - 6 * providers :],
            swept.highest[block],
            swept.crossed[block : block + 1],
            swept.crossing[block],
        )
        for first in range(block * BLOCK, min((block + 1) * BLOCK, all_users), GROUP):
            end = min(first + GROUP, all_users)
            count = end - first
            cold = joint.prepare(demand, prices, known, first, end, group)
            if prices.most_steps > 0:
                joint.improve(prices, count, group)
                linearise(prices, count, group, answers)
            else:
                for j in range(count):
                    users[DOUBT + j] = 1.0
            doubtful = 0.0
            for j in range(count):
                doubtful += 1.0 if users[DOUBT + j] > 0.0 else 0.0
            if doubtful > 0.0:
                swept.alone[block] += int(doubtful)
                _solve_alone(prices, known.wanted[:, first:end], known.marginal[first:end], group)
                linearise(prices, count, group, answers)
            note_sides(first, count, not cold, group, known.memory, now, noted)
            add_use(prices, count, group, answers, total)
            ends = known.marginal[first:end]
            for j in range(count):
                ends[j] = users[MARGINAL + j]
            for n in range(providers):
                row = known.wanted[n, first:end]
                pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
                for j in range(count):
                    row[j] = pair[ROOT + j]


@kernel
def _solve_alone(prices: Prices, wanted: Floats, marginal: Floats, group: Group) -> None:
    """Solve the users in doubt one by one, from where they stood before this sweep."""
    providers, count = wanted.shape
    pairs, users = group.pairs, group.users
    demand = RootDemand(
        np.empty((providers, 1)), np.empty((providers, 1)), np.empty((providers, 1))
    )
    root = np.empty((providers, 1))
    out = np.empty((providers, 7))
    for j in range(count):
        if not users[DOUBT + j] > 0.0:
            continue
        for n in range(providers):
            demand.work[n, 0] = pairs[n * PAIR_SIZE + ROOT_WORK + j]
            demand.traffic[n, 0] = pairs[n * PAIR_SIZE + ROOT_TRAFFIC + j]
            demand.budget[n, 0] = pairs[n * PAIR_SIZE + BUDGET + j]
            root[n, 0] = wanted[n, j]
        terms = UserTerms(float(users[PROFIT + j]), float(users[LOW + j]), float(users[HIGH + j]))
        p = user_reply(0, demand, terms, prices, root, float(marginal[j]), out)
        users[MARGINAL + j] = p
        users[ROOT_MARGINAL + j] = sqrt(p)
        for n in range(providers):
            pairs[n * PAIR_SIZE + ROOT + j] = root[n, 0]
