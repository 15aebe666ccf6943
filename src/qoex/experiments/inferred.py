"""What the paper leaves out of Table IV, inferred from Table V: the parameters of all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qoex.calibration import infer_parameters, table_v_observations
from qoex.data.paper_case import TABLE_V
from qoex.experiments.study import Row

COLUMNS: dict[str, str] = {
    "seed": "whole",
    "parameter": "text",
    "field": "text",
    "place": "text",
    "value": "real",
    "low": "real",
    "high": "real",
    "verdict": "text",
    "largest_error": "real",
    "rms_error": "real",
    "outcome": "text",
    "status": "text",
    "reason": "text",
}


@dataclass(frozen=True)
class Inferred:
    """The table of the hidden parameters that Table V reveals, with 95 % intervals.

    The last two errors are those of the 24 numbers of Table V at these parameters, relative.

    Attributes:
        name: the stem of its table's file name.
    """

    name: str = "inferred"

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → type of the table."""
        return COLUMNS

    @property
    def rows_per_seed(self) -> int:
        """One for μ, one for c of each provider, and one for a and for b of each pair."""
        providers, users = TABLE_V["qoe"].shape
        return int(1 + providers + 2 * providers * users)

    @property
    def fixed(self) -> bool:
        """There is one table of observations only."""
        return True

    def rows(self, seed: int) -> Sequence[Row]:
        """Return one row for every parameter."""
        inference = infer_parameters(table_v_observations())
        solved = inference.status.ok
        return [
            {
                "seed": seed,
                "parameter": f"{item.field} of {item.place}" if item.place else item.field,
                "field": item.field,
                "place": item.place,
                "value": item.value,
                "low": item.low,
                "high": item.high,
                "verdict": str(item.verdict),
                "largest_error": inference.largest,
                "rms_error": inference.rms,
                "outcome": "solved" if solved else "unsolved",
                "status": inference.status.name,
                "reason": None if solved else inference.status.sentence,
            }
            for item in inference.parameters
        ]

    def parameters(self) -> dict[str, Any]:
        """Return all that the rows depend on, as JSON can hold it."""
        known = table_v_observations().known
        return {
            "kind": "calibration",
            "title": "Hidden parameters inferred from Table V",
            "observed": {name: array.tolist() for name, array in TABLE_V.items()},
            "known": {name: array.tolist() for name, array in known.items()},
        }
