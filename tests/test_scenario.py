from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from qoex.errors import ScenarioError
from qoex.model import qoe
from qoex.model.market import Market
from qoex.scenario import Defaults, Demand, Provider, Scenario, User

TEXT = """
title = "Two providers and three users"

[defaults]
profit_factor = 370.4
reward_min = 1e-4
reward_max = 10
gap_scale = 0.1
example_ambiguity = 0.125
bandwidth_cost = 0.15
snr_db = 20
output_tokens = 200

[[providers]]
name = "asp-1"
compute_capacity = 20
bandwidth_capacity = 300
compute_cost = 21
latency_budget = 500
work_per_token_pair = 1e-5

[[providers]]
name = "asp-2"
compute_capacity = 10
bandwidth_capacity = 200
compute_cost = 24
bandwidth_cost = 0.25
latency_budget = 1000
work_model = "cached"
work_per_request = 0.5
work_per_input_token = 1e-3
work_per_output_token = 1e-2
transmit_power = 2

[[users]]
name = "mu-1"

[[users]]
name = "mu-2"
profit_factor = 400

[[users]]
name = "mu-3"
reward_min = 0.01

[[demands]]
user = "mu-1"
provider = "asp-1"
performance_gap = 1e-7
input_tokens = 300

[[demands]]
user = "mu-2"
provider = "asp-1"
examples = 4
input_tokens = 300
output_tokens = 100
latency_budget = 700

[[demands]]
user = "mu-3"
provider = "asp-1"
absent = true

[[demands]]
user = "mu-3"
provider = "asp-2"
performance_gap = 1e-5
input_tokens = 450.5
channel_gain = 1e-6
noise_power = 1e-8

[[demands]]
user = "mu-1"
provider = "asp-2"
work = 3
traffic = 2

[[demands]]
user = "mu-2"
provider = "asp-2"
work = 0
input_tokens = 60
"""


def tables() -> dict[str, Any]:
    return tomllib.loads(TEXT)


def changed(*changes: tuple[Sequence[str | int], Any]) -> dict[str, Any]:
    """The tables with values set at paths; ... deletes."""
    data = copy.deepcopy(tables())
    for path, value in changes:
        table: Any = data
        for step in path[:-1]:
            table = table[step]
        if value is ...:
            del table[path[-1]]
        else:
            table[path[-1]] = value
    return data


def test_every_number_of_the_market() -> None:
    market = Scenario.parse(tables()).market()
    quadratic, cached = 1e-5 * (200 * 300 + 100 * 199), 0.5 + 0.4505 + 2.0
    odds = 0.125 / 0.875
    work = [
        [
            quadratic * math.log(1e7),
            1e-5 * (100 * 300 + 50 * 99) * -math.log(0.1 * odds**4),
            0.0,
        ],
        [3.0, 0.0, cached * math.log(1e5)],
    ]
    traffic = [
        [0.032 * 500 / math.log2(101), 0.032 * 400 / math.log2(101), 0.0],
        [2.0, 0.032 * 260 / math.log2(101), 0.032 * 650.5 / math.log2(201)],
    ]
    np.testing.assert_allclose(market.work, work, rtol=1e-13)
    np.testing.assert_allclose(market.traffic, traffic, rtol=1e-13)
    np.testing.assert_array_equal(market.latency_budget, [[500, 700, 0], [1000, 1000, 1000]])
    np.testing.assert_array_equal(market.compute_cost, [21, 24])
    np.testing.assert_array_equal(market.bandwidth_cost, [0.15, 0.25])
    np.testing.assert_array_equal(market.compute_capacity, [20, 10])
    np.testing.assert_array_equal(market.bandwidth_capacity, [300, 200])
    np.testing.assert_array_equal(market.profit_factor, [370.4, 400, 370.4])
    np.testing.assert_array_equal(market.reward_min, [1e-4, 1e-4, 0.01])
    np.testing.assert_array_equal(market.reward_max, [10, 10, 10])
    assert market.provider_names == ("asp-1", "asp-2")
    assert market.user_names == ("mu-1", "mu-2", "mu-3")


def test_tokens_are_none_until_every_present_demand_gives_them() -> None:
    assert Scenario.parse(tables()).tokens() is None
    tokens = Scenario.parse(changed((("demands", 4, "input_tokens"), 70))).tokens()
    assert tokens is not None
    np.testing.assert_array_equal(tokens.input_tokens, [[300, 300, 0], [70, 60, 450.5]])
    np.testing.assert_array_equal(tokens.output_tokens, [[200, 100, 0], [200, 200, 200]])
    with pytest.raises(ValueError, match="read-only"):
        tokens.input_tokens[0, 0] = 1.0


