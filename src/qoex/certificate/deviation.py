"""The user's half of a certificate: the best that each user can do alone, found by search.

With p = μ/(1 + ΣQ) given, a user's best reward at a provider maximises (p − R)Q(R); below p that
has one maximum, and p(1 + ΣQ) = μ has one root (theory, section 4). No derivative is used.

Every line known of a provider's prices (:mod:`qoex.certificate.answers`) bounds a deviator's QoE
κ − (√a x + √b y)/u from above. So: search over the lines known so far; look which users really are
at the floor where that ended; if this adds a line, search again. Until no line is added the utility
found is too large rather than too small: a regret is never missed, and in the end it is exact.

References:
    J. Kiefer, "Sequential minimax search for a maximum", Proceedings of the American Mathematical
    Society 4, 1953 (golden sections).

    M. Dowell, P. Jarratt, "A modified regula falsi method for computing the root of an equation",
    BIT 11, 1971 (the Illinois method).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np

from qoex.certificate.answers import Answers, IndexArray, highest
from qoex.certificate.quantities import TINY
from qoex.model.market import FloatArray, Market

# Utilities below this share of the largest profit factor (QoE of a microsecond) are not told from
# zero: rounding in κ − L, a part in 1e16 of κ, would look like regret otherwise.
LEAST_SCALE = 1e-3
# Prices that a new line raises by less than this share are as they were: some hundred roundings,
# and a hundredth of the accuracy of 1e-12 that utilities need.
_PRICE_ROUNDING = 1e-14
# Each round either ends a user's search or adds a line that is really higher somewhere; markets of
# a thousand users took three. Ending early would only overstate a regret.
_MOST_ROUNDS = 60
# Golden sections shrink a bracket of ln u, at most some 15 wide, to 4e-12: at a kink, the worst
# place, that is an error of as little in utility, and elsewhere its square.
_SECTIONS = 60
_GOLDEN = 0.5 * (5.0**0.5 - 1.0)
# On ln(p(1 + ΣQ)/μ). The utility lost is half its square times μ: far below rounding.
_MARGINAL_TOLERANCE = 1e-8
# Bracket of ln p that steps hardly split any further, where rounding hides the root.
_MARGINAL_WIDTH = 1e-13
# False position needs some ten steps; this many would do for bisection.
_MOST_MARGINAL_STEPS = 100
# Pairs searched at once: a line takes four numbers per pair, 1 MB in all, so that even ten lines
# and what is computed from them stay below 64 MB.
_BLOCK = 1 << 15


class Deviations(NamedTuple):
    """What m users have, and the most that each could have by changing its own rewards.

    Attributes:
        utility: m, money, at the rewards given, providers answering exactly (eq. 9).
        best_utility: m, money; at least ``utility``.
        best_rewards: N×m, money per ms, one user's deviation in each column; the rewards given
            where nothing better was found.
    """

    utility: FloatArray
    best_utility: FloatArray
    best_rewards: FloatArray


def best_deviations(
    market: Market,
    rewards: FloatArray,
    progress: Callable[[float], None] | None = None,
    *,
    users: IndexArray | None = None,
    roots: tuple[FloatArray, FloatArray] | None = None,
) -> Deviations:
    """Return users' best unilateral deviations, all providers answering anew (eq. 10).

    Args:
        market: N providers × M users.
        rewards: R, N×M, money per ms, finite and not negative.
        progress: called with the share of the users done, up to 1.
        users: indices of the m users to search; every user by default.
        roots: √(c + λ) and √(d + ρ), N each, of the answer to these rewards, where they are known.

    Returns:
        The deviations, accurate to about 1e-12 of the profit factor in utility; NaN throughout if
        a provider cannot serve its users at all.

    """
    answers = Answers(market, rewards, roots)
    chosen = np.arange(market.users) if users is None else users
    utility, best = np.full((2, chosen.size), np.nan)
    best_rewards = np.full((market.providers, chosen.size), np.nan)
    if np.isnan(answers.x).any():
        return Deviations(utility, best, best_rewards)
    block = max(_BLOCK // market.providers, 1)
    for first in range(0, chosen.size, block):
        last = min(first + block, chosen.size)
        places = np.arange(first, last)
        lines = answers.lines(chosen[places], answers.x[:, None], answers.y[:, None])
        for _ in range(_MOST_ROUNDS):
            some = chosen[places]
            deviators = _Deviators.of(market, answers, some, lines)
            response = deviators.best_responses()
            # By the same lines, so that rounding is the same in both.
            utility[places] = deviators.utility(deviators.reported)
            best[places] = deviators.utility(response)
            best_rewards[:, places] = response**2
            x, y = highest(lines, response)
            new = answers.lines(some, x, y)
            new_x, new_y = highest(new, response)
            raised = (new_x > x * (1.0 + _PRICE_ROUNDING)) | (new_y > y * (1.0 + _PRICE_ROUNDING))
            # Where even prices that are too low leave no QoE there is nothing to correct.
            again = (raised & (deviators.qoe(response) > 0)).any(axis=0)
            if not again.any():
                break
            places = places[again]
            lines = np.concatenate([lines[..., again], new[1:, ..., again]])
        if progress is not None:
            progress(last / chosen.size)
    gains = ~(best <= utility)  # true for NaN as well
    present, given = market.present[:, chosen], rewards[:, chosen]
    return Deviations(
        utility=utility,
        best_utility=np.where(gains, best, utility),
        best_rewards=np.where(present, np.where(gains, best_rewards, given), 0.0),
    )


class _Deviators(NamedTuple):
    """Some users and what they know of the providers; the last axis is theirs in every array.

    Attributes:
        profit_factor: μ, m.
        root_work: √a, N×m.
        root_traffic: √b, N×m.
        budget: κ, N×m.
        lowest: N×m, the least root reward worth a look: √R_min, or where QoE may begin.
        highest: √R_max, N×m.
        reported: √R at which the deviation starts, N×m.
        inside: the same, moved into the box.
        lines: J×4×N×m, as ``Answers.lines`` returns them.
    """

    profit_factor: FloatArray
    root_work: FloatArray
    root_traffic: FloatArray
    budget: FloatArray
    lowest: FloatArray
    highest: FloatArray
    reported: FloatArray
    inside: FloatArray
    lines: FloatArray

    @classmethod
    def of(cls, market: Market, answers: Answers, users: IndexArray, lines: FloatArray) -> Self:
        """Return the users of these indices."""
        shape = market.providers, users.size
        root_work, root_traffic = np.sqrt(market.work[:, users]), np.sqrt(market.traffic[:, users])
        budget = market.latency_budget[:, users]
        low = np.broadcast_to(np.sqrt(market.reward_min[users]), shape)
        high = np.broadcast_to(np.sqrt(market.reward_max[users]), shape)
        height = root_work * np.sqrt(market.compute_cost)[:, None]
        height += root_traffic * np.sqrt(market.bandwidth_cost)[:, None]
        # No price is below the unit cost, so no QoE begins before this.
        start = np.divide(height, budget, out=np.full(shape, TINY), where=budget > 0)
        reported = answers.root_rewards[:, users]
        return cls(
            profit_factor=market.profit_factor[users],
            root_work=root_work,
            root_traffic=root_traffic,
            budget=budget,
            lowest=np.clip(start, low, high),
            highest=high,
            reported=reported,
            inside=np.clip(reported, low, high),
            lines=lines,
        )

    def select(self, users: IndexArray) -> Self:
        """Return some of the users."""
        return type(self)(*(array[..., users] for array in self))

    def qoe(self, u: FloatArray) -> FloatArray:
        """Return κ − h/u (N×m, ms), QoE where positive, by the lines known; it rises with u."""
        x, y = highest(self.lines, u)
        height = self.root_work * x + self.root_traffic * y
        return self.budget - height / np.maximum(u, TINY)

    def utility(self, u: FloatArray) -> FloatArray:
        """Return U (m, money; eq. 9) by the lines known."""
        quality = np.maximum(self.qoe(u), 0.0)
        utility: FloatArray = self.profit_factor * np.log1p(quality.sum(axis=0))
        utility -= (u**2 * quality).sum(axis=0)
        return utility

    def best_responses(self) -> FloatArray:
        """Return the root rewards (N×m) that are best by the lines known.

        The root of p(1 + ΣQ) = μ is found by the Illinois variant of false position in ln p.
        """
        response = np.empty(self.budget.shape)
        bought = np.maximum(self.qoe(self.reported), 0.0).sum(axis=0)
        most = np.log1p(self.budget.sum(axis=0))
        log_mu = np.log(self.profit_factor)
        log_p = log_mu - np.log1p(bought)
        low, high = log_mu - most, log_mu.copy()
        # The residual cannot be further from zero at the ends, where it is not known yet.
        low_value, high_value = -most, most.copy()
        side = np.zeros(log_mu.size)
        todo = np.arange(log_mu.size)
        for step in range(_MOST_MARGINAL_STEPS):
            part = self.select(todo)
            response[:, todo] = part.responses_at(np.exp(log_p[todo]))
            bought = np.maximum(part.qoe(response[:, todo]), 0.0).sum(axis=0)
            value = log_p[todo] + np.log1p(bought) - log_mu[todo]
            above = value > 0
            # An end that stays put twice running counts half, or it might stay for good.
            now = np.where(above, 1.0, -1.0)
            weight = np.where(side[todo] == now, 0.5, 1.0)
            low_value[todo] = np.where(above, weight * low_value[todo], value)
            high_value[todo] = np.where(above, value, weight * high_value[todo])
            low[todo] = np.where(above, low[todo], log_p[todo])
            high[todo] = np.where(above, log_p[todo], high[todo])
            side[todo] = now
            width = high - low
            if step == 0:
                # The residual rises at least as fast as ln p, so this step ends beyond the root.
                log_p = np.clip(log_p - value, low, high)
            else:
                log_p = low + width * low_value / (low_value - high_value)
            todo = todo[(width[todo] > _MARGINAL_WIDTH) & (np.abs(value) > _MARGINAL_TOLERANCE)]
            if todo.size == 0:
                break
        return response

    def responses_at(self, p: FloatArray) -> FloatArray:
        """Return u (N×m) that maximises (p − u²)Q(u) at each provider, p (m) being given."""
        low = self.lowest
        high = np.clip(np.sqrt(p), low, self.highest)  # R > p only loses
        # κ − h/u rises and is concave, so (p − u²)(κ − h/u) has one maximum on the bracket; it
        # rises where it is negative too, so there is no plateau to get lost on.
        a, b = np.log(low), np.log(high)
        left, right = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
        left_value, right_value = self._surplus(p, np.exp(left)), self._surplus(p, np.exp(right))
        for _ in range(_SECTIONS):
            up = left_value < right_value
            a, b = np.where(up, left, a), np.where(up, b, right)
            new = np.where(up, a + _GOLDEN * (b - a), b - _GOLDEN * (b - a))
            value = self._surplus(p, np.exp(new))
            left, right = np.where(up, right, new), np.where(up, new, left)
            left_value, right_value = (
                np.where(up, right_value, value),
                np.where(up, value, left_value),
            )
        # In this order: among rewards that buy nothing the reported one is as good as any.
        candidates = np.stack([self.inside, low, high, np.exp(left), np.exp(right)])
        surplus = [(p - u**2) * np.maximum(self.qoe(u), 0.0) for u in candidates]
        best = np.argmax(surplus, axis=0)
        chosen: FloatArray = np.take_along_axis(candidates, best[None], axis=0)[0]
        return chosen

    def _surplus(self, p: FloatArray, u: FloatArray) -> FloatArray:
        """Return (p − u²)(κ − h/u), N×m, money."""
        return (p - u**2) * self.qoe(u)
