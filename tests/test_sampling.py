from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoex.errors import InvalidInputError
from qoex.model import qoe
from qoex.model.feasibility import frontier_factor
from qoex.scenario.sampling import SPARE_CAPACITY, TABLE_III, sample_scenario

exact = settings(derandomize=True, deadline=None, max_examples=30)


def test_the_same_seed_gives_the_same_scenario() -> None:
    first = sample_scenario(2, 5, np.random.default_rng(7))
    assert sample_scenario(2, 5, np.random.default_rng(7)) == first
    assert sample_scenario(2, 5, np.random.default_rng(8)) != first


def test_the_generator_moves_on() -> None:
    rng = np.random.default_rng(7)
    assert sample_scenario(2, 5, rng) != sample_scenario(2, 5, rng)


def test_global_state_is_not_touched() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    sample_scenario(2, 3, np.random.default_rng(7), feasible=True)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(after, before)


def test_draws_fill_table_iii() -> None:
    scenario = sample_scenario(40, 25, np.random.default_rng(1))
    providers, demands = scenario.providers, scenario.demands

    def check(values: list[float | None], interval: tuple[float, float], share: float) -> None:
        """All within the interval, and spread over at least that share of it."""
        array = np.array(values, dtype=float)
        assert interval[0] <= array.min()
        assert array.max() <= interval[1]
        assert np.ptp(array) >= share * (interval[1] - interval[0])

    check([p.compute_capacity for p in providers], (5, 30), 0.8)
    check([p.bandwidth_capacity for p in providers], (100, 500), 0.8)
    check([p.latency_budget for p in providers], (300, 1500), 0.8)
    check([p.compute_cost for p in providers], (21.33, 24.60), 0.8)
    check([p.work_per_token_pair for p in providers], (1e-5, 1.6e-5), 0.8)
    check([d.input_tokens for d in demands], (100, 2000), 0.98)
    check([d.output_tokens for d in demands], (100, 2000), 0.98)
    check([d.snr_db for d in demands], (10, 30), 0.98)
    assert {d.examples for d in demands} == {2.0, 4.0, 6.0, 8.0, 10.0}
    assert all(float(d.input_tokens or 0.5).is_integer() for d in demands)


def test_names_and_inferred_parameters() -> None:
    scenario = sample_scenario(2, 3, np.random.default_rng(1))
    market = scenario.market()
    assert market.provider_names == ("asp-1", "asp-2")
    assert market.user_names == ("mu-1", "mu-2", "mu-3")
    assert set(market.profit_factor) == {370.4}
    assert set(market.bandwidth_cost) == {0.15}
    assert set(market.reward_min) == {1e-4}
    assert set(market.reward_max) == {10.0}
    assert scenario.tokens() is not None


def test_work_and_traffic_follow_from_the_draws() -> None:
    scenario = sample_scenario(2, 3, np.random.default_rng(1))
    market = scenario.market()
    demand = scenario.demands[4]
    assert (demand.provider, demand.user) == ("asp-2", "mu-2")
    assert demand.input_tokens is not None
    assert demand.output_tokens is not None
    assert demand.examples is not None
    xi = scenario.providers[1].work_per_token_pair
    assert xi is not None
    # θ̂ = 10^-(K+1), section VI-A
    cost = (demand.examples + 1) * np.log(10)
    pairs = qoe.token_pairs(demand.input_tokens, demand.output_tokens)
    assert market.work[1, 1] == pytest.approx(xi * cost * pairs, rel=1e-12)
    assert demand.snr_db is not None
    ratio = 10 ** (demand.snr_db / 10)
    assert market.traffic[1, 1] == pytest.approx(
        0.032 * (demand.input_tokens + demand.output_tokens) / np.log2(1 + ratio), rel=1e-12
    )


