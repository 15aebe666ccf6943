"""Appendix A measured: how long Algorithm 1 takes to its own stop, and what it then has.

Every run is set beside the equilibrium of the same market, which the capacity-price method finds,
and beside the bounds of the appendix (``bounds``). What a row says is in ``rows``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from typing import Any, get_args

import numpy as np

from qoex.errors import InvalidInputError
from qoex.experiments.appendix_a.rows import (
    MEASURED,
    SOLVER,
    AlgorithmRun,
    measure_run,
    measure_solver,
    step_columns,
)
from qoex.experiments.appendix_a.starts import Start
from qoex.experiments.axes import restrict
from qoex.experiments.study import Row
from qoex.files.market_files import read_scenario
from qoex.mechanisms.dual_perturbation import Constant, Diminishing, Order, Quantised, StepRule
from qoex.model.admission import admit
from qoex.scenario import Scenario
from qoex.scenario.sampling import TABLE_III, Ranges, sample_scenario

# T of Algorithm 1. With Δ = u/t a reward moves by at most 6.6 u in so many iterations, and by 8.9 u
# in ten times as many, so one that is not there by then is not close.
MAX_ITERATIONS = 400

# Rewards at equilibria lie between 0.005 and 9, most of them between 0.05 and 0.5 money per ms, and
# boxes reach from 0.0001 to 10.
STEP_SCALES = (0.01, 0.03, 0.1, 0.3, 1.0)
CONSTANT_STEPS = (0.003, 0.01, 0.03, 0.1)
# With boxes that are 10 wide: steps of 0.01 and 0.1.
QUANTISATION_LEVELS = (1000, 100)

COLUMNS: dict[str, str] = {
    "point": "whole",
    "seed": "whole",
    "providers": "whole",
    "users": "whole",
    "dropped_pairs": "whole",
    **MEASURED,
}


@dataclass(frozen=True)
class Convergence:
    """Algorithm 1 under several steps and starts, and the capacity-price method beside it.

    Attributes:
        name: the stem of its table's file name.
        title: what it shows, for people.
        providers: N.
        users: M.
        scales: u of the rules Δ = u/t, money per ms.
        steps: Δ of the constant rules, money per ms.
        levels: L of the quantised rules, constant as well.
        starts: where runs begin. The paper says that a start near the equilibrium, at the distance
            u, is fast; it says so of Δ = u/t, and only those rules begin there.
        order: in which users act.
        max_iterations: T of Algorithm 1.
        ranges: what markets are drawn from; of one that cannot be served the fewest demands go.
        drawn: (N, M) that are drawn for each seed, of which a market is the first part.
        scenario: the one market in place of random ones; only seed 0 has rows then.
        root_seed: the same seeds under another root are other markets and starts.

    Raises:
        InvalidInputError: a value that cannot be; the message names it.
    """

    name: str
    title: str
    providers: int
    users: int
    scales: Sequence[float] = STEP_SCALES
    steps: Sequence[float] = CONSTANT_STEPS
    levels: Sequence[int] = QUANTISATION_LEVELS
    starts: Sequence[Start] = get_args(Start)
    order: Order = "gauss-seidel"
    max_iterations: int = MAX_ITERATIONS
    ranges: Ranges = TABLE_III
    drawn: tuple[int, int] = (5, 25)
    scenario: Scenario | None = None
    root_seed: int = 0

    def __post_init__(self) -> None:
        for start in self.starts:
            if start not in get_args(Start):
                raise InvalidInputError(
                    f"starts has {start!r}; it may have {', '.join(get_args(Start))}"
                )
        if self.order not in get_args(Order):
            raise InvalidInputError(
                f"order is {self.order!r}; it must be one of {', '.join(get_args(Order))}"
            )
        for name in ("scales", "steps", "levels", "starts"):
            items = getattr(self, name)
            if len(set(items)) < len(items):
                raise InvalidInputError(f"two {name} are the same")
        if not self._rules():
            raise InvalidInputError("scales, steps and levels are empty; one of them must not be")
        if self.max_iterations < 1:
            raise InvalidInputError(
                f"max_iterations is {self.max_iterations!r}; it must be one or more"
            )
        there = self.drawn
        if self.scenario is not None:
            there = len(self.scenario.providers), len(self.scenario.users)
        for name, wanted, most in zip(
            ("providers", "users"), (self.providers, self.users), there, strict=True
        ):
            if not 1 <= wanted <= most:
                raise InvalidInputError(
                    f"{name} is {wanted!r}; it must be at least 1 and at most {most}"
                )

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → type of the table."""
        return COLUMNS

    @property
    def rows_per_seed(self) -> int:
        """For every step the solver's row and one for every start."""
        return sum(1 + len(self._runs(rule)) for rule in self._rules())

    @property
    def fixed(self) -> bool:
        """Whether there is one market only, so that further seeds would repeat it."""
        return self.scenario is not None

    def parameters(self) -> dict[str, Any]:
        """Return all that the rows of a seed depend on, as JSON can hold it."""
        return {
            "kind": "convergence",
            "title": self.title,
            "providers": self.providers,
            "users": self.users,
            "scales": list(self.scales),
            "steps": list(self.steps),
            "levels": list(self.levels),
            "starts": list(self.starts),
            "order": self.order,
            "max_iterations": self.max_iterations,
            "drawn": None if self.fixed else list(self.drawn),
            "ranges": None if self.fixed else asdict(self.ranges),
            "scenario": (
                self.scenario.model_dump(mode="json", exclude_none=True) if self.scenario else None
            ),
            "root_seed": self.root_seed,
        }

    def rows(self, seed: int) -> Sequence[Row]:
        """Return, for every step, the solver's row and then those of Algorithm 1 by start."""
        admission = admit(self._world(seed).market())
        market = admission.market
        solved, equilibrium = measure_solver(market)
        rows: list[Row] = []
        for point, rule in enumerate(self._rules()):
            place: Row = {
                "point": point,
                "seed": seed,
                "providers": market.providers,
                "users": market.users,
                "dropped_pairs": len(admission.dropped),
            }
            rows.append(place | step_columns(rule, market, SOLVER) | solved)
            for run in self._runs(rule):
                seeds = (self.root_seed, seed)
                measured = measure_run(market, equilibrium, run, seeds, self.max_iterations)
                rows.append(place | measured)
        return rows

    def _rules(self) -> list[StepRule]:
        return [
            *(Diminishing(u) for u in self.scales),
            *(Constant(delta) for delta in self.steps),
            *(Quantised(count) for count in self.levels),
        ]

    def _runs(self, rule: StepRule) -> list[AlgorithmRun]:
        return [
            AlgorithmRun(self.order, rule, start)
            for start in self.starts
            if start != "near" or isinstance(rule, Diminishing)
        ]

    def _world(self, seed: int) -> Scenario:
        """Return the market of a seed; sweeps that draw as much from the same seed have it too."""
        world = self.scenario
        if world is None:
            rng = np.random.default_rng([self.root_seed, seed])
            world = sample_scenario(*self.drawn, rng, ranges=self.ranges)
        return restrict(world, self.providers, self.users)


def appendix_studies() -> tuple[Convergence, ...]:
    """Return the studies of Appendix A.

    The markets are the first 2 × 3 and the first 3 × 10 pairs of those of section VI, and that of
    Table IV.
    """
    with as_file(files("qoex") / "data" / "table_iv.toml") as path:
        case = read_scenario(path)
    title = "Appendix A: Algorithm 1 to its own stop"
    return (
        Convergence("appendix-a", f"{title}, 2 providers and 3 users", 2, 3),
        Convergence(
            "appendix-a-larger",
            f"{title}, 3 providers and 10 users",
            3,
            10,
            # An iteration takes twice as long here, so there are fewer runs.
            scales=(0.01, 0.1, 1.0),
            steps=(0.01, 0.1),
            levels=(),
        ),
        Convergence(
            "appendix-a-table-iv",
            f"{title}, in the market of Table IV",
            2,
            3,
            scenario=case,
        ),
    )
