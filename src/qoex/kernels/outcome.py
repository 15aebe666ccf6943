"""From rewards to allocations, a block of users at a time (Theorem 2, eq. 8)."""

from __future__ import annotations

from math import log1p, sqrt

import numpy as np

from qoex.kernels import BLOCK, Floats, vector_kernel
from qoex.kernels.arguments import Allocation, Demand, Known, RootPrices
from qoex.kernels.sides import LATEST


@vector_kernel
def offered(
    demand: Demand, known: Known, first_block: int, last_block: int, rewards: Floats
) -> None:
    """Fill R (N×M): the square of what is wanted, inside the bounds.

    It is the least reward where no QoE was wanted, and zero where the pair is absent.
    """
    providers, users = demand.budget.shape
    for block in range(first_block, last_block):
        first = block * BLOCK
        end = min(first + BLOCK, users)
        low = demand.reward_min[first:end]
        high = demand.reward_max[first:end]
        for n in range(providers):
            k_row = demand.budget[n, first:end]
            wanted_row = known.wanted[n, first:end]
            memory_row = known.memory[n, first:end]
            row = rewards[n, first:end]
            for j in range(end - first):
                reward = wanted_row[j] * wanted_row[j]
                reward = reward if reward > low[j] else low[j]
                reward = reward if reward < high[j] else high[j]
                reward = low[j] if memory_row[j] & LATEST else reward
                row[j] = reward if k_row[j] > 0.0 else 0.0


@vector_kernel
def answer_sums(
    demand: Demand,
    rewards: Floats,
    prices: RootPrices,
    first_block: int,
    last_block: int,
    sums: Floats,
) -> None:
    """Fill what prices depend on with the floors of given prices (blocks × 5N).

    These are Σ√(Ra) and Σ√(Rb) off the floor, and Σ a/κ, Σ b/κ and Σ √(ab)/κ at the floor.
    """
    providers, users = demand.budget.shape
    for block in range(first_block, last_block):
        first = block * BLOCK
        end = min(first + BLOCK, users)
        for n in range(providers):
            a_row = demand.work[n, first:end]
            b_row = demand.traffic[n, first:end]
            k_row = demand.budget[n, first:end]
            r_row = rewards[n, first:end]
            xn = prices.x[n]
            yn = prices.y[n]
            sum_f = 0.0
            sum_b = 0.0
            compute = 0.0
            bandwidth = 0.0
            cross = 0.0
            for j in range(end - first):
                ra = sqrt(a_row[j])
                rb = sqrt(b_row[j])
                k = k_row[j]
                root = sqrt(r_row[j])
                share = 1.0 / (k if k > 0.0 else 1.0)
                idle = root * k < ra * xn + rb * yn
                share = share if idle else 0.0
                root = 0.0 if idle else root
                # Nothing is demanded, and so summed, where the pair is absent.
                sum_f += root * ra
                sum_b += root * rb
                compute += ra * ra * share
                bandwidth += rb * rb * share
                cross += ra * rb * share
            sums[block, n] = sum_f
            sums[block, providers + n] = sum_b
            sums[block, 2 * providers + n] = compute
            sums[block, 3 * providers + n] = bandwidth
            sums[block, 4 * providers + n] = cross


@vector_kernel
def allocate(
    demand: Demand,
    rewards: Floats,
    prices: RootPrices,
    before: RootPrices,
    first_block: int,
    last_block: int,
    given: Allocation,
    sums: Floats,
) -> None:
    """Fill what users are given at some prices.

    A row of sums per block holds use (2N), what users pay (N), and how many pairs are on another
    side of their threshold than they were at the old prices (N).
    """
    providers, users = demand.budget.shape
    quality = np.empty(BLOCK)
    paid = np.empty(BLOCK)
    for block in range(first_block, last_block):
        first = block * BLOCK
        end = min(first + BLOCK, users)
        count = end - first
        for j in range(count):
            quality[j] = 0.0
            paid[j] = 0.0
        for n in range(providers):
            a_row = demand.work[n, first:end]
            b_row = demand.traffic[n, first:end]
            k_row = demand.budget[n, first:end]
            r_row = rewards[n, first:end]
            f_row = given.compute[n, first:end]
            w_row = given.bandwidth[n, first:end]
            q_row = given.qoe[n, first:end]
            xn = prices.x[n]
            yn = prices.y[n]
            old_xn = before.x[n]
            old_yn = before.y[n]
            by_x = 1.0 / xn
            by_y = 1.0 / yn
            use_f = 0.0
            use_b = 0.0
            moved = 0.0
            for j in range(count):
                ra = sqrt(a_row[j])
                rb = sqrt(b_row[j])
                k = k_row[j]
                root = sqrt(r_row[j])
                h = ra * xn + rb * yn
                old = ra * old_xn + rb * old_yn
                was = 1.0 if root * k < old else 0.0
                now = 1.0 if root * k < h else 0.0
                moved += abs(now - was)
                # At the floor s = h/κ, so that QoE is zero; elsewhere s = √R.
                some = root if root > 0.0 else 1.0
                inverse = 1.0 / (k if now > 0.0 else some)
                s = h * inverse if now > 0.0 else root
                q = k - h * inverse
                q = q if q > 0.0 else 0.0
                q = 0.0 if now > 0.0 else q
                f = s * ra * by_x
                w = s * rb * by_y
                f_row[j] = f
                w_row[j] = w
                q_row[j] = q
            for j in range(count):
                quality[j] += q_row[j]
                paid[j] += r_row[j] * q_row[j]
            # Apart from what is stored: else whether arrays lie close would decide on the order.
            total = 0.0
            for j in range(count):
                use_f += f_row[j]
                use_b += w_row[j]
                total += r_row[j] * q_row[j]
            sums[block, n] = use_f
            sums[block, providers + n] = use_b
            sums[block, 2 * providers + n] = total
            sums[block, 3 * providers + n] = moved
        for j in range(count):
            worth = demand.profit_factor[first + j] * log1p(quality[j])
            given.user_utility[first + j] = worth - paid[j]
