"""Rules of direction: every verdict of every rule on tables whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claim_tables import around, found_by, sweep_table
from qoex.experiments.claims import ClaimVerdict
from qoex.experiments.claims.changes import Direction, GreatestChange, Order, Steadier, Trend

AGREES, SAME, DIFFERS, UNDETERMINED = ClaimVerdict

RISING = Trend("users", "proposed", "user_cost", Direction.RISES)
FALLING = Trend("users", "proposed", "user_cost", Direction.FALLS)
KEEPING = Trend("users", "proposed", "user_cost", Direction.NOT_FALLS)


def costs(*rows: object) -> pl.DataFrame:
    """User costs of proposed, ratio-5, ratio-1 in this order."""
    names = ("proposed", "ratio-5", "ratio-1")
    return sweep_table({n: {"user_cost": r} for n, r in zip(names, rows, strict=False)})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("means", "rises", "falls", "keeps"),
    [
        ((1, 2, 3, 4, 5), AGREES, DIFFERS, AGREES),
        ((5, 4, 3, 2, 1), DIFFERS, AGREES, DIFFERS),
        ((1, 2, 3, 2, 5), SAME, DIFFERS, SAME),
        ((1, 2, 3, 3, 5), SAME, DIFFERS, AGREES),
        ((3, 4, 5, 4, 3), UNDETERMINED, UNDETERMINED, UNDETERMINED),
    ],
)
def test_a_trend_goes_by_every_step_and_by_the_whole(
    means: tuple[float, ...], rises: ClaimVerdict, falls: ClaimVerdict, keeps: ClaimVerdict
) -> None:
    table = costs(around(means, 0.1))
    assert found_by(RISING, users=table).verdict is rises
    assert found_by(FALLING, users=table).verdict is falls
    assert found_by(KEEPING, users=table).verdict is keeps


def test_a_trend_compares_every_seed_with_itself() -> None:
    # Seeds differ by far more than a step; only differences of the same seed show it.
    paired = around((1, 2, 3, 4, 5), 0.01, drift=100.0)
    assert found_by(RISING, users=costs(paired)).verdict is AGREES
    shuffled = paired.copy()
    rng = np.random.default_rng(0)
    for column in shuffled.T:
        rng.shuffle(column)
    assert found_by(RISING, users=costs(shuffled)).verdict is UNDETERMINED


def test_what_never_changes_neither_rises_nor_falls_but_does_not_fall() -> None:
    table = costs(np.ones((4, 5)) + 1e-12 * np.arange(5))  # a change within rounding
    assert found_by(RISING, users=table).verdict is DIFFERS
    assert found_by(FALLING, users=table).verdict is DIFFERS
    assert found_by(KEEPING, users=table).verdict is AGREES


def test_one_seed_of_a_random_table_decides_nothing() -> None:
    found = found_by(RISING, users=costs([1, 2, 3, 4, 5]))
    assert found.verdict is UNDETERMINED
    assert found.numbers[0].estimate.mean == pytest.approx(4)


def test_a_trend_shows_its_change_its_ends_and_its_weakest_step() -> None:
    found = found_by(FALLING, users=costs(around((9, 7, 6.5, 4, 1), 0.1)))
    shown = [(item.label, item.unit) for item in found.numbers]
    assert shown == [
        ("change, M = 5 → 25", "money"),
        ("at M = 5", "money"),
        ("at M = 25", "money"),
        ("weakest step, M = 10 → 15", "money"),
    ]
    assert [item.estimate.mean for item in found.numbers] == pytest.approx([-8, 9, 1, -0.5])
    assert {item.estimate.count for item in found.numbers} == {20}


def test_seeds_without_a_point_are_left_out_of_its_steps_only() -> None:
    values = around((1, 2, 3, 4, 5), 0.01)
    values[3:, 4] += 1000.0
    values[:3, 4] = np.nan
    found = found_by(RISING, users=costs(values))
    counts = {item.label: item.estimate.count for item in found.numbers}
    assert found.verdict is AGREES
    assert (counts["at M = 5"], counts["at M = 25"], counts["change, M = 5 → 25"]) == (20, 17, 17)


def test_less_than_half_of_the_seeds_are_not_enough() -> None:
    values = around((1, 2, 3, 4, 5), 0.01)
    values[:11, 4] = np.nan
    found = found_by(RISING, users=costs(values))
    assert (found.verdict, found.numbers) == (UNDETERMINED, ())
    assert found.reason == "only 9 of 20 seeds have the numbers for M = 20 → 25"


def test_a_trend_needs_two_points() -> None:
    table = costs(around((1, 2, 3, 4, 5), 0.01)).filter(pl.col("point") == 0)
    found = found_by(RISING, users=table)
    assert (found.verdict, found.reason) == (UNDETERMINED, "there is only the point M = 5")


BELOW = Order("users", "proposed", ("ratio-5", "ratio-1"), "user_cost")


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ((6, 6, 6, 6, 6), AGREES),
        ((6, 6, 6, 6, 1), SAME),
        ((1, 1, 1, 1, 6), DIFFERS),
        ((4, 4, 3, 2, 2), UNDETERMINED),
        ((3, 3, 3, 3, 3), DIFFERS),  # the same in every seed is not lower
    ],
)
def test_the_lowest_is_lowest_at_every_point(
    second: tuple[float, ...], verdict: ClaimVerdict
) -> None:
    own = around((3, 3, 3, 3, 3), 0.1)
    noise = 0.0 if second == (3, 3, 3, 3, 3) else around((0, 0, 0, 0, 0), 0.5, seeds=20)
    table = costs(own, own + 5, own - 3 + np.asarray(second) + noise)
    assert found_by(BELOW, users=table).verdict is verdict
    reverse = Order("users", "ratio-1", ("proposed",), "user_cost", lowest=False)
    assert found_by(reverse, users=table).verdict is verdict


def test_an_order_compares_every_seed_with_itself() -> None:
    own = around((3, 3, 3, 3, 3), 0.0, drift=100.0)
    assert found_by(BELOW, users=costs(own, own + 1, own + 1)).verdict is AGREES
    assert found_by(BELOW, users=costs(own, own + 1, own[::-1] + 1)).verdict is UNDETERMINED


def test_an_order_shows_mean_and_least_against_every_other() -> None:
    own = around((3, 3, 3, 3, 3), 0.1)
    found = found_by(BELOW, users=costs(own, own + 5, own + np.array([2, 1, -4, 1, 5])))
    assert [(item.label, round(item.estimate.mean, 9)) for item in found.numbers] == [
        ("ratio-5 less proposed, mean over points", 5.0),
        ("ratio-5 less proposed, least at M = 5", 5.0),
        ("ratio-1 less proposed, mean over points", 1.0),
        ("ratio-1 less proposed, least at M = 15", -4.0),
    ]
    assert found.reason.startswith("ratio-1 less proposed, least at M = 15: -4")
    assert found.telling == (3,)


STEADY = Steadier("users", "proposed", ("ratio-5",), "user_cost")


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        ((20, 21, 20, 19, 20), (200, 100, 300, 150, 250), AGREES),
        ((20, 40, 20, 10, 20), (200, 210, 190, 205, 195), DIFFERS),
        ((20, 40, 20, 10, 20), (20, 40, 20, 10, 20), UNDETERMINED),
    ],
)
def test_steadier_is_judged_relative_to_the_mean(
    own: tuple[float, ...], other: tuple[float, ...], verdict: ClaimVerdict
) -> None:
    table = costs(around(own, 1.0), around(other, 1.5, seeds=20)[::-1])
    found = found_by(STEADY, users=table)
    assert found.verdict is verdict
    assert found.numbers[0].estimate.mean == pytest.approx(
        100 * (max(own) - min(own)) / np.mean(own)
    )


def payments(change: float, noise: float = 1.0) -> pl.DataFrame:
    return sweep_table({"proposed": {"first_payment": around((10, 10 + change), noise)}}, (1, 2))


GREATEST = GreatestChange(
    "output-tokens", ("accuracy", "latency-budget"), "proposed", "first_payment"
)


@pytest.mark.parametrize(
    ("accuracy", "latency", "verdict"),
    [
        (-9.0, 3.0, AGREES),
        (-30.0, 3.0, DIFFERS),
        (3.0, -19.999, UNDETERMINED),
    ],
)
def test_the_greatest_change_is_one_of_size(
    accuracy: float, latency: float, verdict: ClaimVerdict
) -> None:
    tables = {"accuracy": payments(accuracy), "latency_budget": payments(latency, 5.0)}
    found = found_by(GREATEST, output_tokens=payments(20.0), **tables)
    assert found.verdict is verdict
    assert found.numbers[0].estimate.mean == pytest.approx(20.0)


def test_tables_are_paired_by_the_seeds_that_both_have() -> None:
    fewer = payments(-9.0).filter(pl.col("seed") >= 8)
    found = found_by(
        GREATEST, output_tokens=payments(20.0), accuracy=fewer, latency_budget=payments(1.0)
    )
    assert [item.estimate.count for item in found.numbers] == [20, 12, 20]


values = st.lists(
    st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=2, max_size=6
).map(np.array)


@given(values)
def test_verdicts_do_not_depend_on_the_unit_or_on_the_order_of_rows(
    numbers: np.ndarray,
) -> None:
    table = sweep_table({"proposed": {"user_cost": numbers}})
    expected = found_by(RISING, users=table)
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=7)
    assert found_by(RISING, users=shuffled) == expected
    other = sweep_table({"proposed": {"user_cost": numbers * 8.0}})
    assert found_by(RISING, users=other).verdict is expected.verdict
    mirrored = sweep_table({"proposed": {"user_cost": -numbers}})
    assert found_by(FALLING, users=mirrored).verdict is expected.verdict


@given(values)
def test_what_rises_does_not_fall(numbers: np.ndarray) -> None:
    table = sweep_table({"proposed": {"user_cost": numbers}})
    rising, falling = (found_by(rule, users=table).verdict for rule in (RISING, FALLING))
    if rising in (AGREES, SAME):
        assert falling is DIFFERS
    if falling in (AGREES, SAME):
        assert rising is DIFFERS
    assert (rising is UNDETERMINED) == (falling is UNDETERMINED)


def test_means_of_several_points_take_seeds_that_have_them_all() -> None:
    own, other = around((20, 21, 20, 19, 20), 0.1), around((20, 40, 20, 10, 20), 0.1)
    own[:4, 2] = np.nan
    found = found_by(STEADY, users=costs(own, other))
    assert found.verdict is AGREES
    assert [item.estimate.count for item in found.numbers] == [16, 20, 16]
    own[:11, 2] = np.nan
    found = found_by(STEADY, users=costs(own, other))
    assert found.reason == "only 9 of 20 seeds have the numbers needed"
    assert found_by(STEADY, users=costs(own[-1], other[-1])).verdict is UNDETERMINED
