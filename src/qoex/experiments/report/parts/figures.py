"""The figures: panels in the paper's order, with every number that they draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from qoex.experiments.plots.reading import Panel, PanelPoint, panel_numbers
from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import Interval, ShownNumber, interval, number
from qoex.experiments.report.sources import SourceTable

_TITLES = {
    "3": "How the accuracy bound falls with the number of examples",
    "5": "One user’s demand at one provider varies",
    "6": "Utilities as the market grows",
    "7": "Schemes compared as the number of users grows",
    "8": "Schemes compared as the number of providers grows",
}


@dataclass(frozen=True)
class Cell:
    """One point of a line.

    Attributes:
        interval: mean and interval over the draws that were solved.
        solved: how many these are; None where it is all of them.
        draws: how many there are; None where all are solved.
    """

    interval: Interval
    solved: ShownNumber | None
    draws: ShownNumber | None


@dataclass(frozen=True)
class LineNumbers:
    """The numbers of one line.

    Attributes:
        label: of the line, and of its quantity where a panel has two.
        unit: of the quantity.
        cells: one for each x of the panel; None where the line has no point.
    """

    label: str
    unit: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class PanelPart:
    """One panel.

    Attributes:
        name: the stem of its files' names.
        label: "Fig. 7a".
        caption: one sentence.
        alternative: what stands for the picture.
        ours: whether the paper has no such panel.
        svg: where the vector picture is.
        png: where the other one is.
        table: the table it is drawn from.
        x_label: what varies.
        x: at which values.
        lines: the numbers that are drawn.
    """

    name: str
    label: str
    caption: str
    alternative: str
    ours: bool
    svg: Path
    png: Path | None
    table: str
    x_label: str
    x: tuple[ShownNumber, ...]
    lines: tuple[LineNumbers, ...]


@dataclass(frozen=True)
class Figure:
    """One figure of the paper.

    Attributes:
        number: "7".
        title: in words.
        panels: those of the paper, then ours.
        variants: the same on other markets.
        variant_title: on which.
    """

    number: str
    title: str
    panels: tuple[PanelPart, ...]
    variants: tuple[PanelPart, ...]
    variant_title: str


def figures(folder: Folder, panels: Iterable[Panel]) -> tuple[Figure, ...]:
    """Return the figures of those panels that are drawn and whose tables are there."""
    found: dict[str, tuple[list[PanelPart], list[PanelPart]]] = {}
    for panel in panels:
        svg, table = folder.figure(panel.name, "svg"), folder.tables.get(panel.table)
        if svg is None or table is None:
            continue
        kept = found.setdefault(panel.figure, ([], []))[panel.variant_of is not None]
        kept.append(_part(panel, table, svg, folder.figure(panel.name, "png")))
    return tuple(
        Figure(
            number=figure,
            title=_TITLES.get(figure, ""),
            panels=tuple(own),
            variants=tuple(variants),
            variant_title=_variant_title(variants),
        )
        for figure, (own, variants) in found.items()
    )


def _part(panel: Panel, table: SourceTable, svg: Path, png: Path | None) -> PanelPart:
    drawn = panel_numbers(panel, table.rows)
    levels = sorted({item.x for item in drawn})
    two = len(panel.series) > 1
    lines = tuple(
        LineNumbers(
            label=_line_label(quantity.label, line.label, two=two, many=len(panel.lines) > 1),
            unit=quantity.unit,
            cells=_cells(panel, levels, drawn, quantity.column, line.label),
        )
        for quantity in panel.series
        for line in panel.lines
    )
    shown = " and ".join(quantity.label for quantity in panel.series)
    compared = ", ".join(line.label for line in panel.lines)
    return PanelPart(
        name=panel.name,
        label=_label(panel),
        caption=panel.caption,
        alternative=f"Chart of {shown} against {panel.x.label}, with lines for {compared}. "
        "Its numbers are in a table below.",
        ours=panel.ours,
        svg=svg,
        png=png,
        table=panel.table,
        x_label=panel.x.axis_label,
        x=tuple(
            found
            for place, level in enumerate(levels)
            if (found := number(level, f"panel:{panel.name}:x:{place}"))
        ),
        lines=lines,
    )


def _label(panel: Panel) -> str:
    letters = (panel.variant_of or panel.name).removeprefix(f"fig{panel.figure}")
    return f"Fig. {panel.figure}{letters}"


def _line_label(quantity: str, line: str, *, two: bool, many: bool) -> str:
    if not two:
        return line
    return f"{quantity}, {line}" if many else quantity


def _cells(
    panel: Panel, levels: Sequence[float], drawn: Sequence[PanelPoint], series: str, line: str
) -> tuple[Cell | None, ...]:
    there = {item.x: item for item in drawn if (item.series, item.line) == (series, line)}
    return tuple(_cell(panel, there[level]) if level in there else None for level in levels)


def _cell(panel: Panel, drawn: PanelPoint) -> Cell:
    query = urlencode({"line": drawn.line, "x": repr(drawn.x)})

    def key(statistic: str) -> str:
        return f"panel:{panel.name}:{statistic}:{drawn.series}?{query}"

    partly = drawn.estimate.count < drawn.rows
    return Cell(
        interval(drawn.estimate, key),
        number(drawn.estimate.count, key("count")) if partly else None,
        number(drawn.rows, key("rows")) if partly else None,
    )


def _variant_title(variants: Sequence[PanelPart]) -> str:
    """Return what the tables of variants have in common: the end of their names."""
    endings = {
        "table-iv": "in the market of Table IV",
        "ample": "where every draw can be served",
        "larger": "with more providers and users",
    }
    found = {text for part in variants for end, text in endings.items() if part.table.endswith(end)}
    return "The same " + " and ".join(sorted(found)) if found else "The same on other markets"
