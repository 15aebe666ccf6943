"""How users' rewards, QoE and use answer to prices, by the first-order condition (section 5).

A user's reward R = u² at a provider, off the floor and inside its bounds, solves

    g(u) = (p − u²)(h − eu) − 2u²(κu − h) = 0,   p(1 + ΣQ) = μ,   Q = κ − h/u,

with h = √a x + √b y and its own impact e = aE₁ + bE₂ + √(ab)E₃. Written for certificates alone,
which take nothing from a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from qoex.model.market import BoolArray, FloatArray, Market


class Slopes(NamedTuple):
    """Derivatives of g of every pair (N×M): by u, p, h and e."""

    by_root: FloatArray
    by_gain: FloatArray
    by_height: FloatArray
    by_impact: FloatArray


@dataclass(frozen=True)
class Response:
    """Where every pair is.

    Attributes:
        roots: x and y, 2×N, the roots of the prices.
        root_work: √a, N×M.
        root_traffic: √b, N×M.
        budget: κ, N×M; 1 at absent pairs.
        height: h, N×M.
        reward: u = √R, N×M.
        gain: p, M, money per ms.
        bought: ΣQ, M, ms.
        off: N×M, which pairs are off the floor.
        free: N×M, which of these are inside the bounds on rewards.
        fixed: N×M, which of the others could move if the bounds were wider.
        floor: N×M, which pairs are at the floor, marginal ones excepted.
        marginal: (provider, user) of pairs held exactly where their QoE begins.
        capped: which of the marginal pairs a bound holds there, rather than p.
    """

    roots: FloatArray
    root_work: FloatArray
    root_traffic: FloatArray
    budget: FloatArray
    height: FloatArray
    reward: FloatArray
    gain: FloatArray
    bought: FloatArray
    off: BoolArray
    free: BoolArray
    fixed: BoolArray
    floor: BoolArray
    marginal: tuple[tuple[int, int], ...]
    capped: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        market: Market,
        rewards: FloatArray,
        qoe: FloatArray,
        roots: FloatArray,
        doubtful: float,
    ) -> Self | None:
        """Return where the pairs are, or None if that cannot be told of some.

        Args:
            market: N providers × M users.
            rewards: R, N×M, money per ms; zero at absent pairs.
            qoe: Q, N×M, ms; zero at the floor.
            roots: x and y, 2×N.
            doubtful: share by which a pair has to be away from a kink or bound it is not at.
        """
        present = market.present
        budget = np.where(present, market.latency_budget, 1.0)
        root_work, root_traffic = np.sqrt(market.work), np.sqrt(market.traffic)
        height = root_work * roots[0][:, None] + root_traffic * roots[1][:, None]
        threshold = np.where(present, height / budget, 1.0)
        reward = np.sqrt(rewards)
        low, high = np.sqrt(market.reward_min), np.sqrt(market.reward_max)
        bought = qoe.sum(axis=0)
        gain = market.profit_factor / (1.0 + bought)
        off = qoe > 0
        ceiling = np.broadcast_to(np.clip(np.sqrt(gain), low, high), reward.shape)
        above = np.log(ceiling / threshold)
        idle = present & ~off
        near = idle & (np.abs(above) <= doubtful)
        held = near & (np.abs(reward / threshold - 1.0) <= doubtful)
        if (near & ~held).any() or (idle & (above > doubtful)).any():
            return None
        at_bound = (reward <= low * (1.0 + doubtful)) | (reward >= high * (1.0 - doubtful))
        marginal = tuple((int(n), int(m)) for n, m in np.argwhere(held))
        return cls(
            roots=roots,
            root_work=root_work,
            root_traffic=root_traffic,
            budget=budget,
            height=height,
            reward=reward,
            gain=gain,
            bought=bought,
            off=off,
            free=off & ~at_bound,
            fixed=off & at_bound & (low < high),
            floor=idle & ~held,
            marginal=marginal,
            capped=tuple(bool(ceiling[n, m] != np.sqrt(gain[m])) for n, m in marginal),
        )

    def observed_impact(self, n: int) -> FloatArray:
        """Return e at which each user's reward at a provider is best (M), where it is free."""
        u, h, k, p = self.reward[n], self.height[n], self.budget[n], self.gain
        room = p - u**2
        impact: FloatArray = (room * h - 2.0 * u**2 * (k * u - h)) / (u * room)
        return impact

    def impact_on(self, impact: FloatArray) -> FloatArray:
        """Return e of every pair (N×M) from E₁, E₂ and E₃ (3×N)."""
        by_work, by_traffic, by_both = impact[:, :, None]
        a, b = self.root_work, self.root_traffic
        return np.asarray(a**2 * by_work + b**2 * by_traffic + a * b * by_both)

    def rests(self, impact: FloatArray, misfit: float, doubtful: float) -> bool:
        """Return whether every reward is best at these E (3×N), and no bound just touches it."""
        u, h, k, e = self.reward, self.height, self.budget, self.impact_on(impact)
        value = (self.gain - u**2) * (h - e * u) - 2.0 * u**2 * (k * u - h)
        missed = np.abs(value / self._slopes(e).by_root) / u
        return bool((missed[self.free] <= misfit).all() and (missed[self.fixed] > doubtful).all())

    def derivatives(self, impact: FloatArray, moves: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how use and p answer.

        Args:
            impact: E₁, E₂ and E₃, 3×N.
            moves: 5×N×K, derivatives of x, y, E₁, E₂ and E₃ of each provider by K unknowns.

        Returns:
            The derivatives of ln use (2×N×K) and of ln p (M×K).
        """
        u, h, p = self.reward, self.height, self.gain
        slopes = self._slopes(self.impact_on(impact))
        # Of u, by p, h and e; then those of Q = κ − h/u.
        root_by = [
            np.where(self.free, -slope / slopes.by_root, 0.0)
            for slope in (slopes.by_gain, slopes.by_height, slopes.by_impact)
        ]
        per_root = np.where(self.off, h / u**2, 0.0)
        qoe_by = [per_root * by for by in root_by]
        qoe_by[1] = qoe_by[1] - np.where(self.off, 1.0 / u, 0.0)
        count = moves.shape[2]
        local = [np.flatnonzero(moves[:, n].any(axis=0)) for n in range(u.shape[0])]
        more = np.zeros((p.size, count))
        for n, columns in enumerate(local):
            heights, impacts = self._moved(n, moves[:, n, columns])
            more[:, columns] += qoe_by[1][n][:, None] * heights + qoe_by[2][n][:, None] * impacts
        log_gain = -more / (1.0 + self.bought + p * qoe_by[0].sum(axis=0))[:, None]
        log_use = np.zeros((2, u.shape[0], count))
        for n, columns in enumerate(local):
            heights, impacts = self._moved(n, moves[:, n, columns])
            offered = (root_by[0][n] * p)[:, None] * log_gain
            offered[:, columns] += root_by[1][n][:, None] * heights
            offered[:, columns] += root_by[2][n][:, None] * impacts
            log_use[:, n] = self._use(n, offered, moves[:2, n])
        return log_use, log_gain

    def _use(self, n: int, offered: FloatArray, moved: FloatArray) -> FloatArray:
        """Return how ln use of both resources answers to changes of u (M×K) and of x, y (2×K)."""
        roots, off = self.roots[:, n], self.off[n]
        amounts = np.stack([self.root_work[n], self.root_traffic[n]])
        cross = float((amounts[0] * amounts[1] / self.budget[n])[self._at_floor(n)].sum())
        change = np.empty((2, offered.shape[1]))
        for own, other in ((0, 1), (1, 0)):
            # Off the floor √a u/x is used, at it (a + √(ab) y/x)/κ.
            root, ratio = roots[own], roots[other] / roots[own]
            bought = float((amounts[own] * self.reward[n])[off].sum()) / root
            alone = float((amounts[own] ** 2 / self.budget[n])[self._at_floor(n)].sum())
            moves = (amounts[own] * off) @ offered / root - bought * moved[own] / root
            moves += cross * (moved[other] - ratio * moved[own]) / root
            change[own] = moves / (bought + alone + cross * ratio)
        return change

    def _at_floor(self, n: int) -> BoolArray:
        floor: BoolArray = self.floor[n].copy()
        floor[[m for k, m in self.marginal if k == n]] = True
        return floor

    def _moved(self, n: int, moves: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how h and e (M×K each) of a provider's users answer to its own unknowns (5×K)."""
        a, b = self.root_work[n][:, None], self.root_traffic[n][:, None]
        return a * moves[0] + b * moves[1], a**2 * moves[2] + b**2 * moves[3] + a * b * moves[4]

    def _slopes(self, e: FloatArray) -> Slopes:
        u, h, k, room = self.reward, self.height, self.budget, self.gain - self.reward**2
        left = h - e * u
        return Slopes(
            by_root=-2.0 * u * left - e * room - 4.0 * u * (k * u - h) - 2.0 * k * u**2,
            by_gain=left,
            by_height=room + 2.0 * u**2,
            by_impact=-u * room,
        )
