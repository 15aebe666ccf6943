"""What pairs at their floors take, and on which side of its threshold each pair counts."""

from __future__ import annotations

from math import sqrt

import numpy as np

from qoex.kernels import BLOCK, Bytes, Floats, kernel, vector_kernel
from qoex.kernels.arguments import Demand, Known
from qoex.kernels.sides import COUNTED, CROSSED_MOST, CROSSED_ONCE, LATEST, UNKNOWN


@vector_kernel
def floor_load(demand: Demand, first_block: int, last_block: int, sums: Floats) -> None:
    """Fill Σ a/κ, Σ b/κ and Σ √(ab)/κ over all pairs of some blocks (blocks × 3N)."""
    providers, users = demand.budget.shape
    for block in range(first_block, last_block):
        first = block * BLOCK
        end = min(first + BLOCK, users)
        for n in range(providers):
            a_row = demand.work[n, first:end]
            b_row = demand.traffic[n, first:end]
            k_row = demand.budget[n, first:end]
            compute = 0.0
            bandwidth = 0.0
            cross = 0.0
            for j in range(end - first):
                k = k_row[j]
                share = 1.0 / (k if k > 0.0 else 1.0)
                compute += a_row[j] * share
                bandwidth += b_row[j] * share
                # Two roots, for the product of two small numbers may be nothing.
                cross += sqrt(a_row[j]) * sqrt(b_row[j]) * share
            sums[block, n] = compute
            sums[block, providers + n] = bandwidth
            sums[block, 2 * providers + n] = cross


@vector_kernel
def start(
    demand: Demand,
    rewards: Floats,
    qoe: Floats,
    first_block: int,
    last_block: int,
    known: Known,
    sums: Floats,
) -> None:
    """Fill the users' state from a solution; pairs without QoE count as at their floor."""
    providers, users = demand.budget.shape
    gain = np.empty(BLOCK)
    for block in range(first_block, last_block):
        first = block * BLOCK
        end = min(first + BLOCK, users)
        for j in range(end - first):
            gain[j] = 1.0
        for n in range(providers):
            a_row = demand.work[n, first:end]
            b_row = demand.traffic[n, first:end]
            k_row = demand.budget[n, first:end]
            reward_row = rewards[n, first:end]
            qoe_row = qoe[n, first:end]
            wanted_row = known.wanted[n, first:end]
            memory_row = known.memory[n, first:end]
            idle = 0.0
            for j in range(end - first):
                gain[j] += qoe_row[j]
                wanted_row[j] = sqrt(reward_row[j])
                idle += 1.0 if qoe_row[j] == 0.0 else 0.0
            compute = 0.0
            bandwidth = 0.0
            cross = 0.0
            if idle > 0.0:
                for j in range(end - first):
                    here = COUNTED + LATEST if qoe_row[j] == 0.0 else 0
                    memory_row[j] = here if k_row[j] > 0.0 else 0
                for j in range(end - first):
                    k = k_row[j]
                    share = 1.0 / (k if k > 0.0 else 1.0)
                    share = share if qoe_row[j] == 0.0 else 0.0
                    compute += a_row[j] * share
                    bandwidth += b_row[j] * share
                    cross += sqrt(a_row[j]) * sqrt(b_row[j]) * share
            else:
                for j in range(end - first):
                    memory_row[j] = 0
            sums[block, n] = compute
            sums[block, providers + n] = bandwidth
            sums[block, 2 * providers + n] = cross
        for j in range(end - first):
            known.marginal[first + j] = demand.profit_factor[first + j] / gain[j]


@kernel
def accept(memory: Bytes) -> None:
    """Count every pair (N×M) as being where the latest sweep found it, unknown ones excepted."""
    providers, users = memory.shape
    for n in range(providers):
        for m in range(users):
            now = memory[n, m]
            if (now & UNKNOWN) == 0 and ((now & COUNTED) << 1) != (now & LATEST):
                often = min((now & CROSSED_MOST) + CROSSED_ONCE, CROSSED_MOST)
                memory[n, m] = np.uint8((now & LATEST) | ((now & LATEST) >> 1) | often)
