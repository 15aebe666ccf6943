"""Tables made by hand for tests of claims: numbers by scheme and column, seeds × points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from qoex.experiments.claims import Claim, Finding, Rule, judge

Numbers = Mapping[str, Mapping[str, ArrayLike]]

LEVELS = (5.0, 10.0, 15.0, 20.0, 25.0)


def sweep_table(numbers: Numbers, levels: Sequence[float] = LEVELS) -> pl.DataFrame:
    """Return a table as a sweep writes it from scheme → column → seeds × points.

    Where a number is NaN the row is unsolved and has none.
    """
    rows: list[dict[str, Any]] = []
    for scheme, columns in numbers.items():
        arrays = {name: np.atleast_2d(np.asarray(given, float)) for name, given in columns.items()}
        shape = next(iter(arrays.values())).shape
        for seed, point in np.ndindex(*shape):
            found = {name: float(array[seed, point]) for name, array in arrays.items()}
            solved = not any(np.isnan(value) for value in found.values())
            rows.append(
                {"point": point, "value": levels[point], "seed": seed, "scheme": scheme}
                | {"outcome": "solved" if solved else "unsolved"}
                | {name: value if solved else None for name, value in found.items()}
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def case_table(printed: Sequence[float], computed: Sequence[float | None]) -> pl.DataFrame:
    """Return a table as the case study writes it: users × 2 quantities at one provider."""
    keys = [(f"mu-{n // 2 + 1}", ("reward", "qoe")[n % 2]) for n in range(len(printed))]
    return pl.DataFrame(
        {
            "provider": ["asp-1"] * len(printed),
            "user": [user for user, _ in keys],
            "quantity": [quantity for _, quantity in keys],
            "unit": ["money/ms" if quantity == "reward" else "ms" for _, quantity in keys],
            "printed": list(printed),
            "computed": list(computed),
            "outcome": ["unsolved" if value is None else "solved" for value in computed],
        },
        schema_overrides={"computed": pl.Float64},
    )


def around(
    means: Sequence[float], spread: float, seeds: int = 20, *, drift: float = 0.0
) -> np.ndarray:
    """Return seeds × points: the means, noise of a standard deviation, and a part of each seed.

    ``drift`` is the standard deviation of what a seed adds at all points alike. Column means are
    exactly those given.
    """
    rng = np.random.default_rng(len(means) + seeds)
    noise = rng.standard_normal((seeds, len(means)))
    shared = rng.standard_normal((seeds, 1))
    total = spread * noise + drift * shared
    result: np.ndarray = np.asarray(means) + total - total.mean(axis=0)
    return result


def found_by(rule: Rule, **tables: pl.DataFrame) -> Finding:
    """Return what a rule finds; underscores in names of tables stand for hyphens."""
    claim = Claim("test", "nowhere", "nothing", "", rule)
    frames = {name.replace("_", "-"): frame for name, frame in tables.items()}
    return judge([claim], frames)[0].main.finding
