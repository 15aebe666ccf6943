"""What a sweep must be for its rows to mean something, checked before anything is solved."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from qoex.errors import InvalidInputError
from qoex.experiments.axes import AXES, Axis
from qoex.market import Market
from qoex.scenario import Scenario
from qoex.sentences import did_you_mean
from qoex.tokens import Tokens

if TYPE_CHECKING:
    from qoex.experiments.sweep import Sweep

Overload = Literal["admit", "raise", "refuse"]

# A name that every file system takes as one, and no shell as anything else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_choices(sweep: Sweep) -> None:
    """Check all that is chosen from a few; an InvalidInputError names what cannot be."""
    if not _NAME.fullmatch(sweep.name):
        raise InvalidInputError(
            f"name is {sweep.name!r}; it must be letters, digits, '-', '_' and '.', and begin "
            "with a letter or a digit, for it names files"
        )
    _one_of("vary", sweep.vary, AXES)
    _one_of("overload", sweep.overload, get_args(Overload))
    if not sweep.schemes:
        raise InvalidInputError("schemes is empty; it must hold at least one")
    _all_different("labels of schemes", [case.label for case in sweep.schemes])
    if not (_is_whole(sweep.root_seed) and sweep.root_seed >= 0):
        raise InvalidInputError(
            f"root_seed is {sweep.root_seed!r}; it must be a whole number, 0 or more"
        )


def checked_values(values: Sequence[float], axis: Axis) -> tuple[float, ...]:
    """Return values as the numbers that an axis takes, so that 5 and 5.0 make one sweep.

    Raises:
        InvalidInputError: there are none, or one that cannot be.
    """
    if not values:
        raise InvalidInputError("values is empty; it must hold at least one")
    for value in values:
        if not isinstance(value, Real) or isinstance(value, bool):
            raise InvalidInputError(f"values has {value!r}; it must hold numbers")
        if not math.isfinite(value):
            raise InvalidInputError(f"values has {value!r}; it must hold finite numbers")
        if axis.whole and not (value >= 1 and float(value).is_integer()):
            raise InvalidInputError(
                f"values has {value!r}; a {axis.label} must be a whole number above 0"
            )
    _all_different("values", values)
    return tuple(int(value) if axis.whole else float(value) for value in values)


def check_sizes(sweep: Sweep, largest: tuple[int, int]) -> None:
    """Check that the largest point (N, M) is there; an InvalidInputError says what is not."""
    sizes = {"providers": sweep.providers, "users": sweep.users}
    available = largest
    if sweep.drawn is not None:
        if sweep.scenario is not None:
            raise InvalidInputError("drawn has no effect beside a scenario")
        sizes |= {"drawn providers": sweep.drawn[0], "drawn users": sweep.drawn[1]}
        available = sweep.drawn
    elif sweep.scenario is not None:
        available = (len(sweep.scenario.providers), len(sweep.scenario.users))
    for name, count in sizes.items():
        if not (_is_whole(count) and count >= 1):
            raise InvalidInputError(f"{name} is {count!r}; it must be a whole number above 0")
    for name, wanted, there in zip(("providers", "users"), largest, available, strict=True):
        if wanted > there:
            raise InvalidInputError(f"{name} is {wanted!r}; it must be at most {there}")


def check_markets(sweep: Sweep, world: Scenario) -> None:
    """Check that each value makes a market of a scenario, and that they are not all the same.

    Raises:
        InvalidInputError: a value that no market can have, or an axis along which nothing changes
            (tokens where work and traffic are given, for example).
    """
    found: list[tuple[Market, Tokens | None]] = []
    for value in sweep.values:
        try:
            changed = sweep.axis.change(world, value)
            # A change checks no field, so all are checked here as if they came from a file.
            scenario = Scenario.parse(changed.model_dump(exclude_none=True))
            found.append((scenario.market(), scenario.tokens()))
        except InvalidInputError as error:
            raise InvalidInputError(f"values has {value!r}, but {error}") from None
    if len(found) > 1 and all(_alike(found[0], other) for other in found[1:]):
        raise InvalidInputError(
            f"vary is {sweep.vary!r}, but that changes nothing in the market it starts from"
        )


def _alike(one: tuple[Market, Tokens | None], other: tuple[Market, Tokens | None]) -> bool:
    if one[1] is None or other[1] is None:
        return one == other
    return one[0] == other[0] and all(
        np.array_equal(getattr(one[1], name), getattr(other[1], name))
        for name in ("input_tokens", "output_tokens")
    )


def _one_of(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        choices = ", ".join(known)
        raise InvalidInputError(
            f"{name} is {value!r}; it must be one of {choices}{did_you_mean(str(value), known)}"
        )


def _all_different(name: str, items: Sequence[object]) -> None:
    if len(set(items)) < len(items):
        raise InvalidInputError(f"two {name} are the same")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