def test_missing_demands_may_be_absent() -> None:
    data = changed((("demands", 2), ...), (("defaults", "missing_demands"), "absent"))
    assert Scenario.parse(data).market() == Scenario.parse(tables()).market()


def test_a_demand_comes_before_defaults_among_alternatives() -> None:
    data = changed(
        (("defaults", "performance_gap"), 1e-3), (("demands", 0, "performance_gap"), ...)
    )
    work = Scenario.parse(data).market().work
    before = Scenario.parse(tables()).market().work
    assert work[0, 0] == pytest.approx(before[0, 0] * 3 / 7, rel=1e-13)
    assert work[0, 1] == before[0, 1]  # its own examples, not the gap of defaults
    data = changed((("defaults", "examples"), 2), (("demands", 0, "performance_gap"), ...))
    gap = qoe.gap_from_examples(2, 0.1, 0.125)
    assert Scenario.parse(data).market().work[0, 0] == pytest.approx(
        before[0, 0] * qoe.accuracy_cost(gap) / math.log(1e7), rel=1e-13
    )


def test_a_channel_may_come_from_defaults() -> None:
    data = changed(
        (("defaults", "snr_db"), ...),
        (("defaults", "channel_gain"), 3e-6),
        (("defaults", "noise_power"), 1e-8),
        (("defaults", "transmit_power"), 1),
    )
    traffic = Scenario.parse(data).market().traffic
    assert traffic[0, 0] == pytest.approx(0.032 * 500 / math.log2(301), rel=1e-13)
    assert traffic[1, 1] == pytest.approx(0.032 * 260 / math.log2(601), rel=1e-13)


def test_a_work_model_may_come_from_defaults() -> None:
    data = changed(
        (("defaults", "work_model"), "cached"),
        (("defaults", "work_per_input_token"), 0.25),
        (("defaults", "work_per_output_token"), 0.5),
    )
    market = Scenario.parse(data).market()
    # asp-1 keeps its own work_per_token_pair, the cached model's attention term.
    plain = 0.25 * 300 + 0.5 * 200 + 1e-5 * (200 * 300 + 100 * 199)
    assert market.work[0, 0] == pytest.approx(plain * math.log(1e7), rel=1e-13)


def test_tables_cannot_be_changed() -> None:
    scenario = Scenario.parse(tables())
    with pytest.raises(ValidationError, match="frozen"):
        scenario.providers[0].compute_cost = 1.0


def test_a_scenario_of_python_objects() -> None:
    scenario = Scenario(
        defaults=Defaults(latency_budget=500, snr_db=20, work_per_token_pair=1e-5),
        providers=(
            Provider(
                name="asp",
                compute_capacity=20,
                bandwidth_capacity=300,
                compute_cost=21,
                bandwidth_cost=0.15,
            ),
        ),
        users=(User(name="mu", profit_factor=370, reward_min=0, reward_max=1),),
        demands=(
            Demand(
                user="mu", provider="asp", performance_gap=1e-5, input_tokens=10, output_tokens=20
            ),
        ),
    )
    assert scenario.market().work[0, 0] == pytest.approx(1e-5 * 390 * math.log(1e5), rel=1e-13)
    with pytest.raises(ValidationError, match="is missing; give it"):
        Scenario(providers=scenario.providers, users=scenario.users)


def test_a_market_becomes_a_scenario_and_back() -> None:
    market = Scenario.parse(tables()).market()
    scenario = Scenario.from_market(market)
    assert scenario.market() == market
    assert len(scenario.demands) == 5
    assert scenario.defaults.missing_demands == "absent"
    assert [provider.latency_budget for provider in scenario.providers] == [None, 1000.0]


def test_a_provider_and_a_user_without_demands_survive() -> None:
    market = Market(
        work=[[1, 0, 2], [0, 0, 0]],
        traffic=[[1, 0, 2], [0, 0, 0]],
        latency_budget=[[5, 0, 5], [0, 0, 0]],
        compute_cost=[1, 1],
        bandwidth_cost=[1, 1],
        compute_capacity=[1, 1],
        bandwidth_capacity=[1, 1],
        profit_factor=[1, 1, 1],
        reward_min=[0, 0, 0],
        reward_max=[1, 1, 1],
    )
    scenario = Scenario.from_market(market)
    assert scenario.market() == market
    tokens = scenario.tokens()
    assert tokens is None


