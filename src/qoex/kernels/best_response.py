"""One user's exact best response to the rewards of the others (upper level, one player).

Hold the others' rewards. As the user's own root reward u = √R rises at one provider, the provider's
regime changes at finitely many points: a capacity begins to bind, another user drops to its floor.
In between the capacity prices are linear in u, so latency is H/u + e with constants H and e, and

    Q(u) = K − H/u,   K = κ − e.

Over all pieces Q is increasing and concave, and (p − R)Q has one maximum (theory, section 4):
on a piece it is where 2Ku³ = H(u² + p). The response at every provider rises with p, so one
equation in p, p(1 + ΣQ) = μ, settles the user.
"""

from __future__ import annotations

from math import exp, inf, log, sqrt

from qoex.kernels import Booleans, Floats, kernel
from qoex.kernels.arguments import (
    Provider,
    Response,
    ResponseScratch,
    RootDemand,
    Supply,
    Users,
    UserTerms,
)
from qoex.kernels.provider import answer, binding_prices, provider_of

_LOG_TOLERANCE = 4e-15
_MAX_STEPS = 200
# QoE below this share of the latency is rounding at the threshold, where it is zero. Taking it for
# QoE would let an idle reward jump between √p and the threshold from round to round.
_NO_QOE = 1e-12


@kernel
def response_pieces(
    m: int,
    root_reward: Floats,
    demand: RootDemand,
    provider: Provider,
    terms: UserTerms,
    floor: Booleans,
    piece: Floats,
) -> int:
    """Fill ``piece`` (rows: start u, K, H) for user m at one provider; return how many rows.

    The first row starts where the user's QoE does, or at ``low``; no row means: no QoE up to
    ``high``. root_reward[m] is scratch; ``floor`` (M booleans) is scratch.
    """
    users = root_reward.shape[0]
    root_work, root_traffic, budget = demand.work, demand.traffic, demand.budget
    compute, bandwidth = provider.compute, provider.bandwidth
    low, high = terms.low, terms.high
    ra, rb, k = float(root_work[m]), float(root_traffic[m]), float(budget[m])
    root_c, root_d = sqrt(provider.c), sqrt(provider.d)
    kept = root_reward[m]
    root_reward[m] = low
    x, y = answer(root_reward, demand, provider, floor)
    root_reward[m] = kept
    u = low
    if floor[m]:
        # At its floor the user's reward moves nothing, until it reaches the threshold.
        u = (ra * x + rb * y) / k
        floor[m] = False
        if u >= high:
            return 0
    count = 0
    while count < piece.shape[0]:
        sum_f, sum_b = 0.0, 0.0
        room_f, room_b, cross = compute, bandwidth, 0.0
        for i in range(users):
            ki = float(budget[i])
            if i != m and ki > 0.0:
                ai, bi = float(root_work[i]), float(root_traffic[i])
                if floor[i]:
                    room_f -= ai * ai / ki
                    room_b -= bi * bi / ki
                    cross += ai * bi / ki
                else:
                    ui = float(root_reward[i])
                    sum_f += ui * ai
                    sum_b += ui * bi
        x, y = binding_prices(sum_f + u * ra, sum_b + u * rb, room_f, room_b, cross, root_c, root_d)
        # A capacity at its limit binds for any further rise.
        near = 1.0 + 1e-14
        binds_f = (sum_f + u * ra + y * cross) * near >= root_c * room_f and ra > 0.0
        binds_b = (sum_b + u * rb + x * cross) * near >= root_d * room_b and rb > 0.0
        if cross > 0.0:  # one binding price lifts the other resource's use
            if binds_f and (sum_b + u * rb + x * cross) * near >= root_d * room_b:
                binds_b = True
            if binds_b and (sum_f + u * ra + y * cross) * near >= root_c * room_f:
                binds_f = True
        dx, dy = 0.0, 0.0
        if binds_f and binds_b:
            determinant = room_f * room_b - cross * cross
            dx = (room_b * ra + cross * rb) / determinant
            dy = (room_f * rb + cross * ra) / determinant
        elif binds_f:
            dx = ra / room_f
        elif binds_b:
            dy = rb / room_b
        e = ra * dx + rb * dy
        piece[count, 0] = u
        piece[count, 1] = k - e
        piece[count, 2] = max(ra * x + rb * y - e * u, 0.0)
        count += 1
        # The next point at which the regime changes.
        ahead = inf
        if not binds_f:
            rate = ra + dy * cross
            if rate > 0.0:
                ahead = min(ahead, (root_c * room_f - sum_f - u * ra - y * cross) / rate)
        if not binds_b:
            rate = rb + dx * cross
            if rate > 0.0:
                ahead = min(ahead, (root_d * room_b - sum_b - u * rb - x * cross) / rate)
        joins = -1
        if dx > 0.0 or dy > 0.0:
            for i in range(users):
                ki = float(budget[i])
                if i != m and ki > 0.0 and not floor[i]:
                    ai, bi = float(root_work[i]), float(root_traffic[i])
                    rate = ai * dx + bi * dy
                    if rate > 0.0:
                        distance = (float(root_reward[i]) * ki - ai * x - bi * y) / rate
                        if distance < ahead:
                            ahead = max(distance, 0.0)
                            joins = i
        if u + ahead >= high:
            break
        u += ahead
        if joins >= 0:
            floor[joins] = True
    return count


