"""Work models out of measured latencies: one fit to a group of rows, and what to doubt about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qoex.errors import InvalidInputError
from qoex.files.measured import MeasuredTable
from qoex.model.market import FloatArray
from qoex.model.validation import not_negative, positive
from qoex.model.work import (
    CachedWork,
    WorkFit,
    fit_cached,
    fit_quadratic,
    non_negative_least_squares,
    work_fit,
)

MILLISECONDS = {"ms": 1.0, "s": 1000.0}
LEAST_R_SQUARED = 0.9
# Where output tokens double and the latency grows by less than a tenth of that, generation ended.
_LEAST_GROWTH = 0.1

WorkModelName = Literal["cached", "attention", "quadratic"]


@dataclass(frozen=True)
class LatencyColumns:
    """Which columns of a table hold what.

    Attributes:
        input_tokens: x_in.
        output_tokens: x_out.
        latency: of the whole request; None where it is made of the next two.
        prefill: time to the first token.
        per_token: time of each further token.
        batch_size: like requests that are served at the same time.
        groups: a fit is made of the rows that agree in all of these.
        unit: of the times.
    """

    input_tokens: str
    output_tokens: str
    latency: str | None = None
    prefill: str | None = None
    per_token: str | None = None
    batch_size: str | None = None
    groups: Sequence[str] = ()
    unit: Literal["ms", "s"] = "ms"

    def __post_init__(self) -> None:
        if (self.prefill is None) is not (self.per_token is None):
            raise InvalidInputError("prefill and per_token go together; one of them is missing")
        if (self.latency is None) is (self.prefill is None):
            raise InvalidInputError("give either latency, or prefill and per_token")


@dataclass(frozen=True)
class LatencyFit:
    """One group's work model.

    Attributes:
        group: value of each grouping column.
        fit: the model and its error.
        zeroed: terms of the model that came out as zero.
        flat_beyond: output tokens beyond which the latency stops growing, as it does where the
            column holds what was asked for and not what was generated; None where it grows.
    """

    group: tuple[str, ...]
    fit: WorkFit
    zeroed: tuple[str, ...]
    flat_beyond: float | None

    @property
    def poor(self) -> bool:
        """Whether the model explains less than nine tenths of the variance."""
        return not self.fit.r_squared >= LEAST_R_SQUARED


def fit_latencies(
    table: MeasuredTable,
    columns: LatencyColumns,
    *,
    compute: float = 1.0,
    model: WorkModelName = "cached",
    at_batch: int = 1,
) -> list[LatencyFit]:
    """Fit a work model to each group of a table's rows, in the order of the groups' first rows.

    Args:
        table: of requests.
        columns: what is where.
        compute: of the whole server, TFLOPS.
        model: "cached" is linear in the tokens, "attention" has a term in the token pairs besides,
            "quadratic" is that of eq. 7.
        at_batch: where batch sizes are known, the one for which a request's work is given. A batch
            takes w + w_in·b·x_in + (w_out + w_own·b)·x_out: what is read for a step of decoding is
            read once for all, so that the work of a request falls with the size of its batch.

    Raises:
        InvalidInputError: a column that is not there, a value that cannot be, or rows that do not
            determine the model; names the group.
    """
    incoming, outgoing = table.numbers(columns.input_tokens), table.numbers(columns.output_tokens)
    latency = MILLISECONDS[columns.unit] * _latency(table, columns, outgoing)
    if columns.batch_size is not None and model != "cached":
        raise InvalidInputError(f"batch sizes go with the cached model, not with {model}")
    batch = np.ones(table.rows) if columns.batch_size is None else table.numbers(columns.batch_size)
    if not (batch >= 1).all():
        row = int(np.argmin(batch >= 1))
        raise InvalidInputError(
            f"{columns.batch_size} of row {row + 1} is {batch[row]:g}; it must be one or more"
        )
    keys = list(zip(*(table.texts(name) for name in columns.groups), strict=True))
    groups = dict.fromkeys(keys) if keys else {(): None}
    found = []
    for group in groups:
        rows = np.array([key == group for key in keys]) if keys else np.ones(table.rows, np.bool_)
        given = incoming[rows], outgoing[rows], latency[rows]
        try:
            if columns.batch_size is not None:
                fit = _fit_batches(*given, compute, batch[rows], at_batch)
            elif model == "quadratic":
                fit = fit_quadratic(*given, compute, relative=True)
            else:
                fit = fit_cached(*given, compute, attention=model == "attention", relative=True)
        except InvalidInputError as error:
            where = f"{', '.join(group)}: " if group else ""
            raise InvalidInputError(f"{where}{error}") from None
        found.append(LatencyFit(group, fit, _zeroed(fit, model), _flat_beyond(*given, batch[rows])))
    return found


def _fit_batches(
    incoming: FloatArray,
    outgoing: FloatArray,
    latency: FloatArray,
    compute: float,
    batch: FloatArray,
    at_batch: int,
) -> WorkFit:
    incoming, outgoing = not_negative("input", incoming), not_negative("output", outgoing)
    work = positive("latency", latency) * compute
    design = np.stack([np.ones(work.size), batch * incoming, outgoing, batch * outgoing], axis=1)
    coefficients = non_negative_least_squares(design, work, relative=True)
    request, by_input, shared, own = map(float, coefficients)
    model = CachedWork(
        work_per_request=request / at_batch,
        work_per_input_token=by_input,
        work_per_output_token=shared / at_batch + own,
    )
    return work_fit(model, design @ coefficients, work)


def _latency(table: MeasuredTable, columns: LatencyColumns, outgoing: FloatArray) -> FloatArray:
    if columns.latency is not None:
        return table.numbers(columns.latency)
    assert columns.prefill is not None
    assert columns.per_token is not None
    further = np.maximum(outgoing - 1.0, 0.0)
    return table.numbers(columns.prefill) + further * table.numbers(columns.per_token)


def _zeroed(fit: WorkFit, model: WorkModelName) -> tuple[str, ...]:
    if not isinstance(fit.model, CachedWork):
        return ()
    names = ["work_per_request", "work_per_input_token", "work_per_output_token"]
    names += ["work_per_token_pair"] if model == "attention" else []
    return tuple(name for name in names if getattr(fit.model, name) == 0.0)


def _flat_beyond(
    incoming: FloatArray, outgoing: FloatArray, latency: FloatArray, batch: FloatArray
) -> float | None:
    """Return the least output tokens from which the latency no longer grows, at like requests."""
    beyond = None
    for like in np.unique(np.stack([incoming, batch]), axis=1).T:
        same = (incoming == like[0]) & (batch == like[1])
        counts = np.unique(outgoing[same])
        means = np.array([latency[same & (outgoing == count)].mean() for count in counts])
        for before, after in zip(range(counts.size - 1), range(1, counts.size), strict=True):
            tokens = counts[after] / counts[before] - 1.0 if counts[before] > 0 else np.inf
            if means[after] / means[before] - 1.0 < _LEAST_GROWTH * min(tokens, 1.0):
                beyond = counts[before] if beyond is None else min(beyond, counts[before])
                break
    return None if beyond is None else float(beyond)
