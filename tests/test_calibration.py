"""Inference: known parameters come back, and what the data cannot tell is said to be open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from markets import Family, random_market
from observed_tables import noisy, seeing, seen, shared_market
from qoex.calibration import (
    FitStatus,
    Inference,
    InferredParameter,
    Observations,
    ParameterVerdict,
    Refit,
    infer_parameters,
)
from qoex.calibration.identifiability import judge
from qoex.calibration.search import Fit, FitProblem
from qoex.calibration.start import starting_markets
from qoex.calibration.unknowns import SOUGHT, unknowns_of
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.game.solution import Regime, Solution, Status
from qoex.model.market import FloatArray, Market

NAN = np.nan
SEARCH = import_module("qoex.calibration.search")


def verdicts(inference: Inference, field: str) -> set[ParameterVerdict]:
    return {item.verdict for item in inference.parameters if item.field == field}


def scaled(market: Market, factor: float) -> Market:
    return market.replace(**{name: factor * getattr(market, name) for name in SOUGHT})


def assert_recovered(market: Market, inference: Inference, *fields: str) -> None:
    assert inference.status is FitStatus.CONVERGED
    assert inference.rms < 1e-9
    for name in fields or SOUGHT:
        np.testing.assert_allclose(
            getattr(inference.market, name), getattr(market, name), rtol=1e-6, err_msg=name
        )


@pytest.mark.parametrize(("providers", "users"), [(1, 2), (1, 6), (2, 3), (3, 2), (4, 5)])
def test_parameters_come_back_from_exact_observations(providers: int, users: int) -> None:
    market = shared_market(providers, users, seed=providers + 10 * users)
    inference = infer_parameters(seen(market), profile=False)
    assert_recovered(market, inference)
    assert inference.market.provider_names == market.provider_names
    assert verdicts(inference, "bandwidth_cost") == {ParameterVerdict.PINNED}
    judged = inference.identifiability
    assert judged.unknowns == judged.rank == 2 + providers + 2 * providers * users
    assert judged.degrees_of_freedom == 4 * providers * users - judged.unknowns


@pytest.mark.parametrize("seed", range(3))
def test_profit_factors_and_bandwidth_costs_may_differ(seed: int) -> None:
    market = random_market(np.random.default_rng(seed), 3, 4, "slack")
    inference = infer_parameters(
        seen(market), profit_factor_per_user=True, bandwidth_cost_per_provider=True, profile=False
    )
    assert_recovered(market, inference)
    # One for all cannot make up for it, and the misfit says so.
    shared = infer_parameters(seen(market), profile=False)
    assert shared.rms > 0.01


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_other_starts_lead_to_the_same_end(factor: float) -> None:
    market = shared_market(2, 5, seed=4)
    observations = noisy(seen(market), 0.01, np.random.default_rng(1))
    ours = infer_parameters(observations, profile=False)
    start = scaled(ours.market, factor)
    theirs = infer_parameters(observations, start=start, profile=False)
    assert theirs.status is FitStatus.CONVERGED
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-4)
    assert theirs.rms == pytest.approx(ours.rms, rel=1e-9)


def test_absent_pairs_stay_absent() -> None:
    market = shared_market(3, 4, seed=8)
    absent = np.zeros((3, 4), dtype=bool)
    absent[0, 1] = absent[2, 3] = absent[1, 0] = True
    market = market.without(absent)
    inference = infer_parameters(seen(market), profile=False)
    assert_recovered(market, inference)
    np.testing.assert_array_equal(inference.market.present, ~absent)


def test_known_parameters_are_held_and_not_counted() -> None:
    market = shared_market(2, 4, seed=3)
    observations = seen(market).knowing(
        compute_cost=[market.compute_cost[0], NAN],
        work=np.where(np.arange(8).reshape(2, 4) == 5, market.work, NAN),
        profit_factor=market.profit_factor,
    )
    inference = infer_parameters(observations, profile=False)
    assert_recovered(market, inference)
    assert len(inference.parameters) == 1 + 1 + 7 + 8
    named = {(item.field, item.place) for item in inference.parameters}
    assert ("compute_cost", "provider-2") in named
    assert ("compute_cost", "provider-1") not in named
    assert ("work", "provider-2, user-2") not in named
    assert inference.market.work[1, 1] == market.work[1, 1]
    held_wrongly = infer_parameters(observations.knowing(profit_factor=10.0), profile=False)
    assert (held_wrongly.market.profit_factor == 10.0).all()
    assert held_wrongly.rms > 0.1


def test_gaps_are_filled_by_what_else_was_seen() -> None:
    market = shared_market(2, 5, seed=6)
    observations = seen(market)
    gaps = {
        name: np.where(np.arange(10).reshape(2, 5) == hole, NAN, array)
        for (name, array), hole in zip(observations.quantities.items(), (1, 8, 3, 5), strict=True)
    }
    inference = infer_parameters(seeing(observations, **gaps), profile=False)
    assert_recovered(market, inference)
    for (name, array), hole in zip(inference.errors.items(), (1, 8, 3, 5), strict=True):
        assert np.argwhere(np.isnan(array)).tolist() == [[hole // 5, hole % 5]], name


# Markets in which all that can be told is found. (The search is local: where many pairs are at the
# floor it may end elsewhere, with errors that say so.)
@pytest.mark.parametrize(
    ("family", "providers", "users", "seed"),
    [("binding", 2, 3, 1), ("binding", 2, 5, 3), ("binding", 3, 4, 7), ("scaled", 3, 7, 4)],
)
def test_where_a_known_capacity_binds_its_unit_cost_stays_open(
    family: Family, providers: int, users: int, seed: int
) -> None:
    market = random_market(np.random.default_rng(seed), providers, users, family)
    inference = infer_parameters(
        seen(market), profit_factor_per_user=True, bandwidth_cost_per_provider=True, profile=False
    )
    assert_recovered(market, inference, "profit_factor", "work", "traffic")
    states = {
        "compute_cost": inference.solution.compute_state,
        "bandwidth_cost": inference.solution.bandwidth_state,
    }
    binding = 0
    for field, state in states.items():
        for name, regime in zip(market.provider_names, state.regime, strict=True):
            open_one = regime is Regime.BINDING
            binding += open_one
            parameter = inference.parameter(field, name)
            assert parameter.verdict is (
                ParameterVerdict.FREE if open_one else ParameterVerdict.PINNED
            )
            assert math.isinf(parameter.error) == open_one
            # What has no effect stays where it was started, below the price.
            price = float(state.price[market.provider_names.index(name)])
            assert 0.05 * price < parameter.value < 1.001 * price
    assert binding
    assert inference.identifiability.rank == inference.identifiability.unknowns - binding
    assert math.isinf(inference.identifiability.condition)
    np.testing.assert_array_equal(inference.market.compute_capacity, market.compute_capacity)


def test_a_pinned_capacity_is_found_and_noted() -> None:
    market = random_market(np.random.default_rng(1), 2, 3, "pinned")
    market = market.replace(bandwidth_cost=[0.3, 0.3], profit_factor=[400.0] * 3)
    assert Regime.PINNED in solve(market).compute_state.regime
    inference = infer_parameters(seen(market), profile=False)
    assert_recovered(market, inference)
    assert any("a capacity is pinned" in note for note in inference.notes)


def test_rewards_at_a_known_bound_are_fitted_too() -> None:
    market = shared_market(2, 3, seed=5)
    top = solve(market).rewards.max(axis=0)
    market = market.replace(reward_max=[0.8 * top[0], 2.0 * top[1], 2.0 * top[2]])
    inference = infer_parameters(seen(market), profile=False)
    assert_recovered(market, inference)
    np.testing.assert_array_equal(inference.market.reward_max, market.reward_max)


def without_bandwidth(observations: Observations) -> Observations:
    return seeing(observations, bandwidth=np.full(observations.qoe.shape, NAN))


def test_unseen_bandwidth_leaves_the_unit_costs_open_unless_they_are_known() -> None:
    market = shared_market(2, 5, seed=2)
    observations = without_bandwidth(seen(market))
    inference = infer_parameters(observations, profile=False)
    assert inference.rms < 1e-9
    assert verdicts(inference, "profit_factor") == {ParameterVerdict.PINNED}
    for field in ("compute_cost", "bandwidth_cost", "work", "traffic"):
        assert verdicts(inference, field) == {ParameterVerdict.FREE}, field
    # Latency is shared out between the resources as one likes, at each provider; and d goes with b.
    assert inference.identifiability.rank == inference.identifiability.unknowns - 3
    told = observations.knowing(
        compute_cost=market.compute_cost, bandwidth_cost=market.bandwidth_cost
    )
    assert_recovered(market, infer_parameters(told, profile=False))


def test_without_rewards_the_unit_of_money_is_open() -> None:
    market = shared_market(2, 5, seed=2)
    observations = seen(market)
    observations = seeing(observations, rewards=np.full(observations.qoe.shape, NAN))
    inference = infer_parameters(observations)
    assert (
        verdicts(inference, "work") == verdicts(inference, "traffic") == {ParameterVerdict.PINNED}
    )
    money = ("profit_factor", "compute_cost", "bandwidth_cost")
    for field in money:
        assert verdicts(inference, field) == {ParameterVerdict.FREE}
    weakest = inference.identifiability.weakest
    assert {field for field, _, _ in weakest.parts} == set(money)
    assert [share for _, _, share in weakest.parts] == pytest.approx([1.0] * 4, abs=1e-3)
    assert weakest.effect < 1e-6
    known = infer_parameters(
        observations.knowing(profit_factor=market.profit_factor), profile=False
    )
    assert_recovered(market, known)


def test_half_and_twice_are_ruled_out_only_where_the_data_tell() -> None:
    market = shared_market(2, 5, seed=2)
    exact = infer_parameters(seen(market))
    profiled = [item for item in exact.parameters if item.half is not None]
    assert [item.field for item in profiled] == [
        "profit_factor", "compute_cost", "compute_cost", "bandwidth_cost"
    ]  # fmt: skip
    for item in profiled:
        assert item.half is not None
        assert item.twice is not None
        assert item.half.ruled_out
        assert item.twice.ruled_out
        assert min(item.half.rms, item.twice.rms) > 1e-3
    blind = infer_parameters(without_bandwidth(seen(market)))
    for refit in (blind.parameter("bandwidth_cost").half, blind.parameter("bandwidth_cost").twice):
        assert refit is not None
        assert refit.ruled_out is False
        assert refit.rms < 1e-9


def test_refits_are_the_fits_of_the_value_held() -> None:
    market = shared_market(1, 4, seed=9)
    observations = noisy(seen(market), 0.02, np.random.default_rng(0))
    inference = infer_parameters(observations)
    found = inference.parameter("profit_factor")
    for factor, refit in ((0.5, found.half), (2.0, found.twice)):
        held = observations.knowing(profit_factor=factor * found.value)
        assert refit is not None
        assert refit.rms == pytest.approx(infer_parameters(held, profile=False).rms, rel=5e-3)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    market = shared_market(1, 4, seed=1)
    exact = seen(market).knowing(bandwidth_cost=market.bandwidth_cost)
    rng = np.random.default_rng(12)
    fields = ("profit_factor", "compute_cost", "work")
    for noise in (None, 0.02):
        inside = dict.fromkeys(fields, 0)
        deviations: list[float] = []
        for _ in range(60):
            inference = infer_parameters(noisy(exact, 0.02, rng), noise=noise, profile=False)
            for name in fields:
                item = next(p for p in inference.parameters if p.field == name)
                truth = float(getattr(market, name).ravel()[0])
                inside[name] += item.low <= truth <= item.high
                deviations.append(math.log(item.value / truth) / item.error)
        # 57 of 60 are to be expected, and fewer than 52 in one of a hundred cases.
        assert min(inside.values()) >= 52, inside
        if noise is not None:
            assert np.std(deviations) == pytest.approx(1.0, abs=0.2)


def test_noise_that_is_known_scales_the_intervals() -> None:
    market = shared_market(1, 4, seed=1)
    observations = noisy(seen(market), 0.01, np.random.default_rng(3))
    small = infer_parameters(observations, noise=0.01, profile=False)
    large = infer_parameters(observations, noise=0.05, profile=False)
    for one, other in zip(small.parameters, large.parameters, strict=True):
        assert other.value == one.value
        assert other.error == pytest.approx(5.0 * one.error)
        assert math.log(other.high / other.value) == pytest.approx(1.96 * other.error, rel=1e-3)
    assert small.notes == large.notes == ()
    tiny = infer_parameters(observations, noise=0.001, profile=False)
    assert any("times the noise given" in note for note in tiny.notes)


def test_as_many_unknowns_as_numbers_tell_no_error() -> None:
    # One pair: μ, c, a and b with d known, from four numbers.
    market = shared_market(1, 1, seed=1)
    observations = seen(market).knowing(bandwidth_cost=market.bandwidth_cost)
    inference = infer_parameters(observations)
    assert_recovered(market, inference)
    assert inference.identifiability.degrees_of_freedom == 0
    assert math.isnan(inference.identifiability.noise)
    assert {item.verdict for item in inference.parameters} == {ParameterVerdict.UNTOLD}
    with_noise = infer_parameters(observations, noise=0.01)
    assert all(math.isfinite(item.error) for item in with_noise.parameters)


def test_judgement_is_that_of_linear_least_squares() -> None:
    rng = np.random.default_rng(0)
    jacobian, residuals = rng.normal(size=(12, 3)), 0.01 * rng.normal(size=12)
    labels = [("profit_factor", ""), ("compute_cost", "a"), ("work", "a, b")]
    parameters, judged = judge(jacobian, residuals, labels, np.log([2.0, 3.0, 4.0]), noise=None)
    variance = residuals @ residuals / 9.0
    covariance = variance * np.linalg.inv(jacobian.T @ jacobian)
    errors = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose([item.error for item in parameters], errors)
    np.testing.assert_allclose([item.value for item in parameters], [2.0, 3.0, 4.0])
    t = 2.2621571628  # Student's t of 9 degrees of freedom, two-sided 95 %
    for item, error in zip(parameters, errors, strict=True):
        assert item.high == pytest.approx(item.value * math.exp(t * error))
        assert item.low == pytest.approx(item.value * math.exp(-t * error))
    assert (judged.rank, judged.degrees_of_freedom) == (3, 9)
    assert judged.noise == pytest.approx(math.sqrt(variance))
    assert judged.condition == pytest.approx(np.linalg.cond(jacobian))


def test_a_direction_without_effect_opens_only_the_unknowns_in_it() -> None:
    rng = np.random.default_rng(0)
    jacobian = rng.normal(size=(12, 4))
    jacobian[:, 3] = -2.0 * jacobian[:, 1]
    labels = [(field, "") for field in ("profit_factor", "compute_cost", "work", "traffic")]
    parameters, judged = judge(
        jacobian, 0.01 * rng.normal(size=12), labels, np.zeros(4), noise=1e-3
    )
    assert [math.isinf(item.error) for item in parameters] == [False, True, False, True]
    assert (judged.rank, judged.degrees_of_freedom) == (3, 9)
    assert math.isinf(judged.condition)
    assert [field for field, _, _ in judged.weakest.parts] == ["compute_cost", "traffic"]
    assert [share for _, _, share in judged.weakest.parts] == pytest.approx([1.0, 0.5])
    open_one = parameters[1]
    assert (open_one.low, open_one.high) == (0.0, math.inf)
    assert open_one.verdict is ParameterVerdict.FREE


def parameter(factor: float, **refits: Refit) -> InferredParameter:
    return InferredParameter("work", "a, b", 5.0, 0.1, 5.0 / factor, 5.0 * factor, **refits)


@pytest.mark.parametrize(
    ("item", "verdict"),
    [
        (parameter(1.09), ParameterVerdict.PINNED),
        (parameter(1.11), ParameterVerdict.LOOSE),
        (parameter(1.99), ParameterVerdict.LOOSE),
        (parameter(2.01), ParameterVerdict.FREE),
        (parameter(1.05, half=Refit(0.1, True), twice=Refit(0.1, True)), ParameterVerdict.PINNED),
        (parameter(1.05, half=Refit(0.1, False), twice=Refit(0.1, True)), ParameterVerdict.FREE),
        (parameter(1.05, half=Refit(0.1, True), twice=Refit(0.1, False)), ParameterVerdict.FREE),
        (parameter(1.05, half=Refit(NAN, None), twice=Refit(0.1, True)), ParameterVerdict.PINNED),
        (replace(parameter(1.05), error=NAN, low=NAN, high=NAN), ParameterVerdict.UNTOLD),
    ],
)
def test_verdicts_follow_from_intervals_and_refits(
    item: InferredParameter, verdict: ParameterVerdict
) -> None:
    assert item.verdict is verdict


@pytest.mark.parametrize("per_user", [False, True])
def test_users_who_do_not_meet_are_moved_at_once(
    per_user: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    observations = seen(shared_market(2, 5, seed=3))
    unknowns = unknowns_of(observations, per_user=per_user)
    problem = FitProblem(unknowns)
    market = next(starting_markets(unknowns))
    logs = unknowns.logs({name: 1.05 * getattr(market, name) for name in SOUGHT})
    together = problem.jacobian(logs, judging=True)
    solved = problem.solved
    monkeypatch.setattr(SEARCH, "_is_slack", lambda market, solution: False)
    alone = problem.jacobian(logs, judging=True)
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert solved < 0.5 * (problem.solved - solved)


def test_slopes_are_those_of_the_residuals() -> None:
    observations = seen(shared_market(2, 3, seed=3))
    unknowns = unknowns_of(observations)
    problem = FitProblem(unknowns)
    market = next(starting_markets(unknowns))
    logs = unknowns.logs({name: getattr(market, name) for name in SOUGHT})
    along = np.linspace(-1.0, 1.0, logs.size)
    step = 1e-4
    ends = [problem.residuals(logs + sign * step * along) for sign in (1.0, -1.0)]
    slope = (ends[0] - ends[1]) / (2.0 * step)
    for judging in (False, True):
        np.testing.assert_allclose(
            problem.jacobian(logs, judging=judging) @ along, slope, atol=2e-5
        )


def test_errors_are_relative_and_zero_qoe_is_missed_by_a_share_of_the_budget() -> None:
    market = random_market(np.random.default_rng(7), 3, 4, "binding")
    observations = seen(market)
    problem = FitProblem(unknowns_of(observations))
    moved = replace(
        solve(market),
        compute=2.0 * observations.compute,
        qoe=observations.qoe + 0.25 * market.latency_budget,
    )
    errors = problem.errors(moved)
    idle = observations.qoe == 0
    assert (errors["compute"] == 1.0).all()
    assert (errors["bandwidth"] == 0.0).all()
    assert errors["qoe"][idle] == pytest.approx(0.25)
    assert errors["qoe"][~idle] == pytest.approx(
        (0.25 * market.latency_budget / np.where(idle, 1.0, observations.qoe))[~idle]
    )
    assert np.isnan(errors["rewards"][idle]).all()


# What can go wrong on the way.


def failing(when: Callable[[int], bool]) -> Callable[..., Solution]:
    """A solver whose n-th call, from 1 on, gives up where the condition says so."""
    calls = [0]

    def solver(market: Market, **options: object) -> Solution:
        calls[0] += 1
        solution = solve(market)
        return replace(solution, status=Status.STEP_LIMIT) if when(calls[0]) else solution

    return solver


def test_a_step_limit_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SEARCH, "MAX_STEPS", 2)
    observations = noisy(seen(shared_market(2, 3, seed=1)), 0.05, np.random.default_rng(0))
    inference = infer_parameters(observations)
    assert inference.status is FitStatus.STEP_LIMIT
    assert not inference.status.ok
    assert all(item.half is None for item in inference.parameters)


def test_stopping_short_of_the_least_errors_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SEARCH, "_STEP_TOLERANCE", 1e3)
    observations = noisy(seen(shared_market(2, 3, seed=1)), 0.05, np.random.default_rng(0))
    inference = infer_parameters(observations, start=scaled(shared_market(2, 3, seed=1), 1.3))
    assert inference.status is FitStatus.STALLED
    assert not inference.status.ok


def test_no_slope_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    # No market with other work than that of the start can be solved.
    first: list[FloatArray] = []

    def solver(market: Market, **options: object) -> Solution:
        first.append(market.work)
        solution = solve(market)
        here = np.array_equal(market.work, first[0])
        return solution if here else replace(solution, status=Status.STALLED)

    monkeypatch.setattr(SEARCH, "solve", solver)
    market = shared_market(2, 3, seed=1)
    observations = noisy(seen(market), 0.05, np.random.default_rng(0))
    inference = infer_parameters(observations.knowing(bandwidth_cost=0.3, profit_factor=300.0))
    assert inference.status is FitStatus.STALLED


def test_a_failed_solve_on_the_way_is_survived_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    market = shared_market(2, 3, seed=1)
    observations = noisy(seen(market), 0.05, np.random.default_rng(0))
    usual = infer_parameters(observations, profile=False)
    # Calls 25 to 28 and their second attempts: slopes of one side, then of the other.
    monkeypatch.setattr(SEARCH, "solve", failing(lambda call: 25 <= call <= 28))
    inference = infer_parameters(observations, profile=False)
    assert inference.status is FitStatus.CONVERGED
    assert inference.rms == pytest.approx(usual.rms, rel=1e-6)
    assert any(note.startswith("the search avoided") for note in inference.notes)
    assert usual.notes == ()


def test_a_start_that_cannot_be_solved_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SEARCH, "solve", failing(lambda call: True))
    with pytest.raises(InvalidInputError, match=r"^the search cannot start, for its first market"):
        infer_parameters(seen(shared_market(2, 3, seed=1)))


@pytest.mark.parametrize("better", [0, 1])
def test_the_best_of_several_searches_counts(better: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("qoex.calibration.inference")
    market = shared_market(2, 3, seed=1)
    observations = noisy(seen(market), 0.05, np.random.default_rng(0))
    calls: list[int] = []

    def searched(problem: FitProblem, start: FloatArray) -> Fit:
        calls.append(len(calls))
        fit: Fit = SEARCH.search(problem, start)
        worse = replace(fit, status=FitStatus.STALLED, residuals=2.0 * fit.residuals)
        return fit if calls[-1] == better else worse

    monkeypatch.setattr(module, "starting_markets", lambda unknowns: iter((market, market)))
    monkeypatch.setattr(module, "search", searched)
    assert infer_parameters(observations, profile=False).status is FitStatus.CONVERGED
    assert calls == [0, 1]


def test_a_refit_that_fails_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(problem: FitProblem, start: FloatArray, *, rough: bool) -> Fit:
        raise InvalidInputError("no")

    monkeypatch.setattr(import_module("qoex.calibration.profile"), "search", refused)
    item = infer_parameters(seen(shared_market(1, 4, seed=1))).parameter("profit_factor")
    for refit in (item.half, item.twice):
        assert refit is not None
        assert refit.ruled_out is None
        assert math.isnan(refit.rms)
    assert item.verdict is ParameterVerdict.PINNED


def test_a_start_of_another_shape_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^start has shape \(2, 3\); it must be \(1, 3\)$"):
        infer_parameters(seen(shared_market(1, 3, seed=1)), start=shared_market(2, 3, seed=1))


def test_too_few_numbers_are_refused() -> None:
    observations = seen(shared_market(1, 1, seed=1))
    with pytest.raises(
        InvalidInputError,
        match=r"^there are 5 unknowns but only 4 observed numbers; observe more, or say what is",
    ):
        infer_parameters(observations)


def test_nothing_to_infer_is_refused() -> None:
    market = shared_market(1, 2, seed=1)
    known = {name: getattr(market, name) for name in SOUGHT}
    with pytest.raises(InvalidInputError, match=r"^there is nothing to infer, for every parameter"):
        infer_parameters(seen(market).knowing(**known))


def test_a_parameter_that_was_not_inferred_is_refused() -> None:
    inference = infer_parameters(seen(shared_market(1, 3, seed=1)), profile=False)
    assert inference.parameter("compute_cost", "provider-1").field == "compute_cost"
    with pytest.raises(InvalidInputError, match=r"^no work of nowhere was inferred$"):
        inference.parameter("work", "nowhere")


@pytest.mark.parametrize("noise", [0.0, -1.0, NAN])
def test_noise_must_be_a_share(noise: float) -> None:
    with pytest.raises(InvalidInputError, match=r"^noise is .*; it must be "):
        infer_parameters(seen(shared_market(1, 3, seed=1)), noise=noise)


def test_progress_is_reported() -> None:
    steps: list[tuple[int, float]] = []
    observations = noisy(seen(shared_market(2, 3, seed=1)), 0.05, np.random.default_rng(0))
    inference = infer_parameters(
        observations, profile=False, report=lambda solved, rms: steps.append((solved, rms))
    )
    assert [solved for solved, _ in steps] == sorted({solved for solved, _ in steps})
    assert min(rms for _, rms in steps) == pytest.approx(inference.rms)
    assert inference.equilibria >= steps[-1][0]
