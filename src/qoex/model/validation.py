"""Numbers that a formula accepts, checked once at its door and named in the refusal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from qoex.errors import InvalidInputError
from qoex.model.market import BoolArray, FloatArray


def positive(name: str, value: ArrayLike) -> FloatArray:
    """Return the value as floats, all finite and greater than zero.

    Raises:
        InvalidInputError: it is not; the message names the field, the place and the value.

    """
    return _checked(name, value, lambda numbers: numbers > 0, "greater than zero")


def not_negative(name: str, value: ArrayLike) -> FloatArray:
    """Return the value as floats, all finite and at least zero; raises as ``positive`` does."""
    return _checked(name, value, lambda numbers: numbers >= 0, "zero or more")


def at_least_one(name: str, value: ArrayLike) -> FloatArray:
    """Return the value as floats, all finite and at least one; raises as ``positive`` does."""
    return _checked(name, value, lambda numbers: numbers >= 1, "one or more")


def share(name: str, value: ArrayLike, *, below: float) -> FloatArray:
    """Return the value as floats in [0, below); raises as ``positive`` does."""
    rule = f"at least zero and less than {below:g}"
    return _checked(name, value, lambda numbers: (numbers >= 0) & (numbers < below), rule)


def open_share(name: str, value: ArrayLike, *, below: float) -> FloatArray:
    """Return the value as floats in (0, below); raises as ``positive`` does."""
    rule = f"greater than zero and less than {below:g}"
    return _checked(name, value, lambda numbers: (numbers > 0) & (numbers < below), rule)


def within(name: str, value: ArrayLike, *, bound: float) -> FloatArray:
    """Return the value as floats in [−bound, bound]; raises as ``positive`` does."""
    rule = f"between {-bound:g} and {bound:g}"
    return _checked(name, value, lambda numbers: np.abs(numbers) <= bound, rule)


def _checked(
    name: str, value: ArrayLike, holds: Callable[[FloatArray], BoolArray], rule: str
) -> FloatArray:
    try:
        given = np.asarray(value)
    except ValueError:
        raise InvalidInputError(f"{name} has rows of unequal length") from None
    # Only integers and floats: NumPy would read "1" as a number and True as one.
    if given.dtype.kind not in "iuf":
        raise InvalidInputError(f"{name} is {value!r}; it must be a number or an array of numbers")
    numbers = given.astype(np.float64)
    bad = ~(np.isfinite(numbers) & holds(numbers))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        place = f"{name}[{', '.join(map(str, index))}]" if index else name
        worst = float(numbers[index])
        if not math.isfinite(worst):
            rule = "a finite number"
        raise InvalidInputError(f"{place} is {worst!r}; it must be {rule}")
    return numbers
