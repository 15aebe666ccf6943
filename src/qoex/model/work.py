"""Work models: how many TFLOPS·ms a request takes, and how to fit one to measurements.

A work model is any object with the method of ``WorkModel``. Two are given: the paper's, quadratic
in the tokens (eq. 7), and one for servers that keep the keys and values of earlier tokens in a
cache, linear in the tokens. Both carry the accuracy cost ln(1/θ̂) as a factor, as eq. 7 does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from qoex.errors import InvalidInputError
from qoex.model import qoe
from qoex.model.market import FloatArray
from qoex.model.validation import not_negative, positive


class WorkModel(Protocol):
    """What a provider's work model must do."""

    def work(
        self, input_tokens: ArrayLike, output_tokens: ArrayLike, performance_gap: ArrayLike
    ) -> FloatArray:
        """Return the work a in TFLOPS·ms of requests (arguments broadcast together).

        Args:
            input_tokens: x_in, zero or more; real values are means.
            output_tokens: x_out, zero or more.
            performance_gap: θ̂, in (0, 1).

        """
        ...


@dataclass(frozen=True)
class QuadraticWork:
    """The paper's model, a = ξ ln(1/θ̂) Σ_{i<x_out} (x_in + i) (eq. 7).

    Attributes:
        work_per_token_pair: ξ, TFLOPS·ms per attended pair of tokens, greater than zero.

    Raises:
        InvalidInputError: ξ is not a finite number greater than zero.

    """

    work_per_token_pair: float

    def __post_init__(self) -> None:
        positive("work_per_token_pair", self.work_per_token_pair)

    def work(
        self, input_tokens: ArrayLike, output_tokens: ArrayLike, performance_gap: ArrayLike
    ) -> FloatArray:
        """Return a in TFLOPS·ms, as ``WorkModel.work`` says."""
        pairs = qoe.token_pairs(input_tokens, output_tokens)
        return self.work_per_token_pair * qoe.accuracy_cost(performance_gap) * pairs


@dataclass(frozen=True, kw_only=True)
class CachedWork:
    """Work linear in the tokens, with an optional attention term.

    a = ln(1/θ̂) (w_request + w_in·x_in + w_out·x_out + w_pair·Σ_{i<x_out} (x_in + i))

    Attributes:
        work_per_request: TFLOPS·ms of a request, whatever its length.
        work_per_input_token: TFLOPS·ms per input token (prefill).
        work_per_output_token: TFLOPS·ms per output token (decoding).
        work_per_token_pair: TFLOPS·ms per attended pair of tokens.

    Raises:
        InvalidInputError: one is negative or not finite, or all are zero.

    """

    work_per_request: float = 0.0
    work_per_input_token: float
    work_per_output_token: float
    work_per_token_pair: float = 0.0

    def __post_init__(self) -> None:
        values = [not_negative(item.name, getattr(self, item.name)) for item in fields(self)]
        if not any(values):
            raise InvalidInputError("every coefficient is zero; one must be greater than zero")

    def work(
        self, input_tokens: ArrayLike, output_tokens: ArrayLike, performance_gap: ArrayLike
    ) -> FloatArray:
        """Return a in TFLOPS·ms, as ``WorkModel.work`` says."""
        plain = (
            self.work_per_request
            + self.work_per_input_token * not_negative("input_tokens", input_tokens)
            + self.work_per_output_token * not_negative("output_tokens", output_tokens)
            + self.work_per_token_pair * qoe.token_pairs(input_tokens, output_tokens)
        )
        return qoe.accuracy_cost(performance_gap) * plain


WORK_MODELS: dict[str, type[QuadraticWork] | type[CachedWork]] = {
    "quadratic": QuadraticWork,
    "cached": CachedWork,
}


@dataclass(frozen=True)
class WorkFit:
    """A work model fitted to measured rows, and how well it fits them.

    Attributes:
        model: the fitted model.
        rms_error: root mean square of predicted − measured work, TFLOPS·ms.
        relative_rms_error: root mean square of (predicted − measured)/measured, dimensionless.
        r_squared: share of the variance of the measured work that the model explains; at most 1,
            negative where the mean would do better.
        rows: number of rows fitted.

    """

    model: QuadraticWork | CachedWork
    rms_error: float
    relative_rms_error: float
    r_squared: float
    rows: int


def fit_quadratic(
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    latency: ArrayLike,
    compute: ArrayLike = 1.0,
    performance_gap: ArrayLike | None = None,
    *,
    relative: bool = False,
) -> WorkFit:
    """Fit ξ of ``QuadraticWork`` by least squares on the work, latency × compute.

    Args:
        input_tokens: x_in of each row, zero or more.
        output_tokens: x_out of each row, zero or more.
        latency: compute latency of each row, ms, greater than zero.
        compute: compute allotted to each row, TFLOPS (one number for all, or one per row).
        performance_gap: θ̂ of each row (or one for all); without it the accuracy cost counts as
            one, so that the coefficients are the work of a request as measured.
        relative: let every row's relative error count alike, and not its error in TFLOPS·ms, by
            which long requests outweigh all others.

    Raises:
        InvalidInputError: a value that cannot be, rows of unequal number, too few of them, or
            rows that do not determine the model.

    """
    design, work = _measured(input_tokens, output_tokens, latency, compute, performance_gap)
    coefficients = non_negative_least_squares(design[:, [3]], work, relative=relative)
    model = QuadraticWork(float(coefficients[0]))
    return work_fit(model, design[:, [3]] @ coefficients, work)


