"""Rules for the paper's numbers: every verdict of every rule on tables whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from claim_tables import around, case_table, found_by, sweep_table
from qoex.experiments.claims import ClaimVerdict
from qoex.experiments.claims.levels import Endpoints, FullUse, Peak, Range, Within
from qoex.experiments.claims.reductions import Reduction
from qoex.experiments.claims.section_vi_b import Extreme, Printed
from qoex.experiments.claims.verdict import matches
from qoex.experiments.intervals import Estimate

AGREES, SAME, DIFFERS, UNDETERMINED = ClaimVerdict
NAN = math.nan


def table_of(column: str, **schemes: object) -> pl.DataFrame:
    """A table by scheme, underscores in names of schemes standing for hyphens."""
    return sweep_table({n.replace("_", "-"): {column: v} for n, v in schemes.items()})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("mean", "half", "paper", "expected"),
    [
        (104.9, 1, 100, True),  # near
        (105.1, 1, 100, False),
        (108, 9, 100, True),  # in the interval
        (108, 11, 100, None),  # so wide an interval holds anything
        (102, 11, 100, None),
        (130, 11, 100, False),  # wide, yet the paper's number is outside
        (-102, 1, -100, True),
        (100, NAN, 100, None),
        (103, 0, 100, True),  # nothing random
        (106, 0, 100, False),
    ],
)
def test_what_the_same_number_is(
    mean: float, half: float, paper: float, expected: bool | None
) -> None:
    assert matches(Estimate(mean, mean - half, mean + half, 5), paper) is expected


@pytest.mark.parametrize(
    ("means", "spread", "verdict"),
    [
        ((488, 500, 600, 700, 729), 5, AGREES),
        ((300, 500, 600, 700, 900), 5, SAME),
        ((520, 530, 540, 550, 560), 5, SAME),
        ((300, 310, 320, 330, 340), 5, DIFFERS),
        ((900, 910, 920, 930, 940), 5, DIFFERS),
        ((480, 500, 600, 700, 740), 300, UNDETERMINED),  # too wide to tell
        ((470, 471, 472, 473, 487), 5, UNDETERMINED),  # below it, but within error
    ],
)
def test_a_range_is_met_at_both_ends(
    means: Sequence[float], spread: float, verdict: ClaimVerdict
) -> None:
    found = found_by(
        Range("users", "ratio-1", "user_cost", 488, 729),
        users=table_of("user_cost", ratio_1=around(means, spread)),
    )
    assert (found.verdict, found.telling) == (verdict, (0, 1))  # the paper gives both ends
    labels = [item.label for item in found.numbers]
    assert labels == [
        f"least, at M = {5 * np.argmin(means) + 5}",
        f"greatest, at M = {5 * np.argmax(means) + 5}",
    ]
    assert [item.estimate.mean for item in found.numbers] == pytest.approx([min(means), max(means)])


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((126, 90, 60, 40, 26), AGREES),
        ((126, 90, 60, 40, 20), SAME),
        ((26, 90, 60, 40, 126), DIFFERS),
        ((60, 90, 60, 40, 60.001), UNDETERMINED),
    ],
)
def test_endpoints_are_met_or_at_least_their_direction(
    means: Sequence[float], verdict: ClaimVerdict
) -> None:
    table = table_of("user_cost", only_b=around(means, 0.5))
    rule = Endpoints("users", "only-b", "user_cost", 126.52, 26.03)
    found = found_by(rule, users=table)
    assert (found.verdict, found.telling) == (verdict, (0, 1))


@pytest.mark.parametrize(
    ("peak", "proposed", "verdict"),
    [(420, 100, AGREES), (420, 900, AGREES), (300, 100, SAME), (300, 900, DIFFERS)],
)
def test_a_peak_is_met_or_at_least_above(
    peak: float, proposed: float, verdict: ClaimVerdict
) -> None:
    table = table_of(
        "provider_cost",
        only_b=around((90, peak, 80, 70, 60), 1.0),
        proposed=around([proposed] * 5, 1.0),
    )
    found = found_by(Peak("users", "only-b", "provider_cost", 419.68, "proposed"), users=table)
    assert found.verdict is verdict
    assert found.numbers[0].label == "greatest, at M = 10"
    assert found.numbers[1].estimate.mean == pytest.approx(peak - proposed)


def test_a_peak_within_error_of_the_other_scheme_decides_nothing() -> None:
    both = around((90, 300, 80, 70, 60), 5.0)
    table = table_of("provider_cost", only_b=both, proposed=both[::-1])
    rule = Peak("users", "only-b", "provider_cost", 419.68, "proposed")
    assert found_by(rule, users=table).verdict is UNDETERMINED


@pytest.mark.parametrize(
    ("means", "spread", "verdict"),
    [
        ((0.2, 0.4, 0.6, 0.99, 1.0), 0.001, AGREES),
        ((0.2, 0.4, 0.6, 0.90, 1.0), 0.001, SAME),
        ((0.2, 0.4, 0.6, 0.99, 0.9), 0.001, DIFFERS),
        ((0.2, 0.4, 0.6, 0.99, 0.95), 0.1, UNDETERMINED),
        ((0.2, 0.4, 0.6, 0.99, 0.96), 0.1, UNDETERMINED),
    ],
)
def test_full_use_is_judged_from_its_start_on(
    means: Sequence[float], spread: float, verdict: ClaimVerdict
) -> None:
    table = table_of("compute_usage", ratio_5=around(means, spread))
    found = found_by(FullUse("users", "ratio-5", "compute_usage", 20), users=table)
    assert found.verdict is verdict
    assert [item.label for item in found.numbers] == ["at M = 20", "at M = 25"]


def test_full_use_without_the_points_it_speaks_of() -> None:
    table = table_of("compute_usage", ratio_5=around((0.9, 1.0), 0.001))
    found = found_by(FullUse("users", "ratio-5", "compute_usage", 20), users=table)
    assert found.verdict is UNDETERMINED
    assert found.reason == "the points M = 5, M = 10 are none of those needed"


@pytest.mark.parametrize(
    ("means", "spread", "verdict"),
    [
        ((100, 101, 102, 101, 100), 0.1, AGREES),
        ((100, 101, 108, 101, 100), 0.1, DIFFERS),
        ((100, 101, 105, 101, 100), 5.0, UNDETERMINED),
    ],
)
def test_within_some_percent(means: Sequence[float], spread: float, verdict: ClaimVerdict) -> None:
    table = table_of("user_utility", proposed=around(means, spread))
    found = found_by(Within("users", "proposed", "user_utility", 5.0), users=table)
    assert found.verdict is verdict
    expected = 100 * (max(means) - min(means)) / np.mean(means)
    assert found.numbers[0].estimate.mean == pytest.approx(expected)


USAGE = ("compute_usage", "bandwidth_usage")


def usage(own: float, noise: float = 0.01) -> pl.DataFrame:
    """Proposed uses a share of what ratio-5 uses, which varies by seed and point."""
    rng = np.random.default_rng(3)
    other = rng.uniform(0.4, 1.0, (2, 20, 5))
    share = own + noise * rng.standard_normal((2, 20, 5))
    return sweep_table(
        {
            "proposed": dict(zip(USAGE, other * share, strict=True)),
            "ratio-5": dict(zip(USAGE, other, strict=True)),
        }
    )


@pytest.mark.parametrize(
    ("own", "noise", "verdict"),
    [
        (0.25, 0.01, AGREES),
        (0.5, 0.01, SAME),
        (1.5, 0.01, DIFFERS),
        (1.0, 0.5, UNDETERMINED),
        (0.4, 3.0, UNDETERMINED),
    ],
)
def test_a_reduction_is_met_or_at_least_one(
    own: float, noise: float, verdict: ClaimVerdict
) -> None:
    rule = Reduction(("users",), "proposed", ("ratio-5",), USAGE, 75.0)
    assert found_by(rule, users=usage(own, noise)).verdict is verdict


def test_too_wide_an_interval_does_not_meet_a_reduction() -> None:
    rule = Reduction(("users",), "proposed", ("ratio-5",), ("user_cost",), 75.0)
    saved = np.array([[0.3], [0.9], [0.8], [0.95]])  # mean 74 %, half width 48
    table = sweep_table(
        {"proposed": {"user_cost": 1 - saved}, "ratio-5": {"user_cost": np.ones((4, 1))}}
    )
    found = found_by(rule, users=table)
    assert found.verdict is UNDETERMINED
    assert found.numbers[0].estimate.mean == pytest.approx(73.75)


def test_a_reduction_compares_every_seed_with_itself() -> None:
    rule = Reduction(("users",), "proposed", ("ratio-5",), ("user_cost",), 50.0)
    other = np.geomspace(1, 1000, 20)[:, None] * np.ones(5)
    table = table_of("user_cost", proposed=other / 2, ratio_5=other)
    assert found_by(rule, users=table).verdict is AGREES
    crossed = table_of("user_cost", proposed=other[::-1] / 2, ratio_5=other)
    assert found_by(rule, users=crossed).verdict is not AGREES


def test_the_averages_of_a_reduction() -> None:
    rule = Reduction(
        ("users", "providers"),
        "proposed",
        ("ratio-5", "only-b"),
        ("user_cost",),
        50.0,
        part=("only-b",),
    )
    ones = np.ones((2, 2))
    users = table_of("user_cost", proposed=ones, ratio_5=2 * ones, only_b=[[4, 0.5], [-1, 0]])
    providers = table_of("user_cost", proposed=ones, ratio_5=4 * ones, only_b=10 * ones)
    found = found_by(rule, users=users, providers=providers)
    shown = {item.label: item.estimate for item in found.numbers}
    # Seed 0: 50, 50, 75, −100, 75, 75, 90, 90; seed 1 has nothing to relate to in two.
    seeds = [np.mean([50, 50, 75, -100, 75, 75, 90, 90]), np.mean([50, 50, 75, 75, 90, 90])]
    assert shown["mean reduction"].mean == pytest.approx(np.mean(seeds))
    assert shown["against ratio-5 alone"].mean == pytest.approx(62.5)
    assert found.numbers[1].label == "against only-b alone"
    assert found.numbers[1].estimate.mean == pytest.approx(np.mean([38.75, 90]))
    parts = {label for label in shown if label.startswith(("table", "against"))}
    assert parts == {
        "against ratio-5 alone",
        "against only-b alone",
        "table users alone",
        "table providers alone",
    }
    # Of the means: proposed pays 1 throughout, beside what the others pay where both are there.
    others = [np.mean([2, 2, 4, 0.5, 4, 4, 10, 10]), np.mean([2, 2, 4, 4, 10, 10])]
    assert shown["of the means"].mean == pytest.approx(100 * (1 - 1 / np.mean(others)))
    assert shown["least: only-b, user cost, M = 10"].mean == pytest.approx(-100)
    assert shown["greatest: only-b, user cost, N = 10"].mean == pytest.approx(90)


def test_a_reduction_over_two_tables_takes_the_seeds_of_both() -> None:
    rule = Reduction(("users", "providers"), "proposed", ("ratio-5",), USAGE, 50.0)
    table = usage(0.5)
    fewer = table.filter(pl.col("seed") < 12)
    assert found_by(rule, users=table, providers=fewer).numbers[0].estimate.count == 12
    none = table.filter(pl.col("seed") < 10), table.filter(pl.col("seed") >= 10)
    found = found_by(rule, users=none[0], providers=none[1])
    assert (found.verdict, found.reason) == (
        UNDETERMINED,
        "the tables users and providers share no seed",
    )


PRINTED = (0.06, 353.0, 0.10, 298.0, 0.126, 255.0)


@pytest.mark.parametrize(
    ("computed", "verdict"),
    [
        ((0.0596, 352.5, 0.0998, 297.8, 0.1274, 256.7), AGREES),
        ((0.06, 353.0, 0.10, 298.0, 0.126, 225.0), SAME),
        ((0.06, 353.0, 0.10, 298.0, 0.126, 299.0), DIFFERS),
        ((0.06, 353.0, 0.10, 298.0, 0.126, None), UNDETERMINED),
        ((0.06, 353.0, 0.10, 298.0, 0.126, NAN), UNDETERMINED),
    ],
)
def test_printed_numbers(computed: Sequence[float | None], verdict: ClaimVerdict) -> None:
    found = found_by(Printed(), table_v=case_table(PRINTED, computed))
    assert found.verdict is verdict
    if verdict is AGREES:
        assert found.numbers[0].label == "largest error: reward of mu-3 at asp-1"
        assert found.numbers[0].estimate.mean == pytest.approx(100 * (0.1274 / 0.126 - 1))


@pytest.mark.parametrize(
    ("user", "quantity", "greatest", "verdict"),
    [
        ("mu-3", "reward", True, AGREES),
        ("mu-2", "reward", True, DIFFERS),
        ("mu-3", "qoe", False, AGREES),
        ("mu-3", "qoe", True, DIFFERS),
        ("mu-9", "qoe", True, UNDETERMINED),
        ("mu-3", "compute", True, UNDETERMINED),
    ],
)
def test_who_has_most(user: str, quantity: str, greatest: bool, verdict: ClaimVerdict) -> None:
    rule = Extreme("asp-1", user, quantity, greatest=greatest)
    found = found_by(rule, table_v=case_table(PRINTED, PRINTED))
    assert found.verdict is verdict


def test_two_that_have_the_same_are_neither_the_most() -> None:
    even = (0.06, 353.0, 0.126, 298.0, 0.126, 255.0)
    rule = Extreme("asp-1", "mu-3", "reward")
    assert found_by(rule, table_v=case_table(PRINTED, even)).verdict is DIFFERS
