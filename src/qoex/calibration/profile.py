"""Hold one unknown at half and at twice its value, and see how well the others make up for it.

References:
    A. Raue, C. Kreutz, T. Maiwald, J. Bachmann, M. Schilling, U. Klingmüller, J. Timmer,
    "Structural and practical identifiability analysis of partially observed dynamical models by
    exploiting the profile likelihood", Bioinformatics 25, 2009.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qoex.calibration.identifiability import Identifiability, InferredParameter, Refit, quantile
from qoex.calibration.search import Fit, FitProblem, root_mean_square, search
from qoex.calibration.unknowns import Unknowns
from qoex.errors import InvalidInputError
from qoex.model.market import FloatArray

# Tried so: what rows of the table share. Work and traffic are many, and follow from these.
PROFILED = ("profit_factor", "compute_cost", "bandwidth_cost")

_TWICE = float(np.log(2.0))
# The linear response of the other unknowns, from which a search starts, is good for no more.
_FARTHEST = 2.0 * _TWICE


def profiled(
    parameter: InferredParameter,
    position: int,
    unknowns: Unknowns,
    fit: Fit,
    identifiability: Identifiability,
    noise: float | None,
) -> tuple[InferredParameter, int]:
    """Return the parameter with both refits, and how many equilibria they took.

    Args:
        parameter: one of what was inferred.
        position: its place among the unknowns.
        unknowns: all of them.
        fit: where the search ended.
        identifiability: the judgement of that.
        noise: relative standard error of the observed numbers, if it is known.
    """
    freedom = identifiability.degrees_of_freedom
    allowed = (quantile(freedom, noise) * identifiability.noise) ** 2
    refits: list[Refit] = []
    solved = 0
    for shift in (-_TWICE, _TWICE):
        problem = FitProblem(unknowns.holding(position, float(fit.logs[position]) + shift))
        found = _search_near(problem, fit, position, shift)
        solved += problem.solved
        refits.append(_refit(found, fit, allowed))
    return replace(parameter, half=refits[0], twice=refits[1]), solved


def _search_near(problem: FitProblem, fit: Fit, position: int, shift: float) -> Fit | None:
    others = np.delete(fit.jacobian, position, axis=1)
    response = -np.linalg.lstsq(others, fit.jacobian[:, position] * shift, rcond=1e-6)[0]
    start = np.delete(fit.logs, position)
    for move in (np.clip(response, -_FARTHEST, _FARTHEST), np.zeros_like(response)):
        try:
            return search(problem, start + move, rough=True)
        except InvalidInputError:  # no equilibrium there
            continue
    return None


def _refit(found: Fit | None, fit: Fit, allowed: float) -> Refit:
    if found is None:
        return Refit(np.nan, None)
    more = _squares(found.residuals) - _squares(fit.residuals)
    rms = root_mean_square(found.residuals)
    # Even a search that did not end at the least errors shows that they can be as small as this.
    if more <= allowed:
        return Refit(rms, False)
    return Refit(rms, True) if found.status.ok and np.isfinite(allowed) else Refit(np.nan, None)


def _squares(residuals: FloatArray) -> float:
    return float(residuals @ residuals)
