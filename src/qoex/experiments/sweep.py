"""A sweep: what varies, over which values, by which schemes, on which markets."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from qoex.errors import InvalidInputError, QoexError, ScenarioError
from qoex.experiments import sweep as sweep_checks
from qoex.experiments.axes import AXES, Axis, restrict
from qoex.experiments.measure import MEASURED, SchemeCase, failed, measure
from qoex.experiments.study import Row
from qoex.model.admission import admit
from qoex.model.feasibility import capacity_factor, frontier_factor
from qoex.model.market import Market
from qoex.model.tokens import Tokens
from qoex.scenario import Scenario
from qoex.scenario.sampling import SPARE_CAPACITY, TABLE_III, Ranges, sample_scenario
from qoex.text.refusals import did_you_mean

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


# Draws of one pair of which at least one must make a market.
_TRIES = 20

COLUMNS: dict[str, str] = {
    "point": "whole",
    "value": "real",
    "seed": "whole",
    "scheme": "text",
    "providers": "whole",
    "users": "whole",
    "dropped_pairs": "whole",
    "capacity_factor": "real",
    **MEASURED,
}


@dataclass(frozen=True)
class Sweep:
    """An experiment as data.

    Attributes:
        name: the stem of its table's file name.
        title: what it shows, for people.
        vary: a key of ``axes.AXES``.
        values: of the axis, in the order of the points.
        schemes: each point is settled by all of them.
        providers: N, unless that is what varies.
        users: M, unless that is what varies.
        ranges: what markets are drawn from.
        drawn: (N, M) that are drawn for each seed; every point's market is the first part of it,
            so that sweeps which draw alike share their markets. The largest point, unless given.
        scenario: the one market to start from in place of random ones; only seed 0 has rows then.
        overload: what becomes of a market that cannot be served: "admit" drops the fewest demands,
            "raise" gives short providers 5 % more than they need, "refuse" leaves it infeasible.
        root_seed: the same seeds under another root are other markets.

    Raises:
        InvalidInputError: a value that cannot be; the message names it.
    """

    name: str
    title: str
    vary: str
    values: Sequence[float]
    schemes: Sequence[SchemeCase]
    providers: int = 3
    users: int = 15
    ranges: Ranges = TABLE_III
    drawn: tuple[int, int] | None = None
    scenario: Scenario | None = None
    overload: Overload = "admit"
    root_seed: int = 0

    def __post_init__(self) -> None:
        sweep_checks.check_choices(self)
        numbers = sweep_checks.checked_values(self.values, self.axis)
        object.__setattr__(self, "values", numbers)
        object.__setattr__(self, "schemes", tuple(self.schemes))
        sweep_checks.check_sizes(self, self._size(max(numbers)))
        if self.scenario is not None:
            sweep_checks.check_markets(self, self._world(0))
            return
        pair = self._drawn_pair()
        if not self.axis.size:
            sweep_checks.check_markets(self, pair)

    @property
    def axis(self) -> Axis:
        """What varies."""
        return AXES[self.vary]

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → type of the table."""
        return COLUMNS

    @property
    def rows_per_seed(self) -> int:
        """Points times schemes."""
        return len(self.values) * len(self.schemes)

    @property
    def fixed(self) -> bool:
        """Whether there is one market only, so that further seeds would repeat it."""
        return self.scenario is not None

    def parameters(self) -> dict[str, Any]:
        """Return all that the rows of a seed depend on, as JSON can hold it."""
        return {
            "kind": "sweep",
            "title": self.title,
            "vary": self.vary,
            "values": list(self.values),
            "schemes": [
                {"label": case.label, "scheme": case.scheme, "options": dict(case.options)}
                for case in self.schemes
            ],
            "providers": self.providers,
            "users": self.users,
            "drawn": list(self.drawn) if self.drawn else None,
            "ranges": asdict(self.ranges) if self.scenario is None else None,
            "scenario": (
                self.scenario.model_dump(mode="json", exclude_none=True) if self.scenario else None
            ),
            "overload": self.overload,
            "root_seed": self.root_seed,
        }

    def rows(self, seed: int) -> Sequence[Row]:
        """Return one row for every point and scheme, points first."""
        try:
            world = self._world(seed)
        except Exception as error:  # a draw that makes no market, if the ranges allow it
            return [
                self._place(seed, point) | {"scheme": case.label} | failed(error)
                for point in range(len(self.values))
                for case in self.schemes
            ]
        return [
            row for point in range(len(self.values)) for row in self._point_rows(world, seed, point)
        ]

    def _point_rows(self, world: Scenario, seed: int, point: int) -> list[Row]:
        place = self._place(seed, point)
        try:
            scenario = self.axis.change(world, self.values[point])
            market, tokens = scenario.market(), scenario.tokens()
            factor = float(capacity_factor(market).max())
            market, dropped = self._relieved(market)
        except Exception as error:  # as in measure: it must not cost the other points
            return [place | {"scheme": case.label} | failed(error) for case in self.schemes]
        place |= {"dropped_pairs": dropped, "capacity_factor": factor}
        return [
            place | {"scheme": case.label} | measure(market, tokens, case) for case in self.schemes
        ]

    def _place(self, seed: int, point: int) -> Row:
        """Return the columns that say where a row belongs."""
        providers, users = self._size(self.values[point])
        return {
            "point": point,
            "value": float(self.values[point]),
            "seed": seed,
            "providers": providers,
            "users": users,
            "dropped_pairs": None,
            "capacity_factor": None,
        }

    def _relieved(self, market: Market) -> tuple[Market, int]:
        """Return the market as ``overload`` leaves it, and how many pairs that cost."""
        if self.overload == "admit":
            admission = admit(market)
            if not admission.optimal:
                # What was found until then depends on how fast this machine is.
                raise QoexError(
                    "the time limit was reached before the fewest demands to drop were known"
                )
            return admission.market, len(admission.dropped)
        if self.overload == "raise":
            growth = np.maximum(SPARE_CAPACITY * frontier_factor(market), 1.0)
            return market.replace(
                compute_capacity=market.compute_capacity * growth,
                bandwidth_capacity=market.bandwidth_capacity * growth,
            ), 0
        return market, 0

    def _drawn_pair(self) -> Scenario:
        """Return a random market of one pair; all have the same fields, so it tells for all.

        Ranges may allow a draw that makes no market, which is a row then, but not nothing else.
        """
        rng = np.random.default_rng(self.root_seed)
        for _ in range(_TRIES - 1):
            with contextlib.suppress(ScenarioError):
                return sample_scenario(1, 1, rng, ranges=self.ranges)
        return sample_scenario(1, 1, rng, ranges=self.ranges)

    def _size(self, value: float) -> tuple[int, int]:
        """Return (N, M) of the point at a value."""
        sizes = {"providers": self.providers, "users": self.users}
        if self.axis.size:
            sizes[self.axis.size] = int(value)
        return sizes["providers"], sizes["users"]

    def _world(self, seed: int) -> Scenario:
        """Return the market of a seed, large enough for every point along the axis."""
        size = self._size(max(self.values))
        if self.scenario is not None:
            return restrict(self.scenario, *size)
        rng = np.random.default_rng([self.root_seed, seed])
        drawn = sample_scenario(*(self.drawn or size), rng, ranges=self.ranges)
        return restrict(drawn, *size)
