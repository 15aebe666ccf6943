"""Algorithm 1 of the paper, with a convex solver or the closed form as the providers' answer."""

from __future__ import annotations

import numpy as np

from qoex.game.solution import Status
from qoex.mechanisms.dual_perturbation import THRESHOLD, Diminishing, dual_perturbation
from qoex.model.market import FloatArray, Market

from .convex_provider import ConvexProvider
from .outcome import Outcome, Prepared, initial_rewards

# The time limit ends a run, not a number of iterations.
_MAX_ITERATIONS = 10**9
# Share of κ below which Clarabel's QoE is not told from zero.
_NOISE = 1e-4


def step_rule(market: Market) -> Diminishing:
    """Return Δ = u/t with u the mean reward at the start.

    Of 0.1, 0.2, 0.5, 1 and 2 times that, tried on markets of both families, this one solved the
    most sizes in time. None was best everywhere: 0.1 and 0.2 end far from an equilibrium at larger
    sizes; 0.5 ends with a regret of up to 5e-5 at some, and is up to nine times as fast at others.
    """
    return Diminishing(float(initial_rewards(market).mean()))


def prepare_closed_form(market: Market) -> Prepared:
    """Prepare Algorithm 1 with the closed form of Theorem 2; one iteration is its warm-up."""
    start, step = initial_rewards(market), step_rule(market)

    def solve(max_iterations: int = _MAX_ITERATIONS) -> Outcome:
        solution = dual_perturbation(
            market, step=step, initial=start, max_iterations=max_iterations
        )
        failure = "" if solution.status is Status.OWN_RULE else solution.status.sentence
        return Outcome(solution.rewards, solution.steps, failure)

    solve(1)
    return Prepared(solve)


def prepare_convex(market: Market) -> Prepared:
    """Prepare Algorithm 1 with Clarabel; one answer of every provider is its warm-up."""
    providers = [ConvexProvider(market, n) for n in range(market.providers)]
    for provider, rewards in zip(providers, initial_rewards(market), strict=True):
        provider.answer(rewards)
    return Prepared(lambda: _Run(market, providers).outcome())


class _Run:
    """One run of lines 1 to 32, users one after another, read as in ``qoex.dual_perturbation``.

    A provider's answer depends on its own row of rewards alone, so the answer to a trial that is
    taken serves as the next user's "stay": two problems per pair and iteration, not three.
    """

    def __init__(self, market: Market, providers: list[ConvexProvider]) -> None:
        self._market, self._providers = market, providers
        self._rewards = initial_rewards(market).copy()
        self._qoe = np.empty_like(self._rewards)
        self._compute, self._bandwidth = self._qoe.copy(), self._qoe.copy()
        for n in range(market.providers):
            self._take(n, self._rewards[n], *self._answer(n, self._rewards[n]))

    def outcome(self) -> Outcome:
        rule = step_rule(self._market)
        utility = self._utilities()
        number = 0
        while True:
            number += 1
            step = rule.size(self._market, number)
            before_moves = self._rewards.copy(), self._qoe.copy()
            for m in range(self._market.users):
                self._move(m, float(step[m]))
            before, utility = utility, self._utilities()
            change = float(np.abs(utility - before).sum())
            if change <= THRESHOLD and self._has_moved(*before_moves):
                return Outcome(
                    self._rewards, number, compute=self._compute, bandwidth=self._bandwidth
                )

    def _has_moved(self, rewards: FloatArray, qoe: FloatArray) -> bool:
        """Return whether a pair that buys QoE has another reward than before.

        If none has, the step is still too long, and no reason to end. In the closed form such an
        iteration changes no utility at all; here it does, by Clarabel's error.
        """
        buys = np.maximum(qoe, self._qoe) > _NOISE * self._market.latency_budget
        return bool((buys & (rewards != self._rewards)).any())

    def _move(self, m: int, step: float) -> None:
        """Let user m try a step up and down at every provider (lines 10 to 25)."""
        low, high = self._market.reward_min[m], self._market.reward_max[m]
        stay = self._utility(m, self._rewards[:, m], self._qoe[:, m])
        taken = []
        for n in range(self._market.providers):
            now = self._rewards[n, m]
            trials = []
            for reward in (min(now + step, high), max(low, now - step)):
                row = self._rewards[n].copy()
                row[m] = reward
                answer = self._answer(n, row)
                rewards, qoe = self._rewards[:, m].copy(), self._qoe[:, m].copy()
                rewards[n], qoe[n] = reward, answer[0][m]
                trials.append((self._utility(m, rewards, qoe), row, answer))
            up, down = trials
            if stay <= up[0] and down[0] <= stay:
                taken.append((n, up))
            elif stay <= down[0] and up[0] <= stay:
                taken.append((n, down))
        for n, (_, row, answer) in taken:
            self._take(n, row, *answer)

    def _answer(self, n: int, row: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        provider = self._providers[n]
        provider.answer(row)
        # C1 holds to Clarabel's tolerance; a QoE just below zero is zero.
        return np.maximum(provider.qoe, 0.0), provider.compute, provider.bandwidth

    def _take(
        self, n: int, row: FloatArray, qoe: FloatArray, compute: FloatArray, bandwidth: FloatArray
    ) -> None:
        self._rewards[n], self._qoe[n] = row, qoe
        self._compute[n], self._bandwidth[n] = compute, bandwidth

    def _utility(self, m: int, rewards: FloatArray, qoe: FloatArray) -> float:
        gain = self._market.profit_factor[m] * np.log1p(qoe.sum())
        return float(gain - rewards @ qoe)

    def _utilities(self) -> FloatArray:
        users = range(self._market.users)
        return np.array([self._utility(m, self._rewards[:, m], self._qoe[:, m]) for m in users])
