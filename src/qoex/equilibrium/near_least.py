"""The equilibrium where capacities hardly exceed the least ones, by a path without cancellation.

Close to the least capacities (theory, section 14) prices grow without bound and what is left of a
capacity beyond the floors is a difference of almost equal numbers, so that the price system of
:mod:`qoex.equilibrium.price_system` loses its digits. Here the unknowns are v = √R/t − 1 ≥ 0, by
how much a root reward exceeds its threshold t = (√a x + √b y)/κ, so that Q = κ v/(1 + v). All that
a small room F₀ = F − Σa/κ enters are sums of terms of one sign; F₀, W₀ and D₀ = F₀W₀ − G₀² are
computed once in extended precision.

For a fixed ratio y/x of a provider's root prices and fixed QoE elsewhere, one path leads from a
price level at which nobody buys down to the answer: at each threshold the weight β of the pair that
crosses it runs from 0 to 1, in between all v rise. What is left of the capacities falls along the
path, so bisection cannot fail. The ratio follows from the answer, and providers take turns.

It needs both capacities of a provider to be scarce, and that the two outer loops contract is
observed, not proved. So the result is checked, and is None where it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from qoex.game.best_response import regret
from qoex.game.outcome import outcome_of
from qoex.game.solution import Solution, Status, Step
from qoex.kernels.arguments import RootPrices
from qoex.model.feasibility import regret_resolution
from qoex.model.market import FloatArray, Market

# On the largest change of v between two rounds, relative to the largest v.
_AT_REST = 1e-13
_MOST_ROUNDS = 60
_MOST_RATIOS = 20
# As the certificate has it: a larger regret, relative to the utilities, is no rounding.
_REGRET = 1e-9


def is_rest(market: Market, solution: Solution) -> bool:
    """Whether no user could gain more than rounding explains (:func:`regret_resolution`)."""
    scale = max(float(np.abs(solution.user_utility).max()), 1e-3 * market.profit_factor.max())
    gain = float(regret(market, solution.rewards).max())
    return bool(gain <= max(_REGRET, regret_resolution(market)) * scale)


def solve_near_least(market: Market, *, method: str) -> Solution | None:
    """Return the equilibrium of a market close to its least capacities; None if it was not found.

    Args:
        market: N providers × M users, feasible.
        method: name to give the solution.
    """
    providers = [_Provider.of(market, n) for n in range(market.providers)]
    if any(provider.cross <= 0.0 or provider.room <= 0.0 for provider in providers):
        return None  # nobody wants one of the resources, so it is not scarce
    qoe = np.zeros(market.work.shape)
    ratios = [provider.room_f / provider.cross for provider in providers]
    points: list[_PathPoint] = []
    trace: list[Step] = []
    change = np.inf
    while change > _AT_REST:
        if len(trace) == _MOST_ROUNDS:
            return None
        before, points = points, []
        for n, provider in enumerate(providers):
            users = provider.users
            elsewhere = qoe[:, users].sum(axis=0) - qoe[n, users]
            for _ in range(_MOST_RATIOS):
                point = _answer(provider, ratios[n], elsewhere)
                if point is None:
                    return None
                ratio, ratios[n] = ratios[n], provider.ratio(point.v)
                if abs(ratio - ratios[n]) <= 4e-16 * ratio:
                    break
            assert point is not None
            points.append(point)
            qoe[n, users] = provider.budget * point.v / (1.0 + point.v)
        change = _change(before, points)
        trace.append(Step(len(trace) + 1, change, "along the path from the least capacities"))
    x = np.array([point.level for point in points])
    y = x * np.array(ratios)
    if not (np.all(x * x > market.compute_cost) and np.all(y * y > market.bandwidth_cost)):
        return None
    rewards = np.zeros(market.work.shape)
    for n, (provider, point) in enumerate(zip(providers, points, strict=True)):
        rewards[n, provider.users] = provider.rewards(point, ratios[n])
    solution = outcome_of(
        market,
        rewards,
        near=RootPrices(x, y),
        status=Status.CONVERGED,
        method=method,
        steps=len(trace),
        trace=trace,
    )
    return solution if is_rest(market, solution) else None


@dataclass(frozen=True)
class _Provider:
    """One provider and those who demand something of it (m users).

    Attributes:
        users: m, their indices.
        work, traffic, both: m, a/κ, b/κ and √(ab)/κ.
        root_work, root_traffic: m, √(a/κ) and √(b/κ).
        budget: m, κ.
        profit, low, high: m, μ, R_min and R_max.
        room_f, room_b, cross, room: F₀, W₀, G₀ and D₀.
        gram: m×m, (√(a_i b_j) − √(a_j b_i))²/(κ_i κ_j).
        own: m, by how much D grows with a pair's weight while no other is off its floor.
    """

    users: np.ndarray[tuple[int], np.dtype[np.intp]]
    work: FloatArray
    traffic: FloatArray
    both: FloatArray
    root_work: FloatArray
    root_traffic: FloatArray
    budget: FloatArray
    profit: FloatArray
    low: FloatArray
    high: FloatArray
    room_f: float
    room_b: float
    cross: float
    room: float
    gram: FloatArray
    own: FloatArray

    @classmethod
    def of(cls, market: Market, n: int) -> _Provider:
        users = np.flatnonzero(market.present[n])
        budget = market.latency_budget[n, users]
        # 64 bits of mantissa where the machine has them: the rooms are differences.
        work = market.work[n, users].astype(np.longdouble) / budget
        traffic = market.traffic[n, users].astype(np.longdouble) / budget
        both = np.sqrt(work * traffic)
        room_f = np.longdouble(market.compute_capacity[n]) - work.sum()
        room_b = np.longdouble(market.bandwidth_capacity[n]) - traffic.sum()
        cross = both.sum()
        a, b, ab = (term.astype(np.float64) for term in (work, traffic, both))
        root_a, root_b = np.sqrt(a), np.sqrt(b)
        f, w, g = float(room_f), float(room_b), float(cross)
        return cls(
            users=users,
            work=a,
            traffic=b,
            both=ab,
            root_work=root_a,
            root_traffic=root_b,
            budget=budget,
            profit=market.profit_factor[users],
            low=market.reward_min[users],
            high=market.reward_max[users],
            room_f=f,
            room_b=w,
            cross=g,
            room=float(room_f * room_b - cross * cross),
            gram=(np.outer(root_a, root_b) - np.outer(root_b, root_a)) ** 2,
            own=f * b + w * a + 2.0 * g * ab,
        )

    def left(self, v: FloatArray) -> float:
        """Return (F₀ − Σva/κ)(W₀ − Σvb/κ) − (G₀ + Σv√(ab)/κ)²: zero where capacities are full."""
        a, b, ab = (float(v @ term) for term in (self.work, self.traffic, self.both))
        return (
            self.room
            - (self.room_f * b + self.room_b * a + 2.0 * self.cross * ab)
            + (a * b - ab * ab)
        )

    def ratio(self, v: FloatArray) -> float:
        """Return y/x at which compute is full."""
        return float((self.room_f - v @ self.work) / (self.cross + v @ self.both))

    def slopes(self, ratio: float) -> FloatArray:
        """Return t/x (m): thresholds of the root rewards at the price level one."""
        slopes: FloatArray = (self.root_work + self.root_traffic * ratio) / np.sqrt(self.budget)
        return slopes

    def rewards(self, point: _PathPoint, ratio: float) -> FloatArray:
        """Return R (m): above the threshold t², at it where marginal, else the least allowed."""
        root = self.slopes(ratio) * point.level * (1.0 + point.v)
        wanted = np.where(point.weight > 0.0, root * root, self.low)
        return np.clip(wanted, self.low, self.high)


class _PathPoint(NamedTuple):
    """A place on the path: level x, weights β (m) and v (m)."""

    level: float
    weight: FloatArray
    v: FloatArray


def _change(before: list[_PathPoint], now: list[_PathPoint]) -> float:
    """Return the largest change of v, relative to the largest; infinite in the first round."""
    if not before:
        return np.inf
    change = max(
        float(np.abs(new.v - old.v).max(initial=0.0)) for new, old in zip(now, before, strict=True)
    )
    largest = max(float(point.v.max(initial=0.0)) for point in now)
    return change / largest if largest > 0 else np.inf


def _answer(provider: _Provider, ratio: float, elsewhere: FloatArray) -> _PathPoint | None:
    """Return where the capacities are full; None if they are not anywhere on the path.

    Args:
        provider: of m users.
        ratio: y/x.
        elsewhere: m, QoE that these have of other providers, ms.
    """
    slopes = provider.slopes(ratio)
    worth = np.clip(provider.profit / (1.0 + elsewhere), provider.low, provider.high)
    thresholds = np.sqrt(worth) / slopes
    order = np.argsort(-thresholds, kind="stable")
    count = order.size

    def at(level: float, crossed: int, share: float = 0.0) -> _PathPoint:
        weight = np.zeros(count)
        weight[order[:crossed]] = 1.0
        if share > 0.0:
            weight[order[crossed]] = share
        v = np.zeros(count)
        on = order[:crossed]
        v[on] = _bought(provider, on, weight, (level * slopes[on]) ** 2, elsewhere[on])
        return _PathPoint(level, weight, v)

    def left(point: _PathPoint) -> float:
        return provider.left(point.v)

    # Stage 2j arrives at the threshold j, stage 2j + 1 leaves it with the pair off its floor.
    first, last = 0, 2 * count
    while last - first > 1:
        stage = (first + last) // 2
        if left(at(float(thresholds[order[stage // 2]]), (stage + 1) // 2)) > 0.0:
            first = stage
        else:
            last = stage
    crossed = first // 2
    level = float(thresholds[order[crossed]])
    if first % 2 == 0 and left(at(level, crossed + 1)) <= 0.0:
        share = _root(lambda log: left(at(level, crossed, float(np.exp(log)))), -1.0, 0.0)
        return None if share is None else at(level, crossed, float(np.exp(share)))
    crossed += 1
    top = float(np.log(level))
    bottom = float(np.log(thresholds[order[crossed]])) if crossed < count else top - 1e-3
    log_level = _root(lambda log: left(at(float(np.exp(log)), crossed)), bottom, top)
    return None if log_level is None else at(float(np.exp(log_level)), crossed)


def _root(function: Callable[[float], float], low: float, high: float) -> float | None:
    """Return a root below ``high`` of a monotone function; None if there is none within e^200."""
    sign = np.sign(function(high))
    if sign == 0.0:
        return high
    while np.sign(function(low)) == sign:
        low -= 2.0 * (high - low)
        if low < high - 200.0:
            return None
    return float(brentq(function, low, high, xtol=1e-16, rtol=8.9e-16, maxiter=400))


def _bought(
    provider: _Provider,
    on: np.ndarray[tuple[int], np.dtype[np.intp]],
    weight: FloatArray,
    threshold: FloatArray,
    elsewhere: FloatArray,
) -> FloatArray:
    """Return v of some pairs off their floor, each its user's best (theory, section 14).

    Args:
        provider: of m users.
        on: which pairs.
        weight: m, β.
        threshold: of these, t².
        elsewhere: of these, QoE of other providers, ms.
    """
    # 1 − k is the pair's own share of D, k what the others' is: every term is positive.
    by_pair = weight * provider.own
    gained = provider.gram @ weight
    total = provider.room + by_pair.sum() + 0.5 * float(weight @ gained)
    share = weight[on] * (provider.own[on] + gained[on]) / total
    rest = 1.0 - share
    for place in map(int, np.flatnonzero(share > 0.5)):  # few; a difference would lose digits
        rest[place] = _without(provider, weight, int(on[place])) / total
    v = np.empty(on.size)
    for place, i in enumerate(map(int, on)):
        v[place] = _best(
            float(rest[place]),
            float(share[place]),
            float(threshold[place]),
            float(provider.profit[i]),
            float(provider.budget[i]),
            float(elsewhere[place]),
        )
    lowest = np.maximum(np.sqrt(provider.low[on] / threshold) - 1.0, 0.0)
    highest = np.maximum(np.sqrt(provider.high[on] / threshold) - 1.0, lowest)
    bought: FloatArray = np.clip(v, lowest, highest)
    return bought


def _without(provider: _Provider, weight: FloatArray, i: int) -> float:
    """Return D with pair i put back to its floor."""
    others = weight.copy()
    others[i] = 0.0
    return float(provider.room + others @ provider.own + 0.5 * (others @ provider.gram @ others))


def _best(k: float, e: float, t2: float, profit: float, budget: float, elsewhere: float) -> float:
    """Return the root v of (p/t² − (1+v)²)(k − e v) = 2(1+v)²v with p = μ/(1 + ΣQ)."""

    def gain(v: float) -> float:
        square = (1.0 + v) ** 2
        worth = profit / (1.0 + elsewhere + budget * v / (1.0 + v))
        return (worth / t2 - square) * (k - e * v) - 2.0 * square * v

    if gain(0.0) <= 0.0:
        return 0.0
    highest = np.sqrt(profit / (1.0 + elsewhere) / t2) - 1.0
    if e > 0.0:
        highest = min(highest, k / e)
    if gain(highest) >= 0.0:
        return float(highest)
    return float(brentq(gain, 0.0, highest, xtol=1e-300, rtol=8.9e-16, maxiter=400))
