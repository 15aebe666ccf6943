"""How a figure reads its table: which rows make a line, which columns make a number.

A panel is data. ``panel_numbers`` turns it and a table into every number that is drawn, so that a
report or a test has the same numbers as the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from qoex.errors import InvalidInputError
from qoex.experiments.intervals import Estimate, estimate

_SOLVED = "solved"


@dataclass(frozen=True)
class Quantity:
    """A column of a table as an axis shows it.

    Attributes:
        column: of the table.
        label: what it is, for people.
        unit: nothing where it has none.
        log: whether its axis is logarithmic.
        relative_to: a line of the panel; each value is divided by that line's value of the same
            seed and point, and left out where that is not positive.
        of_all: whether rows count that were not solved; otherwise their values are left out.
    """

    column: str
    label: str
    unit: str = ""
    log: bool = False
    relative_to: str | None = None
    of_all: bool = False

    @property
    def axis_label(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class PanelLine:
    """The rows of a table that make one line.

    Attributes:
        member: their value in the column ``by`` of the panel.
        label: its name in the legend.
        strong: whether it is drawn to stand out.
    """

    member: str | float
    label: str
    strong: bool = False


@dataclass(frozen=True)
class Panel:
    """One small picture with a file of its own.

    Attributes:
        name: the stem of its files' names.
        figure: of the paper, "7".
        shows: its caption, without the full stop.
        table: the name of the table that it reads.
        x: what varies.
        series: one quantity, or two of which the second has its axis on the right.
        lines: every quantity is drawn for each of them.
        by: the column that tells lines apart.
        ours: whether the paper has no such panel.
        variant_of: the name of the panel that shows the same on other markets.
        where: of a variant, what these markets are.

    Raises:
        InvalidInputError: two quantities and several lines, which one picture cannot tell apart.
    """

    name: str
    figure: str
    shows: str
    table: str
    x: Quantity
    series: tuple[Quantity, ...]
    lines: tuple[PanelLine, ...]
    by: str = "scheme"
    ours: bool = False
    variant_of: str | None = None
    where: str = ""

    @property
    def caption(self) -> str:
        """One sentence."""
        return f"{self.shows}, {self.where}." if self.where else f"{self.shows}."

    def __post_init__(self) -> None:
        if not (len(self.series) == 1 or (len(self.series) == 2 and len(self.lines) == 1)):
            raise InvalidInputError(
                f"{self.name} has {len(self.series)} quantities and {len(self.lines)} lines; "
                "a panel shows one quantity, or two of one line"
            )


@dataclass(frozen=True)
class PanelPoint:
    """One point of one line.

    Attributes:
        series: the column that it is of.
        line: the label of its line.
        x: where it stands, in the unit of the panel's x.
        estimate: mean over the seeds that count, its interval, and how many they are; solved ones
            unless the quantity is of all.
        rows: how many seeds there are, solved or not.
    """

    series: str
    line: str
    x: float
    estimate: Estimate
    rows: int


def panel_numbers(panel: Panel, frame: pl.DataFrame) -> tuple[PanelPoint, ...]:
    """Return all that a panel draws: for every series and line its points, by rising x.

    A point that no seed solved is there with a count of zero.

    Args:
        panel: what to read.
        frame: the table ``panel.table``.

    Raises:
        InvalidInputError: the table lacks a column, or has no row for a line.
    """
    series = panel.series
    for column in (panel.x.column, panel.by, "seed", "outcome", *(item.column for item in series)):
        if column not in frame.columns:
            raise InvalidInputError(
                f"{panel.name} needs the column {column!r}, which the table {panel.table!r} "
                "does not have"
            )
    solved = pl.col("outcome").eq_missing(_SOLVED)
    values = frame.select(
        pl.col(panel.by).alias("line"),
        pl.col(panel.x.column).cast(pl.Float64).alias("x"),
        "seed",
        *(
            pl.when(solved | item.of_all)
            .then(pl.col(item.column))
            .cast(pl.Float64)
            .alias(f"series_{index}")
            for index, item in enumerate(series)
        ),
    )
    for index, item in enumerate(series):
        if item.relative_to is not None:
            values = _relative(values, f"series_{index}", item.relative_to)
    names = [f"series_{index}" for index in range(len(series))]
    points = values.group_by("line", "x").agg(*names, pl.len().alias("rows")).sort("x")
    rows = points.rows_by_key("line", named=True)
    for line in panel.lines:
        if line.member not in rows:
            raise InvalidInputError(
                f"{panel.name} needs rows whose {panel.by} is {line.member!r}, and the table "
                f"{panel.table!r} has none"
            )
    return tuple(
        PanelPoint(item.column, line.label, row["x"], estimate(row[name]), row["rows"])
        for name, item in zip(names, series, strict=True)
        for line in panel.lines
        for row in rows[line.member]
    )


def of_line(numbers: Sequence[PanelPoint], series: str, line: str) -> list[PanelPoint]:
    """Return the points of one line of one series."""
    return [number for number in numbers if (number.series, number.line) == (series, line)]


def _relative(values: pl.DataFrame, name: str, member: str) -> pl.DataFrame:
    """Divide a column by what the rows of a member have in it at the same seed and x."""
    baseline = values.filter(pl.col("line") == member).select(
        "seed", "x", pl.col(name).alias("baseline")
    )
    ratio = pl.when(pl.col("baseline") > 0).then(pl.col(name) / pl.col("baseline"))
    joined = values.join(baseline, on=["seed", "x"], how="left")
    return joined.with_columns(ratio.alias(name)).drop("baseline")
