from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoex.errors import InvalidInputError
from qoex.model import qoe
from qoex.model.work import (
    WORK_MODELS,
    CachedWork,
    QuadraticWork,
    WorkModel,
    fit_cached,
    fit_quadratic,
)

exact = settings(derandomize=True, deadline=None)

INPUTS = np.array([100.0, 200.0, 400.0, 800.0, 1600.0, 300.0, 900.0])
OUTPUTS = np.array([50.0, 400.0, 100.0, 300.0, 20.0, 900.0, 700.0])


def test_quadratic_by_hand() -> None:
    # ξ · ln(1/θ̂) · (10·20 + 10·9/2)
    model = QuadraticWork(0.5)
    assert model.work(20, 10, math.exp(-2)) == pytest.approx(0.5 * 2 * 245, rel=1e-14)


def test_cached_by_hand() -> None:
    model = CachedWork(
        work_per_request=7.0,
        work_per_input_token=2.0,
        work_per_output_token=3.0,
        work_per_token_pair=0.5,
    )
    assert model.work(20, 10, math.exp(-2)) == pytest.approx(
        2 * (7 + 2 * 20 + 3 * 10 + 0.5 * 245), rel=1e-14
    )


@pytest.mark.parametrize(
    "model",
    [
        QuadraticWork(1e-5),
        CachedWork(work_per_input_token=1e-3, work_per_output_token=1e-2),
    ],
)
def test_models_broadcast_and_grow_with_tokens_and_accuracy(model: WorkModel) -> None:
    inputs = np.array([[100.0], [200.0]])
    outputs = np.array([10.0, 20.0, 30.0])
    work = model.work(inputs, outputs, 1e-5)
    assert work.shape == (2, 3)
    assert (np.diff(work, axis=0) > 0).all()
    assert (np.diff(work, axis=1) > 0).all()
    np.testing.assert_allclose(model.work(inputs, outputs, 1e-10), 2 * work, rtol=1e-12)


