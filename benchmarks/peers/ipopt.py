"""Best-response iteration with CasADi and Ipopt, the lower level embedded as smooth constraints.

A provider's answer is the least solution of a system that rises in all its unknowns (theory,
section 2): x ≥ √c, xF ≥ Σs√a, y ≥ √d, yW ≥ Σs√b, s ≥ √R and sκ ≥ √a x + √b y. A user never gains
by higher prices than need be, so these inequalities can stand for the equilibrium constraints as
they are: one smooth programme without complementarity, exact where it is solved. Its unknowns are
the prices, the s of all pairs, and the user's own rewards s² (paid for QoE only).
"""

from __future__ import annotations

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from qoex.game.provider import answer_feasible
from qoex.model.market import FloatArray, Market

from .best_responses import ABOVE_THRESHOLD, MAX_ROUNDS
from .outcome import Outcome, Prepared, initial_rewards

# On the largest change of ln R in a round, as for the closed form under SciPy.
_TOLERANCE = 1e-6
# Share of κ below which a pair buys nothing: the interior point stays that far inside C1.
_NOTHING = 1e-6
# Where a user buys nothing of a provider its prices are nothing to it, and a start may run away
# to high ones, at which it never will. This weight on them moves rewards by parts in 1e7.
_PRICE_WEIGHT = 1e-7
_OPTIONS = {
    "print_time": False,
    "ipopt.print_level": 0,
    "ipopt.sb": "yes",
    "ipopt.tol": 1e-10,
    "ipopt.max_iter": 500,
    # Bounds are not to be widened by 1e-8: prices below unit costs would do better than they can.
    "ipopt.bound_relax_factor": 0.0,
    # The start is the answer at hand, so the first point is to stay near it.
    "ipopt.mu_init": 1e-6,
    "ipopt.bound_push": 1e-6,
    "ipopt.bound_frac": 1e-6,
}


def prepare(market: Market) -> Prepared:
    """Prepare the programme of all users, and solve it once for the first as a warm-up."""
    programme = _Programme(market)
    _Rounds(market, programme).response(0)
    return Prepared(lambda: _Rounds(market, programme).outcome())


class _Programme:
    """One user's programme, built once: who the user is enters through the parameters.

    All unknowns are ratios to a typical value: prices to the roots of the unit costs, s to √R at
    the start, the user's QoE to κ. Pairs are ordered with the user's own first.
    """

    def __init__(self, market: Market) -> None:
        n, m = market.work.shape
        x, y, s = ca.SX.sym("x", n), ca.SX.sym("y", n), ca.SX.sym("s", n, m)
        q = ca.SX.sym("q", n)
        root_a, root_b = ca.SX.sym("a", n, m), ca.SX.sym("b", n, m)
        budget, unit, mu = ca.SX.sym("k", n, m), ca.SX.sym("u", n, m), ca.SX.sym("mu")
        cost_x, cost_y = np.sqrt(market.compute_cost), np.sqrt(market.bandwidth_cost)
        served = s * unit
        height = root_a * ca.repmat(x * cost_x, 1, m) + root_b * ca.repmat(y * cost_y, 1, m)
        qoe = q * budget[:, 0]
        utility = ca.log1p(ca.sum1(qoe)) - ca.dot(served[:, 0] ** 2, qoe) / mu
        left = served * budget - height
        left[:, 0] -= served[:, 0] * qoe
        constraints = ca.vertcat(
            x - ca.sum2(served * root_a) / (market.compute_capacity * cost_x),
            y - ca.sum2(served * root_b) / (market.bandwidth_capacity * cost_y),
            ca.vec(left / (unit * budget)),
        )
        problem = {
            "x": ca.vertcat(x, y, q, ca.vec(s)),
            "p": ca.vertcat(*(ca.vec(v) for v in (root_a, root_b, budget, unit)), mu),
            "f": -utility + _PRICE_WEIGHT * (ca.sum1(x) + ca.sum1(y)),
            "g": constraints,
        }
        self.solver = ca.nlpsol("response", "ipopt", problem, _OPTIONS)


