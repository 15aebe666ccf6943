"""A sweep: what varies, over which values, by which schemes, on which markets."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qoex.admission import admit
from qoex.errors import QoexError, ScenarioError
from qoex.experiments import sweep_checks
from qoex.experiments.axes import AXES, Axis, restrict
from qoex.experiments.measure import MEASURED, SchemeCase, failed, measure
from qoex.experiments.study import Row
from qoex.experiments.sweep_checks import Overload
from qoex.feasibility import capacity_factor
from qoex.market import FloatArray, Market
from qoex.sampling import SPARE_CAPACITY, TABLE_III, Ranges, sample_scenario
from qoex.scenario import Scenario

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
            factor = capacity_factor(market)
            market, dropped = self._relieved(market, factor)
        except Exception as error:  # as in measure: it must not cost the other points
            return [place | {"scheme": case.label} | failed(error) for case in self.schemes]
        place |= {"dropped_pairs": dropped, "capacity_factor": float(factor.max())}
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

    def _relieved(self, market: Market, factor: FloatArray) -> tuple[Market, int]:
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
            growth = np.maximum(SPARE_CAPACITY * factor, 1.0)
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