@kernel
def piece_reply(
    p: float,
    low: float,
    high: float,
    count: int,
    piece: Floats,
) -> tuple[float, float]:
    """Return (u, Q) at one provider, the maximiser of (p − u²)Q(u) between the bounds.

    Where no QoE is worth buying any reward up to the threshold is a best response. √p is the one
    that makes the response continuous, without which users at their threshold chase each other.
    """
    if count == 0:
        return min(max(sqrt(p), low), high), 0.0
    first = float(piece[0, 0])
    if p <= first * first and piece[0, 1] * first <= piece[0, 2] * (1.0 + _NO_QOE):
        return max(sqrt(p), low), 0.0
    for j in range(count):
        start, K, H = float(piece[j, 0]), float(piece[j, 1]), float(piece[j, 2])
        end = float(piece[j + 1, 0]) if j + 1 < count else high
        if H * (start * start + p) <= 2.0 * K * start * start * start:
            return start, max(K - H / start, 0.0) if start > 0.0 else 0.0
        if H * (end * end + p) < 2.0 * K * end * end * end:
            # One root of 2Ku³ − Hu² − pH on the piece; convex and rising there: Newton from above.
            u = end
            if u == inf or u * u > p:
                u = min(u, max(sqrt(p), start))
            for _ in range(_MAX_STEPS):
                value = u * u * (2.0 * K * u - H) - p * H
                slope = u * (6.0 * K * u - 2.0 * H)
                step = value / slope
                u -= step
                if abs(step) <= 2e-16 * u:
                    break
            u = min(max(u, start), end)
            return u, max(K - H / u, 0.0)
    last = count - 1
    return high, max(piece[last, 1] - piece[last, 2] / high, 0.0)


@kernel
def best_response(
    m: int,
    root_rewards: Floats,
    demand: RootDemand,
    supply: Supply,
    terms: UserTerms,
    p: float,
    scratch: ResponseScratch,
    found: Response,
) -> tuple[float, float]:
    """Fill the response of user m; return p = μ/(1 + ΣQ) and the utility.

    p is a warm start (0: none).
    """
    response, qoe = found.root_rewards, found.qoe
    pieces, counts = scratch.pieces, scratch.counts
    mu, low, high = terms.mu, terms.low, terms.high
    providers = demand.budget.shape[0]
    total_budget = 0.0
    for n in range(providers):
        counts[n] = 0
        if demand.budget[n, m] > 0.0:
            total_budget += demand.budget[n, m]
            counts[n] = response_pieces(
                m,
                root_rewards[n],
                RootDemand(demand.work[n], demand.traffic[n], demand.budget[n]),
                provider_of(supply, n),
                terms,
                scratch.floor,
                pieces[n],
            )
    log_mu = log(mu)
    log_low, log_high = log_mu - log(1.0 + total_budget), log_mu
    log_p = log(p) if p > 0.0 else log_low
    if not log_low <= log_p <= log_high:
        log_p = log_low
    value_low, value_high = -inf, inf  # values at the bracket's ends, for a secant step
    for step in range(_MAX_STEPS):
        p = exp(log_p)
        gain = 1.0
        for n in range(providers):
            response[n], qoe[n] = piece_reply(p, low, high, counts[n], pieces[n])
            gain += qoe[n]
        value = log_p + log(gain) - log_mu
        if abs(value) <= _LOG_TOLERANCE:
            break
        if value > 0.0:
            log_high, value_high = log_p, value
        else:
            log_low, value_low = log_p, value
        if log_high - log_low <= _LOG_TOLERANCE:
            break
        # The slope of the residual is at least one, so a full step never falls short by sign.
        trial = log_p - value
        if step % 3 == 2 and value_low > -inf and value_high < inf:
            trial = log_low - value_low * (log_high - log_low) / (value_high - value_low)
        elif step % 3 == 1 or not log_low < trial < log_high:
            trial = 0.5 * (log_low + log_high)
        log_p = trial
    utility = mu * log(gain)
    for n in range(providers):
        utility -= response[n] * response[n] * qoe[n]
    return p, utility


@kernel
def best_response_round(
    root_rewards: Floats,
    demand: RootDemand,
    supply: Supply,
    users: Users,
    marginal: Floats,
    scratch: ResponseScratch,
    found: Response,
) -> float:
    """Let users respond in turn (Gauss–Seidel); return the largest relative change of a root."""
    response = found.root_rewards
    providers = demand.budget.shape[0]
    largest = 0.0
    for m in range(demand.budget.shape[1]):
        terms = UserTerms(float(users.mu[m]), float(users.low[m]), float(users.high[m]))
        p, _ = best_response(
            m, root_rewards, demand, supply, terms, float(marginal[m]), scratch, found
        )
        marginal[m] = p
        for n in range(providers):
            if demand.budget[n, m] > 0.0:
                change = abs(response[n] - root_rewards[n, m]) / max(response[n], 1e-300)
                if change > largest:
                    largest = change
                root_rewards[n, m] = response[n]
    return largest
