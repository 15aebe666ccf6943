"""Newton's method for many users at once, one user per lane of a vector register.

Instead of solving each cubic for u at every trial p (:mod:`qoex.kernels.user`), p and all u of a
user take one joint Newton step. For pair n with h, e and κ (theory, section 5) a step is

    du = −value/slope + p_u dp,  p_u = −(h − eu)/slope,

with the value and the slope of the cubic by u, and dp from p(1 + ΣQ) = μ with Q made linear in du.

What is known of a group of users lies in two flat arrays, small enough to stay in the cache: one
row of GROUP numbers per quantity, at fixed distances. Only then does the compiler see that no row
overlaps another, and keeps the loops in vector registers; for its sake conditions choose numbers
one by one, and are not combined.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from qoex.kernels import Floats, vector_kernel
from qoex.kernels.arguments import Demand, Group, Known, Prices
from qoex.kernels.user import WELFARE

GROUP = 128  # users; 10 providers' rows then take 180 KiB

# Where each row of a pair begins; ``pairs`` holds PAIR_SIZE numbers per provider.
ROOT_WORK = 0
ROOT_TRAFFIC = GROUP
BUDGET = 2 * GROUP
HEIGHT = 3 * GROUP  # h = √a x + √b y
OWN_PULL = 4 * GROUP  # e
THRESHOLD = 5 * GROUP  # t = h/κ; infinite where the pair is absent
ROOT = 6 * GROUP  # u, the root of the reward wanted, no bounds applied
# While Newton's method goes on.
STEP = 7 * GROUP  # of u, at the same p
STEP_BY_P = 8 * GROUP
# After the last step: s, its derivatives (by p, h and e), and those of Q by h and e.
SERVED = 9 * GROUP
SERVED_BY_P = 10 * GROUP
SERVED_BY_HEIGHT = 11 * GROUP
SERVED_BY_PULL = 12 * GROUP
QOE_BY_HEIGHT = 13 * GROUP
QOE_BY_PULL = 14 * GROUP
UNWANTED = 15 * GROUP  # 1 where the user wants no QoE
WORK_BY_QOE = 16 * GROUP  # of √a s, by the ΣQ that prices bring about with p held
TRAFFIC_BY_QOE = 17 * GROUP  # of √b s
PAIR_SIZE = 18 * GROUP

# Where each row of ``users`` begins.
PROFIT = 0
LOW = GROUP
HIGH = 2 * GROUP
MARGINAL = 3 * GROUP  # p
ROOT_MARGINAL = 4 * GROUP
GAIN = 5 * GROUP  # 1 + ΣQ
RISE = 6 * GROUP  # its derivative by p
BUDGETS = 7 * GROUP  # Σκ
DOUBT = 8 * GROUP  # above zero where Newton's method has not arrived
CHANGE = 9 * GROUP  # of p in the latest step
MARGINAL_BY_QOE = 10 * GROUP  # of p, by the ΣQ that prices bring about with p held
CEILING = 11 * GROUP  # root of the most that could pay: √p inside the bounds
USER_SIZE = 12 * GROUP

# A step this small, relatively, squares to less than rounding.
_LAST_STEP = 2e-8
# p may fall by this share in a step; it may rise to its bound at once.
_LARGEST_FALL = 0.7
# Share of Σκ that a user of whom nothing is known reckons to get.
_HOPED_FOR = 0.6


@vector_kernel
def prepare(
    demand: Demand, prices: Prices, known: Known, first: int, end: int, group: Group
) -> bool:
    """Fill a group with the users from first to end, warm starts included.

    Return whether nothing is known of some of them.
    """
    pairs, users = group.pairs, group.users
    providers = demand.budget.shape[0]
    count = end - first
    bounded = prices.behaviour != WELFARE  # a planner has no bounds on rewards
    # Slices of single rows are contiguous to the compiler; those of whole tables are not.
    profits = demand.profit_factor[first:end]
    lows = demand.reward_min[first:end]
    highs = demand.reward_max[first:end]
    starts = known.marginal[first:end]
    for j in range(count):
        users[PROFIT + j] = profits[j]
        users[LOW + j] = sqrt(lows[j]) if bounded else 0.0
        users[HIGH + j] = sqrt(highs[j]) if bounded else np.inf
        users[BUDGETS + j] = 0.0
        users[DOUBT + j] = 0.0
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        xn = prices.x[n]
        yn = prices.y[n]
        by_work = prices.impact[0, n]
        by_traffic = prices.impact[1, n]
        by_cross = prices.impact[2, n]
        a_row = demand.work[n, first:end]
        b_row = demand.traffic[n, first:end]
        k_row = demand.budget[n, first:end]
        for j in range(count):
            a = a_row[j]
            b = b_row[j]
            k = k_row[j]
            ra = sqrt(a)
            rb = sqrt(b)
            h = ra * xn + rb * yn
            e = a * by_work + b * by_traffic + ra * rb * by_cross
            pair[ROOT_WORK + j] = ra
            pair[ROOT_TRAFFIC + j] = rb
            pair[BUDGET + j] = k
            pair[HEIGHT + j] = h
            pair[OWN_PULL + j] = e
            pair[THRESHOLD + j] = h / k if k > 0.0 else np.inf
            users[BUDGETS + j] += k
            # An impact that eats any gain leaves the cubic without a root.
            present = 1.0 if k > 0.0 else 0.0
            users[DOUBT + j] += present if e >= k else 0.0
    cold = 0.0
    for j in range(count):
        p = starts[j]
        mu = users[PROFIT + j]
        least = mu / (1.0 + users[BUDGETS + j])
        hoped = mu / (1.0 + _HOPED_FOR * users[BUDGETS + j])
        cold += 0.0 if p > 0.0 else 1.0
        p = p if p > 0.0 else hoped
        p = p if p > least else least
        p = p if p < mu else mu
        users[MARGINAL + j] = p
        users[ROOT_MARGINAL + j] = sqrt(p)
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        row = known.wanted[n, first:end]
        if cold > 0.0:
            _guess_roots(row, starts, pair, users)
        else:
            for j in range(count):
                pair[ROOT + j] = row[j]
        for j in range(count):
            u = pair[ROOT + j]
            top = users[ROOT_MARGINAL + j]
            t = pair[THRESHOLD + j]
            u = u if u < top else top
            pair[ROOT + j] = u if u > t else t
    return cold > 0.0


@vector_kernel
def _guess_roots(wanted: Floats, marginal: Floats, pair: Floats, users: Floats) -> None:
    """Fill the roots of a pair, guessed for users of whom nothing is known.

    Without an impact u = w√p and t = τ√p with τ = 2w³/(1 + w²); a polynomial in the fourth root of
    τ gives w to 1.5 %.
    """
    for j in range(wanted.shape[0]):
        top = users[ROOT_MARGINAL + j]
        half = sqrt(pair[THRESHOLD + j] / top)
        quarter = sqrt(half)
        upper = half * (1.19926996 + 0.76091854 * half - 1.22356992 * quarter)
        guess = top * (0.26549642 * quarter + upper)
        pair[ROOT + j] = wanted[j] if marginal[j] > 0.0 else guess


@vector_kernel
def improve(prices: Prices, count: int, group: Group) -> None:
    """Take joint Newton steps until they are small, or there were too many."""
    pairs, users = group.pairs, group.users
    providers, behaviour = prices.x.shape[0], prices.behaviour
    for _ in range(prices.most_steps):
        for j in range(count):
            users[GAIN + j] = 1.0
            users[RISE + j] = 0.0
        for n in range(providers):
            pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
            if behaviour == WELFARE:
                _linearise_planned(count, pair, users)
            else:
                _linearise(count, pair, users)
        moving = _move_marginals(count, users)
        for n in range(providers):
            pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
            moving += _move_roots(behaviour, count, pair, users)
        if moving == 0.0:
            break


@vector_kernel
def _linearise(count: int, pair: Floats, users: Floats) -> None:
    """Fill the steps of u; add Q after them at the same p, and its derivative by p."""
    for j in range(count):
        p = users[MARGINAL + j]
        h = pair[HEIGHT + j]
        e = pair[OWN_PULL + j]
        k = pair[BUDGET + j]
        u = pair[ROOT + j]
        low = users[LOW + j]
        high = users[HIGH + j]
        lead = 2.0 * k - e
        value = p * h - u * (p * e - u * (h - u * lead))
        slope = u * (2.0 * h - 3.0 * lead * u) - p * e
        s = u if u > low else low
        s = s if s < high else high
        # One division for both reciprocals.
        both = 1.0 / (slope * s)
        step = -value * (both * s)
        by_p = (e * u - h) * (both * s)
        latency = h * (both * slope)
        rate = latency * (both * slope)
        pair[STEP + j] = step
        pair[STEP_BY_P + j] = by_p
        served = s > pair[THRESHOLD + j]
        rate = rate if s == u else 0.0
        users[GAIN + j] += k - latency + rate * step if served else 0.0
        users[RISE + j] += rate * by_p if served else 0.0


@vector_kernel
def _linearise_planned(count: int, pair: Floats, users: Floats) -> None:
    """Do the same where every pair is served as if its user paid p: u = √p."""
    for j in range(count):
        root = users[ROOT_MARGINAL + j]
        latency = pair[HEIGHT + j] / root
        served = root > pair[THRESHOLD + j]
        pair[STEP + j] = 0.0
        pair[STEP_BY_P + j] = 0.0
        users[GAIN + j] += pair[BUDGET + j] - latency if served else 0.0
        users[RISE + j] += 0.5 * latency / (root * root) if served else 0.0


@vector_kernel
def _move_marginals(count: int, users: Floats) -> float:
    """Move every p, note its change, and return how many moved too far to be done."""
    moving = 0.0
    for j in range(count):
        p = users[MARGINAL + j]
        mu = users[PROFIT + j]
        gain = users[GAIN + j]
        change = (mu - p * gain) / (gain + p * users[RISE + j])
        least = -_LARGEST_FALL * p
        change = change if change > least else least
        new = p + change
        new = new if new < mu else mu
        moving += 0.0 if abs(new - p) <= _LAST_STEP * p else 1.0
        users[CHANGE + j] = new - p
        users[MARGINAL + j] = new
        users[ROOT_MARGINAL + j] = sqrt(new)
    return moving


@vector_kernel
def _move_roots(behaviour: int, count: int, pair: Floats, users: Floats) -> float:
    """Move every u of a pair inside [t, √p], and return how many moved too far to be done."""
    moving = 0.0
    planned = behaviour == WELFARE
    for j in range(count):
        u = pair[ROOT + j]
        top = users[ROOT_MARGINAL + j]
        t = pair[THRESHOLD + j]
        new = u + pair[STEP + j] + pair[STEP_BY_P + j] * users[CHANGE + j]
        new = top if planned else new
        new = new if new < top else top
        new = new if new > t else t
        pair[ROOT + j] = new
        # False where the pair is absent and both are infinite.
        moving += 1.0 if abs(new - u) > _LAST_STEP * u else 0.0
    return moving
