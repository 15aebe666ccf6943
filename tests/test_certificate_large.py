"""The certificate by bounds, forced on small markets where the search tells what it has to say."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qoex.certificate
from certificate_cases import KINDS, off_equilibrium, random_market, settled
from qoex.certificate import Certificate, certify, large
from qoex.certificate.explanation import explain_user
from qoex.certificate.lines import price_lines
from qoex.certificate.passes import FirstPass, first_pass, merged, second_pass
from qoex.certificate.verdict import Verdict, conclude, summarise
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.game.solution import Regime, Solution
from qoex.model.feasibility import frontier_factor
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, FloatArray, Market

# The accuracy of a search; a bound below this is not followed by one.
SURE = 1e-12
ROUNDING = 1e-12

CASES = [(kind, seed) for kind in KINDS for seed in range(8)]
FIELDS = ("rewards", "compute", "bandwidth", "qoe", "user_utility", "provider_utility")


def case(kind: str, seed: int) -> Market:
    return random_market(np.random.default_rng([KINDS.index(kind), seed]), kind)


def by_bounds(market: Market, solution: Solution, searched: int = 20_000) -> Certificate:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qoex.certificate, "LARGE_PAIRS", 0)
        patch.setattr(large, "MOST_SEARCHED", searched)
        return certify(market, solution)


def check_the_same(market: Market, solution: Solution) -> Certificate:
    """Both ways agree: to rounding, and in the regret as far as a bound may be above it."""
    exact = certify(market, solution)
    found = by_bounds(market, solution)
    scale = exact.utility_scale
    for name in ("stationarity", "primal", "dual", "complementarity"):
        np.testing.assert_allclose(
            getattr(found.kkt, name), getattr(exact.kkt, name), rtol=1e-9, atol=ROUNDING
        )
    for name in ("compute_price", "bandwidth_price"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=ROUNDING)
    assert found.compute_regime == exact.compute_regime
    assert found.bandwidth_regime == exact.bandwidth_regime
    assert found.consistency == pytest.approx(exact.consistency, rel=1e-9, abs=ROUNDING)
    assert found.outside_bounds == pytest.approx(exact.outside_bounds, rel=1e-9, abs=ROUNDING)
    assert found.utility_scale == pytest.approx(scale, rel=ROUNDING)
    # The search itself is off by as much as rounding leaves, a part in 1e12.
    above = found.regret_per_user - exact.regret_per_user
    assert above.min() >= -ROUNDING * scale
    assert above.max() <= SURE * scale
    np.testing.assert_allclose(
        found.best_utility, exact.best_utility, rtol=0, atol=(SURE + ROUNDING) * scale
    )
    assert found.regret == found.regret_per_user.max()
    assert found.holds() == exact.holds()
    # Where nobody is searched, bounds may be far above the regret, yet not below.
    bounds = by_bounds(market, solution, searched=0)
    assert bounds.bounded is not None
    assert bounds.bounded.all()
    assert (bounds.regret_per_user >= exact.regret_per_user - ROUNDING * scale).all()
    return found


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_equilibria_need_no_search(kind: str, seed: int) -> None:
    market = case(kind, seed)
    found = check_the_same(market, solve(market))
    assert found.bounded is not None
    assert found.bounded.all()
    assert not found.regret_is_exact
    assert found.sentence().startswith("An equilibrium: ")


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_other_points_are_searched(kind: str, seed: int) -> None:
    market = case(kind, seed)
    rng = np.random.default_rng(seed)
    check_the_same(market, off_equilibrium(rng, market))
    solution = solve(market)
    near = solution.rewards * (1.0 + 1e-5 * rng.standard_normal(market.work.shape))
    check_the_same(market, settled(market, near))


@pytest.mark.parametrize("seed", range(6))
def test_rewards_at_and_beyond_their_bounds(seed: int) -> None:
    market = case("plain", seed)
    rewards = solve(market).rewards
    rng = np.random.default_rng(seed)
    for factor in (0.9, 1.0, 1.1):
        high = rewards[0] * factor + 1e-9
        check_the_same(market.replace(reward_max=high), settled(market, rewards))
        low = np.where(rng.random(market.users) < 0.5, rewards[0] * factor, 0.0)
        check_the_same(market.replace(reward_min=low), settled(market, rewards))


def pinned(share: float) -> Market:
    """Section 7's market: between some shares of the compute wanted the capacity is pinned."""
    return Market(
        work=[[200.0, 120.0]],
        traffic=[[5.0, 5.0]],
        latency_budget=[[600.0, 600.0]],
        compute_cost=[21.0],
        bandwidth_cost=[0.15],
        compute_capacity=[share * 1.99138],
        bandwidth_capacity=[500.0],
        profit_factor=[370.0, 370.0],
        reward_min=[0.0, 0.0],
        reward_max=[10.0, 10.0],
    )


