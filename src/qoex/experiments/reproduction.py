"""The reproduction of the paper: which studies and panels stand behind each of its items.

::

    DIR/tables/           a table and a manifest for every study
    DIR/figures/          every panel as PNG and as SVG
    DIR/claims.parquet    the paper's statements, judged by the tables
    DIR/report.html       all of it to read
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qoex.errors import InvalidInputError
from qoex.experiments.accuracy_bound import AccuracyBound
from qoex.experiments.appendix_a.convergence import appendix_studies
from qoex.experiments.case_study import CaseStudy
from qoex.experiments.claims import CLAIMS, Judged, judge, write_claims
from qoex.experiments.inferred import Inferred
from qoex.experiments.paper import paper_sweeps
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.plots.figures import DRAWING, draw_all
from qoex.experiments.plots.panels import PANELS
from qoex.experiments.report import write_report
from qoex.experiments.runners import get_ready
from qoex.experiments.study import Study
from qoex.experiments.tables import read_table

# Item of the paper → the first word(s) of the names of the tables behind it.
ITEMS: dict[str, tuple[str, ...]] = {
    "fig3": ("accuracy-bound",),
    "fig5": ("accuracy", "output-tokens", "latency-budget"),
    "table5": ("table-v", "inferred"),
    "fig6": ("users", "providers"),
    "fig7": ("users",),
    "fig8": ("providers",),
    "appendix-a": ("appendix-a",),
}
ALL = "all"

# The variants of a table carry its name and one of these endings.
_VARIANTS = ("", "-ample", "-table-iv", "-larger")


@dataclass(frozen=True)
class Presented:
    """What a folder's tables came to.

    Attributes:
        judged: the paper's statements with their verdicts.
        reports: the files to read.
    """

    judged: tuple[Judged, ...]
    reports: tuple[Path, ...]


def all_studies() -> tuple[Study, ...]:
    """Return every study of the reproduction."""
    return (AccuracyBound(), CaseStudy(), Inferred(), *paper_sweeps(), *appendix_studies())


def studies_of(items: Iterable[str], *, variants: bool = True) -> tuple[Study, ...]:
    """Return the studies behind items of the paper; "all" stands for every item.

    Args:
        items: keys of ITEMS, or "all".
        variants: whether to take the variants of tables, too.

    Raises:
        InvalidInputError: there is no such item.
    """
    names: set[str] = set()
    for item in items:
        if item != ALL and item not in ITEMS:
            raise InvalidInputError(
                f"there is no item {item!r} to reproduce; the items are {', '.join(ITEMS)} and all"
            )
        for word in sum(ITEMS.values(), ()) if item == ALL else ITEMS[item]:
            names |= {word + ending for ending in (_VARIANTS if variants else ("",))}
    return tuple(study for study in all_studies() if study.name in names)


@contextmanager
def drawing_aside(folder: Path, jobs: int) -> Generator[Callable[[str], None]]:
    """Draw the panels of tables while others are still computed, and finish when the block ends.

    Args:
        folder: of the reproduction.
        jobs: how many processes may draw.

    Yields:
        What is to be told the name of each table that is complete.
    """
    with ThreadPoolExecutor(1) as aside:
        drawings: list[Future[Any]] = []
        if jobs > 1:
            drawings.append(aside.submit(get_ready, jobs, DRAWING))

        def draw(name: str) -> None:
            drawings.append(aside.submit(_draw, [name], folder, jobs))

        try:
            yield draw
        except BaseException:
            aside.shutdown(cancel_futures=True)
            raise
        for drawing in drawings:
            drawing.result()


def present(
    folder: Path,
    jobs: int = 1,
    formats: Sequence[str] = ("html",),
    drawn: Collection[str] = (),
) -> Presented:
    """Judge the claims, draw the figures and write the report, from the tables in a folder alone.

    Args:
        folder: of the reproduction; whatever tables of it are there are shown.
        jobs: how many processes may draw.
        formats: of the report: "html", "md".
        drawn: tables whose panels are there already.

    Raises:
        InvalidInputError: there are no tables, or a file cannot be read or written.
    """
    tables_folder = folder / "tables"
    tables = {
        study.name: read_table(tables_folder, study.name)
        for study in all_studies()
        if (tables_folder / f"{study.name}.parquet").exists()
    }
    _draw(set(tables) - set(drawn), folder, jobs)
    judged = judge(CLAIMS, tables)
    write_claims(judged, folder)
    return Presented(judged, tuple(write_report(folder, formats)))


def _draw(tables: Collection[str], folder: Path, jobs: int) -> list[Path]:
    panels = [panel for panel in (*PANELS, *CONVERGENCE_PANELS) if panel.table in tables]
    return draw_all(panels, folder / "tables", folder / "figures", jobs) if panels else []
