from __future__ import annotations

import numpy as np
import pytest

from markets import Family, random_market
from qoex.equilibrium.evaluation import BehaviourModel, Point
from qoex.equilibrium.population import LocalShards, Population
from qoex.equilibrium.price_impact import impact
from qoex.equilibrium.price_system import PriceSystem
from qoex.model.market import FloatArray


def point_in(system: PriceSystem, rng: np.random.Generator) -> Point:
    """Return a point with some capacities below and some above the kink, and a marginal pair."""
    point = system.origin()
    n = system.users.providers
    point.z = (
        rng.choice([0.3, 0.8, 1.4, 2.2], 2 * n) if system.strategic else 1.0 + rng.random(2 * n)
    )
    if system.strategic:
        for pair in ((0, 1), (n - 1, 2)):
            system.add_marginal_pair(point, pair)
        point.alpha = np.array([0.4, 0.7])
        point.floors[:, 1] += [0.1, 0.1, 0.05]
    return point


@pytest.mark.parametrize("behaviour", list(BehaviourModel))
@pytest.mark.parametrize("family", ["binding", "any", "bounds", "absent", "tight"])
def test_jacobian_agrees_with_central_differences(
    behaviour: BehaviourModel, family: Family
) -> None:
    rng = np.random.default_rng([list(BehaviourModel).index(behaviour), len(family)])
    agreed, columns = 0, 0
    for _ in range(6):
        market = random_market(rng, 3, 5, family)
        system = PriceSystem(market, Population.of(market), behaviour)
        if system.strategic and not (market.present[0, 1] and market.present[-1, 2]):
            continue
        point = point_in(system, rng)
        matrix = system.jacobian(point, system.evaluate(point))
        for j in range(point.z.size + point.alpha.size):
            slacks = []
            for sign in (-1.0, 1.0):
                moved = point.copy()
                unknown, i = (moved.z, j) if j < point.z.size else (moved.alpha, j - point.z.size)
                unknown[i] += sign * 1e-5
                slacks.append(system.evaluate(moved).slack)
            difference = (slacks[1] - slacks[0]) / 2e-5
            scale = np.abs(matrix).max()
            # A user may cross a kink within the step; in all but a few columns none does.
            columns += 1
            agreed += int(np.allclose(difference, matrix[:, j], rtol=1e-5, atol=1e-7 * scale))
    assert columns >= 16
    assert agreed >= 0.9 * columns


def test_pull_solves_its_defining_equations_and_derivatives() -> None:
    rng = np.random.default_rng(1)
    given = [rng.uniform(0, 1, 4), rng.uniform(0, 1, 4), rng.uniform(2, 3, 4), rng.uniform(2, 3, 4)]
    given.append(rng.uniform(0, 1, 4))
    omega_f, omega_b, room_f, room_b, cross = given
    result = impact(*given)
    root_a, root_b = rng.uniform(1, 5, 4), rng.uniform(1, 5, 4)
    # Solve dx = ω_f(√a + G dy)/F′, dy = ω_b(√b + G dx)/W′ by iterating.
    dx, dy = np.zeros(4), np.zeros(4)
    for _ in range(200):
        dx = omega_f * (root_a + cross * dy) / room_f
        dy = omega_b * (root_b + cross * dx) / room_b
    monomials = np.stack([root_a**2, root_b**2, root_a * root_b])
    own = (result.coefficients * monomials).sum(axis=0)
    np.testing.assert_allclose(own, root_a * dx + root_b * dy, rtol=1e-13)
    derivatives = [*result.by_omega, *result.by_room, result.by_cross]
    for i, derivative in enumerate(derivatives):
        sides = []
        for sign in (-1, 1):
            moved = [array + sign * 1e-6 * (k == i) for k, array in enumerate(given)]
            sides.append(impact(*moved).coefficients)
        np.testing.assert_allclose((sides[1] - sides[0]) / 2e-6, derivative, atol=1e-8)


def test_sweep_solves_every_users_own_problem() -> None:
    """At given prices a price-taking user maximises μ ln(1+ΣQ) − ΣRQ; check by perturbing R."""
    rng = np.random.default_rng(2)
    market = random_market(rng, 3, 5, "bounds")
    system = PriceSystem(market, Population.of(market), BehaviourModel.PRICE_TAKING)
    point = system.origin()
    point.z = 1.0 + rng.random(6)
    at = system.evaluate(point)
    assert isinstance(system.users.hosts, LocalShards)
    wanted = system.users.hosts.shards[0].wanted
    height = np.sqrt(market.work) * at.x[:, None] + np.sqrt(market.traffic) * at.y[:, None]
    threshold = height / market.latency_budget

    def utility(root: FloatArray) -> FloatArray:
        served = np.maximum(root, threshold)
        qoe = market.latency_budget - height / served
        value: FloatArray = market.profit_factor * np.log1p(qoe.sum(axis=0))
        value -= (root**2 * qoe).sum(axis=0)
        return value

    low, high = np.sqrt(market.reward_min), np.sqrt(market.reward_max)
    wanted = np.clip(wanted, low, high)
    best = utility(wanted)
    for _ in range(300):
        trial = np.clip(wanted * rng.uniform(0.7, 1.4, (3, 5)), low, high)
        assert (utility(trial) <= best + 1e-9 * np.abs(best)).all()
        near = np.clip(wanted * (1 + 1e-4 * rng.standard_normal((3, 5))), low, high)
        assert (utility(near) <= best + 1e-12 * np.abs(best)).all()


@pytest.mark.parametrize("users", [5, 300])
def test_two_directions_per_provider_tell_what_all_five_do(users: int) -> None:
    """Weights below the kink, prices beyond it; 300 users are solved many at once."""
    agreed, columns = 0, 0
    for seed in range(4):
        market = random_market(np.random.default_rng([12, seed]), 3, users, "binding")
        system = PriceSystem(market, Population.of(market), BehaviourModel.STRATEGIC)
        point = system.origin()
        point.z = np.array([0.3, 1.4, 2.2, 0.8, 1.2, 0.5])
        point.floors[:] = 0.2 * system.users.floor_load()
        at = system.evaluate(point)
        assert at.prices.directions.shape[0] == 2
        matrix = system.jacobian(point, at)
        for j in range(6):
            slacks = []
            for sign in (-1.0, 1.0):
                moved = point.copy()
                moved.z[j] += sign * 1e-6
                slacks.append(system.evaluate(moved, derivatives=False).slack)
            difference = (slacks[1] - slacks[0]) / 2e-6
            columns += 1
            close = np.allclose(
                difference, matrix[:, j], rtol=1e-4, atol=1e-5 * np.abs(matrix).max()
            )
            agreed += int(close)
    assert agreed >= 0.9 * columns
