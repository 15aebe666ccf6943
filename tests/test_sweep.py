"""A sweep: which rows it gives, on which markets, and what it refuses to be."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qoex.errors import InvalidInputError
from qoex.experiments import sweep as sweeping
from qoex.experiments.axes import restrict
from qoex.experiments.measure import SchemeCase, measure
from qoex.experiments.sweep import COLUMNS, Sweep
from qoex.game.solution import Solution
from qoex.mechanisms import schemes
from qoex.model.admission import Admission, admit
from qoex.model.feasibility import capacity_factor, frontier_factor
from qoex.model.market import Market
from qoex.scenario import Scenario
from qoex.scenario.sampling import SPARE_CAPACITY, TABLE_III, sample_scenario
from small_studies import SMALL, small_sweep

# A single provider with little compute cannot serve 25 users, but some of them.
SCARCE = replace(TABLE_III, compute_capacity=(5.0, 5.0), latency_budget=(300.0, 300.0))
CROWDED = small_sweep(vary="providers", values=(1,), users=25, ranges=SCARCE)


def drawn(seed: int, providers: int, users: int) -> Scenario:
    """The market of a seed, drawn as a sweep says it is."""
    return sample_scenario(providers, users, np.random.default_rng([0, seed]))


def test_rows_are_points_times_schemes_in_order() -> None:
    rows = SMALL.rows(3)
    assert len(rows) == SMALL.rows_per_seed == 4
    assert [(row["point"], row["value"], row["users"], row["scheme"]) for row in rows] == [
        (0, 2.0, 2, "proposed"),
        (0, 2.0, 2, "ratio-1"),
        (1, 5.0, 5, "proposed"),
        (1, 5.0, 5, "ratio-1"),
    ]
    for row in rows:
        assert set(row) == set(SMALL.columns) == set(COLUMNS)
        assert (row["seed"], row["providers"], row["outcome"]) == (3, 3, "solved")


def test_rows_are_what_the_schemes_make_of_parts_of_one_market() -> None:
    world = drawn(3, 3, 5)
    rows = SMALL.rows(3)
    for row in rows:
        scenario = restrict(world, 3, row["users"])
        case = next(item for item in SMALL.schemes if item.label == row["scheme"])
        expected = measure(scenario.market(), scenario.tokens(), case)
        assert {key: row[key] for key in expected} == expected
        assert row["capacity_factor"] == capacity_factor(scenario.market()).max()


def test_sweeps_that_draw_alike_share_their_markets() -> None:
    users = small_sweep(drawn=(5, 6)).rows(1)
    providers = small_sweep(name="p", vary="providers", values=(3, 5), users=5, drawn=(5, 6)).rows(
        1
    )
    at_five = [row for row in users if row["users"] == 5]
    at_three = [row for row in providers if row["providers"] == 3]
    place = {"point", "value"}
    assert [{k: v for k, v in row.items() if k not in place} for row in at_five] == [
        {k: v for k, v in row.items() if k not in place} for row in at_three
    ]


def test_seeds_and_roots_are_other_markets() -> None:
    firsts = [
        small_sweep(root_seed=root).rows(seed)[0]["welfare"]
        for root, seed in ((0, 0), (0, 1), (1, 0))
    ]
    assert len(set(firsts)) == 3
    assert SMALL.rows(0)[0]["welfare"] == firsts[0]


def test_a_sweep_goes_to_another_process_whole() -> None:
    copy = pickle.loads(pickle.dumps(SMALL))
    assert copy == SMALL
    assert copy.rows(2) == SMALL.rows(2)


def test_numbers_are_what_they_are_however_written() -> None:
    sweep = small_sweep(values=[np.int64(2), 5.0])
    assert sweep == SMALL
    assert [type(value) for value in sweep.values] == [int, int]
    other = small_sweep(vary="profit_factor", values=[100, np.float64(200.5)])
    assert other.parameters()["values"] == [100.0, 200.5]
    assert [type(value) for value in other.values] == [float, float]


def test_overload_admit_drops_the_fewest_demands() -> None:
    row = CROWDED.rows(0)[0]
    scenario = sample_scenario(1, 25, np.random.default_rng([0, 0]), ranges=SCARCE)
    admission = admit(scenario.market())
    assert row["dropped_pairs"] == len(admission.dropped) > 0
    assert row["capacity_factor"] == capacity_factor(scenario.market()).max() > 1
    assert (row["outcome"], row["demanded_pairs"]) == ("solved", 25 - row["dropped_pairs"])
    assert row["users"] == 25


def test_overload_raise_gives_what_is_short() -> None:
    row = CROWDED.replace(overload="raise").rows(0)[0]
    market = sample_scenario(1, 25, np.random.default_rng([0, 0]), ranges=SCARCE).market()
    growth = SPARE_CAPACITY * frontier_factor(market).max()
    raised = market.replace(
        compute_capacity=market.compute_capacity * growth,
        bandwidth_capacity=market.bandwidth_capacity * growth,
    )
    expected = measure(raised, None, SchemeCase("proposed", "proposed"))
    assert (row["dropped_pairs"], row["outcome"], row["demanded_pairs"]) == (0, "solved", 25)
    assert row["welfare"] == pytest.approx(expected["welfare"], rel=1e-12)


def test_overload_raise_leaves_what_is_enough() -> None:
    assert small_sweep(overload="raise").rows(3) == SMALL.rows(3)


def test_overload_refuse_is_infeasible_with_a_reason() -> None:
    for row in CROWDED.replace(overload="refuse").rows(0):
        assert (row["outcome"], row["dropped_pairs"], row["welfare"]) == ("infeasible", 0, None)
        assert row["reason"].startswith("the market cannot be served: asp-1 is short of ")
        assert row["capacity_factor"] > 1


def test_an_unfinished_choice_of_demands_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(market: Market) -> Admission:
        return replace(admit(market), optimal=False)

    monkeypatch.setattr(sweeping, "admit", hasty)
    for row in CROWDED.rows(0):
        assert (row["outcome"], row["dropped_pairs"], row["users"]) == ("failed", None, 25)
        assert row["reason"].startswith("the time limit was reached before ")


def test_a_scheme_that_fails_costs_no_other_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def ratio(market: Market, *, total: float = 5.0) -> Solution:
        raise ArithmeticError(f"{market.users} users")

    expected = SMALL.rows(3)
    monkeypatch.setitem(schemes.SCHEMES, "ratio", ratio)
    rows = SMALL.rows(3)
    assert [row["outcome"] for row in rows] == ["solved", "failed"] * 2
    assert [rows[0], rows[2]] == [expected[0], expected[2]]
    assert rows[3]["reason"] == "ArithmeticError: 5 users"


def test_a_draw_that_makes_no_market_is_rows_with_the_reason() -> None:
    # At this β, eq. 6 gives no accuracy below one without any example.
    ranges = replace(TABLE_III, examples=(0, *[8] * 9), gap_scale=30.0)
    sweep = small_sweep(ranges=ranges, providers=1, values=(1, 5))
    rows = [row for seed in range(6) for row in sweep.rows(seed)]
    bad = [row for row in rows if row["outcome"] == "failed"]
    assert 0 < len(bad) < len(rows)
    assert len(rows) == 24
    for row in bad:
        assert re.fullmatch(
            r"examples of the demand of user .* a performance gap .*", row["reason"]
        )
        assert row["users"] == (1, 5)[row["point"]]
        assert (row["welfare"], row["dropped_pairs"], row["capacity_factor"]) == (None, None, None)


def test_a_fault_in_drawing_is_rows_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Scenario:
        raise FloatingPointError("no randomness left")

    monkeypatch.setattr(sweeping, "sample_scenario", broken)
    rows = SMALL.rows(0)
    assert len(rows) == 4
    assert {row["reason"] for row in rows} == {"FloatingPointError: no randomness left"}


SCENARIO = drawn(0, 2, 3)


def test_a_scenario_stands_in_for_draws() -> None:
    sweep = small_sweep(
        vary="profit_factor", values=(100.0, 400.0), providers=2, users=3, scenario=SCENARIO
    )
    assert sweep.fixed
    assert not SMALL.fixed
    row = sweep.rows(0)[2]
    users = tuple(u.model_copy(update={"profit_factor": 400.0}) for u in SCENARIO.users)
    market = SCENARIO.model_copy(update={"users": users}).market()
    expected = measure(market, None, SchemeCase("proposed", "proposed"))
    assert row["welfare"] == expected["welfare"]
    assert sweep.parameters()["ranges"] is None
    again = Scenario.parse(sweep.parameters()["scenario"])
    assert again.market() == SCENARIO.market()


def of_scenario(**changes: Any) -> Callable[[], Sweep]:
    return lambda: small_sweep(
        **{
            "vary": "snr_db",
            "values": (10, 20),
            "providers": 2,
            "users": 3,
            "scenario": SCENARIO,
            **changes,
        }
    )


def changed(**changes: Any) -> Callable[[], Sweep]:
    return lambda: small_sweep(**changes)


DIRECT = Scenario.from_market(SCENARIO.market())
ABSENT = Scenario.from_market(SCENARIO.market().without(np.eye(2, 3, dtype=bool)))

REFUSALS = {
    "name is '../x'; it must be letters, digits, '-', '_' and '.', and begin": changed(name="../x"),
    "name is ''; it must be": changed(name=""),
    "name is '.hidden'; it must be": changed(name=".hidden"),
    "vary is 'usrs'; it must be one of users, providers, ": changed(vary="usrs"),
    "overload is 'drop'; it must be 'admit', 'raise' or 'refuse'": changed(overload="drop"),
    "values is empty": changed(values=()),
    "values[1] is nan; it must be a finite number": changed(
        vary="snr_db", values=(1.0, float("nan"))
    ),
    "values[0] is inf; it must be a finite number": changed(vary="snr_db", values=(float("inf"),)),
    "values[0] is '5'; it must be a number": changed(values=("5",)),
    "values[0] is True; it must be a number": changed(values=(True,)),
    "values has 2.5; a number of users must be a whole number above 0": changed(values=(2.5,)),
    "values has 0.0; a number of users must be a whole number above 0": changed(values=(0,)),
    "two values are the same": changed(values=(5, 2, 5.0)),
    "schemes is empty": changed(schemes=()),
    "two labels of schemes are the same": changed(schemes=[*SMALL.schemes, SMALL.schemes[0]]),
    "root_seed is -1; it must be zero or more": changed(root_seed=-1),
    "providers is 0; it must be 1 or more": changed(providers=0),
    "users is 2.5; it must be a whole number": changed(vary="providers", values=(1,), users=2.5),
    "users is 5; it must be at most 4": changed(drawn=(3, 4)),
    "providers is 3; it must be at most 2": of_scenario(providers=3),
    "drawn[0] is 0; it must be 1 or more": changed(drawn=(0, 5)),
    "drawn has no effect beside a scenario": of_scenario(drawn=(2, 3)),
    "values has -1.0, but ": changed(vary="latency_budget", values=(500, -1)),
    "values has 2.0, but ": changed(vary="performance_gap", values=(0.1, 2.0)),
    "values has 10.0, but the demand of user mu-1 at provider asp-1, which is to vary, is "
    "absent": of_scenario(scenario=ABSENT),
    "examples of the demand of user mu-1 at provider asp-1 is 0.0, which gives a performance "
    "gap": changed(ranges=replace(TABLE_III, examples=(0,), gap_scale=30.0)),
    "vary is 'snr_db', but that changes nothing in the market it starts from": of_scenario(
        scenario=DIRECT
    ),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_what_cannot_be_is_refused_before_it_runs(message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        REFUSALS[message]()
    assert str(caught.value).startswith(message)


def test_tokens_may_vary_where_only_the_token_scheme_heeds_them() -> None:
    direct = [
        demand.model_copy(update={"work": 100.0, "traffic": 10.0}) for demand in SCENARIO.demands
    ]
    scenario = SCENARIO.model_copy(update={"demands": tuple(direct)})
    sweep = of_scenario(scenario=scenario, vary="output_tokens", values=(100, 200))()
    assert len(sweep.values) == 2
