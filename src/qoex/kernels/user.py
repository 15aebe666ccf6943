"""One user's own problem at given capacity prices.

A user sees its provider n through five numbers: the capacity prices x and y, and the impact
coefficients E = (E1, E2, E3), with which e = aE1 + bE2 + √(ab)E3 is the user's own impact on the
prices, e = √a dx/du + √b dy/du for u = √R. Write h = √a x + √b y, so that latency is h/u. At a
given marginal gain p = μ/(1 + ΣQ) the first-order condition (p − R)Q′ = Q is one cubic in u:

    ph − pe u + h u² − (2κ − e)u³ = 0   on (t, √p),  t = h/κ.

It is decreasing and concave there, so Newton's method needs no safeguard. The outer equation
p(1 + ΣQ(p)) = μ is increasing in p.
"""

from __future__ import annotations

from math import exp, log, sqrt

from qoex.kernels import Floats, kernel
from qoex.kernels.arguments import Prices, RootDemand, UserTerms

# Newton stops when ln p is right to a few units in the last place of a double near ln μ.
_LOG_TOLERANCE = 4e-15
_MAX_NEWTON = 100

STRATEGIC = 0  # the user solves the cubic (price-taking when E = 0)
WELFARE = 1  # every pair is served as if the user paid p (theory, section 10)


@kernel
def offer(
    p: float,
    h: float,
    e: float,
    budget: float,
    guess: float,
) -> float:
    """Return u on (t, √p), the root of the first-order cubic; needs p > t² and e < κ."""
    t = h / budget
    top = sqrt(p)
    u = guess
    if not t < u <= top:
        # With e = 0 the root lies right of this point; it is close where latency is small.
        u = min(max((0.5 * p * h / budget) ** (1.0 / 3.0), t), top)
    lead = 2.0 * budget - e
    for _ in range(_MAX_NEWTON):
        value = p * h - u * (p * e - u * (h - u * lead))
        slope = -p * e + u * (2.0 * h - 3.0 * lead * u)
        step = value / slope
        u -= step
        if u < t:  # rounding only: the cubic is not negative at t
            return t
        if abs(step) <= 2e-16 * u:
            break
    return u


@kernel
def pair_reply(
    p: float,
    h: float,
    e: float,
    budget: float,
    low: float,
    high: float,
    guess: float,
    behaviour: int,
    out: Floats,
) -> None:
    """Fill out with (v, s, ∂s/∂p, ∂s/∂h, ∂s/∂e, Q) of one pair at marginal gain p.

    v is the root of the reward wanted (below t it means: no QoE wanted), s = max(v, t).
    """
    t = h / budget
    dp = 0.0
    dh = 0.0
    de = 0.0
    root_p = sqrt(p)
    if behaviour == WELFARE:
        v = root_p
        dp = 0.5 / root_p
    elif root_p <= t:
        v = min(max(root_p, low), high)
    elif e >= budget:
        # The user's own impact eats any gain: it stays where its QoE starts.
        v = min(max(t, low), high)
    else:
        v = offer(p, h, e, budget, guess)
        if v < low:
            v = low
        elif v > high:
            v = high
        else:
            slope = -p * e + v * (2.0 * h - 3.0 * (2.0 * budget - e) * v)
            dp = -(h - e * v) / slope
            dh = -(p + v * v) / slope
            de = v * (p - v * v) / slope
    if v <= t:
        out[0] = v
        out[1] = t
        out[2] = 0.0
        out[3] = 1.0 / budget
        out[4] = 0.0
        out[5] = 0.0
    else:
        out[0] = v
        out[1] = v
        out[2] = dp
        out[3] = dh
        out[4] = de
        out[5] = budget - h / v


