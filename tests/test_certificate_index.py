"""The index of an equilibrium, against differences of responses found by bisection alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

import qoex.certificate
from certificate_cases import settled
from markets import FAMILIES, Family, random_market, two_users
from qoex.certificate import index as index_module
from qoex.certificate.index import Linearised, equilibrium_index, linearised
from qoex.certificate.weights import Unknown
from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.method import NewtonMethod
from qoex.equilibrium.multiplicity import certify
from qoex.equilibrium.newton import search
from qoex.equilibrium.population import Population
from qoex.equilibrium.price_system import PriceSystem
from qoex.equilibrium.restart import Restarts
from qoex.equilibrium.search_state import Problem
from qoex.equilibrium.solver import solve
from qoex.game.solution import Regime, Solution
from qoex.model.market import FloatArray, Market

# Of central differences of 1e-5: their square, and 1e-13 of rounding divided by them.
DIFFERENCES = 1e-6

# Seeds with marginal pairs, two of them at one equilibrium and beside a pinned capacity.
CASES: list[tuple[Family, int]] = [
    *((family, seed) for seed, family in enumerate(FAMILIES * 2)),
    *(("tight", 1000 + seed) for seed in range(12)),
]


class Conditions:
    """ln(capacity/use) and ln(√p/t) at any prices and weights, the pattern being kept.

    Each user's rewards and marginal gain are found by nested bisection from the first-order
    condition; what is at its floor stays there, and so does what is off it.
    """

    def __init__(self, market: Market, solution: Solution) -> None:
        self.market = market
        self.off = solution.qoe > 1e-9 * market.latency_budget  # rounding at marginal pairs
        self.marginal: list[tuple[int, int]] = []

    def impact(self, n: int, omega: FloatArray, alpha: dict[tuple[int, int], float]) -> FloatArray:
        """E₁, E₂ and E₃, from how the two prices impact each other along (theory, section 5)."""
        market = self.market
        share = np.zeros(market.users)
        share[market.present[n] & ~self.off[n]] = 1.0
        for pair in self.marginal:
            if pair[0] == n:
                share[pair[1]] = alpha[pair]
        budget = np.where(market.present[n], market.latency_budget[n], 1.0)
        a, b = market.work[n], market.traffic[n]
        room = (
            market.compute_capacity[n] - (share * a / budget).sum(),
            market.bandwidth_capacity[n] - (share * b / budget).sum(),
        )
        cross = (share * np.sqrt(a * b) / budget).sum()
        impacts = np.array([[1.0, -omega[0] * cross / room[0]], [-omega[1] * cross / room[1], 1.0]])
        # Columns: dx and dy of a push by √a alone, and by √b alone.
        moved = np.linalg.solve(impacts, np.diag([omega[0] / room[0], omega[1] / room[1]]))
        return np.array([moved[0, 0], moved[1, 1], moved[0, 1] + moved[1, 0]])

    def residual(
        self, roots: FloatArray, omega: FloatArray, alpha: dict[tuple[int, int], float]
    ) -> tuple[FloatArray, dict[tuple[int, int], float]]:
        market = self.market
        use = np.zeros((2, market.providers))
        above = {}
        impact = [self.impact(n, omega[:, n], alpha) for n in range(market.providers)]
        for m in range(market.users):
            served = [int(n) for n in np.flatnonzero(self.off[:, m])]
            low, high = np.sqrt(market.reward_min[m]), np.sqrt(market.reward_max[m])
            work, traffic = np.sqrt(market.work[:, m]), np.sqrt(market.traffic[:, m])
            height = work * roots[0] + traffic * roots[1]

            def reward(n: int, p: float, m: int = m, height: FloatArray = height) -> float:
                a, b, k = market.work[n, m], market.traffic[n, m], market.latency_budget[n, m]
                h, e = height[n], np.array([a, b, np.sqrt(a * b)]) @ impact[n]

                def slope(u: float) -> float:
                    return float((p - u * u) * (h - e * u) - 2.0 * u * u * (k * u - h))

                if slope(h / k) <= 0.0:
                    return float(h / k)
                if slope(np.sqrt(p)) >= 0.0:
                    return float(np.sqrt(p))
                return float(brentq(slope, h / k, np.sqrt(p), xtol=1e-300, rtol=1e-15))

            def bought(
                p: float, m: int = m, height: FloatArray = height, served: list[int] = served
            ) -> dict[int, float]:
                low, high = np.sqrt(market.reward_min[m]), np.sqrt(market.reward_max[m])
                return {n: float(np.clip(reward(n, p, m, height), low, high)) for n in served}

            def excess(log_p: float, m: int = m, height: FloatArray = height) -> float:
                at = bought(float(np.exp(log_p)), m, height)
                qoe = sum(market.latency_budget[n, m] - height[n] / u for n, u in at.items())
                return float(log_p + np.log1p(qoe) - np.log(market.profit_factor[m]))

            most = np.log(market.profit_factor[m])
            least = most - np.log1p(market.latency_budget[:, m].sum()) - 1.0
            log_p = most if not served else brentq(excess, least, most, xtol=1e-15, rtol=1e-15)
            rewards = bought(float(np.exp(log_p)), m, height)
            for n in np.flatnonzero(market.present[:, m]):
                s = rewards.get(int(n), height[n] / market.latency_budget[n, m])
                use[:, n] += np.array([work[n], traffic[n]]) * s / roots[:, n]
                if (int(n), m) in self.marginal:
                    ceiling = np.clip(np.exp(0.5 * log_p), low, high)
                    threshold = height[n] / market.latency_budget[n, m]
                    above[int(n), m] = float(np.log(ceiling / threshold))
        capacity = np.stack([market.compute_capacity, market.bandwidth_capacity])
        return np.log(capacity / np.maximum(use, 1e-300)), above

    def matrix(
        self,
        unknowns: tuple[Unknown, ...],
        roots: FloatArray,
        omega: FloatArray,
        alpha: dict[tuple[int, int], float],
    ) -> FloatArray:
        """The derivative of all conditions by all unknowns, by central differences."""

        def value(k: int, change: float) -> FloatArray:
            at, weight, share = roots.copy(), omega.copy(), dict(alpha)
            moved = unknowns[k]
            if moved.user is not None:
                share[moved.provider, moved.user] += change
            elif moved.weighed:
                weight[moved.resource, moved.provider] += change
            else:
                at[moved.resource, moved.provider] *= np.exp(0.5 * change)
            slack, above = self.residual(at, weight, share)
            return np.array(
                [
                    slack[u.resource, u.provider] if u.user is None else above[u.provider, u.user]
                    for u in unknowns
                ]
            )

        step = 1e-5
        columns = [(value(k, step) - value(k, -step)) / (2.0 * step) for k in range(len(unknowns))]
        return np.stack(columns, axis=1) if columns else np.zeros((0, 0))


def solved(market: Market) -> tuple[Solution, FloatArray, FloatArray, dict[tuple[int, int], float]]:
    """The equilibrium, and the solver's own prices (roots, 2×N) and weights."""
    system = PriceSystem(market, Population.of(market), BehaviourModel.STRATEGIC)
    problem = Problem(system, restarts=Restarts(system, market))
    result = search(NewtonMethod(), problem, system.origin())
    point, at = result.point, result.at
    assert result.status.ok
    assert not result.by_responses
    inside = {
        pair: float(share)
        for pair, share in zip(system.marginal_pairs, point.alpha, strict=True)
        if 0.0 < share < 1.0
    }
    omega = np.minimum(point.z, 1.0).reshape(2, -1)
    return solve(market), np.stack([at.x, at.y]), omega, inside