def fit_cached(
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    latency: ArrayLike,
    compute: ArrayLike = 1.0,
    performance_gap: ArrayLike | None = None,
    *,
    attention: bool = False,
    relative: bool = False,
) -> WorkFit:
    """Fit ``CachedWork``, intercept included, by non-negative least squares on the work.

    Takes and raises what ``fit_quadratic`` does.

    Args:
        input_tokens: x_in of each row.
        output_tokens: x_out of each row.
        latency: compute latency of each row, ms.
        compute: compute allotted to each row, TFLOPS.
        performance_gap: θ̂ of each row.
        attention: fit a term in the attended token pairs as well.
        relative: let every row's relative error count alike.

    """
    design, work = _measured(input_tokens, output_tokens, latency, compute, performance_gap)
    if not attention:
        design = design[:, :3]
    coefficients = non_negative_least_squares(design, work, relative=relative)
    request, incoming, outgoing, *pair = map(float, coefficients)
    model = CachedWork(
        work_per_request=request,
        work_per_input_token=incoming,
        work_per_output_token=outgoing,
        work_per_token_pair=pair[0] if pair else 0.0,
    )
    return work_fit(model, design @ coefficients, work)


def _measured(
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    latency: ArrayLike,
    compute: ArrayLike,
    performance_gap: ArrayLike | None,
) -> tuple[FloatArray, FloatArray]:
    """Return the columns 1, x_in, x_out, pairs (times the accuracy cost) and the measured work."""
    columns: dict[str, FloatArray] = {
        "input_tokens": not_negative("input_tokens", input_tokens),
        "output_tokens": not_negative("output_tokens", output_tokens),
        "latency": positive("latency", latency),
        "compute": positive("compute", compute),
    }
    if performance_gap is not None:
        columns["accuracy_cost"] = np.asarray(qoe.accuracy_cost(performance_gap))
    rows = columns["latency"].size
    for name, column in columns.items():
        single = column.ndim == 0 and name in ("compute", "accuracy_cost")
        if not single and column.shape != (rows,):
            raise InvalidInputError(
                f"{name} has shape {column.shape}; it must be ({rows},), one number per row"
            )
    cost = columns.get("accuracy_cost", np.float64(1.0))
    incoming, outgoing = columns["input_tokens"], columns["output_tokens"]
    terms = [np.ones(rows), incoming, outgoing, qoe.token_pairs(incoming, outgoing)]
    design = np.stack([cost * term for term in terms], axis=1)
    return design, columns["latency"] * columns["compute"]


def non_negative_least_squares(
    design: FloatArray, work: FloatArray, *, relative: bool
) -> FloatArray:
    """Return the coefficients (K, at least zero) by which a design (rows × K) tells the work best.

    Raises:
        InvalidInputError: too few rows, all of the same work, or rows that do not determine them.
    """
    from scipy.optimize import nnls  # slow to import, and needed by nothing else

    rows, unknowns = design.shape
    if rows <= unknowns:
        raise InvalidInputError(
            f"rows given: {rows}; at least {unknowns + 1} are needed to fit {unknowns} "
            f"coefficient{'s' * (unknowns > 1)} and to judge the fit"
        )
    if np.ptp(work) == 0:
        raise InvalidInputError("every row measures the same work, so nothing can be fitted to it")
    if relative:
        design, work = design / work[:, None], np.ones_like(work)
    # Columns of unit length: a request counts 1 and its token pairs a million.
    lengths = np.linalg.norm(design, axis=0)
    scaled = design / np.where(lengths > 0, lengths, 1.0)
    if np.linalg.matrix_rank(scaled) < unknowns:
        raise InvalidInputError(
            "the rows do not determine the model: their token counts must vary independently"
        )
    coefficients: FloatArray = nnls(scaled, work)[0] / lengths
    return coefficients


def work_fit(model: QuadraticWork | CachedWork, predicted: FloatArray, work: FloatArray) -> WorkFit:
    """Return a model with the errors of what it predicts (rows, TFLOPS·ms)."""
    error = predicted - work
    spread = float(np.sum((work - work.mean()) ** 2))
    return WorkFit(
        model=model,
        rms_error=float(np.sqrt(np.mean(error**2))),
        relative_rms_error=float(np.sqrt(np.mean((error / work) ** 2))),
        r_squared=1.0 - float(np.sum(error**2)) / spread,
        rows=work.size,
    )
