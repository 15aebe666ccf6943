"""Which demands to turn away where a provider cannot serve them all: the fewest, or the cheapest.

With q_m = (√(a/(κF)), √(b/(κW))) for every demand of a provider, a set K of demands can be served
exactly when λ_max(Σ_K q qᵀ) ≤ 1, for λ_max is the capacity factor of K. In other words, when
Σ_K (q_m·e)² ≤ 1 for *every* direction e of length one: linear in the choice of K (with
e ∝ (√σ, 1/√σ) it is the AM–GM form of (F − Σa/κ)(W − Σb/κ) ≥ (Σ√(ab)/κ)²). So an integer program
with a few directions is solved, and the direction that its answer violates is added, until none is.

References:
    J. E. Kelley, "The cutting-plane method for solving convex programs", Journal of the Society
    for Industrial and Applied Mathematics 8, 1960.

    Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method", Mathematical
    Programming Computation 10, 2018 (HiGHS).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from qoex.errors import InvalidInputError
from qoex.model.feasibility import falls_short, floor_terms
from qoex.model.market import BoolArray, FloatArray, Market

# Where something has to be dropped, the rest is made to fit into capacities smaller by this share:
# well beyond the 1e-9 that a feasible market needs, and small beside any datum of a market.
CAPACITY_RESERVE = 1e-6
_ROOM = 1.0 - CAPACITY_RESERVE

# Seconds for one provider; a thousand demands at one provider take a few.
TIME_LIMIT = 60.0

# Directions to start from, compute alone and bandwidth alone among them. What they let pass exceeds
# a capacity by 1/cos²(π/16) − 1 = 4 % at most, so that few more are needed.
_FIRST_DIRECTIONS = 5

By = Literal["count", "value"]


@dataclass(frozen=True)
class Admission:
    """A market that can be served, and what had to be dropped for it.

    Attributes:
        market: the market with the dropped demands made absent.
        dropped: (provider name, user name) of each demand dropped, in the order of the market.
        dropped_value: Σ μ ln(1+κ) over the dropped demands, money.
        optimal: whether no better choice exists; false where the time limit was reached.
    """

    market: Market
    dropped: tuple[tuple[str, str], ...]
    dropped_value: float
    optimal: bool


def admit(market: Market, *, by: By = "count", time_limit: float = TIME_LIMIT) -> Admission:
    """Drop the least that makes every provider able to serve the demands it keeps.

    Providers are independent of each other here, so what is least for each is least for all. The
    value of a demand is μ_m ln(1+κ_nm), the most that its user could ever gain from it alone.

    Args:
        market: N providers × M users.
        by: "count" drops the fewest demands and, of the choices with as few, the one of least
            total value; "value" drops the least total value.
        time_limit: seconds for each provider; a good choice is made where the best is not found.

    Returns:
        The market itself where it can be served as it is; otherwise the providers that had to
        drop something keep 1e-6 of their capacities in reserve (CAPACITY_RESERVE).

    Raises:
        InvalidInputError: ``by`` is neither of the two, or the time limit is not positive.
    """
    if by not in ("count", "value"):
        raise InvalidInputError(f"by is {by!r}; it must be 'count' or 'value'")
    if not time_limit > 0:
        raise InvalidInputError(f"time_limit is {time_limit!r}; it must be greater than zero")
    value = market.profit_factor * np.log1p(market.latency_budget)
    dropped = np.zeros(market.work.shape, dtype=bool)
    optimal = True
    loads = _loads(market)
    for n in np.flatnonzero(falls_short(market)):
        users = np.flatnonzero(market.present[n])
        # A mean of one: the solver's absolute gap of 1e-6 is then one of the mean value.
        worth = value[n, users] / value[n, users].mean()
        goals = [worth] if by == "value" else [np.ones(users.size), worth]
        choice = _choose(loads[:, n, users], goals, time_limit)
        dropped[n, users] = ~choice.kept
        optimal = optimal and choice.optimal
    return Admission(
        market=market.without(dropped) if dropped.any() else market,
        dropped=tuple(
            (market.provider_names[n], market.user_names[m]) for n, m in np.argwhere(dropped)
        ),
        dropped_value=float(value[dropped].sum()),
        optimal=optimal,
    )


class _Choice(NamedTuple):
    kept: BoolArray
    optimal: bool


def _loads(market: Market) -> FloatArray:
    """Return q of every demand (2×N×M)."""
    terms = floor_terms(market)
    compute = terms.compute / market.compute_capacity[:, None]
    bandwidth = terms.bandwidth / market.bandwidth_capacity[:, None]
    return np.sqrt(np.stack([compute, bandwidth]))


def _worst(loads: FloatArray) -> tuple[float, FloatArray]:
    """Return the capacity factor of demands (2×M), and the direction in which they reach it."""
    factors, directions = np.linalg.eigh(loads @ loads.T)
    return float(factors[-1]), np.abs(directions[:, -1])


def _choose(loads: FloatArray, goals: Sequence[FloatArray], time_limit: float) -> _Choice:
    """Return which demands (2×M loads) to keep: most of the first goal (M), then of the next."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to import

    angles = np.linspace(0.0, 0.5 * np.pi, _FIRST_DIRECTIONS)
    rows = list((np.stack([np.cos(angles), np.sin(angles)], axis=1) @ loads) ** 2)
    limits = [_ROOM] * len(rows)
    deadline = time.monotonic() + time_limit
    best: BoolArray | None = None
    for goal in goals:
        while True:
            with _quiet():
                result = milp(
                    -goal,
                    integrality=np.ones(goal.size, dtype=np.int64),
                    bounds=Bounds(0.0, 1.0),
                    constraints=LinearConstraint(np.array(rows), ub=np.array(limits)),
                    options={
                        "time_limit": max(deadline - time.monotonic(), 0.0),
                        "mip_rel_gap": 0.0,
                        "presolve": False,  # takes longer than it saves on a few dense rows
                    },
                )
            if result.status != 0:
                if best is None:
                    found = np.ones(goal.size) if result.x is None else result.x
                    best = _trimmed(loads, goal, found > 0.5)
                return _Choice(best, optimal=False)
            kept = result.x > 0.5
            factor, direction = _worst(loads[:, kept])
            if factor <= _ROOM:
                break
            rows.append((direction @ loads) ** 2)
            limits.append(_ROOM)
            # The solver lets every row pass its limit by a little, so the direction alone might
            # not exclude this set for good; that not all of it can be kept does.
            rows.append(kept.astype(np.float64))
            limits.append(kept.sum() - 1.0)
        best = kept
        rows.append(-goal)  # what this goal has reached, the next one must not give up
        limits.append(float(-goal @ kept))
    assert best is not None
    return _Choice(best, optimal=True)


