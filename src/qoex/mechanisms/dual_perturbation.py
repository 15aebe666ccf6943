"""Algorithm 1 of the paper: dual-perturbation reward optimisation.

Providers answer the rewards; every user tries each of its rewards a step Δ up and a step down, all
else as at the start of its turn, and moves where one direction is no worse and the other no better.

Where the printed algorithm is silent, or cannot be meant as it is printed:

* *Order.* Whether users act one after another ("gauss-seidel") or all on the rewards that an
  iteration began with ("jacobi") is left open; both are here.
* *Trials stay in the box.* As printed, R ± Δ is judged outside the box as well, even where it is
  negative, and only then clipped. Here the trial itself is clipped: a user judges the reward that
  it would get.
* *Ties move up.* The printed order of the conditions is kept, so a reward so low that no trial
  buys QoE rises by Δ, until one does.
* *What the stop rule compares.* Line 27 compares utilities at the rewards stored at line 9, before
  the move; at t = 1 both are the initial ones, and the algorithm would end there. Here the
  utilities after an iteration's moves are compared with those before them.
* *A step that nobody takes*, or only pairs that buy no QoE either way, changes no utility. That
  ends the printed algorithm even where it only shows that u/t is still too long (near the
  equilibrium, at t = 1). Here such an iteration ends it only if the next step would be the same.

That rule is no certificate: with Δ = u/t utilities cease to change because steps shrink, whether or
not a user could still gain. What the result is worth is told by its regret.

References:
    H. Wu, M. Xu, Z. Xiong, L. Gao, H. Pan, D. Niyato, T.-T. Chan, "A QoE-Driven Personalized
    Incentive Mechanism Design for AIGC Services in Resource-Constrained Edge Networks"
    (Algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qoex.errors import InvalidInputError
from qoex.game.best_response import regret
from qoex.game.outcome import outcome_of
from qoex.game.provider import check_rewards, root_demand, supply_of
from qoex.game.solution import Solution, Status, Step
from qoex.kernels.arguments import Trials, Users
from qoex.model.feasibility import require_feasible
from qoex.model.market import FloatArray, Market
from qoex.model.validation import positive

Order = Literal["gauss-seidel", "jacobi"]
Stop = Literal["utility", "regret"]

# ε of line 27, on the sum of all users' changes of utility, money. Utilities of the paper's markets
# are some thousands. Of 60 of them, 1×5 to 5×25, 53 stopped by it; there the worst reward ended 1 %
# off the equilibrium's in the median and 19 % at worst, with a regret of 1e-6 and 2e-3 of the
# largest utility.
THRESHOLD = 1e-3
# One to two seconds at 5 providers and 25 users. Where pairs without QoE chatter at their threshold
# (ties move up), "jacobi" often has not ended by then.
MAX_ITERATIONS = 5000

# On the largest regret as a share of the largest |utility|, for stop="regret".
REGRET_TOLERANCE = 1e-6

# With R_min = 0 the box has no geometric middle; this share of R_max stands in for R_min. It is
# the ratio of the bounds that the sampled scenarios come with.
SMALLEST_START = 1e-5

# The trace has every iteration up to this one; later ones are at least two percent apart, which
# keeps a million iterations within some six hundred steps.
_FULL_TRACE = 200
_TRACE_RATIO = 1.02


@dataclass(frozen=True)
class Diminishing:
    """Δ_t = u/t (Appendix A, case i); u in money per ms."""

    u: float = 0.05

    def __post_init__(self) -> None:
        positive("u", self.u)

    def size(self, market: Market, iteration: int) -> FloatArray:
        """Return Δ of each user (M, money per ms) at an iteration, the first being 1."""
        return np.full(market.users, self.u / iteration)


@dataclass(frozen=True)
class Constant:
    """Δ_t = delta (Appendix A, case ii), money per ms; ends in a neighbourhood only."""

    delta: float

    def __post_init__(self) -> None:
        positive("delta", self.delta)

    def size(self, market: Market, iteration: int) -> FloatArray:
        """Return Δ of each user (M, money per ms)."""
        return np.full(market.users, self.delta)


@dataclass(frozen=True)
class Quantised:
    """Rewards on the grid R_min + i(R_max − R_min)/L, i = 0 … L, steps of one (Appendix A)."""

    levels: int

    def __post_init__(self) -> None:
        if not isinstance(self.levels, int) or self.levels < 1:
            raise InvalidInputError(f"levels is {self.levels!r}; it must be a whole number above 0")

    def size(self, market: Market, iteration: int) -> FloatArray:
        """Return Δ = (R_max − R_min)/L of each user (M, money per ms)."""
        return (market.reward_max - market.reward_min) / self.levels

    def on_grid(self, market: Market, rewards: FloatArray) -> FloatArray:
        """Return the rewards (N×M) moved to the nearest point of each user's grid."""
        span = market.reward_max - market.reward_min
        index = np.rint((rewards - market.reward_min) * self.levels / np.where(span > 0, span, 1.0))
        share = index / self.levels
        # Written so that both ends come out to the last bit, where rewards are clipped.
        return market.reward_min * (1.0 - share) + market.reward_max * share


StepRule = Diminishing | Constant | Quantised

# Called with an iteration's number and the rewards (N×M) and utilities (M) that it begins with.
Observer = Callable[[int, FloatArray, FloatArray], None]


