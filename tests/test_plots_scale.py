from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoex.experiments.plots.scale import power_texts, scale, tick_texts

numbers = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)
positive = st.floats(1e-15, 1e9)


@given(st.lists(numbers, min_size=1, max_size=6))
def test_a_linear_axis_holds_its_values_with_room(values: list[float]) -> None:
    axis = scale(values, log=False, room=0.1)
    assert axis.low < min(values)
    assert max(values) < axis.high
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert len(axis.ticks) >= 2
    assert len(axis.texts) == len(axis.ticks) == len(set(axis.ticks))
    spread = max(values) - min(values)
    if spread > 1e-9 * abs(max(values)):
        free = axis.high - max(values)
        assert free == pytest.approx(0.1 * (axis.high - axis.low), rel=1e-3)


@given(st.lists(positive, min_size=1, max_size=6))
def test_a_logarithmic_axis_holds_its_values(values: list[float]) -> None:
    axis = scale(values, log=True, room=0.1)
    assert 0 < axis.low < min(values)
    assert max(values) < axis.high
    ticks = (*axis.ticks, *axis.minor)
    assert all(axis.low <= tick <= axis.high for tick in ticks)
    assert len(set(ticks)) == len(ticks)
    assert 2 <= len(axis.ticks) <= 9


def test_numbers_that_an_axis_cannot_have_are_left_out() -> None:
    assert scale([1.0, math.nan, 2.0], log=False, room=0.1) == scale([1, 2], log=False, room=0.1)
    assert scale([5.0, -1.0, 0.0, 50.0], log=True, room=0.1) == scale([5, 50], log=True, room=0.1)
    for log in (False, True):
        empty = scale([math.nan], log=log, room=0.1)
        assert empty.low < empty.high


def test_given_ticks_stand_where_they_are_asked_for() -> None:
    axis = scale((5, 10, 25), log=False, room=0.1, ticks=(5, 10, 25))
    assert axis.ticks == (5, 10, 25)
    assert axis.texts == ("5", "10", "25")


def test_tick_texts_have_the_same_decimals() -> None:
    assert tick_texts([0.05, 0.1, 0.15000000000000002]) == ["0.05", "0.10", "0.15"]
    assert tick_texts([0.025, 0.05]) == ["0.025", "0.050"]
    assert tick_texts([-500.0, 0.0, 500.0]) == ["−500", "0", "500"]
    assert tick_texts([22.5, 25.0]) == ["22.5", "25.0"]
    assert tick_texts([7.0]) == ["7"]
    assert tick_texts([]) == []


def test_power_texts_are_plain_or_powers() -> None:
    assert power_texts([10.0, 100.0, 1000.0]) == ["10", "100", "1000"]
    assert power_texts([0.05, 0.1]) == ["0.05", "0.1"]
    assert power_texts([1e-11, 1e-3]) == ["10⁻¹¹", "10⁻³"]
    assert power_texts([1e-4, 1e0]) == ["10⁻⁴", "10⁰"]
    assert power_texts([2.5e-6]) == ["2.5·10⁻⁶"]


def test_a_wide_logarithmic_axis_labels_every_second_power() -> None:
    axis = scale([1e-14, 0.1], log=True, room=0.05)
    assert axis.texts[:2] == ("10⁻¹⁴", "10⁻¹²")
    assert axis.minor == ()


def test_a_narrow_logarithmic_axis_has_ticks_between_powers() -> None:
    axis = scale([150.0, 700.0], log=True, room=0.1)
    assert axis.ticks == (200.0, 500.0)
    assert axis.minor == (300.0, 400.0, 600.0, 700.0, 800.0)
    assert scale([227.0, 546.0], log=True, room=0.1).ticks == (300.0, 400.0, 500.0, 600.0)
    assert len(scale([227.0, 228.0], log=True, room=0.1).ticks) >= 2
