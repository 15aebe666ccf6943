"""The game as a residual in its 2N capacity prices (theory, section 6).

One scalar z ≥ 0 per capacity tells its state. Up to 1 the price is the unit cost, and ω = z weighs
the price's two one-sided derivatives (0: slack, 1: about to bind). Beyond 1 the capacity binds and
its price is x = √c·exp(z − 1). At an equilibrium z ≥ 0 ⟂ ln(capacity/use) ≥ 0.

A pair can sit on a kink as well: where its user is held exactly at the reward at which its QoE
starts, the *other* users of the provider weigh "at the floor" and "off the floor" with a share
α ∈ [0, 1]. Such *marginal* pairs join the unknowns; all other pairs have α = 0 or 1.

This module evaluates; what drives the residual to zero is in :mod:`qoex.equilibrium`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from qoex.feasibility import floor_terms
from qoex.market import BoolArray, FloatArray, Market
from qoex.pull import Pull, pull

# Stands for use, where nothing is used, under a logarithm or below a fraction line.
_UNUSED = 1e-300


class Conduct(Enum):
    """How users reckon when they set rewards."""

    STRATEGIC = "strategic"  # with their own pull on the capacity prices: the game of the paper
    PRICE_TAKING = "price_taking"  # without it: the limit of a large market
    WELFARE = "welfare"  # as a planner: every pair is served as if its user paid p everywhere


@dataclass
class Point:
    """The unknowns, and the users' state that belongs to them.

    Attributes:
        z: 2N, state of each capacity, compute first.
        alpha: one share per marginal pair.
        floor: N×M, pairs counted as at the floor in the users' pull (marginal ones excepted).
        wanted: N×M, root of the reward wanted; warm start of the next sweep.
        marginal: M, p = μ/(1 + ΣQ); warm start of the next sweep.
    """

    z: FloatArray
    alpha: FloatArray
    floor: BoolArray
    wanted: FloatArray
    marginal: FloatArray

    def copy(self) -> Point:
        """Return a copy that shares nothing."""
        return Point(
            self.z.copy(),
            self.alpha.copy(),
            self.floor.copy(),
            self.wanted.copy(),
            self.marginal.copy(),
        )


@dataclass(frozen=True)
class Evaluation:
    """What one sweep over the users says at a point.

    Attributes:
        slack: 2N + marginal pairs; ln(capacity/use), then ln(√p or bound / t) per marginal pair.
        residual: same shape; zero at an equilibrium. At a capacity in use it is the relative error
            of the price, at an idle one z, at a marginal pair the natural residual.
        floor: N×M, pairs whose user wants no QoE at these prices.
        served: N×M, s = max(√R, t).
        threshold: N×M, t.
        ceiling: M, root of the largest reward that could pay: √p inside the bounds.
        x: N, root of the compute price.
        y: N, root of the bandwidth price.
        pull: what the users' own pull was computed from.
        use: 2N, TFLOPS then MHz.
        use_by_prices: 2N×5N, derivative of use by (x, y, E1, E2, E3) of each provider.
        gain_by_prices: derivative of p of its user by the same, one row per marginal pair.
    """

    slack: FloatArray
    residual: FloatArray
    floor: BoolArray
    served: FloatArray
    threshold: FloatArray
    ceiling: FloatArray
    x: FloatArray
    y: FloatArray
    pull: Pull
    use: FloatArray
    use_by_prices: FloatArray
    gain_by_prices: FloatArray

    @property
    def merit(self) -> float:
        """Euclidean norm of the residual."""
        return float(np.linalg.norm(self.residual))

    @property
    def error(self) -> float:
        """Largest absolute residual; NaN if any is."""
        return float(np.abs(self.residual).max())


class PriceSystem:
    """The complementarity problem of one market under one conduct.

    Attributes:
        lower: least value of z: 0, or 1 where users have no pull to weigh.
        low: M, least root of a reward.
        high: M, largest root of a reward.
        marginal_pairs: (provider, user) of the pairs that are unknowns, in the order of α.
        sweeps: passes over the users so far.
    """

    def __init__(self, market: Market, conduct: Conduct) -> None:
        self.market = market
        self.conduct = conduct
        self.strategic = conduct is Conduct.STRATEGIC
        self.lower = 0.0 if self.strategic else 1.0
        self.root_work = np.sqrt(market.work)
        self.root_traffic = np.sqrt(market.traffic)
        self.present = market.present
        self.budget = np.where(self.present, market.latency_budget, 1.0)
        self.terms = floor_terms(market)
        self.root_cost = np.sqrt(np.concatenate([market.compute_cost, market.bandwidth_cost]))
        self.capacity = np.concatenate([market.compute_capacity, market.bandwidth_capacity])
        if conduct is Conduct.WELFARE:  # a planner has no bounds on rewards
            self.low, self.high = np.zeros(market.users), np.full(market.users, np.inf)
        else:
            self.low, self.high = np.sqrt(market.reward_min), np.sqrt(market.reward_max)
        self.marginal_pairs: list[tuple[int, int]] = []
        self.sweeps = 0
        n = market.providers
        self._use, self._use_by_prices = np.empty(2 * n), np.empty((2 * n, 5 * n))
        self._pair, self._row = np.empty((n, 7)), np.empty(5 * n)

    def origin(self) -> Point:
        """Return the point at which every capacity is slack and nothing is known of the users."""
        n, m = self.market.work.shape
        return Point(
            z=np.full(2 * n, self.lower),
            alpha=np.zeros(0),
            floor=np.zeros((n, m), dtype=bool),
            wanted=np.zeros((n, m)),
            marginal=np.zeros(m),
        )

    def evaluate(self, point: Point) -> Evaluation:
        """Sweep the users at a point; brings its warm starts up to date in place."""
        from qoex.kernels.sweep import STRATEGIC, WELFARE, sweep

        n = self.market.providers
        own = self.own_pull(point)
        prices = self.root_cost * np.exp(np.maximum(point.z - 1.0, 0.0))
        x, y = prices[:n].copy(), prices[n:].copy()
        served = np.empty_like(self.root_work)
        kept_row = np.full(self.market.users, -1)
        users = np.array([m for _, m in self.marginal_pairs], dtype=np.int64)
        kept_users, row_of_pair = np.unique(users, return_inverse=True)
        kept_row[kept_users] = np.arange(kept_users.size)
        kept = np.empty((kept_users.size, 5 * n))
        sweep(
            self.root_work,
            self.root_traffic,
            self.market.latency_budget,
            self.market.profit_factor,
            self.low,
            self.high,
            x,
            y,
            own.coefficients,
            WELFARE if self.conduct is Conduct.WELFARE else STRATEGIC,
            point.wanted,
            point.marginal,
            served,
            self._use,
            self._use_by_prices,
            self._pair,
            self._row,
            kept_row,
            kept,
        )
        self.sweeps += 1
        threshold = self.root_work * x[:, None] + self.root_traffic * y[:, None]
        threshold /= self.budget
        ceiling = np.clip(np.sqrt(point.marginal), self.low, self.high)
        slack = np.log(self.capacity) - np.log(np.maximum(self._use, _UNUSED))
        residual = self._price_error(point, served <= threshold, x, y, slack)
        if self.marginal_pairs:
            above = np.array([np.log(ceiling[m] / threshold[k, m]) for k, m in self.marginal_pairs])
            residual = np.append(residual, point.alpha - np.clip(point.alpha - above, 0.0, 1.0))
            slack = np.append(slack, above)
        return Evaluation(
            slack=slack,
            residual=residual,
            floor=self.present & (ceiling < threshold),
            served=served,
            threshold=threshold,
            ceiling=ceiling,
            x=x,
            y=y,
            pull=own,
            use=self._use.copy(),
            use_by_prices=self._use_by_prices.copy(),
            gain_by_prices=kept[row_of_pair],
        )

    def jacobian(self, point: Point, at: Evaluation) -> FloatArray:
        """Return the derivative of ``at.slack`` by (z, α).

        At the kink z = 1 the side is taken towards which an overloaded or an idle capacity moves.
        """
        n = self.market.providers
        unknowns = 2 * n + len(self.marginal_pairs)
        inputs = np.zeros((5 * n, unknowns))
        priced = self.priced(point, at)
        for i in range(2 * n):
            resource, k = divmod(i, n)
            if priced[i]:
                inputs[5 * k + resource, i] = (at.x, at.y)[resource][k]
            else:
                inputs[5 * k + 2 : 5 * k + 5, i] = at.pull.by_omega[resource, :, k]
        for j, (k, m) in enumerate(self.marginal_pairs):
            inputs[5 * k + 2 : 5 * k + 5, 2 * n + j] = (
                at.pull.by_cross[:, k] * self.terms.cross[k, m]
                - at.pull.by_room[0, :, k] * self.terms.compute[k, m]
                - at.pull.by_room[1, :, k] * self.terms.bandwidth[k, m]
            )
        matrix = np.empty((unknowns, unknowns))
        matrix[: 2 * n] = -(at.use_by_prices @ inputs) / np.maximum(at.use, _UNUSED)[:, None]
        for j, (k, m) in enumerate(self.marginal_pairs):
            row = np.zeros(5 * n)
            height = self.budget[k, m] * at.threshold[k, m]
            row[5 * k] = -self.root_work[k, m] / height
            row[5 * k + 1] = -self.root_traffic[k, m] / height
            if self.low[m] < np.sqrt(point.marginal[m]) < self.high[m]:
                row += 0.5 * at.gain_by_prices[j] / point.marginal[m]
            matrix[2 * n + j] = row @ inputs
        return matrix

    def priced(self, point: Point, at: Evaluation) -> BoolArray:
        """Return which capacities (2N) answer a change of z by their price, not by ω."""
        overloaded = at.slack[: point.z.size] < 0
        priced: BoolArray = (point.z > 1.0) | ((point.z == 1.0) & overloaded)
        return priced if self.strategic else np.ones_like(priced)

    def own_pull(self, point: Point) -> Pull:
        """Return how much a user's own reward moves the prices of each provider at a point."""
        n = self.market.providers
        weight = point.floor.astype(np.float64)
        for pair, share in zip(self.marginal_pairs, point.alpha, strict=True):
            weight[pair] = share
        omega = np.minimum(point.z, 1.0) if self.strategic else np.zeros(2 * n)
        return pull(omega[:n], omega[n:], *self._rooms(weight))

    def _rooms(self, weight: FloatArray | BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return F′, W′ and G (N each) with pairs at the floor by these weights (N×M)."""
        return (
            self.market.compute_capacity - (weight * self.terms.compute).sum(axis=1),
            self.market.bandwidth_capacity - (weight * self.terms.bandwidth).sum(axis=1),
            (weight * self.terms.cross).sum(axis=1),
        )

    def _price_error(
        self, point: Point, idle: BoolArray, x: FloatArray, y: FloatArray, slack: FloatArray
    ) -> FloatArray:
        """Return (x − x̂)/x and (y − ŷ)/y at capacities in use, z − lower at idle ones (2N).

        x̂ and ŷ are the prices that the offers of this sweep would bring about. In a market with
        hardly any room to spare the use says next to nothing: with every user at its floor it does
        not depend on the price level at all, whereas x̂ is then zero, and the error 1.
        """
        n = self.market.providers
        height = point.z - self.lower
        in_use = height > slack
        room_f, room_b, cross = self._rooms(idle & self.present)
        cross = np.where(in_use[:n] & in_use[n:], cross, 0.0)
        determinant = room_f * room_b - cross * cross
        spare = (self.capacity - self._use) * np.concatenate([x, y])
        error_x = (room_b * spare[:n] + cross * spare[n:]) / (determinant * x)
        error_y = (room_f * spare[n:] + cross * spare[:n]) / (determinant * y)
        return np.where(in_use, np.concatenate([error_x, error_y]), height)
