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

from qoex.kernels import BLOCK, Bytes, Floats, Integers, joint, kernel, vector_kernel
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
    work: Floats,
    traffic: Floats,
    budget: Floats,
    profit_factor: Floats,
    reward_min: Floats,
    reward_max: Floats,
    x: Floats,
    y: Floats,
    impact: Floats,
    directions: Floats,
    behaviour: int,
    most_steps: int,
    first_block: int,
    last_block: int,
    wanted: Floats,
    marginal: Floats,
    memory: Bytes,
    sums: Floats,
    highest: Floats,
    crossed: Integers,
    crossing: Integers,
    alone: Integers,
) -> None:
    """Let the users of some blocks response to the prices.

    Pair arrays are N×M, user arrays M long. directions is C×5×N; wanted, marginal and memory are
    warm starts and results. A row of sums per block holds use (2N), its derivatives (2N × CN, by
    direction and provider), then Σ a/κ, Σ b/κ, Σ √(ab)/κ over the pairs whose user wants no QoE
    (3N) and over those that have none (3N). highest (blocks × N) is the largest √p/t, or WANTED;
    crossed counts the pairs that changed sides; crossing (blocks × 1 + most × 2) says how many of
    them are near their threshold, and lists them. most_steps of the joint method are taken; alone
    counts the users that it leaves to be solved one by one, which without steps are all.
    """
    providers, all_users = budget.shape
    pairs = np.empty(providers * PAIR_SIZE)
    users = np.empty(USER_SIZE)
    answers = np.empty(directions.shape[0] * providers * GROUP)
    own = np.empty((directions.shape[0], 2, providers))
    sides = np.empty(GROUP, dtype=np.uint8)
    for block in range(first_block, last_block):
        total = sums[block]
        for i in range(total.shape[0]):
            total[i] = 0.0
        for n in range(providers):
            highest[block, n] = 0.0
        crossed[block] = 0
        crossing[block, 0, 0] = 0
        alone[block] = 0
        for first in range(block * BLOCK, min((block + 1) * BLOCK, all_users), GROUP):
            end = min(first + GROUP, all_users)
            count = end - first
            cold = joint.prepare(
                work,
                traffic,
                budget,
                profit_factor,
                reward_min,
                reward_max,
                x,
                y,
                impact,
                behaviour,
                wanted,
                marginal,
                first,
                end,
                pairs,
                users,
            )
            if most_steps > 0:
                joint.improve(behaviour, most_steps, count, providers, pairs, users)
                linearise(directions, behaviour, count, pairs, users, answers, own)
            else:
                for j in range(count):
                    users[DOUBT + j] = 1.0
            doubtful = 0.0
            for j in range(count):
                doubtful += 1.0 if users[DOUBT + j] > 0.0 else 0.0
            if doubtful > 0.0:
                alone[block] += int(doubtful)
                _solve_alone(
                    x,
                    y,
                    impact,
                    behaviour,
                    wanted[:, first:end],
                    marginal[first:end],
                    pairs,
                    users,
                )
                linearise(directions, behaviour, count, pairs, users, answers, own)
            note_sides(
                count,
                providers,
                first,
                not cold,
                pairs,
                users,
                memory,
                sides,
                total[total.shape[0] - 6 * providers :],
                highest[block],
                crossed[block : block + 1],
                crossing[block],
            )
            add_use(x, y, directions, count, pairs, users, answers, own, total)
            ends = marginal[first:end]
            for j in range(count):
                ends[j] = users[MARGINAL + j]
            for n in range(providers):
                row = wanted[n, first:end]
                pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
                for j in range(count):
                    row[j] = pair[ROOT + j]


@kernel
def _solve_alone(
    x: Floats,
    y: Floats,
    impact: Floats,
    behaviour: int,
    wanted: Floats,
    marginal: Floats,
    pairs: Floats,
    users: Floats,
) -> None:
    """Solve the users in doubt one by one, from where they stood before this sweep."""
    providers, count = wanted.shape
    column = np.empty((4, providers, 1))
    out = np.empty((providers, 7))
    for j in range(count):
        if not users[DOUBT + j] > 0.0:
            continue
        for n in range(providers):
            column[0, n, 0] = pairs[n * PAIR_SIZE + ROOT_WORK + j]
            column[1, n, 0] = pairs[n * PAIR_SIZE + ROOT_TRAFFIC + j]
            column[2, n, 0] = pairs[n * PAIR_SIZE + BUDGET + j]
            column[3, n, 0] = wanted[n, j]
        p = user_reply(
            0,
            column[0],
            column[1],
            column[2],
            float(users[PROFIT + j]),
            float(users[LOW + j]),
            float(users[HIGH + j]),
            x,
            y,
            impact,
            behaviour,
            column[3],
            float(marginal[j]),
            out,
        )
        users[MARGINAL + j] = p
        users[ROOT_MARGINAL + j] = sqrt(p)
        for n in range(providers):
            pairs[n * PAIR_SIZE + ROOT + j] = column[3, n, 0]
