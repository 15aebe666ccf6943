"""The second pass over the users, compiled: a bound on what each can gain by other rewards.

With p = μ/(1 + ΣQ) at the reported rewards, concavity of ln bounds a user's gain by the sum over
providers of what (p − r)Q(r) can gain (theory, section 9). Every line of a provider's prices gives
Q ≤ K − H/u with K = κ − e, H = h − eu₀, u = √r, and g(u) = (p − u²)(K − H/u) is concave: up to √p

    g − g(u₀) ≤ g′(u₀)(u − u₀) − (K + H/√p)(u − u₀)² ≤ g′(u₀)²/(4(K + H/√p)).
"""

from __future__ import annotations

import numpy as np

from qoex.certificate.quantities import MARGINAL, TILE, TINY
from qoex.kernels import BLOCK, Floats, vector_kernel

# A pair that these prices put on the other side of its threshold than those of the sums did, by
# less than this share, is there by rounding.
_ROUNDING = 1e-14


@vector_kernel
def _heights(a: Floats, b: Floats, x: float, y: float, h: Floats) -> None:
    for j in range(a.size):
        h[j] = np.sqrt(a[j]) * x + np.sqrt(b[j]) * y


@vector_kernel
def _pulls(a: Floats, b: Floats, e1: float, e2: float, e3: float, e: Floats) -> None:
    for j in range(a.size):
        e[j] = a[j] * e1 + b[j] * e2 + np.sqrt(a[j] * b[j]) * e3


@vector_kernel
def _root_rewards(k: Floats, rewards: Floats, u: Floats) -> None:
    for j in range(k.size):
        u[j] = np.sqrt(rewards[j] if k[j] > 0.0 else 0.0)


@vector_kernel
def _quality(k: Floats, h: Floats, u: Floats, q: Floats) -> None:
    """Write Q = κ − h/u, but −1 where the pair is at its floor and has none."""
    for j in range(k.size):
        got = k[j] - h[j] / (u[j] if u[j] > TINY else TINY)
        q[j] = -1.0 if u[j] * k[j] < h[j] else (got if got > 0.0 else 0.0 * got)


@vector_kernel
def _buy(u: Floats, q: Floats, bought: Floats, paid: Floats) -> None:
    for j in range(u.size):
        got = 0.0 if q[j] == -1.0 else q[j]
        bought[j] += got
        paid[j] += u[j] * u[j] * got


@vector_kernel
def _strays(k: Floats, h: Floats, guess: Floats, u: Floats) -> float:
    """Return how many pairs the prices put on the other side of the floor than the guess did."""
    strays = 0.0
    for j in range(k.size):
        offer = u[j] * k[j]
        moved = (offer < h[j]) != (offer < guess[j])
        strays += 1.0 if moved & (abs(offer - h[j]) > _ROUNDING * h[j]) else 0.0
    return strays


@vector_kernel
def _gain(
    slope: float, k: float, q: float, e: float, u: float, p: float, low: float, high: float
) -> float:
    """Return a bound on the gain by a reward above the floor; p, low and high are roots."""
    # Beyond √p a reward only loses.
    top = high if high < p else p
    room = top - u if slope > 0.0 else u - low
    room = room if room > 0.0 else 0.0
    bend = k - e + u * (k - q - e) / p
    linear = abs(slope) * room
    quadratic = slope * slope / (4.0 * bend) if bend > 0.0 else np.inf
    gain = linear if linear < quadratic else quadratic
    gain = 0.0 if slope == 0.0 else gain
    # Who pays more than p gains by paying less: all that it pays too much, and what the best
    # reward below p is worth, which the line's slope at √p bounds.
    rest = p - low if p > low else 0.0
    over = (u * u - p * p) * q + 2.0 * p * q * rest
    over = over if (u > low) & (q > 0.0) else 0.0
    return over if u > p else gain


@vector_kernel
def _gains(
    k: Floats,
    q: Floats,
    e: Floats,
    u: Floats,
    p: Floats,
    low: Floats,
    high: Floats,
    bound: Floats,
) -> None:
    """Add the bound where a single line passes through the prices; p, low and high are roots."""
    for j in range(k.size):
        # g′(u), by h/u = κ − Q; nothing is lost or won at the floor.
        lead = (p[j] * p[j] - u[j] * u[j]) / (u[j] if u[j] > TINY else TINY)
        slope = lead * (k[j] - q[j] - e[j]) - 2.0 * u[j] * q[j]
        slope = 0.0 if (q[j] == -1.0) | (k[j] == 0.0) else slope
        bound[j] += _gain(slope, k[j], q[j], e[j], u[j], p[j], low[j], high[j])


@vector_kernel
def _kinked_gains(
    a: Floats,
    b: Floats,
    k: Floats,
    q: Floats,
    h: Floats,
    u: Floats,
    p: Floats,
    low: Floats,
    high: Floats,
    line: Floats,
    bound: Floats,
) -> None:
    """Add the bound where lines of different slopes meet: that of the best mix of them."""
    for j in range(k.size):
        if q[j] == -1.0 or k[j] == 0.0:
            continue
        root_a, root_b = np.sqrt(a[j]), np.sqrt(b[j])
        cross = root_a * root_b
        least = a[j] * line[5] + b[j] * line[6] + cross * line[7]
        own = a[j] * line[8] + b[j] * line[9] + cross * line[10]
        largest = a[j] * line[11] + b[j] * line[12] + cross * line[13]
        # Lines that count this very pair as at the floor are not lines of its own deviations.
        guess = root_a * line[2] + root_b * line[3]
        if u[j] * k[j] < max(guess, h[j]) * (1.0 + 2.0 * MARGINAL):
            own = largest = least
        lead = (p[j] * p[j] - u[j] * u[j]) / max(u[j], TINY)
        spent = 2.0 * u[j] * q[j]
        slope_least = lead * (k[j] - q[j] - least) - spent
        slope_own = lead * (k[j] - q[j] - own) - spent
        slope_largest = lead * (k[j] - q[j] - largest) - spent
        slope = 0.0 * slope_own
        if slope_largest > 0.0:
            slope = slope_largest
        elif slope_least < 0.0:
            slope = slope_least
        short = max(lead, 0.0) * (root_a * line[14] + root_b * line[15])
        mixed = _gain(slope, k[j], q[j], largest, u[j], p[j], low[j], high[j]) + short
        alone = _gain(slope_own, k[j], q[j], own, u[j], p[j], low[j], high[j])
        bound[j] += mixed if mixed < alone else alone


