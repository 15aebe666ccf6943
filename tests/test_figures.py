from __future__ import annotations

import io
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.style import context
from matplotlib.text import Text
from PIL import Image

from panel_tables import table_for
from qoex.errors import InvalidInputError
from qoex.experiments.plots import style as look
from qoex.experiments.plots.drawing import draw
from qoex.experiments.plots.figures import draw_all
from qoex.experiments.plots.panels import PANELS
from qoex.experiments.plots.picture import panel_figure
from qoex.experiments.plots.reading import Panel, PanelLine, PanelPoint, of_line, panel_numbers

BY_NAME = {panel.name: panel for panel in PANELS}

# One of each kind: a formula, two axes over a logarithmic one, schemes, schemes on a log axis.
KINDS = ("fig3", "fig5a", "fig6a", "fig7a", "fig7c", "fig7g")


def drawn(panel: Panel, numbers: Sequence[PanelPoint]) -> Figure:
    with context(["default", look.RC]):
        figure = panel_figure(panel, numbers)
        figure.savefig(io.BytesIO(), format="png")
    return figure


def draw_panel(panel: Panel, frame: pl.DataFrame, folder: Path) -> list[Path]:
    return draw(panel, panel_numbers(panel, frame), folder)


def curves(figure: Figure) -> list[Line2D]:
    return [line for ax in figure.axes for line in ax.lines]


def bars(figure: Figure) -> list[np.ndarray]:
    """The intervals of every curve that has some."""
    return [
        np.array(item.get_segments())
        for ax in figure.axes
        for item in ax.collections
        if isinstance(item, LineCollection)
    ]


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("name", KINDS)
def test_a_panel_is_drawn_from_its_numbers_alone(name: str) -> None:
    panel = BY_NAME[name]
    numbers = panel_numbers(panel, table_for(panel))
    figure = drawn(panel, numbers)
    wanted = [
        of_line(numbers, item.column, line.label) for item in panel.series for line in panel.lines
    ]
    assert len(curves(figure)) == len(wanted)
    for curve, points in zip(curves(figure), wanted, strict=True):
        np.testing.assert_array_equal(curve.get_xdata(), [number.x for number in points])
        np.testing.assert_array_equal(
            curve.get_ydata(), [number.estimate.mean for number in points]
        )
    intervals = [
        [(number.x, number.estimate.low, number.estimate.high) for number in points]
        for points in wanted
        if points[0].estimate.high > points[0].estimate.low
    ]
    assert len(bars(figure)) == len(intervals)
    for segments, ends in zip(bars(figure), intervals, strict=True):
        np.testing.assert_array_equal(segments[:, 0, 0], segments[:, 1, 0])
        np.testing.assert_array_equal(
            np.column_stack([segments[:, 0, 0], segments[:, 0, 1], segments[:, 1, 1]]), ends
        )


@pytest.mark.parametrize(
    "panel",
    [panel for panel in PANELS if panel.variant_of is None],
    ids=lambda panel: panel.name,
)
def test_nothing_overlaps_and_nothing_is_cut_off(panel: Panel) -> None:
    figure = drawn(panel, panel_numbers(panel, table_for(panel)))
    width, height = figure.canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    plot = figure.axes[0].get_window_extent()
    for index, (text, box) in enumerate(boxes):
        assert box.x0 >= 0, text
        assert box.x1 <= width, text
        assert box.y0 >= 0, text
        assert box.y1 <= height, text
        assert not box.overlaps(plot), text
        for other, other_box in boxes[:index]:
            assert not box.overlaps(other_box), (text, other)
    for curve in curves(figure):
        places = curve.get_transform().transform(
            np.column_stack([curve.get_xdata(), curve.get_ydata()])
        )
        assert (places > [plot.x0, plot.y0]).all()
        assert (places < [plot.x1, plot.y1]).all()


