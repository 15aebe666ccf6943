"""The game as a residual in its 2N capacity prices (theory, section 6).

One scalar z ≥ 0 per capacity tells its state. Up to 1 the price is the unit cost, and ω = z weighs
the price's two one-sided derivatives (0: slack, 1: about to bind). Beyond 1 the capacity binds and
its price is x = √c·exp(z − 1). At an equilibrium z ≥ 0 ⟂ ln(capacity/use) ≥ 0.

A pair can sit on a kink as well: where its user is held exactly at the reward at which its QoE
starts, the *other* users of the provider weigh "at the floor" and "off the floor" with a share
α ∈ [0, 1]. Such *marginal* pairs join the unknowns; all other pairs have α = 0 or 1.

This module evaluates; what drives the residual to zero is in :mod:`qoex.equilibrium.solver`.

References:
    F. Facchinei, J.-S. Pang, "Finite-Dimensional Variational Inequalities and Complementarity
    Problems", Springer, 2003.

    R. D. Yates, "A framework for uplink power control in cellular radio systems", IEEE Journal on
    Selected Areas in Communications 13, 1995.
"""

from __future__ import annotations

import numpy as np

from qoex.equilibrium.evaluation import BehaviourModel, Evaluation, Point
from qoex.equilibrium.population import Population
from qoex.equilibrium.price_impact import PriceImpact, impact
from qoex.equilibrium.user_shard import User
from qoex.kernels import interpreted
from qoex.kernels.arguments import Prices, RootDemand, UserTerms
from qoex.model.market import BoolArray, FloatArray
from qoex.model.sides import ProviderSide

# Stands for use, where nothing is used, under a logarithm or below a fraction line.
_UNUSED = 1e-300
# Steps that many users take together; twelve do for all but a few in a million.
_MOST_STEPS = 12
# Error below which prices are so near that what is slack stays so, and what bends is told by few.
NEAR = 0.1
# A capacity with this much left, as ln(capacity/use), is not expected to fill in a step.
_PLENTY = 0.05
# Fewer users than this are solved one by one, to the last bit that doubles have: with hardly any
# room to spare prices hang on it, and there is little to gain.
_SMALL = 256