def test_a_pinned_capacity_is_certified_by_a_mix_of_lines() -> None:
    market = pinned(0.95)
    solution = solve(market)
    assert solution.compute_state.regime == (Regime.PINNED,)
    found = check_the_same(market, solution)
    assert found.holds()
    assert found.bounded is not None
    assert found.bounded.all()
    # Either line alone would leave a regret: its slope is not zero here.
    guess = np.sqrt([solution.compute_state.price, solution.bandwidth_state.price])
    prices = price_lines(merged([first_pass(market, solution, guess)]), market, guess)
    assert prices.lines[0, 4] == 1.0
    alone = prices.lines.copy()
    alone[:, 4] = 0.0
    bound = second_pass(market, solution.rewards, alone).bound
    assert bound.max() > 1e-6 * found.utility_scale


def tight(seed: int) -> Market:
    market = random_market(np.random.default_rng(seed), "plain")
    spare = 1.0 + 10.0 ** np.random.default_rng(seed).uniform(-3.0, -1.0, market.providers)
    factor = frontier_factor(market) * spare
    return market.replace(
        compute_capacity=market.compute_capacity * factor,
        bandwidth_capacity=market.bandwidth_capacity * factor,
    )


def test_marginal_pairs_are_certified_by_a_mix_of_lines() -> None:
    marginal = 0
    for seed in range(60):
        market = tight(seed)
        solution = solve(market)
        root = np.sqrt(solution.compute_state.price)[:, None] * np.sqrt(market.work)
        root += np.sqrt(solution.bandwidth_state.price)[:, None] * np.sqrt(market.traffic)
        near = np.abs(np.sqrt(solution.rewards) * market.latency_budget - root) <= 1e-9 * root
        if near.any() and (solution.qoe > 0).any():
            marginal += 1
            found = check_the_same(market, solution)
            assert found.bounded is not None
            assert found.bounded.all()
    assert marginal > 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    spread=st.floats(-9.0, 0.5),
    narrow=st.booleans(),
)
def test_bounds_are_never_below_the_regret(
    seed: int, kind: str, spread: float, narrow: bool
) -> None:
    rng = np.random.default_rng(seed)
    market = random_market(rng, kind)
    solution = solve(market)
    if narrow:
        high = np.maximum(solution.rewards.max(axis=0), market.reward_min + 1e-6)
        market = market.replace(reward_max=high * rng.uniform(0.8, 1.2, market.users) + 0.2)
    moved = solution.rewards * np.exp(10.0**spread * rng.standard_normal(market.work.shape))
    check_the_same(market, settled(market, moved))


# --- nothing that is no number is certified -------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("where", [0, -1])
def test_numbers_that_cannot_be_do_not_hold(field: str, value: float, where: int) -> None:
    market = pinned(0.6)
    solution = solve(market)
    assert by_bounds(market, solution).holds()
    array = getattr(solution, field).copy()
    array.flat[where] = value
    change: dict[str, Any] = {field: array}
    spoiled = replace(solution, **change)
    for searched in (0, 20_000):
        found = by_bounds(market, spoiled, searched)
        assert not found.holds()
        assert not found.holds(1e-2)
        assert found.sentence().startswith("Not an equilibrium: ")
    assert np.isnan(found.regret) == np.isnan(certify(market, spoiled).regret)


@pytest.mark.parametrize("place", [0, 700, 4095, 4096, 8999])
@pytest.mark.parametrize("field", FIELDS[:-1])
def test_one_nan_among_many_users_is_found(field: str, place: int, many: Solved) -> None:
    array = getattr(many.solution, field).copy()
    array[..., place] = np.nan
    change: dict[str, Any] = {field: array}
    assert not by_bounds(many.market, replace(many.solution, **change)).holds(1e300)


def test_a_market_that_cannot_be_served_has_no_certificate() -> None:
    market = pinned(0.6)
    solution = solve(market)
    found = by_bounds(market.replace(compute_capacity=[0.1]), solution)
    assert np.isnan(found.regret)
    assert not found.regret_is_exact
    assert not found.holds(np.inf)


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0, np.inf, np.nan])
def test_prices_need_not_be_right(factor: float) -> None:
    """Reported prices are a guess at who is at the floor; others are found by further rounds."""
    for seed in range(12):
        market = tight(seed)
        solution = off_equilibrium(np.random.default_rng(seed), market)
        state = solution.compute_state
        other = replace(solution, compute_state=replace(state, price=state.price * factor))
        check_the_same(market, other)


