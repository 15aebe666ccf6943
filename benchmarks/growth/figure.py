"""Cost against users and against providers, both axes logarithmic, with the fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .fit import FROM_SAMPLED, Fit, fit
from .measure import Row

_SIZE = (8.0, 4.2)  # inches
_LINES = (
    ("cost", "cold solve with certificate", "#000000", "o", 2.0),
    ("sweep_cost", "one sweep", "#d55e00", "s", 1.3),
    ("settle_cost", "settling", "#0072b2", "^", 1.3),
    ("certificate_cost", "certificate", "#009e73", "D", 1.3),
)


def draw_figure(rows: Sequence[Row], folder: Path) -> None:
    """Write ``growth.svg`` and ``growth.png`` to an existing folder."""
    style: dict[Any, Any] = {
        "font.size": 9.5,
        "svg.fonttype": "none",
        "svg.hashsalt": "growth",  # the same numbers give the same file
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=_SIZE, layout="constrained")
        left, right = figure.subplots(1, 2)
        _panel(left, rows, "users", fit(rows, "users", FROM_SAMPLED) or fit(rows, "users"))
        _panel(right, rows, "providers", fit(rows, "providers"))
        left.set_ylabel("cost, GB that memory streams meanwhile")
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(folder / "growth.svg", metadata={"Date": None})
        figure.savefig(folder / "growth.png", dpi=130, metadata={"Software": None})


def _panel(axes: Axes, rows: Sequence[Row], axis: str, found: Fit | None) -> None:
    mine = [row for row in rows if row.axis == axis]
    if not mine:
        return
    sizes = [getattr(row, axis) for row in mine]
    fixed = "providers" if axis == "users" else "users"
    title = f"{getattr(mine[0], fixed):,} {fixed}".replace(",", "\u202f")
    axes.set(xscale="log", yscale="log", xlabel=axis)
    axes.set_title(title, fontsize=10.5, loc="left")
    axes.grid(alpha=0.25, linewidth=0.6)
    for quantity, name, colour, marker, width in _LINES:
        costs = [getattr(row, quantity) / 1e9 for row in mine]
        axes.plot(
            sizes, costs, color=colour, marker=marker, markersize=4, linewidth=width, label=name
        )
    if axis == "providers":
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
    if found is not None:
        ends = np.array([found.low, found.high], dtype=np.float64)
        # Beside the line, not on it.
        line = 1.9 * found.factor * ends**found.exponent / 1e9
        axes.plot(ends, line, color="0.45", linewidth=1.0, linestyle="--")
        axes.annotate(
            f"exponent {found.exponent:.2f}",
            (float(np.sqrt(ends.prod())), float(np.sqrt(line.prod()))),
            xytext=(-6, 6),
            textcoords="offset points",
            ha="right",
            color="0.25",
        )