def test_models_by_name() -> None:
    assert WORK_MODELS["quadratic"] is QuadraticWork
    assert WORK_MODELS["cached"] is CachedWork
    assert len(WORK_MODELS) == 2


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (
            "quadratic",
            {"work_per_token_pair": 0.0},
            "work_per_token_pair is 0.0; it must be greater than zero",
        ),
        (
            "quadratic",
            {"work_per_token_pair": math.nan},
            "work_per_token_pair is nan; it must be a finite number",
        ),
        (
            "cached",
            {"work_per_input_token": -1.0, "work_per_output_token": 1.0},
            "work_per_input_token is -1.0; it must be zero or more",
        ),
        (
            "cached",
            {"work_per_input_token": 1.0, "work_per_output_token": math.inf},
            "work_per_output_token is inf; it must be a finite number",
        ),
        (
            "cached",
            {"work_per_input_token": 0.0, "work_per_output_token": 0.0},
            "every coefficient is zero; one must be greater than zero",
        ),
    ],
)
def test_bad_models_are_refused(model: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        WORK_MODELS[model](**arguments)
    assert str(caught.value) == message


@given(
    request=st.floats(0.0, 50.0),
    incoming=st.floats(1e-3, 1.0),
    outgoing=st.floats(1e-2, 5.0),
    pair=st.floats(1e-6, 1e-3),
    compute=st.floats(0.5, 30.0),
)
@exact
def test_a_cached_model_is_recovered_from_its_own_rows(
    request: float, incoming: float, outgoing: float, pair: float, compute: float
) -> None:
    truth = CachedWork(
        work_per_request=request,
        work_per_input_token=incoming,
        work_per_output_token=outgoing,
        work_per_token_pair=pair,
    )
    gaps = np.geomspace(1e-3, 1e-9, INPUTS.size)
    work = truth.work(INPUTS, OUTPUTS, gaps)
    fit = fit_cached(INPUTS, OUTPUTS, work / compute, compute, gaps, attention=True)
    assert isinstance(fit.model, CachedWork)
    assert fit.model.work_per_request == pytest.approx(request, rel=1e-6, abs=1e-6)
    assert fit.model.work_per_input_token == pytest.approx(incoming, rel=1e-6)
    assert fit.model.work_per_output_token == pytest.approx(outgoing, rel=1e-6)
    assert fit.model.work_per_token_pair == pytest.approx(pair, rel=1e-6, abs=1e-9)
    assert fit.rows == 7
    assert fit.relative_rms_error < 1e-6
    assert fit.r_squared == pytest.approx(1.0, abs=1e-9)


def test_a_quadratic_model_is_recovered_with_compute_by_row() -> None:
    compute = np.linspace(1.0, 4.0, INPUTS.size)
    latency = QuadraticWork(1.6e-5).work(INPUTS, OUTPUTS, 1e-7) / compute
    fit = fit_quadratic(INPUTS, OUTPUTS, latency, compute, 1e-7)
    assert isinstance(fit.model, QuadraticWork)
    assert fit.model.work_per_token_pair == pytest.approx(1.6e-5, rel=1e-12)
    assert fit.rms_error < 1e-9


def test_without_a_gap_the_accuracy_cost_counts_as_one() -> None:
    latency = 3.0 + 0.5 * INPUTS + 2.0 * OUTPUTS
    fit = fit_cached(INPUTS, OUTPUTS, latency)
    assert isinstance(fit.model, CachedWork)
    assert fit.model.work_per_request == pytest.approx(3.0, rel=1e-9)
    assert fit.model.work(INPUTS, OUTPUTS, math.exp(-1)) == pytest.approx(latency, rel=1e-12)


def test_errors_of_a_fit_by_hand() -> None:
    # Pairs 100 and 200 (one output token each); work 110 and 190; ξ = 49000/50000.
    fit = fit_quadratic([100.0, 200.0], [1.0, 1.0], [110.0, 190.0])
    assert isinstance(fit.model, QuadraticWork)
    assert fit.model.work_per_token_pair == pytest.approx(0.98, rel=1e-14)
    errors = np.array([98.0 - 110.0, 196.0 - 190.0])
    assert fit.rms_error == pytest.approx(math.sqrt((144 + 36) / 2), rel=1e-12)
    assert fit.relative_rms_error == pytest.approx(
        math.sqrt(np.mean((errors / [110.0, 190.0]) ** 2)), rel=1e-12
    )
    assert fit.r_squared == pytest.approx(1 - 180 / 3200, rel=1e-12)
    assert fit.rows == 2


def test_coefficients_are_never_negative_and_no_other_ones_fit_better() -> None:
    latency = 5.0 * OUTPUTS - 0.2 * INPUTS + 500.0
    fit = fit_cached(INPUTS, OUTPUTS, latency, attention=True)
    assert isinstance(fit.model, CachedWork)
    best = np.array(
        [
            fit.model.work_per_request,
            fit.model.work_per_input_token,
            fit.model.work_per_output_token,
            fit.model.work_per_token_pair,
        ]
    )
    assert (best >= 0).all()
    assert best[1] == 0.0
    design = np.stack(
        [np.ones(INPUTS.size), INPUTS, OUTPUTS, qoe.token_pairs(INPUTS, OUTPUTS)], axis=1
    )
    # Karush–Kuhn–Tucker: no gradient on what is used, none that would gain on what is not.
    gradient = design.T @ (design @ best - latency) / np.linalg.norm(design, axis=0)
    assert (gradient >= -1e-8).all()
    assert np.abs(gradient[best > 0]).max() < 1e-8


ROWS: dict[str, Any] = {"input_tokens": INPUTS, "output_tokens": OUTPUTS, "latency": INPUTS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"latency": -INPUTS},
            "latency[0] is -100.0; it must be greater than zero",
        ),
        (
            {"compute": 0.0},
            "compute is 0.0; it must be greater than zero",
        ),
        (
            {"performance_gap": 1.0},
            "performance_gap is 1.0; it must be greater than zero and less than 1",
        ),
        (
            {"output_tokens": OUTPUTS[:3]},
            "output_tokens has shape (3,); it must be (7,), one number per row",
        ),
        (
            {"compute": [1.0, 2.0]},
            "compute has shape (2,); it must be (7,), one number per row",
        ),
        (
            {key: value[:4] for key, value in ROWS.items()},
            "rows given: 4; at least 5 are needed to fit 4 coefficients and to judge the fit",
        ),
        (
            {"latency": np.full(7, 5.0)},
            "every row measures the same work, so nothing can be fitted to it",
        ),
        (
            {"output_tokens": 2 * INPUTS},
            "the rows do not determine the model: their token counts must vary independently",
        ),
        (
            {"output_tokens": np.zeros(7)},
            "the rows do not determine the model: their token counts must vary independently",
        ),
    ],
)
def test_bad_rows_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        fit_cached(**(ROWS | changes), attention=True)
    assert str(caught.value) == message


def test_one_row_is_too_few_for_the_quadratic_model() -> None:
    with pytest.raises(InvalidInputError) as caught:
        fit_quadratic([1.0], [1.0], [1.0])
    assert str(caught.value) == (
        "rows given: 1; at least 2 are needed to fit 1 coefficient and to judge the fit"
    )
