"""Numbers and lists as a person reads them: aligned in a column, or inside a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Digits of a number shown to people. Four tell apart any two quantities that differ by more than a
# thousandth; all digits are in the JSON.
DIGITS = 4

# The smallest number of a column shows this many digits, whatever the largest one needs.
_LEAST_DIGITS = 2
# Longer than this, numbers of one column stop being lined up, and each takes the digits it needs.
_LONGEST = 9
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e7

DOES_NOT_APPLY = "–"


def number(value: float, digits: int = DIGITS) -> str:
    """Return a number for a sentence: few significant digits, an exponent only at the extremes."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else f"{value}inite"
    if value == 0:
        return "0"
    if not _PLAIN_FROM <= abs(value) < _PLAIN_TO:
        return f"{value:.{digits - 1}g}"
    text = f"{value:.{_decimals(value, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """Return a share as a percentage of three significant digits."""
    return f"{number(100.0 * share, 3)}%"


def column(values: ArrayLike, digits: int = DIGITS) -> list[str]:
    """Return the cells of a column: equally many decimals, so that the points line up.

    The largest number shows ``digits`` significant digits at least, the smallest two. NaN stands
    for what does not apply and becomes a dash.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    decimals = 0
    if sizes.size:
        large, small = float(sizes.max()), float(sizes.min())
        decimals = max(_decimals(large, digits), _decimals(small, _LEAST_DIGITS))
        if len(f"{large:.{decimals}f}") > _LONGEST:
            decimals = -1
    return [_cell(value, decimals, digits) for value in array.tolist()]


def listed(items: Sequence[str], most: int = 8) -> str:
    """Return "a, b and c"; of a long list the first few, and how many more there are."""
    if len(items) > most:
        return f"{', '.join(items[: most - 1])} and {len(items) - most + 1} more"
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def counted(count: int, thing: str) -> str:
    """Return a count with its noun, in the plural where it must be."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _decimals(value: float, digits: int) -> int:
    return max(digits - 1 - math.floor(math.log10(abs(value))), 0)


def _cell(value: float, decimals: int, digits: int) -> str:
    if math.isnan(value):
        return DOES_NOT_APPLY
    if decimals < 0 or not math.isfinite(value):
        return number(value, digits)
    return f"{value:.{decimals}f}"