PAIR_11 = "the demand of user mu-1 at provider asp-1"
BAD: list[tuple[Sequence[str | int], Any, str]] = [
    (
        ("users", 1, "profit_factor"),
        -3.0,
        "profit_factor of user mu-2 is -3.0; it must be greater than zero",
    ),
    (
        ("users", 1, "profit_factor"),
        math.nan,
        "profit_factor of user mu-2 is nan; it must be a finite number",
    ),
    (
        ("users", 1, "profit_factor"),
        -math.inf,
        "profit_factor of user mu-2 is -inf; it must be a finite number",
    ),
    (
        ("users", 1, "profit_factor"),
        "400",
        "profit_factor of user mu-2 is '400'; it must be a number",
    ),
    (
        ("users", 1, "profit_factor"),
        True,
        "profit_factor of user mu-2 is True; it must be a number",
    ),
    (
        ("users", 1, "profit_factor"),
        [400],
        "profit_factor of user mu-2 is a list; it must be a number",
    ),
    (
        ("users", 1, "profit_factor"),
        {"value": 400},
        "profit_factor of user mu-2 is a table; it must be a number",
    ),
    (
        ("users", 1, "profit_factor"),
        10**400,
        f"profit_factor of user mu-2 is 1{'0' * 58}…; it must be a finite number",
    ),
    (
        ("users", 1, "reward_min"),
        -1,
        "reward_min of user mu-2 is -1; it must be zero or more",
    ),
    (
        ("users", 1, "reward_min"),
        11,
        "reward_min of mu-2 is 11.0, above its reward_max 10.0",
    ),
    (
        ("users", 1, "profitfactor"),
        3.0,
        "'profitfactor' in user mu-2 is not a field of a user; did you mean profit_factor?",
    ),
    (
        ("demands", 0, "zzz"),
        3.0,
        f"'zzz' in {PAIR_11} is not a field of a demand",
    ),
    (
        ("defaults", "snr_dbb"),
        3.0,
        "'snr_dbb' in defaults is not a field; did you mean snr_db?",
    ),
    (("provders",), [], "'provders' is not a key of a scenario; did you mean providers?"),
    (("users",), ..., "users is missing"),
    (("users",), [], "users is empty; it must hold at least one"),
    (("users",), 3, "users is 3; it must be a list of tables"),
    (("users", 1), 3, "users[1] is 3; it must be a table"),
    (("defaults",), 3, "defaults is 3; it must be a table"),
    (("title",), 3, "title is 3; it must be a string"),
    (("users", 1, "name"), ..., "name of users[1] is missing"),
    (("users", 1, "name"), " ", "name of users[1] is ' '; it must be a string that is not empty"),
    (("users", 1, "name"), 7, "name of users[1] is 7; it must be a string of valid text"),
    (("users", 1, "name"), "mu-1", "users hold the name 'mu-1' more than once"),
    (("providers", 1, "name"), "asp-1", "providers hold the name 'asp-1' more than once"),
    (
        ("demands", 0, "user"),
        "mu-11",
        "demands[0] names the user 'mu-11', and there is none of that name; did you mean mu-1?",
    ),
    (
        ("demands", 0, "provider"),
        "zzz",
        "demands[0] names the provider 'zzz', and there is none of that name",
    ),
    (
        ("demands", 0, "provider"),
        ...,
        "provider of demands[0] is missing",
    ),
    (
        ("demands", 0),
        ...,
        f'{PAIR_11} is missing; give it, or set missing_demands = "absent" in defaults',
    ),
    (
        ("demands", 0, "provider"),
        "asp-2",
        "the demand of user mu-1 at provider asp-2 is given more than once",
    ),
    (
        ("demands", 0, "examples"),
        3,
        f"{PAIR_11} gives both performance_gap and examples; give one of them",
    ),
    (
        ("demands", 3, "snr_db"),
        3,
        "the demand of user mu-3 at provider asp-2 gives both snr_db and channel_gain; "
        "give one of them",
    ),
    (
        ("defaults", "channel_gain"),
        3,
        "defaults gives both snr_db and channel_gain; give one of them",
    ),
    (
        ("demands", 0, "performance_gap"),
        1.0,
        f"performance_gap of {PAIR_11} is 1.0; it must be less than 1",
    ),
    (
        ("demands", 0, "performance_gap"),
        0,
        f"performance_gap of {PAIR_11} is 0; it must be greater than zero",
    ),
    (
        ("providers", 0, "gap_scale"),
        1e4,
        "examples of the demand of user mu-2 at provider asp-1 is 4.0, which gives a performance "
        f"gap of {float(qoe.gap_from_examples(4, 1e4, 0.125))!r} at gap_scale 10000.0 and "
        "example_ambiguity 0.125 (eq. 6); it must be greater than zero and less than 1",
    ),
    (
        ("providers", 0, "example_ambiguity"),
        0.5,
        "example_ambiguity of provider asp-1 is 0.5; it must be less than 0.5",
    ),
    (
        ("defaults", "snr_db"),
        201,
        "snr_db of defaults is 201; it must be at most 200",
    ),
    (
        ("defaults", "snr_db"),
        ...,
        f"snr_db (or channel_gain and noise_power) of {PAIR_11} is missing; "
        "defaults has none either",
    ),
    (
        ("demands", 3, "noise_power"),
        ...,
        "noise_power of the demand of user mu-3 at provider asp-2 is missing; "
        "defaults has none either",
    ),
    (
        ("demands", 3, "noise_power"),
        1e-320,
        "the signal-to-noise ratio of the demand of user mu-3 at provider asp-2 is inf, from "
        "channel_gain 1e-06, transmit_power 2.0 and noise_power 1e-320; "
        "it must be greater than zero and finite",
    ),
    (
        ("providers", 1, "transmit_power"),
        ...,
        "transmit_power of provider asp-2 is missing; defaults has none either",
    ),
    (
        ("demands", 0, "performance_gap"),
        ...,
        f"performance_gap (or examples, or work) of {PAIR_11} is missing; defaults has none either",
    ),
    (
        ("demands", 0, "input_tokens"),
        ...,
        f"input_tokens (or work) of {PAIR_11} is missing; defaults has none either",
    ),
    (
        ("demands", 5, "input_tokens"),
        ...,
        "input_tokens (or traffic) of the demand of user mu-2 at provider asp-2 is missing; "
        "defaults has none either",
    ),
    (
        ("demands", 0, "input_tokens"),
        0,
        f"input_tokens of {PAIR_11} is 0; it must be greater than zero",
    ),
    (
        ("demands", 5, "traffic"),
        0,
        "work and traffic of the demand of user mu-2 at provider asp-2 are both zero; "
        "say absent = true instead",
    ),
    (
        ("demands", 2, "work"),
        1,
        "the demand of user mu-3 at provider asp-1 is absent, so it cannot give work",
    ),
    (
        ("demands", 2, "absent"),
        1,
        "absent of the demand of user mu-3 at provider asp-1 is 1; it must be true or false",
    ),
    (
        ("defaults", "gap_scale"),
        ...,
        "gap_scale of provider asp-1 is missing; defaults has none either",
    ),
    (
        ("providers", 0, "compute_cost"),
        ...,
        "compute_cost of provider asp-1 is missing; defaults has none either",
    ),
    (
        ("providers", 0, "latency_budget"),
        ...,
        "latency_budget of provider asp-1 is missing; defaults has none either",
    ),
    (
        ("defaults", "reward_max"),
        ...,
        "reward_max of user mu-1 is missing; defaults has none either",
    ),
    (
        ("providers", 0, "work_per_token_pair"),
        ...,
        "work_per_token_pair of provider asp-1 is missing; defaults has none either",
    ),
    (
        ("providers", 1, "work_per_output_token"),
        ...,
        "work_per_output_token of provider asp-2 is missing; defaults has none either",
    ),
    (
        ("providers", 0, "work_per_token_pair"),
        0,
        "the work model of provider asp-1 cannot be: "
        "work_per_token_pair is 0.0; it must be greater than zero",
    ),
    (
        ("providers", 0, "work_model"),
        "linear",
        "work_model of provider asp-1 is 'linear'; it must be 'quadratic' or 'cached'",
    ),
    (
        ("defaults", "missing_demands"),
        "none",
        "missing_demands of defaults is 'none'; it must be 'error' or 'absent'",
    ),
]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    BAD,
    ids=[f"{'.'.join(map(str, path))}={value!r}"[:60] for path, value, _ in BAD],
)
def test_bad_scenarios_are_named(path: Sequence[str | int], value: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(changed((path, value)))
    assert str(caught.value) == message


def test_a_typing_error_comes_before_what_it_leaves_out() -> None:
    data = changed((("users", 1, "nme"), "mu-2"), (("users", 1, "name"), ...))
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(data)
    assert str(caught.value) == "'nme' in users[1] is not a field of a user; did you mean name?"


def test_a_name_that_would_break_the_line_is_quoted() -> None:
    data = changed((("users", 1, "name"), "mu\n2"), (("users", 1, "profit_factor"), -1))
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(data)
    assert str(caught.value) == r"profit_factor of user 'mu\n2' is -1; it must be greater than zero"


def test_a_list_is_no_scenario() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse([])  # type: ignore[arg-type]
    assert str(caught.value) == "a scenario must be a table"


def test_tokens_too_many_for_a_double_are_refused_by_place() -> None:
    data = changed(
        (("demands", 0, "input_tokens"), 1e300), (("demands", 0, "output_tokens"), 1e300)
    )
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(data)
    assert str(caught.value) == "work of asp-1, mu-1 is inf; it must be a finite number"
