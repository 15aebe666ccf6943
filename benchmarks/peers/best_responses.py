"""Best-response iteration with SciPy: users respond in turn, each by a numerical optimiser.

The optimiser sees one user's utility and its gradient; who answers for the providers, the closed
form or a conic solver, is a parameter.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.optimize import minimize

from qoex.equilibrium.price_impact import impact
from qoex.game.provider import answer_feasible
from qoex.model.market import FloatArray, Market

from .convex_provider import ConvexProvider
from .outcome import Outcome, Prepared, initial_rewards

MAX_ROUNDS = 1000
# A price within this share of the unit cost is the cost. Duals of Clarabel are good to 1e-6.
_DEAR = 1e-5
# The utility is flat where a reward is below its threshold, so a pair there begins above it.
ABOVE_THRESHOLD = 1.1
# Share of κ below which a pair is taken to buy nothing: the conic solver's error.
NOTHING = 1e-6


class Response(Protocol):
    """How providers answer rewards.

    Attributes:
        tolerance: on the largest change of ln R in a round.
        qoe: Q of the last answer, N×M, ms.
        prices: of compute and of bandwidth at the last answer, 2×N, money per unit.
    """

    tolerance: float
    qoe: FloatArray
    prices: FloatArray

    def answer(self, rewards: FloatArray) -> None:
        """Answer rewards (N×M, money per ms)."""
        ...

    def allocation(self) -> tuple[FloatArray, FloatArray] | None:
        """Return f and B (N×M) of the last answer where they are the peer's own result."""
        ...


class ClosedForm:
    """Providers answer by Theorem 2, with C1 and C2."""

    # The optimum is flat, so that rounds of a numerical optimiser do not come to rest much below;
    # the regret that is left goes with its square.
    tolerance = 1e-6

    def __init__(self, market: Market) -> None:
        self._market = market
        self.answer(initial_rewards(market))

    def answer(self, rewards: FloatArray) -> None:
        """Answer rewards (N×M, money per ms)."""
        answer = answer_feasible(self._market, rewards)
        self.qoe = answer.qoe
        self.prices = np.stack([answer.compute_price, answer.bandwidth_price])

    def allocation(self) -> None:
        """Return nothing: whoever settles the rewards finds the same allocation."""


class Conic:
    """Providers answer by Clarabel; one whose row of rewards is as before keeps its answer."""

    # Below this, rewards follow the conic solver's error: at 1e-6 there were ten times the rounds.
    tolerance = 1e-4

    def __init__(self, market: Market) -> None:
        self._providers = [ConvexProvider(market, n) for n in range(market.providers)]
        self._rewards = np.full_like(market.work, np.nan)
        self.qoe = np.empty_like(market.work)
        self.prices = np.empty((2, market.providers))
        self.answer(initial_rewards(market))

    def answer(self, rewards: FloatArray) -> None:
        """Answer rewards (N×M, money per ms)."""
        for n, provider in enumerate(self._providers):
            if not np.array_equal(rewards[n], self._rewards[n]):
                provider.answer(rewards[n])
                self._rewards[n] = rewards[n]
                self.qoe[n] = np.maximum(provider.qoe, 0.0)
                self.prices[:, n] = provider.prices

    def allocation(self) -> tuple[FloatArray, FloatArray]:
        """Return f and B (N×M) of the last answer."""
        return (
            np.stack([provider.compute for provider in self._providers]),
            np.stack([provider.bandwidth for provider in self._providers]),
        )


def prepare_closed_form(market: Market) -> Prepared:
    """Prepare best responses with the closed form below; one response is the warm-up."""
    response = ClosedForm(market)
    _Rounds(market, response).response(0)
    return Prepared(lambda: _Rounds(market, response).outcome())


def prepare_conic(market: Market) -> Prepared:
    """Prepare best responses with Clarabel below; one answer of every provider is the warm-up."""
    response = Conic(market)
    return Prepared(lambda: _Rounds(market, response).outcome())