def dual_perturbation(
    market: Market,
    *,
    step: StepRule | None = None,
    order: Order = "gauss-seidel",
    threshold: float = THRESHOLD,
    max_iterations: int = MAX_ITERATIONS,
    initial: FloatArray | None = None,
    rng: np.random.Generator | None = None,
    stop: Stop = "utility",
    regret_tolerance: float = REGRET_TOLERANCE,
    progress: Callable[[int, float], None] | None = None,
    observe: Observer | None = None,
) -> Solution:
    """Run Algorithm 1.

    Args:
        market: N providers × M users.
        step: rule of the step Δ_t; ``Diminishing()`` unless given.
        order: whether users act one after another or all at once.
        threshold: ε of line 27, money, on the sum of all users' changes of utility (see above).
        max_iterations: T of line 2.
        initial: rewards to begin with, N×M, money per ms, moved into the box.
        rng: draws the initial rewards, log-uniformly in each user's box (the paper: at random);
            with neither ``initial`` nor ``rng`` they are the geometric middle of the box.
        stop: "utility" ends by line 27; "regret" ends when no user could gain much alone.
        regret_tolerance: bound on the largest regret as a share of the largest |utility|.
        progress: called after every iteration with its number and the change of utilities.
        observe: called before every iteration with its number, the rewards R^(t) (N×M, money per
            ms) and the utilities at them (M, money); the arrays are not written to afterwards.

    Returns:
        A solution with status OWN_RULE (line 27 held), CONVERGED (the regret is small),
        STEP_LIMIT or NOT_FINITE. Residuals of its trace are the changes of utilities, money.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: initial rewards of a wrong shape, negative or not finite; or an unknown
            order or stop rule.
    """
    if order not in ("gauss-seidel", "jacobi"):
        raise InvalidInputError(f'order is {order!r}; it must be "gauss-seidel" or "jacobi"')
    if stop not in ("utility", "regret"):
        raise InvalidInputError(f'stop is {stop!r}; it must be "utility" or "regret"')
    require_feasible(market)
    rule = Diminishing() if step is None else step
    rewards = _initial_rewards(market, initial, rng)
    iteration = _Iteration(market, simultaneous=order == "jacobi")
    if isinstance(rule, Quantised):
        rewards = rule.on_grid(market, rewards)
    utility = iteration.utility(rewards)
    trace: list[Step] = []
    status = Status.STEP_LIMIT
    number = 0
    while status is Status.STEP_LIMIT and number < max_iterations:
        number += 1
        if observe is not None:
            observe(number, rewards, utility)
        rewards = iteration.moved(rewards, rule.size(market, number))
        if isinstance(rule, Quantised):
            rewards = rule.on_grid(market, rewards)
        before, utility = utility, iteration.utility(rewards)
        change = float(np.abs(utility - before).sum())
        if progress is not None:
            progress(number, change)
        if not np.isfinite(change):
            status = Status.NOT_FINITE
        elif stop == "utility":
            if change <= threshold and (change > 0.0 or not isinstance(rule, Diminishing)):
                status = Status.OWN_RULE
        elif regret(market, rewards).max() <= regret_tolerance * np.abs(utility).max():
            status = Status.CONVERGED
        ended = status is not Status.STEP_LIMIT or number == max_iterations
        if ended or number <= _FULL_TRACE or number >= _TRACE_RATIO * trace[-1].number:
            trace.append(Step(number, change))
    return outcome_of(
        market, rewards, status=status, method="dual-perturbation", steps=number, trace=trace
    )


def _initial_rewards(
    market: Market, initial: FloatArray | None, rng: np.random.Generator | None
) -> FloatArray:
    low, high = market.reward_min, market.reward_max
    if initial is not None:
        rewards = np.clip(check_rewards(market, initial), low, high)
    else:
        shape = market.work.shape
        share = np.full(shape, 0.5) if rng is None else rng.uniform(size=shape)
        lowest = np.maximum(low, SMALLEST_START * high)
        # Rounding must not lead out of the box.
        rewards = np.clip(lowest * (high / lowest) ** share, low, high)
    return np.where(market.present, rewards, 0.0)


class _Iteration:
    """Lines 3 to 26 for one market, with the arrays that the kernels work in."""

    def __init__(self, market: Market, *, simultaneous: bool) -> None:
        providers, users = market.work.shape
        self._simultaneous = simultaneous
        self._demand = root_demand(market)
        self._supply = supply_of(market)
        self._terms = Users(market.profit_factor, market.reward_min, market.reward_max)
        self._floor = np.zeros(users, dtype=np.bool_)
        self._trials = Trials(np.empty((providers, 3)), np.empty((providers, 3)))
        self._utility_scratch = np.zeros(users, dtype=np.bool_), np.empty(users), np.empty(users)

    def utility(self, rewards: FloatArray) -> FloatArray:
        """Return U of every user (M, money) at rewards (N×M), providers answering (eq. 9)."""
        from qoex.kernels.perturbation import fill_utilities

        utility = np.empty(rewards.shape[1])
        fill_utilities(
            rewards,
            self._demand,
            self._terms.mu,
            self._supply,
            *self._utility_scratch,
            utility,
        )
        return utility

    def moved(self, rewards: FloatArray, step: FloatArray) -> FloatArray:
        """Return the rewards (N×M) after all users have moved by a step (M) or stayed."""
        from qoex.kernels.perturbation import perturb

        moved = np.empty_like(rewards)
        perturb(
            rewards,
            np.sqrt(rewards),
            self._demand,
            self._supply,
            self._terms,
            step,
            self._simultaneous,
            self._floor,
            self._trials,
            moved,
        )
        return moved