def case(family: Family, seed: int) -> Market:
    rng = np.random.default_rng([seed, 1])
    return random_market(rng, int(rng.integers(1, 4)), int(rng.integers(1, 8)), family)


@pytest.mark.parametrize(("family", "seed"), CASES)
def test_the_conditions_made_linear_are_those_of_differences(family: Family, seed: int) -> None:
    market = case(family, seed)
    solution, roots, omega, alpha = solved(market)
    certificate = certify(market, solution)
    linear = linearised(market, solution, certificate, 1e-9)
    assert linear is not None
    numeric = Conditions(market, solution)
    numeric.marginal = list(alpha)
    assert {(u.provider, u.user) for u in linear.unknowns if u.user is not None} == set(alpha)
    expected = numeric.matrix(linear.unknowns, roots, omega, alpha)
    np.testing.assert_allclose(
        linear.matrix, expected, rtol=0, atol=DIFFERENCES * np.abs(expected).max(initial=1.0)
    )
    assert certificate.index == np.sign(np.linalg.det(expected)) == 1


def test_every_kind_of_unknown_is_among_them() -> None:
    kinds = set()
    for family, seed in CASES:
        market = case(family, seed)
        solution = solve(market)
        linear = linearised(market, solution, certify(market, solution), 1e-9)
        assert linear is not None
        found = [
            "marginal" if u.user is not None else "pinned" if u.weighed else "binding"
            for u in linear.unknowns
        ]
        kinds |= set(found) if found else {"none"}
        if found.count("marginal") > 1:
            kinds.add("several marginal")
    assert kinds == {"none", "binding", "pinned", "marginal", "several marginal"}


def test_the_sign_is_that_of_the_determinant() -> None:
    two = tuple(Unknown(n, 0, None, weighed=False) for n in range(2))

    def sign(matrix: list[list[float]]) -> int | None:
        return Linearised(two, np.array(matrix), ()).sign()

    assert sign([[2.0, -1.0], [-1.0, 2.0]]) == 1
    assert sign([[1.0, -2e-9], [-2e9, 1.0]]) == -1
    assert sign([[1.0, -1.0], [-1.0, 1.0 + 1e-14]]) is None
    assert sign([[1.0, np.nan], [0.0, 1.0]]) is None
    assert sign([[0.0, 0.0], [0.0, 1.0]]) is None
    assert Linearised((), np.zeros((0, 0)), ()).sign() == 1


