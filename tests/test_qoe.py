from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoex.errors import InvalidInputError
from qoex.model import qoe

exact = settings(derandomize=True, deadline=None)

scales = st.floats(1e-6, 10.0)
ambiguities = st.floats(1e-6, 0.49)


def test_theorem_1_by_hand() -> None:
    # 2 · 1.5² · (0.2/0.8) · (0.1/0.9) · (0.4/0.6)
    bound = qoe.performance_gap_bound(0.2, [0.1, 0.4], skewness=1.5)
    assert bound == pytest.approx(2 * 2.25 * 0.25 / 9 * 2 / 3, rel=1e-14)


def test_theorem_1_over_many_requests() -> None:
    tasks = np.array([0.0, 0.2, 0.5])
    examples = np.array([[0.1, 0.4], [0.1, 0.4], [0.0, 0.3]])
    bounds = qoe.performance_gap_bound(tasks, examples, skewness=1.5)
    alone = [qoe.performance_gap_bound(t, e, 1.5) for t, e in zip(tasks, examples, strict=True)]
    np.testing.assert_array_equal(bounds, alone)
    assert bounds[0] == bounds[2] == 0.0


@given(task=st.floats(0.01, 0.9), ambiguity=ambiguities, count=st.integers(1, 8))
@exact
def test_equal_ambiguities_turn_theorem_1_into_equation_6(
    task: float, ambiguity: float, count: int
) -> None:
    general = qoe.performance_gap_bound(task, [ambiguity] * count, 1.25)
    special = qoe.gap_from_examples(count, qoe.gap_scale(task, count, 1.25), ambiguity)
    assert general == pytest.approx(special, rel=1e-12)


def test_section_6a_pairs_of_examples_and_gaps() -> None:
    gaps = qoe.gap_from_examples([10, 8, 6, 4, 2], 0.1, 1 / 11)
    np.testing.assert_allclose(gaps, [1e-11, 1e-9, 1e-7, 1e-5, 1e-3], rtol=1e-14)
    np.testing.assert_array_equal(
        qoe.least_examples([1e-11, 1e-9, 1e-7, 1e-5, 1e-3], 0.1, 1 / 11), [10, 8, 6, 4, 2]
    )


@given(count=st.floats(0.0, 40.0), scale=scales, ambiguity=ambiguities)
@exact
def test_examples_and_gap_are_inverse(count: float, scale: float, ambiguity: float) -> None:
    gap = float(qoe.gap_from_examples(count, scale, ambiguity))
    if 1e-300 < gap < 1:
        # ln θ̂ carries a relative rounding of 1e-16, which the logarithm of the odds divides.
        assert qoe.examples_from_gap(gap, scale, ambiguity) == pytest.approx(count, abs=1e-10)


@given(gap=st.floats(1e-12, 0.999), scale=scales, ambiguity=st.floats(1e-6, 0.45))
@exact
def test_least_examples_reach_the_gap_and_one_fewer_do_not(
    gap: float, scale: float, ambiguity: float
) -> None:
    count = int(qoe.least_examples(gap, scale, ambiguity))
    assert qoe.gap_from_examples(count, scale, ambiguity) <= gap * (1 + 1e-11)
    if count > 0:
        assert qoe.gap_from_examples(count - 1, scale, ambiguity) > gap


def test_no_examples_are_needed_for_a_gap_of_beta() -> None:
    assert qoe.examples_from_gap(0.5, 0.5, 0.1) == 0.0
    assert qoe.examples_from_gap(0.9, 0.5, 0.1) == 0.0
    assert qoe.least_examples(0.9, 0.5, 0.1) == 0


def test_accuracy_cost() -> None:
    assert qoe.accuracy_cost(math.exp(-3.0)) == pytest.approx(3.0, rel=1e-15)


@given(incoming=st.integers(0, 3000), outgoing=st.integers(0, 300))
@exact
def test_token_pairs_are_the_sum_they_stand_for(incoming: int, outgoing: int) -> None:
    assert qoe.token_pairs(incoming, outgoing) == sum(incoming + i for i in range(outgoing))


@given(incoming=st.floats(0, 1e4), outgoing=st.lists(st.floats(0, 1e4), min_size=2, max_size=2))
@exact
def test_token_pairs_grow_with_output_and_are_never_negative(
    incoming: float, outgoing: list[float]
) -> None:
    fewer, more = qoe.token_pairs(incoming, sorted(outgoing))
    assert 0.0 <= fewer <= more


def test_traffic_by_hand() -> None:
    # γ = 15 carries 4 bit/s/Hz: 32 · 1000 bits take 8000 Hz·s, which are 8 MHz·ms.
    assert qoe.traffic(600, 400, 15.0) == pytest.approx(8.0, rel=1e-15)


def test_snr_from_channel() -> None:
    assert qoe.snr_from_channel(1e-6, 2.0, 1e-8) == pytest.approx(200.0, rel=1e-15)


@given(decibels=st.floats(-300, 300))
@exact
def test_decibels_and_ratio_are_inverse(decibels: float) -> None:
    assert qoe.to_decibels(qoe.from_decibels(decibels)) == pytest.approx(decibels, abs=1e-12)


def test_decibels() -> None:
    np.testing.assert_allclose(qoe.from_decibels([0, 10, -20]), [1, 10, 0.01], rtol=1e-15)


def test_latency_and_quality_by_hand() -> None:
    assert qoe.latency(40.0, 6.0, 2.0, 3.0) == 22.0
    assert qoe.quality_of_experience(500.0, 40.0, 6.0, 2.0, 3.0) == 478.0
    assert isinstance(qoe.latency(40.0, 6.0, 2.0, 3.0), float)


