"""Which demands to turn away, within the time that a cycle has.

The search of :mod:`qoex.model.admission` finds the best choice among a few hundred demands of a
provider. Among thousands it would take minutes, and choosing one by one is as good as all of it:
with q = (√(a/(κF)), √(b/(κW))) a set of demands fits where λ_max(Σ q qᵀ) ≤ 1, and the best set of
very many small ones takes them in the order of worth/(q·e)², e being the direction in which that
largest eigenvalue is reached. So a few directions are tried, and what a set misses of the best one
is worth no more than the few demands at the border.

References:
    G. B. Dantzig, "Discrete-variable extremum problems", Operations Research 5, 1957.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoex.agent.solving.task import AdmissionObjective, AdmissionRule, Demands
from qoex.errors import InvalidInputError
from qoex.model.admission import CAPACITY_RESERVE, admit
from qoex.model.feasibility import falls_short, floor_terms
from qoex.model.market import BoolArray, FloatArray, Market

# Up to so many demands of a provider the best choice is searched for, which takes a fraction of a
# second.
SEARCHED = 200

_ROOM = 1.0 - CAPACITY_RESERVE
_DIRECTIONS = 9
_REFINEMENTS = 4
# Demands that are put into the gap that a set leaves, one by one.
_FILLED = 32


def turned_away(market: Market, how: AdmissionRule) -> BoolArray:
    """Return which demands (N×M) to turn away so that every provider can serve the rest.

    The same market and time give the same choice, unless the time ends a search.

    Args:
        market: N providers × M users.
        how: by what to choose; not by NONE.
    """
    away = np.zeros(market.work.shape, dtype=np.bool_)
    short = np.flatnonzero(falls_short(market))
    few = [int(n) for n in short if np.count_nonzero(market.present[n]) <= SEARCHED]
    for n in few:
        away[n] = _searched(market, n, how, how.seconds / len(few))
    many = [int(n) for n in short if int(n) not in few]
    if many:
        terms = floor_terms(market)
        value = market.profit_factor * np.log1p(market.latency_budget)
        for n in many:
            users = np.flatnonzero(market.present[n])
            loads = np.sqrt(
                np.stack(
                    [
                        terms.compute[n, users] / market.compute_capacity[n],
                        terms.bandwidth[n, users] / market.bandwidth_capacity[n],
                    ]
                )
            )
            away[n, users] = ~kept(
                loads, value[n, users], by_count=how.by is AdmissionObjective.COUNT
            )
    return away


def kept(loads: FloatArray, value: FloatArray, *, by_count: bool) -> BoolArray:
    """Return which of a provider's demands to keep.

    Args:
        loads: q of each demand, 2×M.
        value: of each demand, M, money.
        by_count: whether to keep as many as possible; else as much value as possible.
    """
    worth = np.ones_like(value) if by_count else value
    best: _Set | None = None
    for angle in np.linspace(0.0, 0.5 * np.pi, _DIRECTIONS):
        best = _better(best, _along(loads, worth, value, np.array([np.cos(angle), np.sin(angle)])))
    assert best is not None
    for _ in range(_REFINEMENTS):
        part = loads[:, best.kept]
        found = _along(loads, worth, value, np.abs(np.linalg.eigh(part @ part.T)[1][:, -1]))
        if _better(best, found) is best:
            break
        best = found
    return best.kept


class _Set(NamedTuple):
    kept: BoolArray
    worth: float
    value: float


def _better(one: _Set | None, other: _Set) -> _Set:
    if one is None or (other.worth, other.value) > (one.worth, one.value):
        return other
    return one


def _along(loads: FloatArray, worth: FloatArray, value: FloatArray, direction: FloatArray) -> _Set:
    """Keep demands in the order of worth per load along a direction, as long as they fit."""
    with np.errstate(divide="ignore"):
        order = np.argsort(-worth / (direction @ loads) ** 2, kind="stable")
    squares = np.stack([loads[0] ** 2, loads[1] ** 2, loads[0] * loads[1]])
    sums = np.cumsum(squares[:, order], axis=1)
    fit = int(np.searchsorted(_factor(sums), _ROOM, side="right"))
    chosen = np.zeros(worth.size, dtype=np.bool_)
    chosen[order[:fit]] = True
    total = sums[:, fit - 1] if fit else np.zeros(3)
    _fill(chosen, order[fit:], squares, total)
    return _Set(chosen, float(worth[chosen].sum()), float(value[chosen].sum()))


def _fill(
    chosen: BoolArray, rest: NDArray[np.intp], squares: FloatArray, total: FloatArray
) -> None:
    """Add what still fits of the rest, in its order."""
    for _ in range(_FILLED):
        rest = rest[_factor(total[:, None] + squares[:, rest]) <= _ROOM]
        if not rest.size:
            return
        chosen[rest[0]] = True
        total = total + squares[:, rest[0]]
        rest = rest[1:]


def _factor(sums: FloatArray) -> FloatArray:
    """Return λ_max of symmetric matrices from (Σq₁², Σq₂², Σq₁q₂), 3×any."""
    compute, bandwidth, cross = sums
    factor: FloatArray = 0.5 * (
        compute + bandwidth + np.sqrt((compute - bandwidth) ** 2 + 4.0 * cross**2)
    )
    return factor


def _searched(market: Market, provider: int, how: AdmissionRule, seconds: float) -> BoolArray:
    """Return which demands of a provider (M) the search turns away."""
    by: Literal["count", "value"] = "count" if how.by is AdmissionObjective.COUNT else "value"
    alone = market.select(providers=[provider])
    found = admit(alone, by=by, time_limit=seconds)
    gone: BoolArray = alone.present[0] & ~found.market.present[0]
    return gone


def without(market: Market, demands: Demands) -> Market:
    """Return the market without some demands, (provider, user) each.

    Raises:
        InvalidInputError: a name is not one of the market's.
    """
    rows = {name: n for n, name in enumerate(market.provider_names)}
    columns = {name: m for m, name in enumerate(market.user_names)}
    marked = np.zeros(market.work.shape, dtype=np.bool_)
    for provider, user in demands:
        if provider not in rows or user not in columns:
            raise InvalidInputError(
                f"a demand of {user!r} at {provider!r} was turned away, "
                "but the market does not have both"
            )
        marked[rows[provider], columns[user]] = True
    return market.without(marked)
