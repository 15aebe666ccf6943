"""How what users take answers to prices: derivatives of a group of users at their responses."""

from __future__ import annotations

from qoex.kernels import Floats, vector_kernel
from qoex.kernels.adding import add
from qoex.kernels.arguments import Answers, Group, Prices
from qoex.kernels.joint import (
    BUDGET,
    BUDGETS,
    DOUBT,
    GAIN,
    GROUP,
    HEIGHT,
    HIGH,
    LOW,
    MARGINAL,
    MARGINAL_BY_QOE,
    OWN_PULL,
    PAIR_SIZE,
    PROFIT,
    QOE_BY_HEIGHT,
    QOE_BY_PULL,
    RISE,
    ROOT,
    ROOT_TRAFFIC,
    ROOT_WORK,
    SERVED,
    SERVED_BY_HEIGHT,
    SERVED_BY_P,
    SERVED_BY_PULL,
    THRESHOLD,
    TRAFFIC_BY_QOE,
    WORK_BY_QOE,
)
from qoex.kernels.user import WELFARE

# Relative error that is left to the vector code; far below what prices are wanted to.
_ACCURACY = 1e-13
_ROUNDING = 4e-16


@vector_kernel
def linearise(prices: Prices, count: int, group: Group, answers: Answers) -> None:
    """Judge each user's response; fill how s answers to p and the prices, and p to the prices.

    MARGINAL_BY_QOE becomes the factor that turns the derivatives of ΣQ into those of p.
    """
    pairs, users = group.pairs, group.users
    qoe, own, directions = answers.qoe, answers.own, prices.directions
    providers = own.shape[2]
    for j in range(count):
        users[GAIN + j] = 1.0
        users[RISE + j] = 0.0
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        _differentiate(prices.behaviour == WELFARE, count, pair, users)
        for c in range(directions.shape[0]):
            row = qoe[(c * providers + n) * GROUP : (c * providers + n + 1) * GROUP]
            x = directions[c, 0, n]
            y = directions[c, 1, n]
            by_work = directions[c, 2, n]
            by_traffic = directions[c, 3, n]
            by_cross = directions[c, 4, n]
            total_f = 0.0
            total_b = 0.0
            for j in range(count):
                ra = pair[ROOT_WORK + j]
                rb = pair[ROOT_TRAFFIC + j]
                height = ra * x + rb * y
                impact = ra * (ra * by_work + rb * by_cross) + rb * rb * by_traffic
                row[j] = pair[QOE_BY_HEIGHT + j] * height + pair[QOE_BY_PULL + j] * impact
            # Apart from what is stored: else whether arrays lie close would decide on the order.
            for j in range(count):
                ra = pair[ROOT_WORK + j]
                rb = pair[ROOT_TRAFFIC + j]
                height = ra * x + rb * y
                impact = ra * (ra * by_work + rb * by_cross) + rb * rb * by_traffic
                change = pair[SERVED_BY_HEIGHT + j] * height + pair[SERVED_BY_PULL + j] * impact
                total_f += ra * change
                total_b += rb * change
            own[c, 0, n] = total_f
            own[c, 1, n] = total_b
    for j in range(count):
        p = users[MARGINAL + j]
        gain = users[GAIN + j]
        # κ − L cancels: what rounding makes of it no method can better.
        allowed = _ACCURACY * gain + _ROUNDING * users[BUDGETS + j]
        error = abs(gain - users[PROFIT + j] / p)
        users[DOUBT + j] += 0.0 if error <= allowed else 1.0
        users[MARGINAL_BY_QOE + j] = -p / (gain + p * users[RISE + j])


@vector_kernel
def _differentiate(planned: bool, count: int, pair: Floats, users: Floats) -> None:
    """Fill s and the derivatives of s and Q of one provider's pairs, from u and p."""
    for j in range(count):
        p = users[MARGINAL + j]
        h = pair[HEIGHT + j]
        e = pair[OWN_PULL + j]
        k = pair[BUDGET + j]
        u = pair[ROOT + j]
        t = pair[THRESHOLD + j]
        low = users[LOW + j]
        high = users[HIGH + j]
        s = u if u > low else low
        s = s if s < high else high
        served = s > t
        free = 1.0 if u > low else 0.0
        free = free if u < high else 0.0
        free = free if served else 0.0
        lead = 2.0 * k - e
        value = 0.0 if planned else p * h - u * (p * e - u * (h - u * lead))
        slope = -2.0 * p if planned else u * (2.0 * h - 3.0 * lead * u) - p * e
        # One division for 1/s and 1/slope, or for 1/κ.
        both = 1.0 / (slope * s if served else k)
        inverse = both * slope
        over = both * s
        rate = h * inverse * inverse
        by_p = -u * over if planned else (e * u - h) * over
        by_h = 0.0 if planned else -(p + u * u) * over
        by_e = 0.0 if planned else u * (p - u * u) * over
        by_p = by_p if free > 0.0 else 0.0
        by_h = by_h if free > 0.0 else 0.0
        by_e = by_e if free > 0.0 else 0.0
        wrong = 1.0 if abs(value * over) > _ACCURACY * u else 0.0
        users[GAIN + j] += k - h * inverse if served else 0.0
        users[RISE + j] += rate * by_p if served else 0.0
        users[DOUBT + j] += wrong if free > 0.0 else 0.0
        pair[SERVED + j] = s if served else (t if k > 0.0 else 0.0)
        pair[SERVED_BY_P + j] = by_p
        pair[SERVED_BY_HEIGHT + j] = by_h if served else (both if k > 0.0 else 0.0)
        pair[SERVED_BY_PULL + j] = by_e
        pair[QOE_BY_HEIGHT + j] = rate * by_h - inverse if served else 0.0
        pair[QOE_BY_PULL + j] = rate * by_e if served else 0.0


