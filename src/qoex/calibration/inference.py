"""Inference of hidden parameters: the search from good starts, then the judgement of its result.

References:
    D. Bertsimas, V. Gupta, I. Ch. Paschalidis, "Data-driven estimation in equilibrium using
    inverse optimization", Mathematical Programming 153, 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qoex.calibration.identifiability import Identifiability, InferredParameter, judge
from qoex.calibration.observed import Observations
from qoex.calibration.profile import PROFILED, profiled
from qoex.calibration.search import (
    EXACT,
    Fit,
    FitProblem,
    FitStatus,
    Report,
    root_mean_square,
    search,
)
from qoex.calibration.start import starting_markets
from qoex.calibration.unknowns import SOUGHT, Unknowns, unknowns_of
from qoex.errors import InvalidInputError
from qoex.game.solution import Regime, Solution
from qoex.model.market import FloatArray, Market
from qoex.model.validation import positive
from qoex.text.numbers import counted, number

# Errors this many times as large as the noise that was given are not that noise.
_TOO_LARGE = 2.0


@dataclass(frozen=True)
class Inference:
    """A market inferred from observations, and how far to believe it.

    Attributes:
        status: how the search ended; ``status.ok`` tells success.
        observations: what it was inferred from.
        market: at the inferred parameters.
        solution: its equilibrium, which is to be as observed.
        parameters: what was inferred, each with its interval: μ, c, d, a, b in this order.
        identifiability: what the observations as a whole can tell.
        errors: fitted/observed − 1 by quantity (N×M each, NaN where nothing was observed); a QoE
            of zero is missed by a share of the latency budget.
        equilibria: how many were solved on the way.
        notes: what a reader must know to read the numbers rightly.
    """

    status: FitStatus
    observations: Observations
    market: Market
    solution: Solution
    parameters: tuple[InferredParameter, ...]
    identifiability: Identifiability
    errors: Mapping[str, FloatArray]
    equilibria: int
    notes: tuple[str, ...] = ()

    @property
    def rms(self) -> float:
        """Root mean square of the relative errors."""
        return root_mean_square(self._all_errors())

    @property
    def largest(self) -> float:
        """Largest relative error, without its sign."""
        return float(np.abs(self._all_errors()).max())

    def parameter(self, field: str, place: str = "") -> InferredParameter:
        """Return one of the parameters by its field and place.

        Raises:
            InvalidInputError: nothing of that name was inferred.
        """
        for item in self.parameters:
            if (item.field, item.place) == (field, place):
                return item
        raise InvalidInputError(f"no {' of '.join(filter(None, (field, place)))} was inferred")

    def _all_errors(self) -> FloatArray:
        return np.concatenate([array[np.isfinite(array)] for array in self.errors.values()])


def infer_parameters(
    observations: Observations,
    *,
    profit_factor_per_user: bool = False,
    bandwidth_cost_per_provider: bool = False,
    noise: float | None = None,
    start: Market | None = None,
    profile: bool = True,
    report: Report | None = None,
) -> Inference:
    """Infer a market's hidden parameters from what was seen of its equilibrium.

    Sought are the profit factor μ, the unit costs c and d, and the work a and traffic b of each
    pair, as far as the observations do not know them. The sum of squares of the relative errors is
    made least, every market tried being solved exactly.

    Args:
        observations: N providers × M users.
        profit_factor_per_user: one μ for each user; otherwise all share one.
        bandwidth_cost_per_provider: one d for each provider; otherwise all share one, for hardly
            any table tells more.
        noise: relative standard error of the observed numbers; by default the residuals tell it.
        start: a market to start from, of the same shape; by default what the observations suggest.
        profile: also fit with μ, c and d held at half and at twice what was found.
        report: called with the number of equilibria solved and the current rms error.

    Raises:
        InvalidInputError: there is nothing to infer, there are fewer numbers than unknowns, or the
            start is of another shape or cannot be solved.
    """
    if noise is not None:
        positive("noise", noise)
    unknowns = unknowns_of(
        observations,
        per_user=profit_factor_per_user,
        per_provider=bandwidth_cost_per_provider,
    )
    _require_enough(unknowns)
    problem = FitProblem(unknowns, report)
    fit = _best_fit(problem, start)
    parameters, identifiability = judge(
        fit.jacobian, fit.residuals, unknowns.labels(), fit.logs, noise=noise
    )
    equilibria = problem.solved
    if profile and fit.status.ok:
        tried = list(parameters)
        for i, item in enumerate(parameters):
            if item.field in PROFILED:
                tried[i], solved = profiled(item, i, unknowns, fit, identifiability, noise)
                equilibria += solved
        parameters = tuple(tried)
    return Inference(
        status=fit.status,
        observations=observations,
        market=fit.market,
        solution=fit.solution,
        parameters=parameters,
        identifiability=identifiability,
        errors=problem.errors(fit.solution),
        equilibria=equilibria,
        notes=tuple(_notes(problem, fit, identifiability, noise)),
    )


def _require_enough(unknowns: Unknowns) -> None:
    seen, sought = unknowns.observations.count, unknowns.count
    if sought == 0:
        raise InvalidInputError("there is nothing to infer, for every parameter is known")
    if seen < sought:
        raise InvalidInputError(
            f"there are {counted(sought, 'unknown')} but only {counted(seen, 'observed number')}; "
            "observe more, or say what is known"
        )


def _best_fit(problem: FitProblem, start: Market | None) -> Fit:
    """Return the best end of the searches from all starts; the first exact one settles it."""
    shape = problem.unknowns.observations.latency_budget.shape
    if start is not None and start.work.shape != shape:
        raise InvalidInputError(f"start has shape {start.work.shape}; it must be {shape}")
    markets = starting_markets(problem.unknowns) if start is None else iter((start,))
    best: Fit | None = None
    for market in markets:
        values = {name: getattr(market, name) for name in SOUGHT}
        fit = search(problem, problem.unknowns.logs(values))
        if best is None or fit.residuals @ fit.residuals < best.residuals @ best.residuals:
            best = fit
        if root_mean_square(best.residuals) <= EXACT:
            break
    assert best is not None  # there is at least one start
    return best


def _notes(
    problem: FitProblem, fit: Fit, identifiability: Identifiability, noise: float | None
) -> list[str]:
    notes = list(fit.solution.notes)
    if problem.failed:
        avoided = counted(problem.failed, "market")
        notes.append(f"the search avoided {avoided} whose equilibrium was not found")
    states = fit.solution.compute_state, fit.solution.bandwidth_state
    if any(Regime.PINNED in state.regime for state in states):
        notes.append("a capacity is pinned, where errors have a kink: intervals hold on one side")
    freedom = identifiability.degrees_of_freedom
    if noise is not None and freedom > 0:
        scatter = float(np.sqrt(fit.residuals @ fit.residuals / freedom))
        if scatter > _TOO_LARGE * noise:
            notes.append(
                f"the errors are {number(scatter / noise, 2)} times the noise given, so something "
                "that is held, or shared by all, is wrong"
            )
    return notes