class _Rounds:
    """One run: the rewards, and users that respond to them in turn."""

    def __init__(self, market: Market, response: Response) -> None:
        self._market, self._response = market, response
        self._root_work, self._root_traffic = np.sqrt(market.work), np.sqrt(market.traffic)
        self._start = initial_rewards(market)
        self.rewards = self._start.copy()
        self._bounds = np.log(market.reward_min), np.log(market.reward_max)

    def outcome(self) -> Outcome:
        failure = f"rewards still change after {MAX_ROUNDS} rounds"
        rounds = 0
        while failure and rounds < MAX_ROUNDS:
            rounds += 1
            before = self.rewards.copy()
            for m in range(self._market.users):
                self.response(m)
            if np.abs(np.log(self.rewards / before)).max() <= self._response.tolerance:
                failure = ""
        self._response.answer(self.rewards)
        compute, bandwidth = self._response.allocation() or (None, None)
        return Outcome(self.rewards, rounds, failure, compute, bandwidth)

    def response(self, m: int) -> None:
        """Replace user m's rewards by its best response, R_min where it buys nothing."""
        market, budget = self._market, self._market.latency_budget[:, m]
        low, high = self._bounds[0][m], self._bounds[1][m]
        self._response.answer(self.rewards)
        threshold = (self._height(m) / budget) ** 2
        start = np.where(
            self.rewards[:, m] <= threshold, ABOVE_THRESHOLD * threshold, self.rewards[:, m]
        )
        result = minimize(
            self._loss,
            np.clip(np.log(start), low, high),
            args=(m,),
            jac=True,
            method="SLSQP",
            bounds=[(low, high)] * market.providers,
            options={"ftol": 1e-15, "maxiter": 200},
        )
        wanted = np.clip(np.exp(result.x), market.reward_min[m], market.reward_max[m])
        self.rewards[:, m] = wanted
        self._response.answer(self.rewards)
        nothing = self._response.qoe[:, m] <= NOTHING * budget
        self.rewards[:, m] = np.where(nothing, market.reward_min[m], wanted)

    def _loss(self, log_rewards: FloatArray, m: int) -> tuple[float, FloatArray]:
        """Return −U/μ of user m and its derivative by ln R (N)."""
        own = np.exp(log_rewards)
        self.rewards[:, m] = own
        self._response.answer(self.rewards)
        qoe = self._response.qoe[:, m]
        mu = self._market.profit_factor[m]
        slope = ((mu / (1.0 + qoe.sum()) - own) * self._qoe_slope(m) - qoe) / mu
        return float(own @ qoe / mu - np.log1p(qoe.sum())), -slope * own

    def _height(self, m: int) -> FloatArray:
        """Return √a x + √b y of user m (N) at the last answer."""
        x, y = np.sqrt(self._response.prices)
        height: FloatArray = self._root_work[:, m] * x + self._root_traffic[:, m] * y
        return height

    def _qoe_slope(self, m: int) -> FloatArray:
        """Return dQ/dR of user m at every provider (N), by the sensitivity of the lower level.

        It is (h/u − e)/(2R) off the floor (theory, section 5), with the active constraints that
        the last answer shows.
        """
        market = self._market
        x, y = np.sqrt(self._response.prices)
        root = np.sqrt(self.rewards)
        height = self._root_work * x[:, None] + self._root_traffic * y[:, None]
        floor = root * market.latency_budget <= height
        weight = floor / market.latency_budget
        terms = impact(
            (self._response.prices[0] > market.compute_cost * (1.0 + _DEAR)).astype(np.float64),
            (self._response.prices[1] > market.bandwidth_cost * (1.0 + _DEAR)).astype(np.float64),
            market.compute_capacity - (weight * market.work).sum(axis=1),
            market.bandwidth_capacity - (weight * market.traffic).sum(axis=1),
            (weight * self._root_work * self._root_traffic).sum(axis=1),
        ).coefficients
        own = terms[0] * market.work[:, m] + terms[1] * market.traffic[:, m]
        own += terms[2] * self._root_work[:, m] * self._root_traffic[:, m]
        slope = (height[:, m] / root[:, m] - own) / (2.0 * self.rewards[:, m])
        return np.where(floor[:, m], 0.0, slope)
