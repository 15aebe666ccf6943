"""Table V: what the mechanism decides in the case of Table IV, beside what the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qoex.data.paper_case import TABLE_V, compare_with_table_v, table_iv_market
from qoex.experiments.measure import MEASURED, measure
from qoex.experiments.paper import PROPOSED
from qoex.experiments.study import Row
from qoex.files.arrays_json import arrays_from_market
from qoex.mechanisms import schemes

# Field of Solution → quantity of a row, and its unit; in the order of Table V's columns.
QUANTITIES: dict[str, tuple[str, str]] = {
    "compute": ("compute", "TFLOPS"),
    "bandwidth": ("bandwidth", "MHz"),
    "rewards": ("reward", "money/ms"),
    "qoe": ("qoe", "ms"),
}

# Of the solution as a whole, so the same in every row.
_JUDGED = ("outcome", "status", "reason", "regret_relative", "certified")

COLUMNS: dict[str, str] = {
    "seed": "whole",
    "provider": "text",
    "user": "text",
    "quantity": "text",
    "unit": "text",
    "printed": "real",
    "computed": "real",
    "relative_error": "real",
    **{column: MEASURED[column] for column in _JUDGED},
}


@dataclass(frozen=True)
class CaseStudy:
    """The table of the 24 numbers of Table V: printed, computed, and how far apart.

    Where the market is not solved, every row says why and has no number computed.

    Attributes:
        name: the stem of its table's file name.
    """

    name: str = "table-v"

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → type of the table."""
        return COLUMNS

    @property
    def rows_per_seed(self) -> int:
        """One for every number that Table V prints."""
        return sum(printed.size for printed in TABLE_V.values())

    @property
    def fixed(self) -> bool:
        """There is one market only."""
        return True

    def rows(self, seed: int) -> Sequence[Row]:
        """Return one row for every provider, user and quantity, in this order."""
        market = table_iv_market()
        measured = measure(market, None, PROPOSED)
        judged = {column: measured[column] for column in _JUDGED}
        solution = schemes.run(PROPOSED.scheme, market) if judged["outcome"] == "solved" else None
        errors = compare_with_table_v(solution) if solution else {}
        return [
            {
                "seed": seed,
                "provider": provider,
                "user": user,
                "quantity": quantity,
                "unit": unit,
                "printed": float(TABLE_V[field][n, m]),
                "computed": float(getattr(solution, field)[n, m]) if solution else None,
                "relative_error": float(errors[field][n, m]) if solution else None,
                **judged,
            }
            for n, provider in enumerate(market.provider_names)
            for m, user in enumerate(market.user_names)
            for field, (quantity, unit) in QUANTITIES.items()
        ]

    def parameters(self) -> dict[str, Any]:
        """Return all that the rows depend on, as JSON can hold it."""
        return {
            "kind": "case study",
            "title": "Table V: the case of Table IV",
            "market": arrays_from_market(table_iv_market()),
            "printed": {field: printed.tolist() for field, printed in TABLE_V.items()},
        }
