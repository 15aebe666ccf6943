"""The bounds of Appendix A against numbers by hand, and the steps of its proof that fail."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets import random_market
from qoex.data.paper_case import table_iv_market
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.experiments.appendix_a.bounds import Gaps, Theorem
from qoex.game.best_response import regret
from qoex.game.outcome import user_utility
from qoex.game.provider import answer_rewards
from qoex.mechanisms.dual_perturbation import Constant, Diminishing
from qoex.model.market import FloatArray, Market

POSITIVE = st.floats(1e-3, 1e3)


def utilities(market: Market, rewards: FloatArray) -> FloatArray:
    return user_utility(market, rewards, answer_rewards(market, rewards).qoe)


def test_what_a_theorem_takes_from_a_market() -> None:
    market = random_market(np.random.default_rng(1), 2, 3, "slack")
    market = market.replace(reward_max=[1.0, 2.0, 3.0])
    assert Theorem.of(market) == Theorem(spread=2 * (1 + 4 + 9), pairs=6)
    some_absent = market.without(np.array([[True, False, False], [False, False, True]]))
    assert Theorem.of(some_absent) == Theorem.of(market)


def test_constants() -> None:
    theorem = Theorem(spread=28.0, pairs=6)
    # 28/0.5 + 6·0.5·π²/6
    assert theorem.constant(Diminishing(0.5)) == pytest.approx(56.0 + 4.934802200544679)
    assert theorem.constant(Constant(0.1)) == pytest.approx(280.0)


def test_bounds_on_iterations() -> None:
    theorem = Theorem(spread=28.0, pairs=6)
    diminishing = theorem.iterations(Diminishing(0.5), 60.934802200544679 / 5)
    assert diminishing.log10 is not None
    assert 10**diminishing.log10 == pytest.approx(math.exp(5.0))
    # ε′ = 1 − 0.1·6/2 = 0.7, and 280/0.7 = 400
    constant = theorem.iterations(Constant(0.1), 1.0)
    assert constant.log10 == pytest.approx(math.log10(400.0))
    assert diminishing.reason == constant.reason == ""


def test_a_bound_beyond_all_numbers_has_a_logarithm() -> None:
    bound = Theorem(spread=600.0, pairs=6).iterations(Diminishing(0.01), 1e-6)
    assert bound.log10 == pytest.approx((60000 + 0.01 * math.pi**2) * 1e6 / math.log(10))


@pytest.mark.parametrize("step", [Diminishing(0.5), Constant(0.1)])
def test_a_gap_that_is_not_positive_has_no_bound(step: Diminishing | Constant) -> None:
    theorem = Theorem(spread=28.0, pairs=6)
    for gap, reason in ((0.0, "not positive"), (-3.0, "not positive"), (math.nan, "not known")):
        bound = theorem.iterations(step, gap)
        assert bound.log10 is None
        assert reason in bound.reason


def test_a_constant_step_promises_nothing_within_its_neighbourhood() -> None:
    theorem = Theorem(spread=28.0, pairs=6)
    for gap in (0.1, 0.375):
        bound = theorem.iterations(Constant(0.125), gap)
        assert bound.log10 is None
        assert "ΔMN/2" in bound.reason
    assert theorem.iterations(Constant(0.125), 0.376).log10 is not None
    assert theorem.iterations(Diminishing(0.125), 0.1).log10 is not None


def test_the_ceiling_of_the_gap() -> None:
    theorem = Theorem(spread=28.0, pairs=6)
    assert theorem.gap_ceiling(Diminishing(0.5), 1) == pytest.approx((28 + 6 * 0.25) / (2 * 0.5))
    # Σ_l Δ_l is 0.5 and then 0.75, Σ_l Δ_l² is 0.25 and then 0.3125.
    two = (28 + 6 * (0.25 + 0.3125) / 2) / (0.5 + 0.75)
    assert theorem.gap_ceiling(Diminishing(0.5), 2) == pytest.approx(two)
    with pytest.raises(InvalidInputError, match="iterations is 0"):
        theorem.gap_ceiling(Constant(0.5), 0)


@given(POSITIVE, st.integers(1, 50), POSITIVE, st.integers(1, 400))
def test_the_ceiling_of_constant_steps_is_that_of_equation_43(
    spread: float, pairs: int, delta: float, count: int
) -> None:
    ceiling = Theorem(spread, pairs).gap_ceiling(Constant(delta), count)
    assert ceiling == pytest.approx(spread / (delta * (count + 1)) + delta * pairs / 2)


@given(POSITIVE, st.integers(1, 50), st.floats(0.01, 1.0), st.floats(1.001, 50.0))
def test_after_as_many_iterations_as_the_bound_the_ceiling_is_at_most_the_gap(
    spread: float, pairs: int, delta: float, factor: float
) -> None:
    theorem, step = Theorem(spread, pairs), Constant(delta)
    gap = factor * delta * pairs / 2
    bound = theorem.iterations(step, gap).log10
    assert bound is not None
    count = min(max(math.ceil(10**bound), 1), 10**5)
    if count < 10**5:
        assert theorem.gap_ceiling(step, count) <= gap * (1 + 1e-9)


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="spread is"):
        Theorem(0.0, 6)
    with pytest.raises(InvalidInputError, match="pairs is"):
        Theorem(1.0, 0)


def test_gaps_along_a_run() -> None:
    run = np.array([[1.0, 0.0], [4.0, 3.0], [2.0, 2.0]])  # D is 9, 3, 6
    gaps = Gaps.along(run, np.array([4.0, 6.0]))
    assert (gaps.first, gaps.mean, gaps.mean_least) == (9.0, 6.0, 5.0)


def test_step_25_fails_where_users_compete() -> None:
    """All are better off with lower rewards, though each alone would raise its own again."""
    market = random_market(np.random.default_rng(2), 2, 4, "binding")
    best = solve(market)
    rewards = np.clip(0.9 * best.rewards, market.reward_min, market.reward_max)
    gap = (best.user_utility - utilities(market, rewards)).sum()
    assert gap < -1.0
    assert regret(market, rewards).max() > 0.1


def test_step_28_drops_a_factor_of_hundreds() -> None:
    """D_t is said to be at most dᵀ(R* − R), whose every term is at most |R* − R|."""
    market = table_iv_market()
    best = solve(market)
    rewards = 10.0 * best.rewards
    gap = (best.user_utility - utilities(market, rewards)).sum()
    assert gap > 500.0 * np.abs(best.rewards - rewards).sum()


def test_the_sign_of_a_gradient_may_point_away_from_the_maximum() -> None:
    """For −xᵀHx/2 with its maximum at zero: the example of the docstring of ``bounds``."""
    gradient, ahead = np.array([10.0, 0.1]), np.array([0.01, -0.9])
    assert gradient @ ahead > 0 > np.sign(gradient) @ ahead
    # The least change of the identity that maps ``ahead`` to the gradient (BFGS), so H(R* − R) = g.
    curvature = np.eye(2) - np.outer(ahead, ahead) / (ahead @ ahead)
    curvature += np.outer(gradient, gradient) / (gradient @ ahead)
    np.testing.assert_allclose(curvature @ ahead, gradient)
    assert np.linalg.eigvalsh(curvature).min() > 0


def test_the_second_line_of_35_is_the_wrong_way_round() -> None:
    iterations = np.arange(1.0, 51.0)
    travelled = np.cumsum(0.1 / iterations)
    least = 1000.0 / iterations
    assert (travelled * least).mean() < travelled.mean() * least.mean()
