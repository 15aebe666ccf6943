"""A safeguarded Newton method in the 2N capacity prices.

A semismooth Newton method with a line search takes a handful of sweeps over the users. What can
stop it, and the remedy: a capacity that is overloaded although its price may not move yet (step
over the kink), a pair that will not settle on either side of its threshold (make it an unknown),
and in a market with hardly any room to spare a cycle between sides (start anew from rounds of best
responses, which are slow but steady; if they come to rest, their fixed point is an equilibrium).

References:
    L. Qi, J. Sun, "A nonsmooth version of Newton's method", Mathematical Programming 58, 1993.

    T. De Luca, F. Facchinei, C. Kanzow, "A semismooth equation approach to the solution of
    nonlinear complementarity problems", Mathematical Programming 75, 1996.
"""

from __future__ import annotations

import numpy as np

from qoex.equilibrium.evaluation import Evaluation, Point
from qoex.equilibrium.newton_step import lower_idle_prices, newton_step
from qoex.equilibrium.price_system import NEAR, PriceSystem
from qoex.equilibrium.restart import Restarts
from qoex.equilibrium.subsample import Sample
from qoex.game.solution import Status, Step
from qoex.model.market import BoolArray, FloatArray

# |ln(capacity/use)| that rounding alone leaves. With hardly any room to spare a price cannot be
# told to TOLERANCE from sums of doubles; then this is as good as it gets.
_ROUNDING = 2e-15
# From this sweep on a pair that crosses its threshold, and is near it, becomes an unknown; before,
# prices are too far off for the crossing to mean anything.
_FIRST_SWEEPS = 4
# Of this many users some cross all the time while prices settle, which means nothing unless a
# sweep leaves more than this share of the error. Prices respond more smoothly to many, too.
_MANY = 256
_SLOW = 0.1
# Where more pairs than this would become unknowns at once, prices are still on their way.
_MOST_AT_ONCE = 32
_BACKTRACKS = 2
# Error from which on a search goes on with the derivatives it has, as long as each step leaves no
# more than this share of the error: after two steps the cube of it is left, the tolerance.
_CLOSE = 1e-4
_FAST = 1e-2
# Steps without progress (10 % off the best merit) before a restart.
_PATIENCE = 3
# Without an impact there is no restart, so it pays to search and to wait for longer.
_DETOUR_BACKTRACKS = 6
_DETOUR_PATIENCE = 6
# Steps over the kink z = 1 that one capacity may take between restarts.
_MOST_JUMPS = 6
# Where users have no impact there are no best responses to start from. There a detour of short
# steps, taken whatever the merit, leads out of a cycle; detours and line searches take turns.
_MAX_DETOURS = 16
# By how much ln of a price rises at first, relative to ln(use/capacity).
_JUMP = 1.2
# How often a step is tried out with a sample of the users.
_TRIALS = 2
# Largest rise of z in a step: the linear model is good for a price ratio of e³, not for more.
_LONGEST = 3.0