# --- many users, and markets in chunks ------------------------------------------------------------


class Solved(NamedTuple):
    market: Market
    solution: Solution


@pytest.fixture(scope="module")
def many() -> Solved:
    """Three providers and 9000 users, two blocks and a part; some at the floor, one price high."""
    rng = np.random.default_rng(11)
    pairs = 3, 9000
    market = Market(
        work=rng.uniform(50.0, 1000.0, pairs),
        traffic=rng.uniform(5.0, 60.0, pairs),
        latency_budget=rng.uniform(300.0, 1500.0, pairs),
        compute_cost=[21.0, 22.0, 24.0],
        bandwidth_cost=[0.15] * 3,
        compute_capacity=[1e6] * 3,
        bandwidth_capacity=[1e6] * 3,
        profit_factor=rng.uniform(200.0, 400.0, pairs[1]),
        reward_min=np.full(pairs[1], 1e-4),
        reward_max=np.full(pairs[1], 10.0),
    )
    use = solve(market).compute_state.use
    market = market.replace(compute_capacity=[0.98 * use[0], 1e6, 1e6])
    solution = solve(market)
    assert solution.compute_state.regime[0] is Regime.BINDING
    assert (solution.qoe == 0).any()
    return Solved(market, solution)


class Part(NamedTuple):
    """Some users of a market, or of a solution."""

    work: FloatArray
    traffic: FloatArray
    latency_budget: FloatArray
    profit_factor: FloatArray
    reward_min: FloatArray
    reward_max: FloatArray
    rewards: FloatArray
    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    user_utility: FloatArray


def cut(case: Solved, ends: list[int]) -> list[Part]:
    market, solution = case
    arrays = {name: getattr(market, name) for name in (*PAIR_FIELDS, *USER_FIELDS)}
    arrays |= {name: getattr(solution, name) for name in FIELDS[:-1]}
    return [
        Part(**{name: array[..., a:b] for name, array in arrays.items()})
        for a, b in itertools.pairwise(ends)
    ]


def judged_in_chunks(case: Solved, ends: list[int]) -> tuple[list[FirstPass], Verdict]:
    market, solution = case
    parts = cut(case, ends)
    guess = np.sqrt([solution.compute_state.price, solution.bandwidth_state.price])
    first = [first_pass(part, part, guess, at) for part, at in zip(parts, ends, strict=False)]
    totals = merged(first)
    prices = price_lines(totals, market, guess)
    second = [
        summarise(second_pass(part, part.rewards, prices.lines), totals, start)
        for part, start in zip(parts, ends, strict=False)
    ]
    return first, conclude(totals, market, solution.provider_utility, prices, second)


def plain(verdict: Verdict) -> list[Any]:
    """A verdict as numbers that can be compared to the last bit."""
    conditions = verdict.conditions
    kkt = conditions.residuals
    arrays = [kkt.stationarity, kkt.primal, kkt.dual, kkt.complementarity, verdict.doubtful]
    arrays += [conditions.compute_price, conditions.bandwidth_price]
    numbers = verdict.regret, verdict.utility_scale, verdict.worst_user, verdict.consistency
    return [*(array.tolist() for array in arrays), *numbers, verdict.outside_bounds]


@pytest.mark.parametrize("ends", [[0, 4096, 9000], [0, 8192, 9000], [0, 4096, 8192, 9000]])
def test_chunks_give_the_same_to_the_last_bit(many: Solved, ends: list[int]) -> None:
    first, verdict = judged_in_chunks(many, ends)
    _, whole = judged_in_chunks(many, [0, 9000])
    assert len(first) == len(ends) - 1
    assert plain(verdict) == plain(whole)
    assert verdict.settled
    assert verdict.holds(1e-9)
    assert verdict.doubtful.size == 0


def test_many_users_are_certified_as_by_search(many: Solved) -> None:
    seen: list[float] = []
    found = certify(many.market, many.solution, progress=seen.append)
    assert many.market.work.size > qoex.certificate.LARGE_PAIRS
    assert found.holds()
    assert found.relative_regret <= SURE
    assert seen == [1.0]
    assert found.best_deviation is many.solution.rewards
    assert not np.isnan(found.best_utility).any()


