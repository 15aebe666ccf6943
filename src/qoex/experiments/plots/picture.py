"""The picture of a panel. All numbers in it are those of ``reading.panel_numbers``.

Axes, ticks and legend are drawn by hand: their places are fixed, so that panels side by side line
up, and matplotlib's own take as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation, Transform

from qoex.experiments.plots import style as look
from qoex.experiments.plots.reading import Number, Panel, Quantity, of_line
from qoex.experiments.plots.scale import Scale, scale

Segment = tuple[tuple[float, float], tuple[float, float]]

# With more points than this, ticks stand where they are round, not at every point.
_MOST_POINT_TICKS = 7


@dataclass(frozen=True)
class _Curve:
    """One line of a picture: which of its axes it is on, its points, looks and name."""

    axis: int
    numbers: Sequence[Number]
    style: look.LineStyle
    label: str


def panel_figure(panel: Panel, numbers: Sequence[Number]) -> Figure:
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
        _fit(ax, panel.x, x_axis, quantity, y_axis)
        if index == 0:
            _draw_x_axis(ax, x_axis, panel.x.axis_label)
        _draw_y_axis(ax, y_axis, quantity.axis_label, is_right=index == 1)
        axes.append(ax)
    for curve, shift in zip(curves, _shifts(curves), strict=True):
        _draw_curve(axes[curve.axis], curve, shift)
    _legend(figure, curves, height)
    return figure


def _curves(panel: Panel, numbers: Sequence[Number]) -> list[_Curve]:
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


def _fit(ax: Axes, x: Quantity, x_axis: Scale, y: Quantity, y_axis: Scale) -> None:
    """Give a plot its scales, and hide matplotlib's axes."""
    ax.xaxis.set_visible(False)
    ax.yaxis.set_visible(False)
    if x.log:
        ax.set_xscale("log")
    if y.log:
        # Few seeds may give an interval that reaches below zero: its bar ends where the axis does.
        ax.set_yscale("log", nonpositive="clip")
    ax.set_xlim(x_axis.low, x_axis.high)
    ax.set_ylim(y_axis.low, y_axis.high)


def _draw_x_axis(ax: Axes, axis: Scale, label: str) -> None:
    place = ax.get_xaxis_transform()  # x as in the data, y as a share of the plot's height
    inch = 1.0 / look.PLOT_HEIGHT
    ends = [(tick, -look.TICK_LENGTH * inch) for tick in axis.ticks]
    _strokes(ax, [((tick, 0.0), (tick, 1.0)) for tick in axis.ticks], place, look.GRID)
    _strokes(ax, [((tick, 0.0), (tick, end)) for tick, end in ends], place, look.TICKS)
    for tick, text in zip(axis.ticks, axis.texts, strict=True):
        y = -look.TICK_TEXT_DISTANCE * inch
        ax.text(tick, y, text, transform=place, size=look.TICK_TEXT_SIZE, ha="center", va="top")
    y = (look.LABEL_INSET - look.BOTTOM_MARGIN) * inch
    ax.text(0.5, y, label, transform=ax.transAxes, ha="center", va="center")


def _draw_y_axis(ax: Axes, axis: Scale, label: str, *, is_right: bool) -> None:
    place = ax.get_yaxis_transform()  # x as a share of the plot's width, y as in the data
    inch = 1.0 / (look.WIDTH * ax.get_position().width)
    edge, outward = (1.0, inch) if is_right else (0.0, -inch)

    def ticks(values: Sequence[float], length: float) -> None:
        end = edge + length * outward
        _strokes(ax, [((edge, value), (end, value)) for value in values], place, look.TICKS)

    if not is_right:  # two grids would cross at odd places
        _strokes(ax, [((0.0, tick), (1.0, tick)) for tick in axis.ticks], place, look.GRID)
    ticks(axis.ticks, look.TICK_LENGTH)
    ticks(axis.minor, look.MINOR_TICK_LENGTH)
    for tick, text in zip(axis.ticks, axis.texts, strict=True):
        ax.text(
            edge + look.TICK_TEXT_DISTANCE * outward,
            tick,
            text,
            transform=place,
            size=look.TICK_TEXT_SIZE,
            ha="left" if is_right else "right",
            va="center_baseline",
        )
    x = edge + (look.AXIS_MARGIN - look.LABEL_INSET) * outward
    ax.text(x, 0.5, label, transform=ax.transAxes, ha="center", va="center", rotation=90)


def _strokes(
    ax: Axes, segments: Sequence[Segment], place: Transform, style: look.StrokeStyle
) -> None:
    """Draw straight lines that belong to an axis."""
    if segments:
        strokes = LineCollection(
            segments,
            colors=style.colour,
            linewidths=style.width,
            transform=place,
            zorder=style.zorder,
            clip_on=False,
        )
        ax.add_collection(strokes, autolim=False)


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