@vector_kernel
def add_use(prices: Prices, count: int, group: Group, answers: Answers, sums: Floats) -> None:
    """Add what a group of users takes, and its derivatives, to a block's sums."""
    x, y, directions = prices.x, prices.y, prices.directions
    pairs, users = group.pairs, group.users
    own = answers.own
    providers = x.shape[0]
    columns = directions.shape[0] * providers
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        use_f = 0.0
        use_b = 0.0
        for j in range(count):
            ra = pair[ROOT_WORK + j]
            rb = pair[ROOT_TRAFFIC + j]
            s = pair[SERVED + j]
            use_f += ra * s
            use_b += rb * s
        for j in range(count):
            ra = pair[ROOT_WORK + j]
            rb = pair[ROOT_TRAFFIC + j]
            by_qoe = pair[SERVED_BY_P + j] * users[MARGINAL_BY_QOE + j]
            pair[WORK_BY_QOE + j] = ra * by_qoe
            pair[TRAFFIC_BY_QOE + j] = rb * by_qoe
        add(sums, n, use_f / x[n])
        add(sums, providers + n, use_b / y[n])
        for c in range(directions.shape[0]):
            at = 2 * providers + n * columns + c * providers + n
            add(sums, at, (own[c, 0, n] - use_f * directions[c, 0, n] / x[n]) / x[n])
            at += providers * columns
            add(sums, at, (own[c, 1, n] - use_b * directions[c, 1, n] / y[n]) / y[n])
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        first = 2 * providers + n * columns
        by_f = sums[first : first + columns]
        by_b = sums[first + providers * columns : first + (providers + 1) * columns]
        for q in range(0, columns - 3, 4):
            _add_four(count, q, pair, answers.qoe, float(x[n]), float(y[n]), by_f, by_b)
        for q in range(columns - columns % 4, columns):
            _add_one(count, q, pair, answers.qoe, float(x[n]), float(y[n]), by_f, by_b)


@vector_kernel
def _add_four(
    count: int,
    q: int,
    pair: Floats,
    qoe: Floats,
    x: float,
    y: float,
    by_f: Floats,
    by_b: Floats,
) -> None:
    """Add the products of a pair's two rows with four rows of answers: eight sums in registers."""
    rows = qoe[q * GROUP : (q + 4) * GROUP]
    f0 = 0.0
    f1 = 0.0
    f2 = 0.0
    f3 = 0.0
    b0 = 0.0
    b1 = 0.0
    b2 = 0.0
    b3 = 0.0
    for j in range(count):
        f = pair[WORK_BY_QOE + j]
        b = pair[TRAFFIC_BY_QOE + j]
        f0 += f * rows[j]
        f1 += f * rows[GROUP + j]
        f2 += f * rows[2 * GROUP + j]
        f3 += f * rows[3 * GROUP + j]
        b0 += b * rows[j]
        b1 += b * rows[GROUP + j]
        b2 += b * rows[2 * GROUP + j]
        b3 += b * rows[3 * GROUP + j]
    add(by_f, q, f0 / x)
    add(by_f, q + 1, f1 / x)
    add(by_f, q + 2, f2 / x)
    add(by_f, q + 3, f3 / x)
    add(by_b, q, b0 / y)
    add(by_b, q + 1, b1 / y)
    add(by_b, q + 2, b2 / y)
    add(by_b, q + 3, b3 / y)


@vector_kernel
def _add_one(
    count: int,
    q: int,
    pair: Floats,
    qoe: Floats,
    x: float,
    y: float,
    by_f: Floats,
    by_b: Floats,
) -> None:
    """Do the same with one row of answers."""
    row = qoe[q * GROUP : (q + 1) * GROUP]
    f = 0.0
    b = 0.0
    for j in range(count):
        f += pair[WORK_BY_QOE + j] * row[j]
        b += pair[TRAFFIC_BY_QOE + j] * row[j]
    add(by_f, q, f / x)
    add(by_b, q, b / y)
