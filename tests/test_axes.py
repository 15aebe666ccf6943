"""Each axis changes what it says, and nothing else; smaller markets are parts of larger ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoex.errors import ScenarioError
from qoex.experiments.axes import AXES, restrict
from qoex.model import qoe
from qoex.model.market import ARRAY_FIELDS, PAIR_FIELDS, PROVIDER_FIELDS, Market
from qoex.scenario import Scenario
from qoex.scenario.sampling import sample_scenario

SCENARIO = sample_scenario(2, 3, np.random.default_rng(4))
BEFORE = SCENARIO.market()


def part(market: Market, name: str, providers: int, users: int) -> np.ndarray:
    array: np.ndarray = getattr(market, name)
    if name in PAIR_FIELDS:
        return array[:providers, :users]
    return array[:providers] if name in PROVIDER_FIELDS else array[:users]


def changed(name: str, value: float, scenario: Scenario = SCENARIO) -> Scenario:
    return AXES[name].change(scenario, value)


def differing(one: Market, other: Market) -> set[str]:
    """Fields in which two markets of one size differ."""
    return {n for n in ARRAY_FIELDS if not np.array_equal(getattr(one, n), getattr(other, n))}


@given(
    seed=st.integers(0, 1000),
    providers=st.integers(1, 4),
    users=st.integers(1, 7),
    fewer_providers=st.integers(1, 4),
    fewer_users=st.integers(1, 7),
)
def test_a_restricted_market_is_the_first_part(
    seed: int, providers: int, users: int, fewer_providers: int, fewer_users: int
) -> None:
    scenario = sample_scenario(providers, users, np.random.default_rng(seed))
    large = scenario.market()
    restricted = restrict(scenario, fewer_providers, fewer_users)
    small = restricted.market()
    assert small.provider_names == large.provider_names[:fewer_providers]
    assert small.user_names == large.user_names[:fewer_users]
    for name in ARRAY_FIELDS:
        expected = part(large, name, fewer_providers, fewer_users)
        np.testing.assert_array_equal(getattr(small, name), expected)
    tokens, all_tokens = restricted.tokens(), scenario.tokens()
    assert tokens is not None
    assert all_tokens is not None
    np.testing.assert_array_equal(
        tokens.output_tokens, all_tokens.output_tokens[:fewer_providers, :fewer_users]
    )


@pytest.mark.parametrize("name", ["providers", "users"])
def test_sizes_are_restrictions(name: str) -> None:
    axis = AXES[name]
    assert (axis.size, axis.whole) == (name, True)
    sizes = {"providers": 2, "users": 3, name: 1}
    assert changed(name, 1.0) == restrict(SCENARIO, **sizes)


# Axis → a value, and the fields of the market that follow from it.
OF_FIRST_PAIR = {
    "performance_gap": (1e-4, {"work"}),
    "examples": (12.0, {"work"}),
    "input_tokens": (5000.0, {"work", "traffic"}),
    "output_tokens": (5000.0, {"work", "traffic"}),
    "latency_budget": (2000.0, {"latency_budget"}),
    "snr_db": (3.0, {"traffic"}),
}


@pytest.mark.parametrize("name", OF_FIRST_PAIR)
def test_a_quantity_of_one_pair_changes_that_pair_alone(name: str) -> None:
    value, fields = OF_FIRST_PAIR[name]
    after = changed(name, value).market()
    assert differing(BEFORE, after) == fields
    for field in fields:
        different = getattr(BEFORE, field) != getattr(after, field)
        assert np.argwhere(different).tolist() == [[0, 0]]


def test_the_pair_has_the_value_by_the_paper_s_formulas() -> None:
    gap = changed("performance_gap", 1e-4).market()
    # θ̂ = 10^-(K+1): three examples ask for as much
    np.testing.assert_allclose(changed("examples", 3.0).market().work, gap.work, rtol=1e-12)
    assert changed("latency_budget", 2000.0).market().latency_budget[0, 0] == 2000.0
    tokens = SCENARIO.tokens()
    assert tokens is not None
    assert changed("snr_db", 3.0).market().traffic[0, 0] == pytest.approx(
        float(qoe.traffic(tokens.input_tokens[0, 0], tokens.output_tokens[0, 0], 10**0.3)),
        rel=1e-12,
    )


OF_EVERYBODY = {
    "compute_capacity": 17.0,
    "bandwidth_capacity": 170.0,
    "compute_cost": 3.0,
    "bandwidth_cost": 0.5,
    "profit_factor": 111.0,
}


@pytest.mark.parametrize("name", OF_EVERYBODY)
def test_a_quantity_of_everybody_is_the_same_for_all(name: str) -> None:
    after = changed(name, OF_EVERYBODY[name]).market()
    assert differing(BEFORE, after) == {name}
    assert set(getattr(after, name)) == {OF_EVERYBODY[name]}


def test_every_axis_is_tested_and_has_its_words() -> None:
    assert set(AXES) == {"providers", "users", *OF_FIRST_PAIR, *OF_EVERYBODY}
    assert len({axis.label for axis in AXES.values()}) == len(AXES)
    sizes = {name for name, axis in AXES.items() if axis.whole}
    assert sizes == {name for name, axis in AXES.items() if axis.size} == {"providers", "users"}


def test_a_channel_gives_way_to_the_ratio_that_varies() -> None:
    demand = SCENARIO.demands[0].model_copy(
        update={"snr_db": None, "channel_gain": 1e-6, "noise_power": 1e-9}
    )
    provider = SCENARIO.providers[0].model_copy(update={"transmit_power": 0.1})
    scenario = SCENARIO.model_copy(
        update={
            "demands": (demand, *SCENARIO.demands[1:]),
            "providers": (provider, *SCENARIO.providers[1:]),
        }
    )
    assert changed("snr_db", 20.0, scenario).market() == changed("snr_db", 20.0).market()


@pytest.mark.parametrize("way", ["marked", "left out"])
def test_an_absent_pair_cannot_vary(way: str) -> None:
    market = BEFORE.without(np.array([[True, False, False], [False, False, False]]))
    scenario = Scenario.from_market(market)
    if way == "marked":
        tables = scenario.model_dump(exclude_none=True)
        absent = {"user": "mu-1", "provider": "asp-1", "absent": True}
        scenario = Scenario.parse({**tables, "demands": [*tables["demands"], absent]})
    with pytest.raises(ScenarioError) as caught:
        changed("latency_budget", 300.0, scenario)
    expected = "the demand of user mu-1 at provider asp-1, which is to vary, is absent"
    assert str(caught.value) == expected
