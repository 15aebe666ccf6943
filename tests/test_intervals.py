from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qoex.experiments.intervals import CONFIDENCE, estimate

numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=2, max_size=30))
def test_the_interval_is_student_s(values: list[float]) -> None:
    found = estimate(values)
    spread = float(np.std(values, ddof=1))
    assert found.count == len(values)
    assert found.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-9, abs=1e-9)
    if spread <= 1e-9 * max(map(abs, values)):  # scipy's answer for no spread is NaN
        assert found.low == pytest.approx(found.high, rel=1e-6, abs=1e-6)
        return
    low, high = stats.t.interval(
        CONFIDENCE, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    assert found.low == pytest.approx(low, rel=1e-9, abs=1e-9 * spread)
    assert found.high == pytest.approx(high, rel=1e-9, abs=1e-9 * spread)


@given(st.lists(st.one_of(numbers, st.none(), st.just(math.nan)), max_size=12))
def test_what_is_missing_is_left_out(values: list[float | None]) -> None:
    there = [value for value in values if value is not None and not math.isnan(value)]
    np.testing.assert_equal(estimate(values), estimate(there))


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    single = estimate([3.0])
    assert (single.mean, single.count) == (3.0, 1)
    assert math.isnan(single.low)
    assert math.isnan(single.high)
    assert not single.excludes(100.0)
    nothing = estimate([None])
    assert nothing.count == 0
    assert math.isnan(nothing.mean)


@given(st.lists(numbers, min_size=2, max_size=10), numbers)
def test_an_interval_excludes_what_lies_beside_it(values: list[float], value: float) -> None:
    found = estimate(values)
    assert found.excludes(value) is not (found.low <= value <= found.high)


def test_ninety_five_of_a_hundred_intervals_hold_the_mean() -> None:
    rng = np.random.default_rng(3)
    held = sum(not estimate(rng.normal(7.0, 2.0, 5).tolist()).excludes(7.0) for _ in range(2000))
    assert 0.93 < held / 2000 < 0.97