def test_who_gains_is_searched_among_many(many: Solved) -> None:
    rewards = many.solution.rewards.copy()
    rewards[1, 5000] *= 1.1
    rewards[2, 77] *= 0.8
    moved = settled(many.market, rewards)
    found = certify(many.market, moved)
    assert found.bounded is not None
    assert {77, 5000} <= set(np.flatnonzero(~found.bounded).tolist())
    assert found.bounded.sum() > 8000
    assert found.regret_is_exact
    assert found.worst_user == many.market.user_names[int(np.argmax(found.regret_per_user))]
    assert " gains " in found.sentence()
    # Back to where they were, as far as the others' answer to the two moves allows.
    assert found.best_deviation[1, 5000] == pytest.approx(many.solution.rewards[1, 5000], rel=1e-4)
    _, verdict = judged_in_chunks(Solved(many.market, moved), [0, 4096, 9000])
    assert {77, 5000} <= set(verdict.doubtful.tolist())
    assert verdict.regret >= found.regret
    assert not verdict.holds(1e-9)


def test_where_too_many_are_doubtful_the_regret_is_a_bound(
    many: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = settled(many.market, many.solution.rewards * 1.3)
    monkeypatch.setattr(large, "MOST_SEARCHED", 5)
    found = certify(many.market, moved)
    assert found.bounded is not None
    assert (~found.bounded).sum() == 5
    assert not found.holds()
    user = int(np.argmax(np.where(found.bounded, found.regret_per_user, -1.0)))
    assert explain_user(many.market, moved, found, user)[-1].startswith("It gains no more than ")
    monkeypatch.setattr(large, "MOST_SEARCHED", 0)
    bound = certify(many.market, moved)
    assert not bound.regret_is_exact
    assert " may gain up to " in bound.sentence()
    assert bound.regret >= found.regret


def test_stray_floors_are_told(many: Solved) -> None:
    guess = np.full((2, 3), 1e-3)
    totals = merged([first_pass(many.market, many.solution, guess)])
    prices = price_lines(totals, many.market, guess)
    second = second_pass(many.market, many.solution.rewards, prices.lines)
    utility = many.solution.provider_utility
    verdict = conclude(totals, many.market, utility, prices, [summarise(second, totals)])
    assert not verdict.settled
    assert np.isnan(verdict.regret)
    assert not verdict.holds(np.inf)


def test_chunks_have_whole_blocks_and_arrays_their_shape(many: Solved) -> None:
    with pytest.raises(InvalidInputError, match="multiple of 4096"):
        judged_in_chunks(many, [0, 4000, 9000])
    part = cut(many, [0, 4096])[0]
    guess = np.ones((2, 3))
    alone = first_pass(part, part, guess, 4096)
    for parts in ([alone], [alone, alone]):
        with pytest.raises(InvalidInputError, match="the chunks do not make up a market"):
            merged(parts)
    with pytest.raises(InvalidInputError, match=r"qoe has shape \(3, 7\)"):
        first_pass(part, part._replace(qoe=part.qoe[:, :7]), guess)
    with pytest.raises(InvalidInputError, match=r"lines has shape \(3, 2\)"):
        second_pass(part, part.rewards, np.ones((3, 2)))


def test_interpreted_kernels_say_the_same() -> None:
    """Small markets never come here, but who interprets kernels may certify a large one."""
    program = """
import sys
import numpy as np
from qoex import kernels
if sys.argv[1] == "interpret":
    kernels.interpret()
import qoex.certificate
from qoex.model.market import Market
from qoex.game.outcome import outcome_of
from qoex.game.solution import Status
rng = np.random.default_rng(2)
pairs = 2, 30
market = Market(work=rng.uniform(50, 1000, pairs), traffic=rng.uniform(5, 60, pairs),
    latency_budget=np.full(pairs, 700.0), compute_cost=[21, 24], bandwidth_cost=[0.15, 0.2],
    compute_capacity=[60, 90], bandwidth_capacity=[900, 900], profit_factor=np.full(30, 370.0),
    reward_min=np.zeros(30), reward_max=np.full(30, 10.0))
solution = outcome_of(market, rng.uniform(0, 0.2, pairs), status=Status.EXACT, method="", steps=0)
qoex.certificate.LARGE_PAIRS = 0
found = qoex.certificate.certify(market, solution)
print(*found.regret_per_user, *found.compute_price, found.kkt_residual + 1, found.consistency + 1)
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, how], capture_output=True, text=True, check=True
        ).stdout
        for how in ("compile", "interpret")
    ]
    compiled, interpreted = (np.array(output.split(), dtype=float) for output in outputs)
    np.testing.assert_allclose(interpreted, compiled, rtol=1e-11)
