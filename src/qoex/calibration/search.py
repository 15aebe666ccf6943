"""Least squares through the exact equilibrium: what the unknowns must be for it to be as observed.

What is minimised is the sum of squares of the relative errors, fitted/observed − 1; a QoE of zero
is missed by a share of the latency budget. The Jacobian is taken by differences of exact solutions.

References:
    M. A. Branch, T. F. Coleman, Y. Li, "A subspace, interior, and conjugate gradient method for
    large-scale bound-constrained minimization problems", SIAM Journal on Scientific Computing 21,
    1999.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from qoex.calibration.observed import QUANTITIES
from qoex.calibration.unknowns import Unknowns
from qoex.equilibrium.solver import solve
from qoex.errors import InfeasibleMarketError, InvalidInputError
from qoex.game.solution import Regime, Solution
from qoex.model.market import FloatArray, Market

# Called with how many equilibria were solved and the root mean square of the relative errors.
Report = Callable[[int, float], None]

# Steps of the logarithms for differences. Solutions are good to about 1e-11, so a one-sided slope
# is good to 1e-5, which is enough to search by, and a central one to 1e-7, which is for judging.
_SEARCH_STEP, _JUDGING_STEP = 1e-6, 1e-4
# Slopes of an unknown that are all below this come of rounding; it then has no effect.
_NO_SLOPE = {_SEARCH_STEP: 1e-4, _JUDGING_STEP: 1e-6}
# Passes over the users for one equilibrium. A dozen is usual; a market that needs more than this is
# one that the search should keep away from.
_MAX_SWEEPS = 300
# Evaluations of the residuals; a dozen is usual.
MAX_STEPS = 100
_COST_TOLERANCE, _STEP_TOLERANCE = 1e-12, 1e-10
# A root mean square of relative errors below this is no error at all: solutions are not better.
EXACT = 1e-9
# At a minimum, no step by a factor of two or less lowers the sum of squares by more than this.
_STATIONARY = 1e-6
# The same of a rough search, which ends once steps lower the sum by less than the first share.
_ROUGH_COST, _ROUGHLY_STATIONARY = 1e-4, 1e-2
_LONGEST = float(np.log(2.0))
# Users are taken not to meet while every capacity keeps this share to itself.
_SPARE = 1e-3


class FitStatus(StrEnum):
    """How a search ended; only the first is a success. Files hold the values."""

    CONVERGED = "converged"
    STEP_LIMIT = "step_limit"
    STALLED = "stalled"

    @property
    def ok(self) -> bool:
        """Whether the parameters are those of least squares; a limit is never a success."""
        return self is FitStatus.CONVERGED

    @property
    def sentence(self) -> str:
        """The status in words."""
        return _SENTENCES[self]


_SENTENCES = {
    FitStatus.CONVERGED: (
        "Converged: no small change of the parameters brings the equilibrium any nearer."
    ),
    FitStatus.STEP_LIMIT: (
        "Not converged: the step limit was reached before the errors were least."
    ),
    FitStatus.STALLED: (
        "Not converged: no step of the search helps, yet the errors are not least."
    ),
}


@dataclass(frozen=True)
class Fit:
    """Where a search ended.

    Attributes:
        status: how it ended.
        logs: logarithms of the unknowns, U.
        residuals: relative errors, one for each observed number, K.
        jacobian: their derivatives by the logarithms, K×U, for judging.
        market: at these unknowns.
        solution: its equilibrium.
    """

    status: FitStatus
    logs: FloatArray
    residuals: FloatArray
    jacobian: FloatArray
    market: Market
    solution: Solution


class FitProblem:
    """The residuals of a table as a function of the unknowns, and what it took to compute them."""

    def __init__(self, unknowns: Unknowns, report: Report | None = None) -> None:
        self.unknowns = unknowns
        self.solved = 0
        self.failed = 0
        self._report = report
        seen = unknowns.observations
        self._where = {name: np.isfinite(array) for name, array in seen.quantities.items()}
        self._observed = self._row(seen.quantities)
        budget = self._row(dict.fromkeys(QUANTITIES, seen.latency_budget))
        self._scale = np.where(self._observed > 0, self._observed, budget)
        columns = np.broadcast_to(np.arange(len(seen.user_names)), seen.present.shape)
        user = self._row(dict.fromkeys(QUANTITIES, columns))
        self._groups = unknowns.groups()
        self._concerns = [unknowns.users_of(i)[user] for i in range(unknowns.count)]
        self._near: Solution | None = None

    def relative_errors(self, solution: Solution) -> FloatArray:
        """Return the relative error of every observed number, in one row."""
        fitted = self._row({name: getattr(solution, name) for name in QUANTITIES})
        return (fitted - self._observed) / self._scale

    def errors(self, solution: Solution) -> dict[str, FloatArray]:
        """Return the relative errors by quantity (N×M each), NaN where nothing was observed."""
        row = self.relative_errors(solution)
        parts = np.split(row, np.cumsum([int(w.sum()) for w in self._where.values()])[:-1])
        result = {}
        for (name, where), part in zip(self._where.items(), parts, strict=True):
            result[name] = np.full(where.shape, np.nan)
            result[name][where] = part
        return result

    def solve(self, logs: FloatArray) -> Solution | None:
        """Return the equilibrium at these unknowns; None where there is none or it is not found."""
        try:
            market = self.unknowns.market(logs)
            solution = solve(market, start=self._near, max_sweeps=_MAX_SWEEPS)
            if not solution.status.ok and self._near is not None:
                solution = solve(market, max_sweeps=_MAX_SWEEPS)
        except (InvalidInputError, InfeasibleMarketError):
            self.failed += 1
            return None
        self.solved += 1
        if not solution.status.ok:
            self.failed += 1
            return None
        return solution

    def residuals(self, logs: FloatArray) -> FloatArray:
        """Return the relative errors; infinite where no equilibrium is found."""
        solution = self.solve(logs)
        if solution is None:
            return np.full(self._observed.shape, np.inf)
        self._near = solution
        errors = self.relative_errors(solution)
        if self._report is not None:
            self._report(self.solved, root_mean_square(errors))
        return errors

    def jacobian(self, logs: FloatArray, *, judging: bool = False) -> FloatArray:
        """Return the derivatives of the residuals, K×U; NaN for an unknown that cannot be moved."""
        base = self.solve(logs)
        jacobian = np.full((self._observed.size, logs.size), np.nan)
        if base is None:
            return jacobian
        apart = _is_slack(self.unknowns.market(logs), base)
        groups = self._groups if apart else [np.array([i]) for i in range(logs.size)]
        for group in groups:
            slopes = self._slope(logs, group, base, judging=judging)
            for position in group:
                own = np.where(self._concerns[position], slopes, 0.0) if apart else slopes
                none = np.abs(own).max() <= _NO_SLOPE[_JUDGING_STEP if judging else _SEARCH_STEP]
                jacobian[:, position] = 0.0 if none else own  # NaN stays NaN
        return jacobian

    def _slope(
        self, logs: FloatArray, group: NDArray[np.int64], base: Solution, *, judging: bool
    ) -> FloatArray:
        step = _JUDGING_STEP if judging else _SEARCH_STEP
        ends: list[tuple[float, FloatArray]] = []
        for signed in (step, -step):
            moved = logs.copy()
            moved[group] += signed
            solution = self.solve(moved)
            if solution is not None:
                ends.append((signed, self.relative_errors(solution)))
                if not judging:
                    break
        if not ends:
            return np.full(self._observed.shape, np.nan)
        if len(ends) == 1:
            ends.append((0.0, self.relative_errors(base)))
        (one, there), (other, here) = ends
        slopes: FloatArray = (there - here) / (one - other)
        return slopes

    def _row(self, arrays: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        return np.concatenate([arrays[name][self._where[name]] for name in QUANTITIES])


def search(problem: FitProblem, start: FloatArray, *, rough: bool = False) -> Fit:
    """Return the least squares from a start.

    Args:
        problem: what is to be fitted.
        start: U logarithms.
        rough: stop where the sum of squares is known to about a per cent.

    Raises:
        InvalidInputError: the market of the start has no equilibrium that can be found.
    """
    if not np.isfinite(problem.residuals(start)).all():
        raise InvalidInputError("the search cannot start, for its first market is not solvable")

    def slopes(logs: FloatArray) -> FloatArray:
        return np.nan_to_num(problem.jacobian(logs))

    found = least_squares(
        problem.residuals,
        start,
        jac=slopes,
        method="trf",  # it steps back from residuals that are not finite
        ftol=_ROUGH_COST if rough else _COST_TOLERANCE,
        xtol=_STEP_TOLERANCE,
        gtol=None,
        max_nfev=MAX_STEPS,
    )
    logs: FloatArray = found.x
    if rough:
        jacobian: FloatArray = np.asarray(found.jac)
    else:
        logs, jacobian = _without_wandering(problem, logs, start)
    solution = problem.solve(logs)
    assert solution is not None  # the search only moves to where there is one
    residuals = problem.relative_errors(solution)
    promise = _ROUGHLY_STATIONARY if rough else _STATIONARY
    if found.status == 0:
        status = FitStatus.STEP_LIMIT
    elif root_mean_square(residuals) > EXACT and _promise(jacobian, residuals) > promise:
        status = FitStatus.STALLED
    else:
        status = FitStatus.CONVERGED
    jacobian = np.nan_to_num(jacobian)  # an unknown that cannot be moved shows no effect
    return Fit(status, logs, residuals, jacobian, problem.unknowns.market(logs), solution)


def _without_wandering(
    problem: FitProblem, logs: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the unknowns, those without effect where they started, and their Jacobian."""
    jacobian = problem.jacobian(logs, judging=True)
    idle = np.flatnonzero((jacobian == 0.0).all(axis=0))
    most = np.sum(problem.residuals(logs) ** 2) * (1.0 + _STATIONARY) + EXACT**2
    for position in idle:
        back = logs.copy()
        back[position] = start[position]
        # The way back may lead into another regime, where the unknown has an effect.
        if np.sum(problem.residuals(back) ** 2) <= most:
            logs = back
    return logs, problem.jacobian(logs, judging=True) if idle.size else jacobian


def root_mean_square(errors: FloatArray) -> float:
    """Return the root of the mean of the squares."""
    return float(np.sqrt(np.mean(errors**2)))


def _promise(jacobian: FloatArray, residuals: FloatArray) -> float:
    """Return by what share the sum of squares would fall, by the linear model, in bounded steps.

    Along each singular direction the best step is taken, but by a factor of two at most: an unknown
    that goes on towards zero without effect has converged for all purposes.
    """
    if not np.isfinite(jacobian).all():
        return np.inf
    left, values, _ = np.linalg.svd(jacobian, full_matrices=False)
    pull = left.T @ residuals
    step = np.minimum(np.abs(pull) / np.maximum(values, 1e-300), _LONGEST)
    fall = 2.0 * step * values * np.abs(pull) - (step * values) ** 2
    return float(fall.sum() / (residuals @ residuals))


def _is_slack(market: Market, solution: Solution) -> bool:
    states = solution.compute_state, solution.bandwidth_state
    capacities = market.compute_capacity, market.bandwidth_capacity
    return all(
        set(state.regime) == {Regime.SLACK} and bool((state.use < (1.0 - _SPARE) * limit).all())
        for state, limit in zip(states, capacities, strict=True)
    )
