"""How figures look: for a column of print, and so that lines are told apart without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qoex.errors import InvalidInputError

# Inches. A column of a two-column paper is 3.5 wide.
WIDTH = 3.5
PLOT_HEIGHT = 1.95
TICK_LENGTH = 0.045
MINOR_TICK_LENGTH = 0.025
TICK_TEXT_DISTANCE = 0.075
LEGEND_ROW = 0.16
LEGEND_GAP = 0.04
LEGEND_LEFT = 0.12
LEGEND_WIDTH = WIDTH - 0.16
HANDLE_LENGTH = 0.27
HANDLE_GAP = 0.05
# Room for tick labels of up to six characters and an axis label beside them.
AXIS_MARGIN = 0.62
BARE_MARGIN = 0.1
BOTTOM_MARGIN = 0.42
TOP_MARGIN = 0.04
# From the edge of the figure to the middle of an axis label.
LABEL_INSET = 0.09

PNG_DPI = 200

TEXT_SIZE = 8.0
TICK_TEXT_SIZE = 7.0

# On top of matplotlib's defaults. DejaVu Sans comes with matplotlib, so a figure is the same on
# every machine. Text becomes outlines in an SVG: its reader may have no such font, and another one
# would not fit the room.
RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT_SIZE,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    **{
        f"{axis}tick.{name}": value
        for axis in "xy"
        for name, value in (
            ("labelsize", TICK_TEXT_SIZE),
            ("major.size", 72 * TICK_LENGTH),
            ("minor.size", 72 * MINOR_TICK_LENGTH),
            ("major.width", 0.7),
            ("minor.width", 0.7),
            ("major.pad", 72 * (TICK_TEXT_DISTANCE - TICK_LENGTH)),
        )
    },
    "ytick.alignment": "center_baseline",
    "svg.fonttype": "path",
    "svg.hashsalt": "qoex",  # otherwise the ids in an SVG are random
}

# zlib's; the default of 6 takes half as long again and saves 4 %.
PNG_COMPRESSION = 3

BAR_WIDTH = 0.8  # points, of the bar that shows an interval
# Inches between the first and the last line at the same point, where lines have intervals: moved
# apart, one bar does not hide another. More would look like a difference where lines are steep.
LINE_SPREAD = 0.06

# Shares of the axis that stay free beyond the outermost points.
X_ROOM = 0.08
Y_ROOM = 0.07


@dataclass(frozen=True)
class LineStyle:
    """The looks of one line; sizes in points.

    Attributes:
        colour: of line, marker and interval.
        dashes: offset and lengths of strokes and gaps, in line widths.
        marker: a marker of matplotlib.
        filled: whether the marker is.
        width: of the line.
        size: of the marker.
    """

    colour: str
    dashes: tuple[float, tuple[float, ...]]
    marker: str
    filled: bool = False
    width: float = 1.0
    size: float = 5.0


SOLID: tuple[float, tuple[float, ...]] = (0.0, ())

# Small and filled: open markers of other lines at the same place are seen around it.
STRONG = LineStyle("#000000", SOLID, "o", filled=True, width=1.9, size=4.0)

# Colours of Okabe and Ito, which the colour-blind tell apart, by falling contrast to their
# neighbours in grey; markers and dashes tell the lines apart without any.
STYLES = (
    LineStyle("#d55e00", (0, (5, 1.5)), "s"),
    LineStyle("#0072b2", (0, (5, 1.2, 1, 1.2)), "^", size=5.5),
    LineStyle("#e69f00", (0, (2.5, 1.2)), "D", size=4.5),
    LineStyle("#009e73", (0, (1, 1)), "v", size=5.5),
    LineStyle("#cc79a7", (0, (7, 1.5, 1, 1.5, 1, 1.5)), "<", size=5.5),
    LineStyle("#777777", SOLID, "x", width=0.8),
    LineStyle("#56b4e9", (0, (3, 1, 3, 3)), ">", size=5.5),
    LineStyle("#444444", (0, (1, 2.5)), "+", size=6.0),
)

# Of two quantities with an axis each.
LEFT = LineStyle("#000000", SOLID, "o", filled=True, width=1.4, size=4.5)
RIGHT = LineStyle("#d55e00", (0, (4, 1.5)), "s", width=1.2, size=5.0)


def legend_shape(entries: int) -> tuple[int, int]:
    """Return rows and columns of a legend: at most four columns, and rows of like length."""
    rows = -(-entries // 4)
    return rows, -(-entries // rows)


def figure_height(entries: int) -> float:
    """Return the height of a panel with so many entries in its legend, in inches."""
    rows, _ = legend_shape(entries)
    return TOP_MARGIN + rows * LEGEND_ROW + LEGEND_GAP + PLOT_HEIGHT + BOTTOM_MARGIN


def styles_for(strong: Sequence[bool]) -> list[LineStyle]:
    """Return a style for each line, given which of them are to stand out.

    Raises:
        InvalidInputError: more lines than there are styles to tell them apart.
    """
    ordinary = sum(not flag for flag in strong)
    if ordinary > len(STYLES) or len(strong) - ordinary > 1:
        raise InvalidInputError(
            f"{len(strong)} lines are too many for one panel: one that stands out and "
            f"{len(STYLES)} others are told apart in print"
        )
    styles = iter(STYLES)
    return [STRONG if flag else next(styles) for flag in strong]
