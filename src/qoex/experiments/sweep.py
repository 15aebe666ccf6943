"""A sweep: what varies, over which values, by which schemes, on which markets."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, Strict, ValidationError

from qoex.errors import InvalidInputError, QoexError, ScenarioError
from qoex.experiments.axes import AXES, Axis, restrict
from qoex.experiments.measure import MEASURED, SchemeCase, failed, measure
from qoex.experiments.study import Row
from qoex.model.admission import admit
from qoex.model.feasibility import capacity_factor, frontier_factor
from qoex.model.market import Market
from qoex.model.tokens import Tokens
from qoex.scenario import Scenario
from qoex.scenario.sampling import SPARE_CAPACITY, TABLE_III, Ranges, sample_scenario
from qoex.scenario.tables import Table
from qoex.text.refusals import did_you_mean, sentence_by_path

Overload = Literal["admit", "raise", "refuse"]
Count = Annotated[int, Field(ge=1)]
WholeNotNegative = Annotated[int, Field(ge=0)]

# A name that every file system takes as one, and no shell as anything else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

# More demands than a scenario in memory can hold by far; tables count users in 64 bits.
_MOST_PAIRS = 10**9

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


def _plain(value: Any) -> Any:
    """Return values with Python's numbers in place of NumPy's, which strict fields refuse."""
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        return value
    return [item.item() if isinstance(item, np.generic) else item for item in value]


class SweepFields(Table):
    """What a sweep and the file of one have alike, field for field."""

    vary: Annotated[str, Field(json_schema_extra={"enum": list(AXES)})]
    """What varies. A quantity of one pair is that of the first user at the first provider."""
    values: Annotated[
        tuple[float, ...], Strict(False), Field(min_length=1), BeforeValidator(_plain)
    ]
    """The values that it takes, one point each, all different."""
    overload: Overload = "admit"
    """What becomes of a market that cannot be served: "admit" drops the fewest demands, "raise"
    gives short providers 5 % more than they need, "refuse" leaves it infeasible."""
    root_seed: WholeNotNegative = 0
    """The same seeds under another root are other markets."""
    drawn: Annotated[tuple[Count, Count] | None, Strict(False)] = None
    """(N, M) that are drawn for each seed, where it is more than the largest point needs: sweeps
    that draw alike share their markets."""


class Sweep(SweepFields):
    """An experiment as data, which checks itself.

    Raises:
        InvalidInputError: a value that cannot be; the message names it.
    """

    name: str
    """The stem of its table's file name."""
    title: str
    """What it shows, for people."""
    schemes: Annotated[tuple[SchemeCase, ...], Strict(False), Field(min_length=1)]
    """Each point is settled by all of them."""
    providers: Count = 3
    """N, unless that is what varies."""
    users: Count = 15
    """M, unless that is what varies."""
    ranges: Ranges = TABLE_III
    """What markets are drawn from."""
    scenario: Scenario | None = None
    """The one market to start from in place of random ones; only seed 0 has rows then."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            known = {"": type(self).model_fields}
            raise InvalidInputError(sentence_by_path(error, "a sweep", known)) from None
        self._check_choices()
        largest = self._size(max(self.values))
        self._check_sizes(largest)
        if self.scenario is not None:
            self._check_markets(self._world(0))
            return
        pair = self._drawn_pair()
        if not self.axis.size:
            self._check_markets(pair)

    def replace(self, **changes: Any) -> Self:
        """Return a sweep with other values in some fields, checked anew."""
        return type(self)(
            **{name: getattr(self, name) for name in type(self).model_fields} | changes
        )

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

    def _check_choices(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInputError(
                f"name is {self.name!r}; it must be letters, digits, '-', '_' and '.', and begin "
                "with a letter or a digit, for it names files"
            )
        if self.vary not in AXES:
            raise InvalidInputError(
                f"vary is {self.vary!r}; it must be one of {', '.join(AXES)}"
                f"{did_you_mean(self.vary, AXES)}"
            )
        for value in self.values if self.axis.whole else ():
            if not (value >= 1 and value.is_integer()):
                raise InvalidInputError(
                    f"values has {value!r}; a {self.axis.label} must be a whole number above 0"
                )
        _all_different("values", self.values)
        if self.axis.whole:  # so that 5 and 5.0 make one sweep
            object.__setattr__(self, "values", tuple(map(int, self.values)))
        _all_different("labels of schemes", [case.label for case in self.schemes])

    def _check_sizes(self, largest: tuple[int, int]) -> None:
        """Check that the largest point (N, M) is there."""
        available = largest
        if self.drawn is not None:
            if self.scenario is not None:
                raise InvalidInputError("drawn has no effect beside a scenario")
            available = self.drawn
        elif self.scenario is not None:
            available = (len(self.scenario.providers), len(self.scenario.users))
        if available[0] * available[1] > _MOST_PAIRS:
            raise InvalidInputError(
                f"the largest market drawn has {available[0]} providers and {available[1]} users; "
                f"it must have at most {_MOST_PAIRS} pairs of them"
            )
        for name, wanted, there in zip(("providers", "users"), largest, available, strict=True):
            if wanted > there:
                raise InvalidInputError(f"{name} is {wanted!r}; it must be at most {there}")

    def _check_markets(self, world: Scenario) -> None:
        """Check that each value makes a market of a scenario, and that they are not all the same.

        Tokens where work and traffic are given, for example, change nothing.
        """
        found: list[tuple[Market, Tokens | None]] = []
        for value in self.values:
            try:
                changed = self.axis.change(world, value)
                # A change checks no field, so all are checked here as if they came from a file.
                scenario = Scenario.parse(changed.model_dump(exclude_none=True))
                found.append((scenario.market(), scenario.tokens()))
            except InvalidInputError as error:
                raise InvalidInputError(f"values has {value!r}, but {error}") from None
        if len(found) > 1 and all(_alike(found[0], other) for other in found[1:]):
            raise InvalidInputError(
                f"vary is {self.vary!r}, but that changes nothing in the market it starts from"
            )

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


def _alike(one: tuple[Market, Tokens | None], other: tuple[Market, Tokens | None]) -> bool:
    if one[1] is None or other[1] is None:
        return one == other
    return one[0] == other[0] and all(
        np.array_equal(getattr(one[1], name), getattr(other[1], name))
        for name in ("input_tokens", "output_tokens")
    )


def _all_different(name: str, items: Sequence[object]) -> None:
    if len(set(items)) < len(items):
        raise InvalidInputError(f"two {name} are the same")
