"""Fig. 3: the bound of the performance gap against the number of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qoex.experiments.study import Row
from qoex.model.qoe import gap_from_examples
from qoex.scenario.sampling import TABLE_III

# Up to the most of Table III, and from none, where the bound is β itself.
EXAMPLES = tuple(range(max(TABLE_III.examples) + 1))

# As people write it → η. The paper does not say which it draws. One is that of all other figures,
# the rest spread over Lemma 1's range below 1/2.
AMBIGUITIES: dict[str, float] = {
    "0.05": 0.05,
    "1/11": TABLE_III.example_ambiguity,
    "0.2": 0.2,
    "0.3": 0.3,
    "0.4": 0.4,
}

COLUMNS: dict[str, str] = {
    "point": "whole",
    "examples": "whole",
    "seed": "whole",
    "example_ambiguity": "real",
    "gap_scale": "real",
    "performance_gap_bound": "real",
    "outcome": "text",
}


@dataclass(frozen=True)
class AccuracyBound:
    """The table of θ̂ = β (η/(1−η))^K (eq. 6): a formula, so no row of it is ever unsolved.

    Attributes:
        name: the stem of its table's file name.
        examples: K.
        ambiguities: η, each in [0, 1/2).
        gap_scale: β.
    """

    name: str = "accuracy-bound"
    examples: tuple[int, ...] = EXAMPLES
    ambiguities: tuple[float, ...] = tuple(AMBIGUITIES.values())
    gap_scale: float = TABLE_III.gap_scale

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → type of the table."""
        return COLUMNS

    @property
    def rows_per_seed(self) -> int:
        """Numbers of examples times ambiguities."""
        return len(self.examples) * len(self.ambiguities)

    @property
    def fixed(self) -> bool:
        """Nothing in it is random."""
        return True

    def rows(self, seed: int) -> Sequence[Row]:
        """Return one row for every K and η, by K first."""
        return [
            {
                "point": point,
                "examples": count,
                "seed": seed,
                "example_ambiguity": ambiguity,
                "gap_scale": self.gap_scale,
                "performance_gap_bound": float(gap_from_examples(count, self.gap_scale, ambiguity)),
                "outcome": "solved",
            }
            for point, count in enumerate(self.examples)
            for ambiguity in self.ambiguities
        ]

    def parameters(self) -> dict[str, Any]:
        """Return all that the rows depend on, as JSON can hold it."""
        return {
            "kind": "accuracy bound",
            "title": "Fig. 3: bound of the performance gap",
            "examples": list(self.examples),
            "ambiguities": list(self.ambiguities),
            "gap_scale": self.gap_scale,
        }
