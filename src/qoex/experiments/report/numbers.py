"""Numbers of a report: a value, where it comes from, and as many of its digits as mean something.

A number's *source* is a key that says what it is, so that anyone can compute it again::

    table:users:mean:user_cost?scheme=ratio-5&value=20.0
    panel:fig7c:mean:user_cost?line=ratio-5&x=20.0
    manifest:users:parameters/ranges/tokens/0

``sources`` makes the keys together with the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qoex.experiments.intervals import Estimate

# Digits where nothing says how precise a number is: as many as the paper prints at most.
DIGITS = 4

# A half-width of two digits says as much of an interval as a reader can use.
_HALF_WIDTH_DIGITS = 2

# An interval narrower than this, relative to its ends, is of rounding errors only.
_ROUNDING = 1e-6

# More decimals are no easier to read than four significant digits and a power of ten.
_MOST_DECIMALS = 6

# Outside of these a number is written with a power of ten.
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e9

_GROUP = "\N{NARROW NO-BREAK SPACE}"  # between thousands (ISO 80000-1)
_MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

NOTHING = "–"  # what stands where there is no number


@dataclass(frozen=True)
class ShownNumber:
    """One number of a report.

    Attributes:
        value: in full precision; never NaN or infinite.
        source: the key that says what it is.
        shown: as a reader sees it, with the sign of percent where it is a share.
    """

    value: float
    source: str
    shown: str

    @property
    def exact(self) -> str:
        """The value with all of its digits."""
        return repr(self.value)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with the ends of its 95 % interval.

    Attributes:
        mean: None without any value.
        low: None with fewer than two values, or where both ends look like the mean.
        high: None as well then.
        count: how many values there were.
    """

    mean: ShownNumber | None
    low: ShownNumber | None
    high: ShownNumber | None
    count: int


def number(
    value: float | None,
    source: str,
    *,
    decimals: int | None = None,
    digits: int = DIGITS,
    percent: bool = False,
    signed: bool = False,
) -> ShownNumber | None:
    """Return a number as it is shown, or None where there is none.

    Args:
        value: None, NaN and infinite count as none.
        source: the key that says what it is.
        decimals: digits after the point (of the percentage, if it is one).
        digits: significant ones, where no decimals are given; zeros at the end are left out.
        percent: whether it is a share, to be shown in percent.
        signed: whether a number above zero is shown with its sign.
    """
    if value is None or not math.isfinite(value):
        return None
    scaled = 100.0 * value if percent else value
    if isinstance(value, int) and not percent:
        shown = grouped(f"{value:d}")
    elif decimals is not None:
        shown = grouped(f"{scaled:.{max(decimals, 0)}f}")
    else:
        shown = significant(scaled, digits)
    sign = "+" if signed and value > 0 else ""
    return ShownNumber(value, source, f"{sign}{shown}{_GROUP}%" if percent else f"{sign}{shown}")


def interval(found: Estimate, source: Callable[[str], str], *, percent: bool = False) -> Interval:
    """Return an estimate as it is shown; without its ends where they would not be told apart.

    Args:
        found: mean and interval.
        source: from "mean", "low" or "high" to the key of that number.
        percent: whether it is a share, to be shown in percent.
    """
    decimals = _decimals(found.low, found.high, percent=percent)

    def end(name: str) -> ShownNumber | None:
        return number(getattr(found, name), source(name), decimals=decimals, percent=percent)

    if decimals is None:
        return Interval(end("mean"), None, None, found.count)
    return Interval(end("mean"), end("low"), end("high"), found.count)


def significant(value: float, digits: int = DIGITS) -> str:
    """Return a finite number with few significant digits."""
    if value == 0:
        return "0"
    if not _PLAIN_FROM <= abs(value) < _PLAIN_TO:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        mantissa = _without_zeros(mantissa)
        power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
        if mantissa in ("1", "-1"):
            return power if mantissa == "1" else f"{_MINUS}{power}"
        return f"{grouped(mantissa)}{_GROUP}×{_GROUP}{power}"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return grouped(_without_zeros(f"{value:.{decimals}f}"))


def listed(numbers: Iterable[ShownNumber | None]) -> tuple[ShownNumber, ...]:
    """Return the numbers that there are."""
    return tuple(item for item in numbers if item is not None)


def grouped(text: str) -> str:
    """Return a plain decimal number with thin spaces between thousands, and a true minus sign."""
    whole, point, fraction = text.partition(".")
    sign = _MINUS if whole.startswith("-") else ""
    whole = f"{int(whole.lstrip('-')):,d}".replace(",", _GROUP)
    nothing = not (whole + fraction).strip("0")  # −0.0 is 0.0
    return f"{'' if nothing else sign}{whole}{point}{fraction}"


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(low: float, high: float, *, percent: bool) -> int | None:
    """Return how many decimals the width of an interval warrants; None if it has no width."""
    scale = 100.0 if percent else 1.0
    half, largest = 0.5 * (high - low) * scale, max(abs(low), abs(high)) * scale
    if not (math.isfinite(half) and half > _ROUNDING * largest):
        return None
    decimals = max(_HALF_WIDTH_DIGITS - 1 - math.floor(math.log10(half)), 0)
    return decimals if decimals <= _MOST_DECIMALS else None