class PriceSystem:
    """The complementarity problem of one market under one behaviour.

    Attributes:
        users: who responds to prices.
        lower: least value of z: 0, or 1 where users have no impact to weigh.
        marginal_pairs: (provider, user) of the pairs that are unknowns, in the order of α.
        sweeps: passes over the users so far.
        plenty: 2N, capacities that were far from full when last looked at.
    """

    def __init__(self, supply: ProviderSide, users: Population, behaviour: BehaviourModel) -> None:
        self.users = users
        self.behaviour = behaviour
        self.strategic = behaviour is BehaviourModel.STRATEGIC
        self.lower = 0.0 if self.strategic else 1.0
        self.root_cost = np.sqrt(np.concatenate([supply.compute_cost, supply.bandwidth_cost]))
        self.capacity = np.concatenate([supply.compute_capacity, supply.bandwidth_capacity])
        self.marginal_pairs: list[tuple[int, int]] = []
        self.sweeps = 0
        self.plenty = np.zeros(self.capacity.size, dtype=np.bool_)
        small = interpreted() or users.users < _SMALL
        self._most_steps = 0 if small else _MOST_STEPS

    def origin(self) -> Point:
        """Return the point at which every capacity is slack and nothing is known of the users."""
        n = self.users.providers
        return Point(z=np.full(2 * n, self.lower), alpha=np.zeros(0), floors=np.zeros((3, n)))

    def evaluate(self, point: Point, *, derivatives: bool = True) -> Evaluation:
        """Sweep the users at a point; :meth:`jacobian` needs the derivatives."""
        from qoex.kernels.user import STRATEGIC, WELFARE

        n = self.users.providers
        own = self.own_impact(point)
        root_prices = self.root_cost * np.exp(np.maximum(point.z - 1.0, 0.0))
        x, y = root_prices[:n].copy(), root_prices[n:].copy()
        by_impact = self._moved_by_impact(point, own)
        prices = Prices(
            x=x,
            y=y,
            impact=own.coefficients,
            directions=(
                self._directions(point, x, y, own, by_impact)
                if derivatives
                else np.zeros((0, 5, n))
            ),
            behaviour=WELFARE if self.behaviour is BehaviourModel.WELFARE else STRATEGIC,
            most_steps=self._most_steps,
        )
        sums = self.users.sweep(prices)
        self.sweeps += 1
        slack = np.log(self.capacity) - np.log(np.maximum(sums.use, _UNUSED))
        residual = self._price_error(point, sums.idle, sums.use, x, y, slack)
        self.note_plenty(point, slack if np.abs(residual).max() < NEAR else np.zeros(2 * n))
        marginal_users = [self.users.user(m) for _, m in self.marginal_pairs]
        if self.marginal_pairs:
            above = np.array(
                [
                    np.log(self._ceiling(user) / threshold(user, k, x, y))
                    for (k, _), user in zip(self.marginal_pairs, marginal_users, strict=True)
                ]
            )
            residual = np.append(residual, point.alpha - np.clip(point.alpha - above, 0.0, 1.0))
            slack = np.append(slack, above)
        return Evaluation(
            slack=slack,
            residual=residual,
            x=x,
            y=y,
            impact=own,
            use=sums.use,
            use_by_prices=sums.use_by,
            by_impact=by_impact,
            unwanted=sums.unwanted,
            crossed=sums.crossed,
            near=sums.near,
            near_count=sums.near_count,
            highest=sums.highest,
            marginal_users=marginal_users,
            prices=prices,
        )

    def jacobian(self, point: Point, at: Evaluation) -> FloatArray:
        """Return the derivative of ``at.slack`` by (z, α).

        At the kink z = 1 the side is taken towards which an overloaded or an idle capacity moves.
        """
        n = self.users.providers
        by_use = -at.use_by_prices / np.maximum(at.use, _UNUSED)[:, None]
        if at.prices.directions.shape[0] == 2:
            return np.where(at.by_impact, 0.0, by_use)
        unknowns = 2 * n + len(self.marginal_pairs)
        inputs = np.zeros((5, n, unknowns))
        priced = self.priced(point, at)
        for i in range(2 * n):
            resource, k = divmod(i, n)
            if priced[i]:
                inputs[resource, k, i] = (at.x, at.y)[resource][k]
            else:
                inputs[2:, k, i] = at.impact.by_omega[resource, :, k]
        pairs = list(zip(self.marginal_pairs, at.marginal_users, strict=True))
        for j, ((k, _), user) in enumerate(pairs):
            compute, bandwidth, cross = _floor_terms(user, k)
            inputs[2:, k, 2 * n + j] = (
                at.impact.by_cross[:, k] * cross
                - at.impact.by_room[0, :, k] * compute
                - at.impact.by_room[1, :, k] * bandwidth
            )
        matrix = np.empty((unknowns, unknowns))
        matrix[: 2 * n] = by_use @ inputs.reshape(5 * n, unknowns)
        for j, ((k, _), user) in enumerate(pairs):
            row = np.zeros((5, n))
            height = user.latency_budget[k] * threshold(user, k, at.x, at.y)
            row[0, k] = -np.sqrt(user.work[k]) / height
            row[1, k] = -np.sqrt(user.traffic[k]) / height
            if self._ceiling(user) == np.sqrt(user.marginal):
                row += 0.5 * self._gain_by_prices(user, at.prices) / user.marginal
            matrix[2 * n + j] = row.ravel() @ inputs.reshape(5 * n, unknowns)
        return matrix

    def slack_by_impact(self, at: Evaluation) -> FloatArray:
        """Return the derivative of the capacities' slack by ln of each provider's impact (2N×N).

        It is zero where both prices of a provider move, for there the sweep did not look.
        """
        n = self.users.providers
        by_use = -at.use_by_prices / np.maximum(at.use, _UNUSED)[:, None]
        by = by_use.reshape(2 * n, -1, n)
        if by.shape[1] == 2:
            by = np.where(at.by_impact, by_use, 0.0).reshape(2 * n, 2, n)
        else:
            by = by[:, 2:] * at.impact.coefficients
        summed: FloatArray = by.sum(axis=1)
        return summed

    def growth_of_impact(self, point: Point, at: Evaluation) -> FloatArray:
        """Return by what share each provider's impact changes with the floors of the point (N)."""
        before = at.impact.coefficients
        change = self.own_impact(point).coefficients - before
        size = (before * before).sum(axis=0)
        growth: FloatArray = (change * before).sum(axis=0) / np.where(size > 0, size, 1.0)
        return growth

    def note_plenty(self, point: Point, slack: FloatArray) -> None:
        """Remember which capacities are far from full, if their ln(capacity/use) is this (2N)."""
        self.plenty = (point.z == 0.0) & (slack > _PLENTY)

    def priced(self, point: Point, at: Evaluation) -> BoolArray:
        """Return which capacities (2N) answer a change of z by their price, not by ω."""
        overloaded = at.slack[: point.z.size] < 0
        priced: BoolArray = (point.z > 1.0) | ((point.z == 1.0) & overloaded)
        return priced if self.strategic else np.ones_like(priced)

    def own_impact(self, point: Point) -> PriceImpact:
        """Return how much a user's own reward moves the prices of each provider at a point."""
        n = self.users.providers
        floors = point.floors.copy()
        for (k, m), share in zip(self.marginal_pairs, point.alpha, strict=True):
            floors[:, k] += share * np.array(_floor_terms(self.users.user(m), k))
        omega = np.minimum(point.z, 1.0) if self.strategic else np.zeros(2 * n)
        room_f, room_b = self._rooms(floors)
        return impact(omega[:n], omega[n:], room_f, room_b, floors[2])

    def add_marginal_pair(self, point: Point, pair: tuple[int, int]) -> None:
        """Make a pair an unknown, at first with the share α with which it counts at the point."""
        n, m = pair
        user = self.users.user(m)
        share = float(user.at_floor[n])
        self.marginal_pairs.append(pair)
        point.alpha = np.append(point.alpha, share)
        point.floors[:, n] -= share * np.array(_floor_terms(user, n))
        self.users.set_unknown(self.marginal_pairs)

    def _moved_by_impact(self, point: Point, own: PriceImpact) -> BoolArray:
        """Return in place of which capacities (2N) the impact is moved, while z stays."""
        if not self.plenty.any() or self._needs_all(point):
            return np.zeros_like(self.plenty)
        pulled = (own.coefficients != 0.0).any(axis=0)
        moved: BoolArray = self.plenty & (point.z == 0.0) & np.tile(pulled, 2)
        return moved

    def _needs_all(self, point: Point) -> bool:
        """Return whether responses are to be differentiated by all five numbers of a provider."""
        return bool(self.marginal_pairs) or (self.strategic and bool((point.z == 1.0).any()))

    def _directions(
        self, point: Point, x: FloatArray, y: FloatArray, own: PriceImpact, by_impact: BoolArray
    ) -> FloatArray:
        """Return along which directions (C×5×N) the users' responses are to be differentiated."""
        n = self.users.providers
        if self._needs_all(point):
            return np.broadcast_to(np.eye(5)[:, :, None], (5, 5, n)).copy()
        directions = np.zeros((2, 5, n))
        priced = (point.z > 1.0) | (not self.strategic)
        directions[0, 0] = np.where(priced[:n], x, 0.0)
        directions[1, 1] = np.where(priced[n:], y, 0.0)
        for resource in range(2):
            weighed = ~priced[resource * n : (resource + 1) * n]
            directions[resource, 2:] = np.where(weighed, own.by_omega[resource], 0.0)
            moved = by_impact[resource * n : (resource + 1) * n]
            if moved.any():
                directions[resource, 2:, moved] = own.coefficients[:, moved].T
        return directions

    def _ceiling(self, user: User) -> float:
        """Return the root of the largest reward that could pay: √p inside the user's bounds."""
        root = np.sqrt(user.marginal)
        if self.behaviour is BehaviourModel.WELFARE:
            return float(root)
        return float(np.clip(root, np.sqrt(user.reward_min), np.sqrt(user.reward_max)))

    def _gain_by_prices(self, user: User, prices: Prices) -> FloatArray:
        """Return the derivative of p of a user by (x, y, E1, E2, E3) of each provider (5×N)."""
        from qoex.kernels.user import user_response

        n = self.users.providers
        response = np.empty(5 * n)
        user_response(
            0,
            RootDemand(
                np.sqrt(user.work)[:, None],
                np.sqrt(user.traffic)[:, None],
                user.latency_budget[:, None],
            ),
            UserTerms(
                user.profit_factor,
                float(np.sqrt(user.reward_min)),
                float(np.sqrt(user.reward_max)),
            ),
            prices,
            user.wanted[:, None],
            user.marginal,
            np.empty((n, 7)),
            response,
        )
        return response.reshape(n, 5).T

    def _rooms(self, floors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return F′ and W′ (N each) beside these floors (3×N)."""
        n = self.users.providers
        return self.capacity[:n] - floors[0], self.capacity[n:] - floors[1]

    def _price_error(
        self,
        point: Point,
        idle: FloatArray,
        use: FloatArray,
        x: FloatArray,
        y: FloatArray,
        slack: FloatArray,
    ) -> FloatArray:
        """Return (x − x̂)/x and (y − ŷ)/y at capacities in use, z − lower at idle ones (2N).

        x̂ and ŷ are the prices that the offers of this sweep would bring about. In a market with
        hardly any room to spare the use says next to nothing: with every user at its floor it does
        not depend on the price level at all, whereas x̂ is then zero, and the error 1.
        """
        n = self.users.providers
        height = point.z - self.lower
        in_use = height > slack
        room_f, room_b = self._rooms(idle)
        cross = np.where(in_use[:n] & in_use[n:], idle[2], 0.0)
        determinant = room_f * room_b - cross * cross
        spare = (self.capacity - use) * np.concatenate([x, y])
        error_x = (room_b * spare[:n] + cross * spare[n:]) / (determinant * x)
        error_y = (room_f * spare[n:] + cross * spare[:n]) / (determinant * y)
        return np.where(in_use, np.concatenate([error_x, error_y]), height)


def _floor_terms(user: User, provider: int) -> tuple[float, float, float]:
    """Return a/κ, b/κ and √(ab)/κ of a pair."""
    budget = float(user.latency_budget[provider])
    work, traffic = float(user.work[provider]), float(user.traffic[provider])
    return work / budget, traffic / budget, float(np.sqrt(work) * np.sqrt(traffic)) / budget


def threshold(user: User, provider: int, x: FloatArray, y: FloatArray) -> float:
    """Return t, the root of the reward at which a pair's QoE begins."""
    height = np.sqrt(user.work[provider]) * x[provider]
    height += np.sqrt(user.traffic[provider]) * y[provider]
    return float(height / user.latency_budget[provider])
