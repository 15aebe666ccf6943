"""Axes of figures: where they begin and end, and which ticks they have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.ticker import MaxNLocator

_ROUND_TICKS = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=4)

# Powers of ten with a label on one axis at most; with more, every second, third, … has one.
_MOST_POWERS = 8

# A tick is written with as many decimals as tell it from its neighbours by less than this share
# of their distance.
_TICK_ROUNDING = 1e-3

# Powers of ten between these are written out.
_PLAIN = (0.01, 1e5)

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """One axis.

    Attributes:
        low: where it begins.
        high: where it ends.
        ticks: numbers on it.
        texts: their labels.
        minor: ticks without a label.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    texts: tuple[str, ...]
    minor: tuple[float, ...] = ()


def scale(
    values: Iterable[float], *, log: bool, room: float, ticks: Sequence[float] | None = None
) -> Scale:
    """Return an axis that holds values.

    Args:
        values: NaN are left out, and so are those that a logarithmic axis cannot have.
        log: whether it is logarithmic.
        room: the share of it that stays free at each end.
        ticks: round numbers, or powers of ten, unless given.
    """
    numbers = [value for value in values if math.isfinite(value) and not (log and value <= 0)]
    if not numbers:
        numbers = [1.0, 10.0] if log else [0.0, 1.0]
    places = [math.log10(value) for value in numbers] if log else numbers
    begin, end = min(places), max(places)
    # One value alone has its axis around it.
    span = (end - begin) or (1.0 if log else abs(begin) or 1.0)
    free = span * room / (1.0 - 2.0 * room)
    begin, end = begin - free, end + free
    if end - begin < span:
        begin, end = begin - span / 2, end + span / 2
    low, high = (10.0**begin, 10.0**end) if log else (begin, end)
    minor: tuple[float, ...] = ()
    if ticks is None and log:
        ticks, minor = _powers(low, high)
    elif ticks is None:
        ticks = round_ticks(low, high)
    texts = power_texts(ticks) if log else tick_texts(ticks)
    return Scale(low, high, tuple(ticks), tuple(texts), minor)


def round_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two; there are always some, for they get as fine as it takes."""
    return [float(tick) for tick in _ROUND_TICKS.tick_values(low, high) if low <= tick <= high]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Return numbers as tick labels, all with the same decimals."""
    steps = [abs(after - before) for before, after in pairwise(ticks)]
    step = min(steps, default=0.0) or max(map(abs, ticks), default=0.0)
    decimals = 0
    while decimals < 6 and any(
        abs(round(tick, decimals) - tick) > _TICK_ROUNDING * step for tick in ticks
    ):
        decimals += 1
    return [f"{tick:.{decimals}f}".replace("-", "−") for tick in ticks]


def power_texts(ticks: Sequence[float]) -> list[str]:
    """Return positive numbers as tick labels of a logarithmic axis: plain, or as powers of ten."""
    if all(_PLAIN[0] <= tick < _PLAIN[1] for tick in ticks):
        return [f"{tick:.6g}" for tick in ticks]
    return [_power_text(tick) for tick in ticks]


def _power_text(tick: float) -> str:
    factor, exponent = f"{tick:.1e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return power if factor == "1.0" else f"{float(factor):g}·{power}"


def _powers(low: float, high: float) -> tuple[list[float], tuple[float, ...]]:
    """Return ticks between two positive numbers, and minor ones where there is room for them."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    powers = range(first, last + 1)
    if len(powers) > _MOST_POWERS:
        distance = -(-len(powers) // _MOST_POWERS)
        return [10.0**power for power in powers if power % distance == 0], ()
    within = [
        factor * 10.0**power
        for power in range(first - 1, last + 1)
        for factor in range(1, 10)
        if low <= factor * 10.0**power <= high
    ]
    choices = (
        [10.0**power for power in powers],
        [value for value in within if f"{value:e}"[0] in "125"],
        within,
        round_ticks(low, high),  # hardly a factor of two apart
    )
    ticks = next(choice for choice in choices if len(choice) >= 2)
    return ticks, tuple(value for value in within if value not in ticks)