@kernel
def user_reply(
    m: int,
    demand: RootDemand,
    terms: UserTerms,
    prices: Prices,
    wanted: Floats,
    p: float,
    out: Floats,
) -> float:
    """Solve user m's own problem; fill ``out`` (N×7: pair_reply's six numbers and h), return p."""
    providers = demand.budget.shape[0]
    impact = prices.impact
    total_budget = 0.0
    for n in range(providers):
        total_budget += float(demand.budget[n, m])
    log_mu = log(terms.mu)
    log_low = log_mu - log(1.0 + total_budget)
    log_high = log_mu
    log_p = log(p) if p > 0.0 else 0.5 * (log_low + log_high)
    if not log_low <= log_p <= log_high:
        log_p = 0.5 * (log_low + log_high)
    for _ in range(_MAX_NEWTON):
        p = exp(log_p)
        gain = 1.0
        rise = 0.0
        for n in range(providers):
            k = float(demand.budget[n, m])
            if k > 0.0:
                ra = float(demand.work[n, m])
                rb = float(demand.traffic[n, m])
                h = ra * float(prices.x[n]) + rb * float(prices.y[n])
                e = ra * ra * impact[0, n] + rb * rb * impact[1, n] + ra * rb * impact[2, n]
                pair_reply(
                    p,
                    h,
                    float(e),
                    k,
                    terms.low,
                    terms.high,
                    float(wanted[n, m]),
                    prices.behaviour,
                    out[n],
                )
                wanted[n, m] = out[n, 0]
                out[n, 6] = h
                gain += float(out[n, 5])
                s = float(out[n, 1])
                rise += h / (s * s) * float(out[n, 2])
        value = log_p + log(gain) - log_mu
        if value > 0.0:
            log_high = log_p
        else:
            log_low = log_p
        if abs(value) <= _LOG_TOLERANCE or log_high - log_low <= _LOG_TOLERANCE:
            break
        log_p -= value / (1.0 + p * rise / gain)
        if not log_low < log_p < log_high:
            log_p = 0.5 * (log_low + log_high)
    return p


@kernel
def user_response(
    m: int,
    demand: RootDemand,
    terms: UserTerms,
    prices: Prices,
    wanted: Floats,
    p: float,
    out: Floats,
    response: Floats,
) -> None:
    """Fill response (5N) with the derivative of p by (x, y, E1, E2, E3) of each provider.

    wanted (N×M) and p solve the user's problem at these prices; out (N×7) is scratch.
    """
    providers = demand.budget.shape[0]
    impact = prices.impact
    gain = 1.0
    rise = 0.0
    for n in range(providers):
        k = float(demand.budget[n, m])
        if k > 0.0:
            ra = float(demand.work[n, m])
            rb = float(demand.traffic[n, m])
            h = ra * float(prices.x[n]) + rb * float(prices.y[n])
            e = ra * ra * impact[0, n] + rb * rb * impact[1, n] + ra * rb * impact[2, n]
            pair_reply(
                p,
                h,
                float(e),
                k,
                terms.low,
                terms.high,
                float(wanted[n, m]),
                prices.behaviour,
                out[n],
            )
            out[n, 6] = h
            s = float(out[n, 1])
            gain += float(out[n, 5])
            rise += h / (s * s) * float(out[n, 2])
    # QoE falls as prices rise, so p rises.
    scale = -p / (gain + p * rise)
    for n in range(providers):
        base = 5 * n
        for j in range(5):
            response[base + j] = 0.0
        if demand.budget[n, m] > 0.0 and out[n, 0] > out[n, 6] / demand.budget[n, m]:
            ra = float(demand.work[n, m])
            rb = float(demand.traffic[n, m])
            s = float(out[n, 1])
            slope = float(out[n, 6]) / (s * s)
            by_h = scale * (slope * float(out[n, 3]) - 1.0 / s)
            by_e = scale * slope * float(out[n, 4])
            response[base] = by_h * ra
            response[base + 1] = by_h * rb
            response[base + 2] = by_e * ra * ra
            response[base + 3] = by_e * rb * rb
            response[base + 4] = by_e * ra * rb
