"""Panels as files: every number comes from ``reading.panel_numbers``, nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qoex.errors import InvalidInputError
from qoex.experiments.plots.reading import Panel, PanelPoint, panel_numbers
from qoex.experiments.runners import processes
from qoex.experiments.tables import read_table

# The module that draws, and loads matplotlib.
DRAWING = "qoex.experiments.plots.drawing"


def draw_all(
    panels: Sequence[Panel], tables_folder: Path, figures_folder: Path, jobs: int = 1
) -> list[Path]:
    """Draw panels from the tables in a folder, each as PNG and as SVG.

    The same table gives the same bytes of the SVG.

    Args:
        panels: of distinct names.
        tables_folder: has the table of every panel.
        figures_folder: where the files go; made where it does not exist.
        jobs: how many processes may draw.

    Returns:
        The files, in the order of the panels.

    Raises:
        InvalidInputError: there is no such table, it does not have what a panel needs, a panel has
            more lines than there are styles, or a file cannot be written.
    """
    frames = {name: read_table(tables_folder, name) for name in {panel.table for panel in panels}}
    tasks = [(panel, panel_numbers(panel, frames[panel.table])) for panel in panels]
    try:
        figures_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"{figures_folder}: cannot be made ({error.strerror})") from None
    if jobs > 1:
        from joblib import delayed

        parallel = processes(jobs)
        drawn = parallel(delayed(_draw)(*task, figures_folder) for task in tasks)
    else:
        drawn = [_draw(*task, figures_folder) for task in tasks]
    return [path for paths in drawn for path in paths]


def _draw(panel: Panel, numbers: Sequence[PanelPoint], folder: Path) -> list[Path]:
    from qoex.experiments.plots.drawing import draw  # where processes draw, only they need it

    return draw(panel, numbers, folder)
