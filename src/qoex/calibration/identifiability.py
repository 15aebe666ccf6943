"""How tightly observations pin down what was inferred from them.

Near the least squares the errors are linear in the logarithms of the unknowns, so the covariance of
these is s²(JᵀJ)⁻¹ with the Jacobian J and the variance s² of a residual. A direction in which J
vanishes is one that the observations say nothing of. As d of Table V shows, the linear picture can
mislead where an unknown matters little, so single unknowns are also held at half and at twice their
value and all others fitted anew.

References:
    D. M. Bates, D. G. Watts, "Nonlinear Regression Analysis and Its Applications", Wiley, 1988.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import stdtrit

from qoex.model.market import FloatArray

# An interval that spans at most this factor either way is tight, respectively still of some use.
TIGHT, USEFUL = 1.10, 2.0
CONFIDENCE = 0.95

# Exact observations leave only what the slopes are good to.
_LEAST_NOISE = 1e-7
# Singular values below this share of the largest are those of differences of rounded solutions.
RANK_TOLERANCE = 1e-6
# An unknown has a part in a direction if its component, squared, is at least this.
_PART = 1e-6
# Of the weakest direction, components below this share of the largest are not told.
_TOLD = 0.2


class ParameterVerdict(StrEnum):
    """How well the observations tell one unknown."""

    PINNED = "pinned down"
    LOOSE = "loosely"
    FREE = "not pinned down"
    UNTOLD = "cannot be told"


@dataclass(frozen=True)
class Refit:
    """What is left when one unknown is held elsewhere and all others are fitted anew.

    Attributes:
        rms: root mean square of the relative errors then; NaN if that search did not converge.
        ruled_out: whether the errors are too large to be chance, at 95 %; None where that cannot
            be said.
    """

    rms: float
    ruled_out: bool | None


@dataclass(frozen=True)
class InferredParameter:
    """One inferred number.

    Attributes:
        field: its field of ``Market``.
        place: "asp-1", "asp-1, mu-2" or "mu-2"; empty where entries of the field share it.
        value: in the field's unit.
        error: standard error of its logarithm, so a relative one; infinite where nothing tells it,
            NaN where there are no more numbers than unknowns.
        low: lower end of its 95 % interval.
        high: upper end.
        half: all else fitted anew at half of it; None if that was not tried.
        twice: the same at twice of it.
    """

    field: str
    place: str
    value: float
    error: float
    low: float
    high: float
    half: Refit | None = None
    twice: Refit | None = None

    @property
    def verdict(self) -> ParameterVerdict:
        """PINNED to within 10 %, LOOSE to within a factor of two, or neither."""
        if any(refit is not None and refit.ruled_out is False for refit in (self.half, self.twice)):
            return ParameterVerdict.FREE
        if np.isnan(self.error):
            return ParameterVerdict.UNTOLD
        factor = self.high / self.value
        if factor <= TIGHT:
            return ParameterVerdict.PINNED
        return ParameterVerdict.LOOSE if factor <= USEFUL else ParameterVerdict.FREE


@dataclass(frozen=True)
class JointChange:
    """A joint change of unknowns.

    Attributes:
        parts: (field, place, share) of those that take part in it, where a share of 1 is the
            largest change of a logarithm.
        effect: root mean square of the relative changes of the observed numbers, per relative
            change of the unknown whose share is 1.
    """

    parts: tuple[tuple[str, str, float], ...]
    effect: float


@dataclass(frozen=True)
class Identifiability:
    """What the observations as a whole can tell.

    Attributes:
        unknowns: how many numbers were sought.
        rank: how many independent combinations of them the observations tell.
        condition: ratio of the largest to the smallest singular value of the Jacobian; infinite
            where the rank is short.
        degrees_of_freedom: observed numbers less the rank.
        noise: relative standard error of one observed number, as given or estimated from the
            residuals; NaN where it can be neither.
        weakest: the change of the unknowns that shows least.
    """

    unknowns: int
    rank: int
    condition: float
    degrees_of_freedom: int
    noise: float
    weakest: JointChange


def judge(
    jacobian: FloatArray,
    residuals: FloatArray,
    labels: Sequence[tuple[str, str]],
    logs: FloatArray,
    *,
    noise: float | None,
) -> tuple[tuple[InferredParameter, ...], Identifiability]:
    """Return every unknown with its interval, and what the observations can tell in all.

    Args:
        jacobian: derivatives of the relative errors by the logarithms of the unknowns, K×U.
        residuals: relative errors, K.
        labels: (field, place) of every unknown.
        logs: their logarithms, U.
        noise: their standard deviation, if it is known.
    """
    count, unknowns = jacobian.shape
    _, values, right = np.linalg.svd(jacobian, full_matrices=count < unknowns)
    values = np.append(values, np.zeros(unknowns - values.size))
    told = values > RANK_TOLERANCE * max(float(values.max()), 1e-300)
    rank = int(told.sum())
    freedom = count - rank
    deviation = standard_error(residuals, freedom, noise)
    variance = ((right[told] / values[told, None]) ** 2).sum(axis=0)
    errors = deviation * np.sqrt(variance)
    errors[(right[~told] ** 2).sum(axis=0) > _PART] = np.inf
    width = np.exp(np.minimum(quantile(freedom, noise) * errors, 700.0))
    width[np.isinf(errors)] = np.inf
    parameters = tuple(
        InferredParameter(
            field=field,
            place=place,
            value=float(np.exp(logs[i])),
            error=float(errors[i]),
            low=float(np.exp(logs[i]) / width[i]),
            high=float(np.exp(logs[i]) * width[i]),
        )
        for i, (field, place) in enumerate(labels)
    )
    shares = right[-1] / right[-1][np.argmax(np.abs(right[-1]))]
    weakest = JointChange(
        tuple((*labels[i], float(shares[i])) for i in range(unknowns) if abs(shares[i]) >= _TOLD),
        float(values[-1] / np.abs(right[-1]).max() / np.sqrt(count)),
    )
    return parameters, Identifiability(
        unknowns=unknowns,
        rank=rank,
        condition=float(values[0] / values[-1]) if rank == unknowns else np.inf,
        degrees_of_freedom=freedom,
        noise=deviation,
        weakest=weakest,
    )


def standard_error(residuals: FloatArray, freedom: int, noise: float | None) -> float:
    """Return the standard deviation of a relative error: NaN where nothing tells it."""
    if noise is not None:
        return noise
    if freedom <= 0:
        return np.nan
    return max(float(np.sqrt(residuals @ residuals / freedom)), _LEAST_NOISE)


def quantile(freedom: int, noise: float | None) -> float:
    """Return how many standard errors half of a 95 % interval is (Student's t)."""
    upper = 0.5 * (1.0 + CONFIDENCE)
    return float(stdtrit(max(freedom, 1) if noise is None else np.inf, upper))