def _trimmed(loads: FloatArray, goal: FloatArray, kept: BoolArray) -> BoolArray:
    """Drop demands, most relief for their goal first, until the rest fits; then refill the gaps."""
    kept = kept.copy()
    while kept.any():
        factor, direction = _worst(loads[:, kept])
        if factor <= _ROOM:
            break
        relief = np.where(kept, (direction @ loads) ** 2 / goal, -1.0)
        kept[np.argmax(relief)] = False
    for m in np.flatnonzero(~kept)[np.argsort(-goal[~kept])]:
        kept[m] = True
        kept[m] = _worst(loads[:, kept])[0] <= _ROOM
    return kept


# Descriptors belong to the whole process: two threads must not put them aside at once.
_OUTPUT_LOCK = threading.Lock()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the solver off standard output, where a program may be writing a document.

    HiGHS 1.12, inside SciPy 1.17, prints a debugging line now and then whatever it is told
    (ERGO-Code/HiGHS issue 2783). On POSIX systems it goes to standard error instead.
    """
    if os.name != "posix":
        yield
        return
    library = ctypes.CDLL(None)
    with _OUTPUT_LOCK:
        library.fflush(None)
        output = os.dup(1)
        os.dup2(2, 1)
        try:
            yield
        finally:
            library.fflush(None)
            os.dup2(output, 1)
            os.close(output)