@pytest.mark.parametrize("name", KINDS)
def test_labels_and_legend_say_what_is_shown(name: str) -> None:
    panel = BY_NAME[name]
    figure = drawn(panel, panel_numbers(panel, table_for(panel)))
    written = [text.get_text() for text in texts(figure)]
    assert panel.x.axis_label in written
    for item in panel.series:
        assert item.axis_label in written
    if len(panel.series) == 1:
        names = [line.label for line in panel.lines]
    else:
        names = [f"{panel.series[0].label} (left)", f"{panel.series[1].label} (right)"]
    for label in names:
        assert written.count(label) == 1
    # A sample in the legend looks like its line.
    samples = [item for item in figure.artists if isinstance(item, Line2D)]
    samples += [item for item in figure.lines if item not in samples]
    assert [(item.get_color(), item.get_marker(), item.get_linewidth()) for item in samples] == [
        (item.get_color(), item.get_marker(), item.get_linewidth()) for item in curves(figure)
    ]


def test_ticks_stand_at_the_points_of_a_sweep() -> None:
    for name, wanted in (
        ("fig5a", ["10⁻¹¹", "10⁻⁹", "10⁻⁷", "10⁻⁵", "10⁻³"]),
        ("fig5d", ["300", "600", "900", "1200", "1500"]),
        ("fig7a", ["5", "10", "15", "20", "25"]),
        ("fig8a", ["1", "2", "3", "4", "5"]),
    ):
        panel = BY_NAME[name]
        figure = drawn(panel, panel_numbers(panel, table_for(panel)))
        assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == wanted


def test_lines_are_told_apart_without_colour() -> None:
    styles = [look.STRONG, *look.STYLES]
    for pick in (lambda style: style.marker, lambda style: (style.dashes, style.width)):
        assert len({pick(style) for style in styles}) == len(styles)
    for left, right in ((look.LEFT, look.RIGHT),):
        assert left.marker != right.marker
        assert left.dashes != right.dashes
        assert left.filled != right.filled
    assert look.STRONG.width > 1.5 * max(style.width for style in look.STYLES)
    assert len(max((panel.lines for panel in PANELS), key=len)) <= len(styles)


def test_points_that_no_seed_solved_are_gaps() -> None:
    panel = BY_NAME["fig7c"]
    hopeless = (pl.col("value") == 15.0) & (pl.col("scheme") == "token")
    frame = table_for(panel).with_columns(
        pl.when(hopeless).then(pl.lit("infeasible")).otherwise("outcome").alias("outcome")
    )
    figure = drawn(panel, panel_numbers(panel, frame))
    labels = [line.label for line in panel.lines]
    for label, curve in zip(labels, curves(figure), strict=True):
        missing = np.isnan(np.asarray(curve.get_ydata(), dtype=float))
        assert missing.tolist() == [False, False, label == "token", False, False]


def test_an_interval_below_zero_fits_a_logarithmic_axis(tmp_path: Path) -> None:
    panel = BY_NAME["fig7c"]
    frame = table_for(panel, seeds=2)
    wild = pl.when(pl.col("seed") == 0).then(1.0).otherwise("user_cost").alias("user_cost")
    numbers = panel_numbers(panel, frame.with_columns(wild))
    assert min(number.estimate.low for number in numbers) < 0
    figure = drawn(panel, numbers)
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < min(number.estimate.mean for number in numbers)
    assert high > max(number.estimate.high for number in numbers)
    draw_panel(panel, frame.with_columns(wild), tmp_path)


def test_a_single_market_has_no_intervals() -> None:
    panel = BY_NAME["fig5a-table-iv"]
    figure = drawn(panel, panel_numbers(panel, table_for(panel, seeds=1)))
    assert len(curves(figure)) == 2
    assert bars(figure) == []


