"""A user's exact best response, its regret, and the equilibrium by users responding in turn.

With the providers answering anew, the utility μ ln(1 + ΣQ) − ΣRQ (eq. 9) is not concave in a user's
rewards (Theorem 3 fails where a capacity begins to bind), but it has one maximum all the same
(theory, section 4). Responding in turn needs no system of prices to be solved, so it checks
:func:`qoex.equilibrium.solver.solve`. It is for small markets: a round takes NM² operations for
each piece that a user's response consists of, and there are one to M + 2 of them.

References:
    B. F. Hobbs, C. B. Metzler, J.-S. Pang, "Strategic gaming analysis for electric power systems:
    an MPEC approach", IEEE Transactions on Power Systems 15, 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qoex.errors import InvalidInputError
from qoex.game.outcome import outcome_of, user_utility
from qoex.game.provider import answer_feasible, check_rewards, root_demand, supply_of
from qoex.game.solution import Solution, Status, Step
from qoex.kernels.arguments import Response, ResponseScratch, Users, UserTerms
from qoex.model.feasibility import require_feasible
from qoex.model.market import FloatArray, Market

# On the largest relative change of √R in a round. A response is exact to about 1e-14. The slowest
# of some thousand random markets took 305 rounds, a contraction of 0.91: 1e-11 is left to go there.
TOLERANCE = 1e-12
MAX_ROUNDS = 2000

# A reward within this share of its threshold t² is at the threshold, where it tells the others
# whether the pair joins the floor. Rounds leave it there to about 1e-12; nothing else is so close.
THRESHOLD_TOLERANCE = 1e-9


@dataclass(frozen=True)
class BestResponse:
    """The best that one user can do against the rewards of the others.

    Attributes:
        rewards: R, N, money per ms; R_min where no QoE is bought, 0 for an absent pair.
        qoe: Q, N, ms.
        utility: U, money (eq. 9).
        marginal_gain: p = μ/(1 + ΣQ), what one more ms of QoE is worth, money per ms.
    """

    rewards: FloatArray
    qoe: FloatArray
    utility: float
    marginal_gain: float


def best_response(market: Market, rewards: FloatArray, user: int) -> BestResponse:
    """Return the best response of one user, all providers answering each trial exactly (eq. 10).

    It is unique but for pairs without QoE, where any reward up to the threshold does as well.

    Args:
        market: N providers × M users.
        rewards: R, N×M, money per ms; the user's own are not looked at.
        user: index of the user, 0 to M − 1.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: no such user, or rewards of a wrong shape, negative or not finite.
    """
    require_feasible(market)
    if not 0 <= user < market.users:
        raise InvalidInputError(f"user is {user!r}; it must be an index below {market.users}")
    game = ResponseRounds(market, check_rewards(market, rewards))
    marginal_gain, utility = game.response(user)
    wanted = np.clip(game.root_response**2, market.reward_min[user], market.reward_max[user])
    wanted = np.where(game.qoe > 0, wanted, market.reward_min[user])
    return BestResponse(
        rewards=np.where(market.present[:, user], wanted, 0.0),
        qoe=game.qoe,
        utility=utility,
        marginal_gain=marginal_gain,
    )


def regret(market: Market, rewards: FloatArray) -> FloatArray:
    """Return what each user could gain by deviating alone (M, money; zero at an equilibrium).

    The deviation is the best response of this module: good as a stop rule, whereas a certificate
    must not rest on the solver's own code.

    Args:
        market: N providers × M users.
        rewards: R, N×M, money per ms.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: rewards of a wrong shape, negative or not finite.
    """
    require_feasible(market)
    rewards = check_rewards(market, rewards)
    qoe = answer_feasible(market, rewards).qoe
    marginal = market.profit_factor / (1.0 + qoe.sum(axis=0))
    game = ResponseRounds(market, rewards)
    best = np.array([game.response(m, float(marginal[m]))[1] for m in range(market.users)])
    return np.maximum(best - user_utility(market, rewards, qoe), 0.0)


def best_response_equilibrium(
    market: Market,
    *,
    start: Solution | FloatArray | None = None,
    tolerance: float = TOLERANCE,
    max_rounds: int = MAX_ROUNDS,
    progress: Callable[[int, float], None] | None = None,
) -> Solution:
    """Return the equilibrium that users reach by responding in turn, round after round.

    A fixed point is an equilibrium (eq. 11) by definition. There may be many where a capacity is
    pinned or a reward ends exactly at its threshold, and the one found depends on the start;
    elsewhere it was the canonical one in every test.

    Args:
        market: N providers × M users.
        start: a solution, or rewards N×M in money per ms, moved into the box; without one users
            begin with the marginal gain of a user served at no latency, μ/(1 + Σκ).
        tolerance: bound on the largest relative change of √R in a round.
        max_rounds: rounds allowed.
        progress: called after every round with its number and that change.

    Returns:
        A solution whose status is CONVERGED, STEP_LIMIT or NOT_FINITE. A reward is R_min where no
        QoE is bought, except that one exactly at its threshold is kept: it shapes what the others
        gain by a deviation.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: a start of a wrong shape, negative or not finite.
    """
    require_feasible(market)
    if start is None:
        fully_served = market.profit_factor / (1.0 + market.latency_budget.sum(axis=0))
        rewards = np.broadcast_to(fully_served, market.work.shape)
    else:
        rewards = check_rewards(market, start.rewards if isinstance(start, Solution) else start)
    game = ResponseRounds(market, np.clip(rewards, market.reward_min, market.reward_max))
    marginal = np.zeros(market.users)
    trace: list[Step] = []
    status = Status.STEP_LIMIT
    while status is Status.STEP_LIMIT and len(trace) < max_rounds:
        change = game.round(marginal)
        trace.append(Step(len(trace) + 1, change))
        if progress is not None:
            progress(len(trace), change)
        if change <= tolerance:
            status = Status.CONVERGED
    solution = outcome_of(
        market,
        idle_at_least(market, game.root_rewards**2),
        status=status,
        method="best-response",
        steps=len(trace),
        trace=trace,
    )
    # A change that is not a number compares as none, and ends the rounds as well.
    if not np.isfinite(solution.user_utility).all():
        return replace(solution, status=Status.NOT_FINITE)
    return solution


def idle_at_least(market: Market, rewards: FloatArray) -> FloatArray:
    """Return the rewards (N×M), R_min where a pair is clearly below its threshold."""
    rewards = np.clip(rewards, market.reward_min, market.reward_max)
    answer = answer_feasible(market, np.where(market.present, rewards, 0.0))
    height = np.sqrt(market.work * answer.compute_price[:, None])
    height += np.sqrt(market.traffic * answer.bandwidth_price[:, None])
    # t²κ² = h², with nothing to divide by at absent pairs
    below = rewards * market.latency_budget**2 < height**2 * (1.0 - THRESHOLD_TOLERANCE)
    return np.where(below, market.reward_min, rewards)


class ResponseRounds:
    """A market as the kernels see it, and the arrays they work in.

    Attributes:
        root_rewards: √R, N×M; a round moves it in place.
        root_response: √R of the last response, N.
        qoe: Q of the last response, N, ms.
    """

    def __init__(self, market: Market, rewards: FloatArray) -> None:
        providers, users = market.work.shape
        self.root_rewards = np.sqrt(rewards)
        self.root_response, self.qoe = np.empty(providers), np.empty(providers)
        self._market = market
        self._demand = root_demand(market)
        self._supply = supply_of(market)
        low, high = np.sqrt(market.reward_min), np.sqrt(market.reward_max)
        self._users = Users(market.profit_factor, low, high)
        # Each other user joins the floor at most once and each capacity begins to bind at most
        # once: M + 2 pieces. The rest is room for events that rounding splits in two.
        pieces = np.empty((providers, 2 * users + 8, 3))
        counts, floor = np.zeros(providers, dtype=np.int64), np.zeros(users, dtype=np.bool_)
        self._scratch = ResponseScratch(pieces, counts, floor)
        self._found = Response(self.root_response, self.qoe)

    @property
    def rewards(self) -> FloatArray:
        """R (N×M, money per ms) as the rounds have left them, inside the box where pairs exist."""
        market = self._market
        inside = np.clip(self.root_rewards**2, market.reward_min, market.reward_max)
        return np.where(market.present, inside, 0.0)

    def response(self, user: int, marginal_gain: float = 0.0) -> tuple[float, float]:
        """Fill in one user's best response; return its marginal gain and its utility."""
        from qoex.kernels.best_response import best_response as response_kernel

        terms = UserTerms(*(float(values[user]) for values in self._users))
        marginal_gain, utility = response_kernel(
            user,
            self.root_rewards,
            self._demand,
            self._supply,
            terms,
            marginal_gain,
            self._scratch,
            self._found,
        )
        return float(marginal_gain), float(utility)

    def round(self, marginal: FloatArray) -> float:
        """Let all users respond in turn; return the largest relative change of √R.

        Marginal gains (M) are a warm start, and are brought up to date.
        """
        from qoex.kernels.best_response import best_response_round

        return float(
            best_response_round(
                self.root_rewards,
                self._demand,
                self._supply,
                self._users,
                marginal,
                self._scratch,
                self._found,
            )
        )