@given(seed=st.integers(0, 2**32), users=st.integers(1, 40))
@exact
def test_feasible_scenarios_have_just_the_room_promised(seed: int, users: int) -> None:
    drawn = sample_scenario(2, users, np.random.default_rng(seed)).market()
    market = sample_scenario(2, users, np.random.default_rng(seed), feasible=True).market()
    need = frontier_factor(drawn)
    growth = market.compute_capacity / drawn.compute_capacity
    np.testing.assert_allclose(growth, np.maximum(SPARE_CAPACITY * need, 1.0), rtol=1e-12)
    np.testing.assert_allclose(market.bandwidth_capacity / drawn.bandwidth_capacity, growth)
    assert (frontier_factor(market) <= (1 + 1e-12) / SPARE_CAPACITY).all()
    assert (
        drawn.replace(
            compute_capacity=market.compute_capacity, bandwidth_capacity=market.bandwidth_capacity
        )
        == market
    )


def test_both_cases_of_feasibility_occur() -> None:
    need = frontier_factor(sample_scenario(8, 25, np.random.default_rng(3)).market())
    assert need.min() < 1.0 / SPARE_CAPACITY
    assert need.max() > 1.0


def test_ranges_can_be_others() -> None:
    ranges = dataclasses.replace(TABLE_III, examples=(3,), snr_db=(12.0, 12.0), profit_factor=5.0)
    scenario = sample_scenario(1, 4, np.random.default_rng(1), ranges=ranges)
    assert {(d.examples, d.snr_db) for d in scenario.demands} == {(3.0, 12.0)}
    assert set(scenario.market().profit_factor) == {5.0}


@pytest.mark.parametrize(
    ("providers", "users", "message"),
    [
        (0, 3, "providers is 0; it must be one or more"),
        (2, -1, "users is -1; it must be one or more"),
    ],
)
def test_a_market_needs_a_provider_and_a_user(providers: int, users: int, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        sample_scenario(providers, users, np.random.default_rng(1))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("examples", (), "examples is empty; it must hold at least one"),
        ("examples", (2, 2.5), "examples has 2.5; it must hold whole numbers"),
        ("examples", (2, -1), "examples[1] is -1.0; it must be zero or more"),
        ("tokens", (0, 5), "tokens[0] is 0.0; it must be greater than zero"),
        ("tokens", (5, 2), "tokens goes from 5 to 2; it must go upwards"),
        ("tokens", (1.5, 2), "tokens has 1.5; it must hold whole numbers"),
        ("compute_capacity", (5.0,), "compute_capacity is (5.0,); it must be two numbers"),
        ("compute_capacity", 5.0, "compute_capacity is 5.0; it must be two numbers"),
        ("bandwidth_capacity", (0.0, 1.0), "bandwidth_capacity[0] is 0.0; it must be greater "),
        ("latency_budget", (1.0, np.nan), "latency_budget[1] is nan; it must be a finite number"),
        ("compute_cost", (2.0, 1.0), "compute_cost goes from 2.0 to 1.0; it must go upwards"),
        ("work_per_token_pair", (-1.0, 1.0), "work_per_token_pair[0] is -1.0; it must be"),
        ("snr_db", (-300.0, 1.0), "snr_db[0] is -300.0; it must be between -200 and 200"),
        ("profit_factor", 0.0, "profit_factor is 0.0; it must be greater than zero"),
        ("bandwidth_cost", "0.1", "bandwidth_cost is '0.1'; it must be a number"),
        ("gap_scale", np.inf, "gap_scale is inf; it must be a finite number"),
        ("example_ambiguity", 0.5, "example_ambiguity is 0.5; it must be at least zero and less"),
        ("reward_bounds", (0.0, 0.0), "reward_bounds[1] is 0.0; it must be greater than zero"),
        ("reward_bounds", (-1.0, 1.0), "reward_bounds[0] is -1.0; it must be zero or more"),
        ("reward_bounds", (2.0, 1.0), "reward_bounds goes from 2.0 to 1.0; it must go upwards"),
    ],
)
def test_ranges_that_cannot_be_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        dataclasses.replace(TABLE_III, **{field: value})  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_a_draw_that_makes_no_market_is_one_sentence() -> None:
    ranges = dataclasses.replace(TABLE_III, examples=(0,), gap_scale=30.0)
    with pytest.raises(InvalidInputError) as caught:
        sample_scenario(1, 1, np.random.default_rng(1), ranges=ranges)
    assert str(caught.value).startswith("examples of the demand of user mu-1 at provider asp-1 is ")
