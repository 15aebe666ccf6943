"""Hidden parameters as Table V determines them, and how tightly."""

from __future__ import annotations

from dataclasses import dataclass

from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import Interval, ShownNumber
from qoex.experiments.report.sources import SourceTable

_TABLE = "inferred"

# Field of a market → symbol of the paper, meaning and unit.
_FIELDS = {
    "profit_factor": ("μ", "profit factor", "money"),
    "compute_cost": ("c", "unit cost of compute", "money/TFLOPS"),
    "bandwidth_cost": ("d", "unit cost of bandwidth", "money/MHz"),
    "work": ("a", "work", "TFLOPS·ms"),
    "traffic": ("b", "traffic", "MHz·ms"),
}


@dataclass(frozen=True)
class ReportedParameter:
    """One hidden parameter.

    Attributes:
        symbol: of the paper; empty where the field has none.
        meaning: in words.
        place: of which provider, user or pair; empty where all share it.
        unit: nothing where it has none.
        value: the best fit, with what the data allow; no ends where they do not bound it.
        verdict: whether, and how well, the data pin it down.
    """

    symbol: str
    meaning: str
    place: str
    unit: str
    value: Interval
    verdict: str


@dataclass(frozen=True)
class InferredPart:
    """What Table V reveals.

    Attributes:
        parameters: one by one.
        largest: the greatest error of the numbers of Table V at these parameters, relative.
        rms: their root mean square.
    """

    parameters: tuple[ReportedParameter, ...]
    largest: ShownNumber | None
    rms: ShownNumber | None


def inferred(folder: Folder) -> InferredPart | None:
    """Return what was inferred, or None where nothing was."""
    table = folder.tables.get(_TABLE)
    if table is None:
        return None
    return InferredPart(
        parameters=tuple(
            _parameter(table.where(parameter=name)) for name in table.values("parameter")
        ),
        largest=table.number("max", "largest_error", decimals=2, percent=True),
        rms=table.number("max", "rms_error", decimals=2, percent=True),
    )


def _parameter(row: SourceTable) -> ReportedParameter:
    field, place, verdict = row.rows.select("field", "place", "verdict").row(0)
    symbol, meaning, unit = _FIELDS.get(field, ("", field, ""))
    return ReportedParameter(
        symbol=symbol,
        meaning=meaning,
        place=place or "",
        unit=unit,
        value=row.fitted("value", "low", "high"),
        verdict=verdict or "",
    )