@vector_kernel
def _tempted(k: Floats, q: Floats, h: Floats, p: Floats, high: Floats) -> float:
    """Return how many pairs at the floor are worth more to their user than where QoE begins."""
    count = 0.0
    for j in range(k.size):
        tempted = (p[j] * k[j] > h[j]) & (high[j] * k[j] > h[j]) & (q[j] == -1.0)
        count += 1.0 if tempted else 0.0
    return count


@vector_kernel
def _floor_gains(k: Floats, q: Floats, h: Floats, p: Floats, high: Floats, bound: Floats) -> None:
    """Add what pairs at the floor can gain: prices are no lower beyond it, so e ≥ 0."""
    for j in range(k.size):
        top = min(p[j], high[j]) * k[j]
        if q[j] == -1.0 and p[j] * k[j] > h[j] and top > h[j]:
            worth = (p[j] * k[j] - h[j]) * (p[j] * k[j] + h[j])
            bound[j] += worth * (top - h[j]) / (h[j] * k[j])


@vector_kernel
def second_blocks(
    first: int,
    last: int,
    work: Floats,
    traffic: Floats,
    budget: Floats,
    profit_factor: Floats,
    reward_min: Floats,
    reward_max: Floats,
    rewards: Floats,
    lines: Floats,
    bound: Floats,
    utility: Floats,
    strays: Floats,
) -> None:
    """Bound the regret of the users of some blocks.

    Args:
        first: index of the first block.
        last: index behind the last block.
        work: a, N×m, and so on: the chunk's part of the market and of what was reported.
        traffic: b, N×m.
        budget: κ, N×m.
        profit_factor: μ, m.
        reward_min: m.
        reward_max: m.
        rewards: R, N×m, as reported.
        lines: N×16, in the order of ``COLUMNS``.
        bound: m, money, filled: no user gains more by other rewards.
        utility: m, money, filled: at the rewards reported, providers answering exactly.
        strays: blocks×N, filled: pairs on the wrong side of the floor.
    """
    providers, users = work.shape
    # Arrays of their own: of views of one the compiler would not know that they do not overlap.
    h, u = np.empty((providers, TILE)), np.empty((providers, TILE))
    q = np.empty((providers, TILE))
    e, guess, bought, paid = np.empty(TILE), np.empty(TILE), np.empty(TILE), np.empty(TILE)
    root_p, root_low, root_high = np.empty(TILE), np.empty(TILE), np.empty(TILE)
    for i in range(first, last):
        strays[i] = 0.0
        for start in range(i * BLOCK, min(i * BLOCK + BLOCK, users), TILE):
            stop = min(start + TILE, users)
            size = stop - start
            mu = profit_factor[start:stop]
            low, high, roots = root_low[:size], root_high[:size], root_p[:size]
            for j in range(size):
                bought[j] = paid[j] = 0.0
            for n in range(providers):
                a, b, k = work[n, start:stop], traffic[n, start:stop], budget[n, start:stop]
                hn, un, qn, line = h[n, :size], u[n, :size], q[n, :size], lines[n]
                _heights(a, b, line[0], line[1], hn)
                _root_rewards(k, rewards[n, start:stop], un)
                _quality(k, hn, un, qn)
                _buy(un, qn, bought[:size], paid[:size])
                # A guess that is NaN is not the same as any price.
                same = abs(line[0] - line[2]) <= _ROUNDING * line[0]
                if not (same and abs(line[1] - line[3]) <= _ROUNDING * line[1]):
                    _heights(a, b, line[2], line[3], guess[:size])
                    strays[i, n] += _strays(k, hn, guess[:size], un)
            for j in range(size):
                root_p[j] = np.sqrt(mu[j] / (1.0 + bought[j]))
                root_low[j] = np.sqrt(reward_min[start + j])
                root_high[j] = np.sqrt(reward_max[start + j])
                utility[start + j] = mu[j] * np.log(1.0 + bought[j]) - paid[j]
                # Zero, or NaN if utility is.
                bound[start + j] = 0.0 * utility[start + j]
            total = bound[start:stop]
            for n in range(providers):
                a, b, k = work[n, start:stop], traffic[n, start:stop], budget[n, start:stop]
                hn, un, qn, line = h[n, :size], u[n, :size], q[n, :size], lines[n]
                if line[4] > 0.0:
                    _kinked_gains(a, b, k, qn, hn, un, roots, low, high, line, total)
                else:
                    _pulls(a, b, line[8], line[9], line[10], e[:size])
                    _gains(k, qn, e[:size], un, roots, low, high, total)
                if _tempted(k, qn, hn, roots, high) > 0.0:
                    _floor_gains(k, qn, hn, roots, high, total)