class Search:
    """One run of the method: its counters, its trace, and the steps it chooses from.

    Attributes:
        trace: the steps so far.
        notes: what a reader must know of the result.
        restarts: rounds of best responses to start anew from, for games.
        sample: of the users, to try steps out with.
        settled_by_responses: whether they, at rest, are the result.
        exact: whether at the end no pair may cross its threshold, however few it matters to.
    """

    def __init__(
        self,
        system: PriceSystem,
        tolerance: float,
        max_sweeps: int,
        *,
        restarts: Restarts | None = None,
        sample: Sample | None = None,
    ) -> None:
        self.system = system
        self.tolerance = tolerance
        self.max_sweeps = max_sweeps
        self.trace: list[Step] = []
        self.notes: tuple[str, ...] = ()
        self.restarts = restarts
        self.sample = sample
        self.settled_by_responses = False
        self.exact = True
        self._detours = 0
        self._many = system.users.users >= _MANY
        size = system.capacity.size
        self._matrix = np.zeros((size, size))
        self._by_impact = np.zeros((size, system.users.providers))
        self._without = np.zeros(size, dtype=np.bool_)
        self._judge: Sample | None = None
        self._reset()

    def _reset(self) -> None:
        self._jumps = np.zeros(self.system.capacity.size, dtype=np.int64)
        self._best_merit, self._waited = np.inf, 0
        self._last_error = np.inf
        self._previous_error, self._slow = np.inf, False

    def run(self, point: Point) -> tuple[Status, Point, Evaluation]:
        """Return how the search from a point ended, and where."""
        system = self.system
        at = system.evaluate(point)
        while True:
            crossed = self._update_floors(point, at)
            if not np.isfinite(at.error):
                return Status.NOT_FINITE, point, at
            settled = not (crossed and self.exact) or self._crossing_is_idle(point, at)
            if settled and self._holds(point, at):
                return Status.CONVERGED, point, at
            if system.sweeps >= self.max_sweeps:
                return Status.STEP_LIMIT, point, at
            if self._add_marginal_pairs(point, at):
                at = system.evaluate(point)
                continue
            without = at.by_impact if at.has_derivatives else self._without
            if (without & (at.slack[: point.z.size] < 0)).any():
                # Nothing is known of how a capacity is relieved that was not expected to fill.
                at = system.evaluate(point)
                continue
            if self._is_stalled(at):
                self._reset()
                system.users.forget_crossings()
                if not system.strategic:
                    self._detours += 1
                    if self._detours > _MAX_DETOURS:
                        return Status.STALLED, point, at
                    continue
                if self.restarts is None or self.restarts.given_up:
                    return Status.STALLED, point, at
                if self.restarts.exhausted:
                    self.settled_by_responses = True
                    self.notes = (
                        "found by best responses: an equilibrium, not necessarily the "
                        "canonical one",
                    )
                    return Status.CONVERGED, point, at
                point = self.restarts.next(point)
                at = system.evaluate(point)
                continue
            if at.has_derivatives:
                self._matrix = system.jacobian(point, at)
                self._by_impact = system.slack_by_impact(at)
                self._without = at.by_impact
                self._judge = self._sampled(point, at)
            matrix = self._matrix
            slack = self._slack_after(point, at)
            stuck = self._stuck_below_price(point, at, matrix)
            if stuck.any():
                # Past the kink at once: use falls a little more slowly than the price rises.
                rise = np.minimum(-_JUMP * at.slack[: point.z.size], _LONGEST)
                point.z = np.where(stuck, 1.0 + (rise if self._many else 0.0), point.z)
                self._jumps += stuck
                at = system.evaluate(point)
                continue
            step = newton_step(system, point, slack, matrix)
            if self._judge is not None:
                step = self._bent(self._judge, point, slack, step)
            lower_idle_prices(system, point, at, step)
            if self._detours % 2:
                point = self._moved(point, step * self._short(step))
                at = system.evaluate(point)
            else:
                point, at = self._line_search(point, at, step)

    def _slack_after(self, point: Point, at: Evaluation) -> FloatArray:
        """Return the slack that the sweep would have found with the floors as they are now.

        The floors move after a sweep, and the impact of the users with them. Few users hardly
        differ in their floors from one sweep to the next, unless they do by much.
        """
        slack = at.slack.copy()
        if self._many and at.error < NEAR:
            slack[: point.z.size] += self._by_impact @ self.system.growth_of_impact(point, at)
        return slack

    def _crossing_is_idle(self, point: Point, at: Evaluation) -> bool:
        """Return whether it would not be felt if the pairs that crossed counted where they are.

        They change the impact by their share of all floors, and that the prices by far less.
        """
        if not (self._many and self.system.strategic) or point.alpha.size:
            return False
        growth = self.system.growth_of_impact(point, at)
        told = self._by_impact.any(axis=0)
        if growth[~told].any():
            return False
        error = at.error + np.abs(self._by_impact @ growth).max()
        return bool(error <= self.tolerance)

    def _sampled(self, point: Point, at: Evaluation) -> Sample | None:
        """Return the sample, at this point too, if it tells how all users answer to a step."""
        smooth = at.prices.directions.shape[0] == 2  # nothing sits at a kink
        if self.sample is None or not (self.sample.tells and smooth and at.error < NEAR):
            return None
        self.sample.linearise(point)
        return self.sample

    def _bent(
        self, sample: Sample, point: Point, slack: FloatArray, step: FloatArray
    ) -> FloatArray:
        """Return a step corrected by what the sample finds after it that derivatives do not tell.

        Of the square of the error it leaves what the sample cannot tell, a tenth or less.
        """
        here = sample.slack(point)
        for _ in range(_TRIALS):
            there = self._moved(point, step)
            bend = sample.curvature(here, there, there.z - point.z)
            if not np.isfinite(bend).all():
                return step
            step = newton_step(self.system, point, slack + bend, self._matrix)
        return step

    def _holds(self, point: Point, at: Evaluation) -> bool:
        if at.error <= self.tolerance:
            return True
        capacities = point.z.size
        in_use = point.z - self.system.lower > at.slack[:capacities]
        left = np.where(in_use, at.slack[:capacities], at.residual[:capacities])
        left = np.append(left, at.residual[capacities:])
        return bool(np.abs(left).max() <= _ROUNDING)

    def _update_floors(self, point: Point, at: Evaluation) -> int:
        """Move the point's floors to where the users want them; return how many pairs cross."""
        point.floors = at.unwanted.copy()
        self._slow = not at.error < _SLOW * self._previous_error
        self._previous_error = at.error
        if at.crossed:
            self.system.users.accept()
        notes = [f"{at.crossed} pairs crossed their threshold"] if at.crossed else []
        if self.system.marginal_pairs:
            notes.append(f"{len(self.system.marginal_pairs)} marginal pairs")
        self.trace.append(Step(self.system.sweeps, at.error, ", ".join(notes)))
        return at.crossed

    def _add_marginal_pairs(self, point: Point, at: Evaluation) -> bool:
        system = self.system
        if not system.strategic or system.sweeps <= _FIRST_SWEEPS:
            return False
        if not 0 < at.near_count <= _MOST_AT_ONCE or (self._many and not self._slow):
            return False
        for pair in at.near:
            system.add_marginal_pair(point, pair)
        return True

    def _is_stalled(self, at: Evaluation) -> bool:
        if at.merit < 0.9 * self._best_merit:
            self._best_merit, self._waited = at.merit, 0
        else:
            self._waited += 1
        patience = _PATIENCE if self.system.strategic else _DETOUR_PATIENCE
        return bool(self._waited > patience)

    def _stuck_below_price(self, point: Point, at: Evaluation, matrix: FloatArray) -> BoolArray:
        """Return the capacities that even ω = 1 leaves overloaded, by the linear model."""
        size = point.z.size
        slack = at.slack[:size]
        reach = np.diag(matrix)[:size] * (1.0 - point.z)
        stuck: BoolArray = ~self.system.priced(point, at) & (slack < 0) & (reach < -slack)
        stuck &= self._jumps <= _MOST_JUMPS
        return stuck

    def _short(self, step: FloatArray) -> float:
        """Return the share of a step to take on a detour; each detour goes more slowly."""
        return min(1.0, 0.5**self._detours / max(float(np.abs(step).max()), 1e-300))

    def _line_search(
        self, point: Point, at: Evaluation, step: FloatArray
    ) -> tuple[Point, Evaluation]:
        """Return the first point along the step that lowers the merit, or else the best tried."""
        best: tuple[Point, Evaluation] | None = None
        length = 1.0
        close = self._is_close(at)
        backtracks = _BACKTRACKS if self.system.strategic else _DETOUR_BACKTRACKS
        for _ in range(backtracks + 1):
            trial = self._moved(point, length * step)
            kink = self.system.strategic and bool((trial.z == 1.0).any())
            there = self.system.evaluate(trial, derivatives=kink or not close)
            if best is None or not best[1].merit <= there.merit:
                best = trial, there
            if there.merit <= (1.0 - 1e-4 * length) * at.merit:
                break
            length *= 0.5
        assert best is not None
        if best[0] is not trial:  # the users remember the last sweep only
            best = best[0], self.system.evaluate(best[0])
        return best

    def _is_close(self, at: Evaluation) -> bool:
        """Return whether the derivatives at hand will do for all steps that are left.

        With an error of ε they take the next steps to about ε² and ε³.
        """
        fast = at.has_derivatives or at.error < _FAST * self._last_error
        self._last_error = at.error
        told = self.sample is not None and self.sample.tells  # how the derivatives change
        keep = told or not self._many
        return keep and at.error < _CLOSE and fast and not self.system.marginal_pairs

    def _moved(self, point: Point, step: FloatArray) -> Point:
        """Return the point moved by a step that stops at the kink z = 1 and at the bounds."""
        size = point.z.size
        z = np.clip(point.z + step[:size], self.system.lower, point.z + _LONGEST)
        over_kink = ((point.z < 1.0) & (z > 1.0)) | ((point.z > 1.0) & (z < 1.0))
        moved = point.copy()
        moved.z = np.where(over_kink, 1.0, z)
        moved.alpha = np.clip(point.alpha + step[size:], 0.0, 1.0)
        return moved
