"""The path from the least capacities: certified where the search by prices loses its digits."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from commands import qoex_command
from markets import random_market
from qoex.certificate import CERTIFIED, certify
from qoex.cli.solve import VERIFY_TOLERANCE
from qoex.equilibrium import near_least
from qoex.equilibrium.near_least import solve_near_least
from qoex.equilibrium.solver import solve, solve_prices
from qoex.files.market_files import write_market
from qoex.game.solution import Status
from qoex.mechanisms.schemes import SCHEMES
from qoex.model.feasibility import frontier_factor, regret_resolution
from qoex.model.market import Market

SOLVER = import_module("qoex.equilibrium.solver")

# It took the search by prices 476 sweeps.
SLOW = {
    "work": [
        [82.3003955273223, 136.53014224541818],
        [484.7970700590977, 137.97785861711563],
        [192.30117700560686, 75.40504386758059],
    ],
    "traffic": [
        [8.507937946262361, 3.015132647625365],
        [9.684293120053661, 13.635828780753423],
        [2.8322237607992777, 5.773513420716375],
    ],
    "latency_budget": [
        [840.4573243033353, 1236.447330969901],
        [345.14925454974525, 1383.6874305130161],
        [484.0763589381353, 482.15256405906007],
    ],
    "compute_cost": [24.117081385650316, 19.257941764637174, 11.930812720688158],
    "bandwidth_cost": [0.2379669863107512, 0.09434905697521881, 0.09077503350252114],
    "compute_capacity": [0.24562577365505764, 1.7232734800685858, 0.6367356956438959],
    "bandwidth_capacity": [0.24562577365505764, 1.7232734800685858, 0.6367356956438959],
    "profit_factor": [482250.06282982277, 0.0286993495928234],
    "reward_min": [0.0001, 0.0001],
    "reward_max": [10.0, 10.0],
}


def with_room(market: Market, share: float) -> Market:
    """The market with capacities that exceed the least ones by a share."""
    factor = frontier_factor(market) * (1.0 + share)
    return market.replace(
        compute_capacity=market.compute_capacity * factor,
        bandwidth_capacity=market.bandwidth_capacity * factor,
    )


def drawn(seed: int, low: float, high: float) -> Market:
    rng = np.random.default_rng(seed)
    market = random_market(rng, int(rng.integers(1, 4)), int(rng.integers(2, 11)))
    return with_room(market, 10.0 ** rng.uniform(low, high))


@pytest.mark.parametrize("seed", range(40))
def test_hardly_any_room_is_solved_and_certified(seed: int) -> None:
    market = drawn(seed, -8, -5)
    solution = solve(market)
    assert solution.status is Status.CONVERGED
    certificate = certify(market, solution)
    assert certificate.holds()
    assert certificate.relative_regret <= max(CERTIFIED, certificate.resolution)


def test_with_more_room_it_finds_what_the_search_by_prices_finds() -> None:
    # Where prices keep their digits the two methods, which share nothing, agree.
    compared = 0
    for seed in range(12):
        market = drawn(seed, -3, -2)
        found = solve_near_least(market, method="path")
        if found is None:  # a capacity is not scarce there
            continue
        other = solve(market)
        assert other.trace[-1].note != found.trace[-1].note
        np.testing.assert_allclose(found.qoe, other.qoe, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found.compute_state.price, other.compute_state.price, rtol=1e-7)
        compared += 1
    assert compared >= 6


def test_where_a_capacity_is_not_scarce_there_is_no_answer() -> None:
    assert (
        solve_near_least(with_room(random_market(np.random.default_rng(0), 2, 4), 50.0), method="")
        is None
    )


def test_a_market_of_hundreds_of_sweeps_takes_a_few_steps() -> None:
    # Ten times more room, but one user's offers move the prices by half (fuzz_k3_2258).
    market = Market(**SLOW)  # type: ignore[arg-type]
    by_prices = solve_prices(
        market, SOLVER.BehaviourModel.STRATEGIC, method="", max_sweeps=SOLVER._PATIENCE
    )
    assert by_prices.status is Status.STEP_LIMIT
    solution = solve(market)
    assert solution.status is Status.CONVERGED
    assert solution.steps <= 5
    assert certify(market, solution).holds()
    in_the_end = solve_prices(market, SOLVER.BehaviourModel.STRATEGIC, method="")
    np.testing.assert_allclose(solution.qoe, in_the_end.qoe, rtol=1e-9, atol=1e-9)


def test_conditions_that_hold_to_rounding_only_are_no_convergence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SOLVER, "_near_least", lambda market: None)
    ends = set()
    for seed in range(20):
        market = drawn(seed, -7, -5)
        solution = solve(market)
        ends.add(solution.status)
        assert solution.status.ok <= certify(market, solution).holds()
    assert ends == {Status.CONVERGED, Status.STALLED}


def test_rounding_explains_no_regret_but_close_to_the_least_capacities() -> None:
    market = random_market(np.random.default_rng(3), 2, 4)
    assert regret_resolution(with_room(market, 0.1)) < 1e-13
    assert regret_resolution(with_room(market, 1e-8)) == pytest.approx(8.9e-8, rel=1e-2)
    assert regret_resolution(with_room(market, -0.1)) == 0.0


def test_solve_verify_and_the_path_judge_to_one_tolerance() -> None:
    # Each has its own constant: neither the command line nor the solver may load the certificate.
    assert VERIFY_TOLERANCE == near_least._REGRET == CERTIFIED


def test_status_certificate_and_exit_code_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "market.json"
    market = with_room(random_market(np.random.default_rng(11), 2, 5), 0.5)
    write_market(market, path)
    assert qoex_command("solve", path).exit_code == 0
    rough = solve(market, tolerance=1e-3)
    assert rough.status is Status.CONVERGED
    assert not certify(market, rough).holds()
    monkeypatch.setattr(SOLVER, "solve", lambda market, **_: rough)
    result = qoex_command("solve", path, "--json", "-")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["status"] == "not_certified"
    assert result.stderr == f"{Status.NOT_CERTIFIED.sentence}\n"
    assert qoex_command("explain", path, market.user_names[0]).exit_code == 1


def test_a_resource_that_nobody_wants_is_not_scarce() -> None:
    market = random_market(np.random.default_rng(4), 2, 4)
    market = with_room(market.replace(traffic=np.zeros(market.traffic.shape)), 1e-6)
    assert solve_near_least(market, method="") is None
    solution = solve(market)
    assert solution.status.ok <= certify(market, solution).holds()


def test_the_proposed_scheme_takes_the_path_too() -> None:
    market = drawn(12, -8, -6)
    solution = SCHEMES["proposed"](market)
    assert solution.method == "proposed"
    assert certify(market, solution).holds()
    np.testing.assert_array_equal(solution.rewards, solve(market).rewards)