def test_a_rough_solution_has_its_index_too() -> None:
    market = two_users(0.6 * 1.99138)
    exact = solve(market)
    for share, tolerance in ((1e-7, 1e-9), (1e-5, 1e-7), (1e-4, 1e-5)):
        sides = np.where(np.arange(market.users) % 2 == 0, 1.0 + share, 1.0 - share)
        rough = settled(market, exact.rewards * sides)
        certificate = certify(market, rough, tolerance=tolerance)
        assert certificate.holds(tolerance)
        assert certificate.index == 1


def test_bounds_in_place_of_a_search_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case(family, seed) for family, seed in CASES[:9]]
    searched = [certify(market, solve(market)).index for market in cases]
    monkeypatch.setattr(qoex.certificate, "LARGE_PAIRS", 0)
    assert [certify(market, solve(market)).index for market in cases] == searched == [1] * 9


def test_users_that_weigh_a_kink_differently_have_no_index() -> None:
    market = two_users(0.95 * 1.99138)
    solution = solve(market)
    certificate = certify(market, solution)
    assert (certificate.unique, certificate.index) == (False, 1)
    assert certificate.witness is not None
    other = certify(market, certificate.witness)
    assert other.holds()
    assert other.index is None


def test_a_capacity_on_the_brink_has_no_index() -> None:
    """Just full at its cost, with nobody who would use more: slack and pinned at once."""
    use = float(solve(two_users(100.0)).compute_state.use[0])
    for share, expected in ((1.0 + 1e-10, None), (1.0 + 1e-4, 1), (1.0 - 1e-4, 1)):
        market = two_users(use * share)
        assert certify(market, solve(market)).index == expected


def test_a_bound_that_just_touches_a_reward_leaves_no_index() -> None:
    market = two_users(100.0)
    reward = float(solve(market).rewards[0, 0])
    for share, expected in ((1.0 + 1e-10, None), (1.0 + 1e-3, 1), (1.0 - 1e-3, 1)):
        bounded = market.replace(reward_max=[reward * share, 10.0])
        assert certify(bounded, solve(bounded)).index == expected


def test_one_user_at_a_pinned_capacity_tells_its_weight_and_two_weights_it_does_not() -> None:
    one = two_users(100.0).without(np.array([[False, True]]))
    use = solve(one).compute_state.use[0], solve(one).bandwidth_state.use[0]
    pinned = one.replace(compute_capacity=[0.97 * use[0]])
    assert certify(pinned, solve(pinned)).index == 1
    both = one.replace(compute_capacity=[0.99 * use[0]], bandwidth_capacity=[0.99 * use[1]])
    certificate = certify(both, solve(both))
    assert certificate.holds()
    assert certificate.compute_regime == certificate.bandwidth_regime == (Regime.PINNED,)
    assert certificate.index is None


def test_no_index_without_an_equilibrium_or_in_a_large_market(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = case("binding", 3)
    solution = solve(market)
    assert certify(market, solution).index == 1
    away = settled(market, solution.rewards * 1.01)
    assert certify(market, away).index is None
    monkeypatch.setattr(index_module, "MOST_PAIRS", market.work.size - 1)
    assert certify(market, solution).index is None


def test_numbers_that_cannot_be_have_no_index() -> None:
    market = case("binding", 3)
    solution = solve(market)
    certificate = certify(market, solution)
    for value in (np.nan, np.inf, 0.0):
        rewards, compute = solution.rewards.copy(), solution.compute.copy()
        rewards[0, 0] = compute[0, 0] = value
        for wrong in (replace(solution, rewards=rewards), replace(solution, compute=compute)):
            assert equilibrium_index(market, wrong, certificate, 1e-9) is None


def test_away_from_kinks_and_bounds_it_is_an_m_matrix() -> None:
    """The lemma of theory, section 7: no price relieves another capacity, all together relieve."""
    seen = 0
    for seed in range(60):
        market = case(("any", "binding", "tight")[seed % 3], seed)
        solution = solve(market)
        linear = linearised(market, solution, certify(market, solution), 1e-9)
        assert linear is not None
        bought = solution.qoe > 0
        inside = (solution.rewards > market.reward_min) & (solution.rewards < market.reward_max)
        if not linear.unknowns or any(u.weighed for u in linear.unknowns):
            continue
        if not inside[bought].all():
            continue
        seen += len(linear.unknowns) > 2
        assert (linear.matrix[~np.eye(len(linear.unknowns), dtype=bool)] <= 1e-12).all()
        assert (linear.matrix.sum(axis=1) > 0).all()
    assert seen > 10
