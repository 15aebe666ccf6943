"""A provider's problem (eq. 8) as a conic programme, canonicalised once."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np

from qoex.model.market import FloatArray, Market

from .outcome import initial_rewards

# Clarabel's own 1e-8 on the objective leaves QoE wrong by 1e-4 of κ, for the optimum is flat; with
# these it is some 1e-6, for a few more of its iterations.
TOLERANCES = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}


class ConvexProvider:
    """Provider n of a market without absent pairs, answered by Clarabel through CVXPY.

    Rewards enter as parameters of a disciplined parametrised programme, so a new answer costs no
    new canonicalisation. Allocations are in units of about what a user gets at the common start,
    latencies in units of κ and money in units of ΣRκ, so that all numbers are of order one.

    Attributes:
        solves: problems solved so far.
    """

    def __init__(self, market: Market, n: int) -> None:
        self.solves = 0
        self._budget = market.latency_budget[n]
        self._work, self._traffic = market.work[n], market.traffic[n]
        self._costs = market.compute_cost[n], market.bandwidth_cost[n]
        self._capacities = market.compute_capacity[n], market.bandwidth_capacity[n]
        start = initial_rewards(market)[n]
        self._unit_f, self._unit_b = (
            np.minimum(
                np.maximum(load / self._budget, np.sqrt(start * load / cost)),
                capacity / market.users,
            )
            for load, cost, capacity in zip(
                (self._work, self._traffic), self._costs, self._capacities, strict=True
            )
        )
        users = market.users
        self._f, self._b = cp.Variable(users), cp.Variable(users)
        slow_f, slow_b = (
            cp.Variable(users),
            cp.Variable(users),
        )  # latencies in units of 1/allocation
        share_f = self._work / (self._unit_f * self._budget)
        share_b = self._traffic / (self._unit_b * self._budget)
        self._paid = cp.Parameter(users, nonneg=True)
        self._cost_f = cp.Parameter(users, nonneg=True)
        self._cost_b = cp.Parameter(users, nonneg=True)
        loss = self._paid @ (cp.multiply(share_f, slow_f) + cp.multiply(share_b, slow_b))
        loss += self._cost_f @ self._f + self._cost_b @ self._b
        self._limits = [
            (self._unit_f / self._capacities[0]) @ self._f <= 1,
            (self._unit_b / self._capacities[1]) @ self._b <= 1,
        ]
        others = [
            cp.multiply(share_f, slow_f) + cp.multiply(share_b, slow_b) <= 1,
            slow_f >= cp.inv_pos(self._f),
            slow_b >= cp.inv_pos(self._b),
        ]
        self._problem = cp.Problem(cp.Minimize(loss), self._limits + others)

    def answer(self, rewards: FloatArray) -> None:
        """Solve for rewards (M, money per ms) and keep what the properties return.

        Raises:
            ArithmeticError: Clarabel did not solve the problem; its status is the message.
        """
        weight = rewards * self._budget
        scale = float(weight.sum())
        self._paid.value = weight / scale
        self._cost_f.value = self._costs[0] * self._unit_f / scale
        self._cost_b.value = self._costs[1] * self._unit_b / scale
        with warnings.catch_warnings():
            # At this tolerance Clarabel often ends "almost solved", which is as good as it gets.
            warnings.simplefilter("ignore", UserWarning)
            self._problem.solve(solver=cp.CLARABEL, **TOLERANCES)
        if self._problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            raise ArithmeticError(f"Clarabel ends with status {self._problem.status}")
        self.solves += 1
        self.compute: FloatArray = self._f.value * self._unit_f
        self.bandwidth: FloatArray = self._b.value * self._unit_b
        self.prices = tuple(
            cost + float(limit.dual_value) * scale / capacity
            for cost, limit, capacity in zip(
                self._costs, self._limits, self._capacities, strict=True
            )
        )

    @property
    def qoe(self) -> FloatArray:
        """Q of the last answer, M, ms; not cut off at zero."""
        q: FloatArray = self._budget - self._work / self.compute - self._traffic / self.bandwidth
        return q
