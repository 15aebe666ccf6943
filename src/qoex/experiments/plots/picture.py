"""The picture of a panel. All numbers in it are those of ``reading.panel_numbers``.

The places of plot, labels and legend are fixed, so that panels side by side line up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from qoex.experiments.plots import style as look
from qoex.experiments.plots.reading import Panel, PanelPoint, Quantity, of_line
from qoex.experiments.plots.scale import Scale, scale

# With more points than this, ticks stand where they are round, not at every point.
_MOST_POINT_TICKS = 7


@dataclass(frozen=True)
class _Curve:
    """One line of a picture: which of its axes it is on, its points, looks and name."""

    axis: int
    numbers: Sequence[PanelPoint]
    style: look.LineStyle
    label: str


def panel_figure(panel: Panel, numbers: Sequence[PanelPoint]) -> Figure:
    """Return the picture of a panel, to be made and drawn under ``plot_style.RC``.

    Raises:
        InvalidInputError: the panel has more lines than there are styles.
    """
    curves = _curves(panel, numbers)
    height = look.figure_height(len(curves))
    figure = Figure(figsize=(look.WIDTH, height))
    FigureCanvasAgg(figure)
    right = look.AXIS_MARGIN if len(panel.series) == 2 else look.BARE_MARGIN
    box = (
        look.AXIS_MARGIN / look.WIDTH,
        look.BOTTOM_MARGIN / height,
        1.0 - (look.AXIS_MARGIN + right) / look.WIDTH,
        look.PLOT_HEIGHT / height,
    )
    points = sorted({number.x for number in numbers})
    ticks = points if len(points) <= _MOST_POINT_TICKS else None
    x_axis = scale(points, log=panel.x.log, room=look.X_ROOM, ticks=ticks)
    axes = []
    for index, quantity in enumerate(panel.series):
        estimates = [item.estimate for item in numbers if item.series == quantity.column]
        ends = [end for item in estimates for end in (item.low, item.mean, item.high)]
        y_axis = scale(ends, log=quantity.log, room=look.Y_ROOM)
        ax = figure.add_axes(box, frameon=index == 0)
        _draw_x_axis(ax, x_axis, panel.x, is_shown=index == 0)
        _draw_y_axis(ax, y_axis, quantity, is_right=index == 1)
        axes.append(ax)
    for curve, shift in zip(curves, _shifts(curves), strict=True):
        _draw_curve(axes[curve.axis], curve, shift)
    _legend(figure, curves, height)
    return figure


def _curves(panel: Panel, numbers: Sequence[PanelPoint]) -> list[_Curve]:
    if len(panel.series) == 2:
        line = panel.lines[0].label
        return [
            _Curve(index, of_line(numbers, item.column, line), style, f"{item.label} ({side})")
            for index, (item, style, side) in enumerate(
                zip(panel.series, (look.LEFT, look.RIGHT), ("left", "right"), strict=True)
            )
        ]
    styles = look.styles_for([line.strong for line in panel.lines])
    column = panel.series[0].column
    return [
        _Curve(0, of_line(numbers, column, line.label), style, line.label)
        for line, style in zip(panel.lines, styles, strict=True)
    ]


def _shifts(curves: Sequence[_Curve]) -> list[float]:
    """Return how far each curve is moved to the right, in inches."""
    has_bars = any(
        number.estimate.high > number.estimate.low for curve in curves for number in curve.numbers
    )
    if not has_bars:
        return [0.0] * len(curves)
    last = max(len(curves) - 1, 1)
    return [look.LINE_SPREAD * (index / last - 0.5) for index in range(len(curves))]


def _draw_x_axis(ax: Axes, axis: Scale, quantity: Quantity, *, is_shown: bool) -> None:
    if quantity.log:
        ax.set_xscale("log")
    ax.set_xlim(axis.low, axis.high)
    ax.xaxis.set_visible(is_shown)
    if not is_shown:
        return
    ax.set_xticks(axis.ticks, axis.texts)
    ax.set_xticks([], minor=True)
    ax.set_xlabel(quantity.axis_label, verticalalignment="center")
    y = (look.LABEL_INSET - look.BOTTOM_MARGIN) / look.PLOT_HEIGHT
    ax.xaxis.set_label_coords(0.5, y)


def _draw_y_axis(ax: Axes, axis: Scale, quantity: Quantity, *, is_right: bool) -> None:
    if quantity.log:
        # Few seeds may give an interval that reaches below zero: its bar ends where the axis does.
        ax.set_yscale("log", nonpositive="clip")
    ax.set_yticks(axis.ticks, axis.texts)
    ax.set_yticks(axis.minor, ["" for _ in axis.minor], minor=True)
    ax.set_ylim(axis.low, axis.high)
    ax.set_ylabel(quantity.axis_label, verticalalignment="center")
    outside = (look.AXIS_MARGIN - look.LABEL_INSET) / (look.WIDTH * ax.get_position().width)
    ax.yaxis.set_label_coords(1.0 + outside if is_right else -outside, 0.5)
    if is_right:
        ax.yaxis.tick_right()
        ax.grid(visible=False)  # two grids would cross at odd places


def _draw_curve(ax: Axes, curve: _Curve, shift: float) -> None:
    """Draw means, joined, and thin bars for their intervals; a point without a mean is a gap."""
    moved = ax.transData + ScaledTranslation(shift, 0.0, ax.figure.dpi_scale_trans)
    xs = [number.x for number in curve.numbers]
    estimates = [number.estimate for number in curve.numbers]
    zorder = 3.0 if curve.style is look.STRONG else 2.5
    bars = [
        ((x, item.low), (x, item.high))
        for x, item in zip(xs, estimates, strict=True)
        if item.high > item.low
    ]
    if bars:
        collection = LineCollection(
            bars,
            colors=curve.style.colour,
            linewidths=look.BAR_WIDTH,
            transform=moved,
            zorder=zorder,
        )
        ax.add_collection(collection, autolim=False)
    means = _marks(xs, [item.mean for item in estimates], curve.style)
    means.set(transform=moved, zorder=zorder)
    ax.add_artist(means)


def _marks(xs: Sequence[float], ys: Sequence[float], style: look.LineStyle) -> Line2D:
    marks = Line2D(
        xs,
        ys,
        color=style.colour,
        linewidth=style.width,
        marker=style.marker,
        markersize=style.size,
        markerfacecolor=style.colour if style.filled else "none",
        markeredgewidth=0.9,
    )
    marks.set_linestyle(style.dashes)
    return marks


def _legend(figure: Figure, curves: Sequence[_Curve], height: float) -> None:
    """Write the legend in rows above the plot, where it hides nothing."""
    _, columns = look.legend_shape(len(curves))
    column_width = look.LEGEND_WIDTH / columns / look.WIDTH
    for index, curve in enumerate(curves):
        row, column = divmod(index, columns)
        left = look.LEGEND_LEFT / look.WIDTH + column * column_width
        y = 1.0 - (look.TOP_MARGIN + (row + 0.5) * look.LEGEND_ROW) / height
        handle = look.HANDLE_LENGTH / look.WIDTH
        xs = (left, left + handle / 2, left + handle)
        sample = _marks(xs, (y, y, y), curve.style)
        sample.set_markevery([1])  # in the middle
        figure.add_artist(sample)
        figure.text(
            left + handle + look.HANDLE_GAP / look.WIDTH,
            y,
            curve.label,
            size=look.TICK_TEXT_SIZE,
            va="center_baseline",
        )
