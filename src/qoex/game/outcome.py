"""From rewards to a full solution: providers answer, and everything else follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qoex.game.provider import answer_feasible, capacity_state
from qoex.game.solution import Solution, Status, Step
from qoex.kernels.arguments import RootPrices
from qoex.model.market import FloatArray, Market


def user_utility(market: Market, rewards: FloatArray, qoe: FloatArray) -> FloatArray:
    """Return U of every user (M, money): μ ln(1 + ΣQ) − Σ RQ (eq. 9)."""
    utility: FloatArray = market.profit_factor * np.log1p(qoe.sum(axis=0))
    utility -= (rewards * qoe).sum(axis=0)
    return utility


def provider_utility(
    market: Market,
    rewards: FloatArray,
    qoe: FloatArray,
    compute: FloatArray,
    bandwidth: FloatArray,
) -> FloatArray:
    """Return U of every provider (N, money): Σ (RQ − cf − dB) (eq. 8)."""
    utility: FloatArray = (rewards * qoe).sum(axis=1)
    utility -= market.compute_cost * compute.sum(axis=1)
    utility -= market.bandwidth_cost * bandwidth.sum(axis=1)
    return utility


def outcome_of(
    market: Market,
    rewards: FloatArray,
    *,
    near: RootPrices | None = None,
    status: Status,
    method: str,
    steps: int,
    trace: Sequence[Step] = (),
    notes: tuple[str, ...] = (),
) -> Solution:
    """Return the solution in which providers answer these rewards (N×M) of a feasible market.

    ``near`` holds the roots of the capacity prices (N each) if they are known up to rounding.
    """
    rewards = np.where(market.present, rewards, 0.0) if near is None else rewards
    answer = answer_feasible(market, rewards, near)
    return Solution(
        status=status,
        method=method,
        steps=steps,
        rewards=rewards,
        compute=answer.compute,
        bandwidth=answer.bandwidth,
        qoe=answer.qoe,
        user_utility=answer.user_utility,
        provider_utility=answer.provider_utility,
        compute_state=capacity_state(
            answer.compute_use, answer.compute_price, market.compute_cost, market.compute_capacity
        ),
        bandwidth_state=capacity_state(
            answer.bandwidth_use,
            answer.bandwidth_price,
            market.bandwidth_cost,
            market.bandwidth_capacity,
        ),
        trace=tuple(trace),
        notes=notes,
    )
