"""Drawing with matplotlib, which takes longer to load than a few tables to compute.

Every number comes from ``reading.panel_numbers``; nothing is computed here.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.style import context

from qoex.experiments.plots import style as look
from qoex.experiments.plots.picture import panel_figure
from qoex.experiments.plots.reading import Panel, PanelPoint
from qoex.files.market_files import write_atomically

FORMATS = ("png", "svg")


def draw(panel: Panel, numbers: Sequence[PanelPoint], folder: Path) -> list[Path]:
    """Write the files of a panel with these numbers into a folder, and return their paths."""
    paths = []
    with context(["default", look.RC]):
        figure = panel_figure(panel, numbers)
        for kind in FORMATS:
            path = folder / f"{panel.name}.{kind}"
            write_atomically(path, _picture(figure, kind, panel.caption))
            paths.append(path)
    return paths


def _picture(figure: Figure, kind: str, caption: str) -> bytes:
    buffer = io.BytesIO()
    # No date and no version: the bytes are to depend on the table alone.
    if kind == "svg":
        figure.savefig(
            buffer, format="svg", metadata={"Title": caption, "Date": None, "Creator": None}
        )
    else:
        figure.savefig(
            buffer,
            format="png",
            dpi=look.PNG_DPI,
            metadata={"Title": caption, "Software": None},
            pil_kwargs={"compress_level": look.PNG_COMPRESSION},
        )
    return buffer.getvalue()
