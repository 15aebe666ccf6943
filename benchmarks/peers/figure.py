"""Time against the number of pairs, one panel per family, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .families import FAMILIES
from .registry import PEERS, Peer
from .rows import ACCURATE, SOLVED, Row

_SIZE = (8.0, 5.2)  # inches, at 100 dots each: readable at 800 pixels
_GAVE_UP = "X"


def draw_figure(rows: Sequence[Row], limit: float, folder: Path) -> None:
    """Write ``peers.svg`` and ``peers.png`` to a folder.

    Args:
        rows: of all families.
        limit: of one solve, s.
        folder: an existing one.
    """
    style: dict[Any, Any] = {
        "font.size": 9.5,
        "svg.fonttype": "none",
        "svg.hashsalt": "peers",  # the same numbers give the same file
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=_SIZE, layout="constrained")
        present = {row.family for row in rows}
        families = [family for family in FAMILIES if family.name in present]
        axes = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
        tried = {row.peer for row in rows}
        peers = [peer for peer in PEERS if peer.name in tried]
        for panel, family in zip(axes, families, strict=True):
            mine = [row for row in rows if row.family == family.name]
            _panel(panel, mine, peers, limit)
            panel.set_ylim(top=4.0 * limit)  # room for the limit's label
            panel.set_title(family.title, fontsize=10.5, loc="left")
            panel.set_xlabel("pairs of providers and users, N·M")
        axes[0].set_ylabel("median time of a solve, s")
        figure.legend(handles=_legend(peers), loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(folder / "peers.svg", metadata={"Date": None})
        figure.savefig(folder / "peers.png", dpi=100, metadata={"Software": None})


def _panel(axes: Axes, rows: Sequence[Row], peers: Sequence[Peer], limit: float) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.axhline(limit, color="0.4", linewidth=0.8, linestyle=":")
    axes.annotate(
        f"limit, {limit:g} s",
        (1.0, limit),
        xycoords=("axes fraction", "data"),
        xytext=(0, 8),  # clear of the marks on the line
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color="0.3",
    )
    ended: dict[int, int] = {}
    for peer in peers:
        mine = [row for row in rows if row.peer == peer.name]
        timed = [(row, row.seconds) for row in mine if row.seconds is not None]
        late = next((row for row in mine if row.gave_up), None)
        line = [(float(row.pairs), seconds) for row, seconds in timed]
        if late is not None:
            # Peers that give up at one size stand side by side there.
            shift = ended.get(late.pairs, 0)
            ended[late.pairs] = shift + 1
            end = (late.pairs * 1.13**shift, limit)
            axes.plot(*end, _GAVE_UP, color=peer.colour, markersize=8, zorder=4)
            # Dashed: how much longer it would have taken is not known.
            axes.plot(
                *zip(*line[-1:], end, strict=True), color=peer.colour, linewidth=1.2, linestyle="--"
            )
        if line:
            axes.plot(*zip(*line, strict=True), color=peer.colour, linewidth=1.5)
        for row, seconds in timed:
            solved = row.status == SOLVED
            axes.plot(
                row.pairs,
                seconds,
                peer.marker,
                color=peer.colour,
                markerfacecolor=peer.colour if solved else "white",
                markersize=8 if peer.marker == "*" else 5.5,
                zorder=3,
            )


def _legend(peers: Sequence[Peer]) -> list[Line2D]:
    lines = [
        Line2D([], [], color=p.colour, marker=p.marker, markersize=6, label=p.name) for p in peers
    ]
    plain: dict[str, Any] = {"linestyle": "none", "color": "0.25", "markersize": 6}
    return [
        *lines,
        Line2D(
            [],
            [],
            marker="o",
            markerfacecolor="white",
            label=f"regret above {ACCURATE:.0e}, or failed",
            **plain,
        ),
        Line2D([], [], marker=_GAVE_UP, label="gave up: time limit", **plain),
    ]
