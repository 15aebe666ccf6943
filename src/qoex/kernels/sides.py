"""On which side of its threshold each pair is, and what the floors of a group of users take."""

from __future__ import annotations

from math import log

import numpy as np

from qoex.kernels import Bytes, Floats, Integers, vector_kernel
from qoex.kernels.joint import (
    BUDGET,
    GAIN,
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
COUNTED = 1  # the pair counts as at its floor in the users' pull
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
    count: int,
    providers: int,
    first: int,
    pairs: Floats,
    users: Floats,
    memory: Bytes,
    sides: Bytes,
    sums: Floats,
    highest: Floats,
    crossed: Integers,
    crossing: Integers,
) -> None:
    """Note who wants no QoE and who has none, what their floors take, and who changed sides."""
    for j in range(count):
        top = users[ROOT_MARGINAL + j]
        low = users[LOW + j]
        high = users[HIGH + j]
        top = top if top > low else low
        users[GAIN + j] = top if top < high else high  # the root of the most that could pay
    for n in range(providers):
        pair = pairs[n * PAIR_SIZE : (n + 1) * PAIR_SIZE]
        remembered = memory[n, first : first + count]
        present, idle, unwanted = _find_unwanted(count, pair, users)
        changed = _remember(count, pair, remembered, sides)
        if unwanted < present:
            highest[n] = WANTED
        if idle > 0.0 or unwanted > 0.0:
            _add_floors(n, providers, count, pair, users, remembered, sums, highest)
        if changed > 0:
            for j in range(count):
                now = remembered[j]
                if (now & UNKNOWN) == 0 and ((now & COUNTED) << 1) != (now & LATEST):
                    crossed[0] += 1
                    ratio = users[GAIN + j] / pair[THRESHOLD + j]
                    often = (now & CROSSED_MOST) >= (_CROSSINGS - 1) * CROSSED_ONCE
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
        none = here if users[GAIN + j] < t else 0.0
        present += here
        # s is t exactly where nothing is served.
        idle += here if pair[SERVED + j] <= t else 0.0
        unwanted += none
        pair[UNWANTED + j] = none
    return present, idle, unwanted


@vector_kernel
def _remember(count: int, pair: Floats, memory: Bytes, sides: Bytes) -> int:
    """Keep the sides that pairs are on now; return how many do not count as being there."""
    for j in range(count):
        sides[j] = 1 if pair[UNWANTED + j] > 0.0 else 0
    changed = 0
    for j in range(count):
        was = memory[j]
        now = sides[j]
        changed += (was & COUNTED) ^ now
        memory[j] = np.uint8((was & _NOT_LATEST) | (now << 1))
    return changed


@vector_kernel
def _add_floors(
    n: int,
    providers: int,
    count: int,
    pair: Floats,
    users: Floats,
    memory: Bytes,
    sums: Floats,
    highest: Floats,
) -> None:
    """Add what the floors of one provider's pairs take, and look how near to wanting QoE one is."""
    floor_f = 0.0
    floor_b = 0.0
    floor_c = 0.0
    idle_f = 0.0
    idle_b = 0.0
    idle_c = 0.0
    most = highest[n]
    for j in range(count):
        k = pair[BUDGET + j]
        t = pair[THRESHOLD + j]
        here = k > 0.0
        share = 1.0 / k if here else 0.0
        floor = share * pair[UNWANTED + j]
        floor = 0.0 if memory[j] & UNKNOWN else floor
        idle = share if pair[SERVED + j] <= t else 0.0
        ra = pair[ROOT_WORK + j]
        rb = pair[ROOT_TRAFFIC + j]
        floor_f += floor * ra * ra
        floor_b += floor * rb * rb
        floor_c += floor * ra * rb
        idle_f += idle * ra * ra
        idle_b += idle * rb * rb
        idle_c += idle * ra * rb
        ratio = users[GAIN + j] / t if here else 0.0
        most = ratio if ratio > most else most
    highest[n] = most
    sums[n] += floor_f
    sums[providers + n] += floor_b
    sums[2 * providers + n] += floor_c
    sums[3 * providers + n] += idle_f
    sums[4 * providers + n] += idle_b
    sums[5 * providers + n] += idle_c
