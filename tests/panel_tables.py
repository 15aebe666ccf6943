"""Made-up tables for panels to read, of the sizes that real ones have."""

from __future__ import annotations

import numpy as np
import polars as pl

from qoex.experiments.plots.reading import Panel

# Column → a typical size of its values.
SIZES = {
    "performance_gap_bound": 1e-3,
    "first_reward": 0.1,
    "first_qoe": 600.0,
    "first_compute": 1.2,
    "first_bandwidth": 2.5,
    "first_user_utility": 2500.0,
    "first_provider_utility": -30.0,
    "user_utility": -2500.0,
    "provider_utility": 16000.0,
    "compute_usage": 0.8,
    "bandwidth_usage": 0.3,
    "user_cost": 400.0,
    "provider_cost": 350.0,
    "mean_qoe": 1700.0,
    "welfare": 50000.0,
}

POINTS = {
    "accuracy": (1e-11, 1e-9, 1e-7, 1e-5, 1e-3),
    "output-tokens": (300.0, 600.0, 900.0, 1200.0, 1500.0),
    "latency-budget": (300.0, 600.0, 900.0, 1200.0, 1500.0),
    "users": (5.0, 10.0, 15.0, 20.0, 25.0),
    "providers": (1.0, 2.0, 3.0, 4.0, 5.0),
    "accuracy-bound": tuple(range(11)),
}


def points_of(panel: Panel) -> tuple[float, ...]:
    """Where the points of a panel's table stand."""
    ending = "" if panel.variant_of is None else panel.name.removeprefix(panel.variant_of)
    return POINTS[panel.table.removesuffix(ending)]


def table_for(panel: Panel, seeds: int = 4) -> pl.DataFrame:
    """A table with all that a panel reads, every row solved, lines apart from each other."""
    rng = np.random.default_rng(5)
    rows = [
        {
            panel.x.column: x,
            "seed": seed,
            panel.by: line.member,
            "outcome": "solved",
            **{
                item.column: SIZES[item.column]
                * (1.0 + index + 0.3 * point + 0.2 * rng.standard_normal())
                for item in panel.series
            },
        }
        for seed in range(seeds)
        for point, x in enumerate(points_of(panel))
        for index, line in enumerate(panel.lines)
    ]
    return pl.DataFrame(rows)
