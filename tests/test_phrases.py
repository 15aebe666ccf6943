"""Numbers and lists as a person reads them."""

from __future__ import annotations

import math

import pytest

from qoex.text.numbers import column, counted, listed, number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (500.0, "500"),
        (21.334, "21.33"),
        (0.0601234, "0.06012"),
        (-3.14159, "-3.142"),
        (123456.7, "123457"),
        (1.23456e8, "1.23e+08"),
        (1.23456e-13, "1.23e-13"),
        (9.9996, "10"),
        (math.nan, "unknown"),
        (math.inf, "infinite"),
        (-math.inf, "-infinite"),
    ],
)
def test_a_number_shows_four_digits_without_an_exponent(value: float, text: str) -> None:
    assert number(value) == text


def test_a_percentage_shows_three_digits() -> None:
    assert percent(0.123456) == "12.3%"


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([353.123, 298.0, 25.5], ["353.1", "298.0", "25.5"]),
        ([100.0, 0.012], ["100.000", "0.012"]),
        ([0.05612, 0.1], ["0.0561", "0.1000"]),
        ([1.0, math.nan], ["1.000", "–"]),
        ([0.0, 0.0], ["0", "0"]),
        ([0.0, 12.0], ["0.00", "12.00"]),
        ([1e9, 1.0], ["1e+09", "1"]),
        ([-250.04, 12.6], ["-250.0", "12.6"]),
        ([math.inf, 2.0], ["infinite", "2.000"]),
        ([], []),
    ],
)
def test_a_column_lines_its_points_up(values: list[float], cells: list[str]) -> None:
    assert column(values) == cells


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b and 2 more"),
    ],
)
def test_a_list_ends_in_and(items: list[str], text: str) -> None:
    assert listed(items, most=3) == text


def test_a_count_takes_the_plural() -> None:
    assert [counted(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