@pytest.mark.parametrize("name", KINDS)
def test_files_are_pictures_of_the_panel(name: str, tmp_path: Path) -> None:
    panel = BY_NAME[name]
    png, svg = draw_panel(panel, table_for(panel), tmp_path)
    assert (png, svg) == (tmp_path / f"{name}.png", tmp_path / f"{name}.svg")
    assert sorted(tmp_path.iterdir()) == [png, svg]

    colours = {
        to_hex(curve.get_color())
        for curve in curves(drawn(panel, panel_numbers(panel, table_for(panel))))
    }
    with Image.open(png) as picture:
        picture.load()
        assert picture.format == "PNG"
        height = look.figure_height(len(panel.lines) * len(panel.series))
        assert picture.size == (700, math.floor(height * look.PNG_DPI))
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in colours:
        value = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - value).max(axis=1) < 40).sum() > 50, colour

    text = svg.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    names = {"svg": "http://www.w3.org/2000/svg"}
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.findtext("svg:title", namespaces=names) == panel.caption
    assert root.get("width") == "252pt"
    for colour in colours:
        assert f"stroke: {colour}" in text
    assert "<text" not in text  # outlines: no font is needed to read it
    assert "<image" not in text
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', text))


def test_the_same_table_gives_the_same_bytes_whatever_the_process(tmp_path: Path) -> None:
    """Another process, with settings of its owner's, and without a display or pyplot."""
    panel = BY_NAME["fig7c"]
    first = [path.read_bytes() for path in draw_panel(panel, table_for(panel), tmp_path)]
    assert [path.read_bytes() for path in draw_panel(panel, table_for(panel), tmp_path)] == first

    table_for(panel).write_parquet(tmp_path / "users.parquet")
    settings = tmp_path / "matplotlibrc"
    settings.write_text("axes.facecolor: red\nfont.size: 20\nlines.linewidth: 9\n")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from qoex.experiments.plots.figures import draw_all\n"
        "from qoex.experiments.plots.panels import PANELS\n"
        "chosen = [panel for panel in PANELS if panel.name == 'fig7c']\n"
        "draw_all(chosen, Path(sys.argv[1]), Path(sys.argv[1]) / 'again')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        env={**environment, "MATPLOTLIBRC": str(settings), "PYTHONHASHSEED": "7"},
    )
    again = [tmp_path / "again" / f"fig7c.{kind}" for kind in ("png", "svg")]
    assert [path.read_bytes() for path in again] == first


def test_drawing_leaves_no_settings_behind(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    draw_panel(BY_NAME["fig5a"], table_for(BY_NAME["fig5a"]), tmp_path)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_panels_are_drawn_in_order(jobs: int, tmp_path: Path) -> None:
    chosen = [BY_NAME[name] for name in ("fig7c", "fig3", "fig5a")]
    for panel in chosen:
        table_for(panel).write_parquet(tmp_path / f"{panel.table}.parquet")
    folder = tmp_path / "some" / "figures"
    paths = draw_all(chosen, tmp_path, folder, jobs)
    assert [path.name for path in paths] == [
        f"{panel.name}.{kind}" for panel in chosen for kind in ("png", "svg")
    ]
    for panel in chosen:
        alone = draw_panel(panel, table_for(panel), tmp_path)
        for path in alone:
            assert (folder / path.name).read_bytes() == path.read_bytes()


def test_a_missing_table_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"users\.parquet: there is no such file"):
        draw_all([BY_NAME["fig7c"]], tmp_path, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_missing_column_is_one_clear_error(tmp_path: Path) -> None:
    panel = BY_NAME["fig7c"]
    table_for(panel).drop("user_cost").write_parquet(tmp_path / "users.parquet")
    with pytest.raises(InvalidInputError, match="fig7c needs the column 'user_cost'"):
        draw_all([panel], tmp_path, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    panel = BY_NAME["fig7c"]
    table_for(panel).write_parquet(tmp_path / "users.parquet")
    with pytest.raises(InvalidInputError, match=r"users\.parquet: cannot be made"):
        draw_all([panel], tmp_path, tmp_path / "users.parquet")


def test_more_lines_than_styles_are_refused() -> None:
    panel = BY_NAME["fig7a"]
    many = tuple(PanelLine(f"scheme-{index}", f"scheme-{index}") for index in range(9))
    crowded = replace(panel, lines=many)
    with pytest.raises(InvalidInputError, match="9 lines are too many"):
        drawn(crowded, panel_numbers(crowded, table_for(crowded)))