def test_no_work_takes_no_time_and_work_given_nothing_takes_forever() -> None:
    work, traffic = np.array([[0.0, 5.0, 0.0], [0.0, 8.0, 1.0]]), np.array([[0.0], [6.0]])
    late = qoe.latency(work, traffic, [0.0, 2.0, 0.0], 3.0)
    np.testing.assert_array_equal(late, [[0.0, 2.5, 0.0], [2.0, 6.0, math.inf]])
    assert qoe.latency(0.0, 0.0, 0.0, 0.0) == 0.0
    assert qoe.quality_of_experience(0.0, 0.0, 0.0, 0.0, 0.0) == 0.0
    assert qoe.quality_of_experience(9.0, 1.0, 0.0, 0.0, 0.0) == -math.inf


CALLS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "performance_gap_bound": (
        qoe.performance_gap_bound,
        {"task_ambiguity": 0.1, "example_ambiguities": 0.1, "skewness": 1.5},
    ),
    "gap_scale": (qoe.gap_scale, {"task_ambiguity": 0.1, "examples": 3, "skewness": 1.5}),
    "gap_from_examples": (
        qoe.gap_from_examples,
        {"examples": 3, "gap_scale": 0.1, "example_ambiguity": 0.1},
    ),
    "examples_from_gap": (
        qoe.examples_from_gap,
        {"performance_gap": 0.01, "gap_scale": 0.1, "example_ambiguity": 0.1},
    ),
    "least_examples": (
        qoe.least_examples,
        {"performance_gap": 0.01, "gap_scale": 0.1, "example_ambiguity": 0.1},
    ),
    "accuracy_cost": (qoe.accuracy_cost, {"performance_gap": 0.01}),
    "token_pairs": (qoe.token_pairs, {"input_tokens": 3, "output_tokens": 4}),
    "traffic": (qoe.traffic, {"input_tokens": 3, "output_tokens": 4, "snr": 5.0}),
    "snr_from_channel": (
        qoe.snr_from_channel,
        {"channel_gain": 1.0, "transmit_power": 1.0, "noise_power": 1.0},
    ),
    "to_decibels": (qoe.to_decibels, {"ratio": 2.0}),
    "latency": (qoe.latency, {"work": 1, "traffic": 1, "compute": 1, "bandwidth": 1}),
    "quality_of_experience": (
        qoe.quality_of_experience,
        {"latency_budget": 9, "work": 1, "traffic": 1, "compute": 1, "bandwidth": 1},
    ),
}
ARGUMENTS = [(call, name) for call, (_, good) in CALLS.items() for name in good]


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        (call, name, value)
        for (call, name), value in itertools.product(ARGUMENTS, (math.nan, math.inf, -math.inf))
    ],
)
def test_what_is_not_finite_is_refused(call: str, name: str, value: float) -> None:
    function, good = CALLS[call]
    with pytest.raises(InvalidInputError) as caught:
        function(**(good | {name: value}))
    assert str(caught.value) == f"{name} is {value!r}; it must be a finite number"


@pytest.mark.parametrize(("call", "name"), ARGUMENTS)
def test_what_is_negative_is_refused(call: str, name: str) -> None:
    function, good = CALLS[call]
    with pytest.raises(InvalidInputError, match=rf"^{name} is -1\.0; it must be "):
        function(**(good | {name: -1.0}))


@pytest.mark.parametrize(
    ("call", "name", "value", "message"),
    [
        ("accuracy_cost", "performance_gap", 1.0, "greater than zero and less than 1"),
        ("accuracy_cost", "performance_gap", 0.0, "greater than zero and less than 1"),
        ("gap_from_examples", "example_ambiguity", 0.5, "at least zero and less than 0.5"),
        ("examples_from_gap", "example_ambiguity", 0.5, "greater than zero and less than 0.5"),
        ("examples_from_gap", "example_ambiguity", 0.0, "greater than zero and less than 0.5"),
        ("gap_from_examples", "gap_scale", 0.0, "greater than zero"),
        ("gap_scale", "task_ambiguity", 1.0, "at least zero and less than 1"),
        ("gap_scale", "skewness", 0.5, "one or more"),
        ("traffic", "snr", 0.0, "greater than zero"),
        ("traffic", "input_tokens", -2.0, "zero or more"),
        ("snr_from_channel", "noise_power", 0.0, "greater than zero"),
    ],
)
def test_bounds_are_named(call: str, name: str, value: float, message: str) -> None:
    function, good = CALLS[call]
    with pytest.raises(InvalidInputError) as caught:
        function(**(good | {name: value}))
    assert str(caught.value) == f"{name} is {value!r}; it must be {message}"


def test_the_place_in_an_array_is_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        qoe.traffic([[1, 2, 3], [4, 5, -6]], 1, 1)
    assert str(caught.value) == "input_tokens[1, 2] is -6.0; it must be zero or more"


@pytest.mark.parametrize("value", ["1", True, None, [1, "2"], 1j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        qoe.accuracy_cost(value)
    assert str(caught.value) == (
        f"performance_gap is {value!r}; it must be a number or an array of numbers"
    )


def test_ragged_rows_are_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        qoe.token_pairs([[1, 2], [3]], 1)
    assert str(caught.value) == "input_tokens has rows of unequal length"


def test_decibels_beyond_all_doubles_are_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        qoe.from_decibels(1e4)
    assert str(caught.value) == "decibels is 10000.0; it must be between -3000 and 3000"
