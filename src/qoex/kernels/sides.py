"""On which side of its threshold each pair is, and what the floors of a group of users take."""

from __future__ import annotations

from math import log

import numpy as np

from qoex.kernels import Bytes, Floats, vector_kernel
from qoex.kernels.adding import add
from qoex.kernels.arguments import Group, Sides
from qoex.kernels.joint import (
    BUDGET,
    CEILING,
    HIGH,
    LOW,
    PAIR_SIZE,
    ROOT_MARGINAL,
    ROOT_TRAFFIC,
    ROOT_WORK,
    SERVED,
    THRESHOLD,
    UNWANTED,
)

# What a byte per pair remembers between sweeps.
COUNTED = 1  # the pair counts as at its floor in the users' impact
LATEST = 2  # the latest sweep found it there
CROSSED_ONCE = 4  # times the two differed when a sweep was accepted, in four bits
CROSSED_MOST = 60
UNKNOWN = 64  # a marginal pair: counted by its own share
_NOT_LATEST = 255 - LATEST

# ln(√p/t) within which a pair that crosses is worth reporting, and after how many crossings any is.
_NEAR = 0.1
_CROSSINGS = 3
# Stands for "some pair wants QoE" where the highest ratio √p/t is asked for.
WANTED = 2.0


@vector_kernel
def note_sides(
    first: int, count: int, listing: bool, group: Group, memory: Bytes, now: Bytes, noted: Sides
) -> None:
    """Note who wants no QoE and who has none, what their floors take, and who changed sides.

    Where nothing was known of the users there is nothing near to list. ``now`` is scratch.
    """
    pairs, users = group.pairs, group.users
    sums, highest, crossed, crossing = noted.floors, noted.highest, noted.crossed, noted.crossing
    providers = highest.shape[0]
    for j in range(count):
        top = users[ROOT_MARGINAL + j]
        low = users[LOW + j]
        high = users[HIGH + j]
        top = top if top > low else low
        users[CEILING + j] = top if top < high else high
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        remembered = memory[n, first : first + count]
        present, idle, unwanted = _find_unwanted(count, pair, users)
        changed, unknown = _remember(count, pair, remembered, now)
        if unwanted < present:
            highest[n] = WANTED
        elif present > 0.0:
            highest[n] = max(highest[n], _highest_ratio(count, pair, users))
        if unwanted > 0.0:
            _add_floors(n, providers, count, pair, sums)
        if unknown or idle != unwanted:
            _correct_floors(n, providers, count, pair, remembered, sums)
        if changed > 0 and not listing:
            crossed[0] += changed
        elif changed > 0:
            for j in range(count):
                side = remembered[j]
                if (side & UNKNOWN) == 0 and ((side & COUNTED) << 1) != (side & LATEST):
                    crossed[0] += 1
                    ratio = users[CEILING + j] / pair[THRESHOLD + j]
                    often = (side & CROSSED_MOST) >= (_CROSSINGS - 1) * CROSSED_ONCE
                    if often or abs(log(ratio)) < _NEAR:
                        crossing[0, 0] += 1
                        at = crossing[0, 0]
                        if at < crossing.shape[0]:
                            crossing[at, 0] = n
                            crossing[at, 1] = first + j


@vector_kernel
def _find_unwanted(count: int, pair: Floats, users: Floats) -> tuple[float, float, float]:
    """Fill UNWANTED; return how many pairs there are, how many have no QoE, and want none."""
    present = 0.0
    idle = 0.0
    unwanted = 0.0
    for j in range(count):
        t = pair[THRESHOLD + j]
        here = 1.0 if pair[BUDGET + j] > 0.0 else 0.0
        none = here if users[CEILING + j] < t else 0.0
        present += here
        # s is t exactly where nothing is served.
        idle += here if pair[SERVED + j] <= t else 0.0
        unwanted += none
        pair[UNWANTED + j] = none
    return present, idle, unwanted


@vector_kernel
def _remember(count: int, pair: Floats, memory: Bytes, sides: Bytes) -> tuple[int, bool]:
    """Keep the sides that pairs are on now.

    Return how many do not count as being there, and whether any is an unknown of the solver.
    """
    for j in range(count):
        sides[j] = 1 if pair[UNWANTED + j] > 0.0 else 0
    changed = 0
    seen = np.uint8(0)
    for j in range(count):
        was = memory[j]
        now = sides[j]
        changed += (was & COUNTED) ^ now
        seen |= was
        memory[j] = np.uint8((was & _NOT_LATEST) | (now << 1))
    return changed, bool(seen & UNKNOWN)


@vector_kernel
def _highest_ratio(count: int, pair: Floats, users: Floats) -> float:
    """Return the largest √p/t of one provider's pairs."""
    most = 0.0
    for j in range(count):
        ratio = users[CEILING + j] / pair[THRESHOLD + j]  # zero where the pair is absent
        most = ratio if ratio > most else most
    return most


@vector_kernel
def _add_floors(n: int, providers: int, count: int, pair: Floats, sums: Floats) -> None:
    """Add what the floors of those take who want no QoE, as if these were those who have none."""
    compute = 0.0
    bandwidth = 0.0
    cross = 0.0
    for j in range(count):
        none = pair[UNWANTED + j]
        k = pair[BUDGET + j]
        share = none / (k if none > 0.0 else 1.0)
        ra = pair[ROOT_WORK + j]
        rb = pair[ROOT_TRAFFIC + j]
        compute += share * ra * ra
        bandwidth += share * rb * rb
        cross += share * ra * rb
    add(sums, n, compute)
    add(sums, providers + n, bandwidth)
    add(sums, 2 * providers + n, cross)
    add(sums, 3 * providers + n, compute)
    add(sums, 4 * providers + n, bandwidth)
    add(sums, 5 * providers + n, cross)


@vector_kernel
def _correct_floors(
    n: int, providers: int, count: int, pair: Floats, memory: Bytes, sums: Floats
) -> None:
    """Take unknown pairs out again, and add those that have no QoE though it may be wanted."""
    for j in range(count):
        k = pair[BUDGET + j]
        if k > 0.0:
            unwanted = pair[UNWANTED + j]
            counted = 0.0 if memory[j] & UNKNOWN else unwanted
            idle = 1.0 if pair[SERVED + j] <= pair[THRESHOLD + j] else 0.0
            ra = pair[ROOT_WORK + j]
            rb = pair[ROOT_TRAFFIC + j]
            add(sums, n, (counted - unwanted) * ra * ra / k)
            add(sums, providers + n, (counted - unwanted) * rb * rb / k)
            add(sums, 2 * providers + n, (counted - unwanted) * ra * rb / k)
            add(sums, 3 * providers + n, (idle - unwanted) * ra * ra / k)
            add(sums, 4 * providers + n, (idle - unwanted) * rb * rb / k)
            add(sums, 5 * providers + n, (idle - unwanted) * ra * rb / k)
