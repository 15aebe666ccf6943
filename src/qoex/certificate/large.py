"""Judging a market too large to search a best deviation for every user (eq. 10, eq. 11).

Two passes over the users bound what each can gain. At an equilibrium the bounds are as small as
rounding; users whose bound is more are *doubtful*, and those are searched like the users of a
small market, the most doubtful first, as many as the time allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qoex.certificate.deviation import best_deviations
from qoex.certificate.lines import Prices, price_lines
from qoex.certificate.passes import SecondPass, first_pass, merged, second_pass
from qoex.certificate.verdict import SURE, Verdict, conclude, most_doubtful, summarise
from qoex.game.solution import Solution
from qoex.model.market import BoolArray, FloatArray, Market

# Searching a user takes some 50 µs, so this many take seconds.
MOST_SEARCHED = 20_000
# Each round of the first pass enlarges the floor, and a few do even from a bad guess; markets made
# to need more get no certificate.
_MOST_ROUNDS = 100


class Judgement(NamedTuple):
    """What was found out about every user of a market in memory.

    Attributes:
        verdict: on the solution as a whole; its regret is the largest of ``regret``.
        regret: M, money; exact where searched, else an upper bound.
        best_rewards: N×M, money per ms; those reported where nothing better was found.
        best_utility: M, money; utility plus regret.
        bounded: M; true where regret is an upper bound.
    """

    verdict: Verdict
    regret: FloatArray
    best_rewards: FloatArray
    best_utility: FloatArray
    bounded: BoolArray


def judge(
    market: Market, solution: Solution, progress: Callable[[float], None] | None = None
) -> Judgement:
    """Judge a solution of a market in memory.

    Args:
        market: N providers × M users.
        solution: of the same shape.
        progress: called with the share of the users judged, up to 1.

    """
    states = solution.compute_state, solution.bandwidth_state
    # Numbers that are not finite mean no certificate; they are no accident here.
    with np.errstate(all="ignore"):
        guess = np.sqrt(np.stack([np.asarray(state.price, dtype=np.float64) for state in states]))
        for _ in range(_MOST_ROUNDS):
            totals = merged([first_pass(market, solution, guess)])
            prices = price_lines(totals, market, guess)
            second = second_pass(market, solution.rewards, prices.lines)
            parts = [summarise(second, totals)]
            verdict = conclude(totals, market, solution.provider_utility, prices, parts)
            if verdict.settled or not np.isfinite(prices.roots).all():
                break
            guess = prices.roots
    if np.isnan(verdict.regret):
        judgement = _nothing_known(market, verdict)
    else:
        judgement = _searched(market, solution.rewards, prices, second, verdict, progress)
    if progress is not None:
        progress(1.0)
    return judgement


def _nothing_known(market: Market, verdict: Verdict) -> Judgement:
    unknown = np.full(market.users, np.nan)
    none = np.broadcast_to(np.nan, market.work.shape)
    verdict = verdict._replace(regret=np.nan, utility_scale=np.nan)
    return Judgement(verdict, unknown, none, unknown, np.zeros(market.users, dtype=np.bool_))


def _searched(
    market: Market,
    rewards: FloatArray,
    prices: Prices,
    second: SecondPass,
    verdict: Verdict,
    progress: Callable[[float], None] | None,
) -> Judgement:
    """Search the doubtful users, and put what was found in the place of their bounds."""
    regret, best_utility = second.bound, second.utility + second.bound
    bounded = np.ones(market.users, dtype=np.bool_)
    # True for NaN as well.
    doubtful = np.flatnonzero(~(regret <= SURE * verdict.utility_scale))
    doubtful = most_doubtful(regret, doubtful, MOST_SEARCHED)
    best_rewards = rewards
    if doubtful.size:
        usable = np.where(market.present, rewards, 0.0)
        found = best_deviations(
            market, usable, progress, users=doubtful, roots=(prices.roots[0], prices.roots[1])
        )
        regret[doubtful] = found.best_utility - found.utility
        best_utility[doubtful] = found.best_utility
        bounded[doubtful] = False
        best_rewards = usable
        best_rewards[:, doubtful] = found.best_rewards
    worst = int(np.argmax(regret))
    verdict = verdict._replace(regret=float(regret[worst]), worst_user=worst)
    return Judgement(verdict, regret, best_rewards, best_utility, bounded)