class _Rounds:
    """One run: the rewards, and users that respond to them in turn."""

    def __init__(self, market: Market, programme: _Programme) -> None:
        self._market, self._programme = market, programme
        self._unit = np.sqrt(initial_rewards(market))
        self._fields = np.sqrt(market.work), np.sqrt(market.traffic), market.latency_budget
        self._root_costs = np.sqrt(market.compute_cost), np.sqrt(market.bandwidth_cost)
        self.rewards = initial_rewards(market)
        self._failed: set[str] = set()

    def outcome(self) -> Outcome:
        failure = f"rewards still change after {MAX_ROUNDS} rounds"
        rounds = 0
        while failure and rounds < MAX_ROUNDS:
            rounds += 1
            before = self.rewards.copy()
            self._failed.clear()
            for m in range(self._market.users):
                self.response(m)
            if np.abs(np.log(self.rewards / before)).max() <= _TOLERANCE:
                failure = ""
        if self._failed:
            failure = f"Ipopt ends with {', '.join(sorted(self._failed))}"
        return Outcome(self.rewards, rounds, failure)

    def response(self, m: int) -> None:
        """Replace user m's rewards by its best response, R_min where it buys nothing."""
        market = self._market
        n = market.providers
        order = np.r_[m, np.delete(np.arange(market.users), m)]
        unit = self._unit[:, order]
        start = self._start(m, order)
        root = np.sqrt(self.rewards)[:, order]
        lowest, highest = root / unit, np.full_like(root, np.inf)
        lowest[:, 0] = np.sqrt(market.reward_min[m]) / unit[:, 0]
        highest[:, 0] = np.sqrt(market.reward_max[m]) / unit[:, 0]
        flat = [field[:, order].ravel(order="F") for field in (*self._fields, self._unit)]
        solver = self._programme.solver
        result = solver(
            x0=start,
            p=np.concatenate([*flat, market.profit_factor[[m]]]),
            lbx=np.concatenate([np.ones(2 * n), np.zeros(n), lowest.ravel(order="F")]),
            ubx=np.concatenate([np.full(3 * n, np.inf), highest.ravel(order="F")]),
            lbg=0.0,
            ubg=np.inf,
        )
        if not solver.stats()["success"]:
            self._failed.add(str(solver.stats()["return_status"]))
        point = np.asarray(result["x"]).ravel()
        wanted = (point[3 * n : 4 * n] * unit[:, 0]) ** 2
        wanted = np.clip(wanted, market.reward_min[m], market.reward_max[m])
        nothing = point[2 * n : 3 * n] <= _NOTHING
        self.rewards[:, m] = np.where(nothing, market.reward_min[m], wanted)

    def _start(self, m: int, order: NDArray[np.intp]) -> FloatArray:
        """Return the providers' answer to the rewards, with user m above its thresholds."""
        market = self._market
        rewards = self.rewards.copy()
        x, y, threshold = self._prices(rewards)
        low = threshold[:, m] ** 2
        rewards[:, m] = np.where(rewards[:, m] <= low, ABOVE_THRESHOLD * low, rewards[:, m])
        rewards[:, m] = np.clip(rewards[:, m], market.reward_min[m], market.reward_max[m])
        x, y, threshold = self._prices(rewards)
        served = np.maximum(np.sqrt(rewards), threshold)
        qoe = 1.0 - threshold[:, m] / served[:, m]
        ratios = (served / self._unit)[:, order].ravel(order="F")
        return np.concatenate([x / self._root_costs[0], y / self._root_costs[1], qoe, ratios])

    def _prices(self, rewards: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return x, y (N each) and t (N×M) at these rewards."""
        answer = answer_feasible(self._market, rewards)
        x, y = np.sqrt(answer.compute_price), np.sqrt(answer.bandwidth_price)
        height = self._fields[0] * x[:, None] + self._fields[1] * y[:, None]
        return x, y, height / self._market.latency_budget
