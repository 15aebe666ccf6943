"""A reproduction as small as can be that has every part of a report: real tables of few points."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import polars as pl

from qoex.experiments.accuracy_bound import AccuracyBound
from qoex.experiments.appendix_a.convergence import appendix_studies
from qoex.experiments.case_study import CaseStudy
from qoex.experiments.claims import CLAIMS, judge, write_claims
from qoex.experiments.inferred import Inferred
from qoex.experiments.paper import paper_sweeps
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.plots.figures import draw_all
from qoex.experiments.plots.panels import PANELS
from qoex.experiments.report import write_report
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies
from qoex.experiments.study import Study

# At 25 users, the market of seed 1 is one that only-f cannot serve.
SEEDS = (0, 1, 2)

_VALUES: dict[str, tuple[float, float]] = {
    "users": (5, 25),
    "providers": (1, 3),
    "accuracy": (1e-9, 1e-3),
    "output-tokens": (300, 1500),
    "latency-budget": (300, 1500),
}
_DRAWN = ("fig3", "fig5a", "fig5a-table-iv", "fig6a", "fig7c", "fig7g", "fig7g-ample", "figA1")


def studies() -> tuple[Study, ...]:
    """Return the studies of the whole reproduction, with fewer points."""
    sweeps = []
    for sweep in paper_sweeps():
        base = sweep.name.removesuffix("-ample").removesuffix("-table-iv")
        sweeps.append(sweep.replace(values=_VALUES[base]))
    appendix = replace(
        appendix_studies()[0], scales=(0.1, 0.3), steps=(0.1,), levels=(100,), max_iterations=50
    )
    return (AccuracyBound(), CaseStudy(), Inferred(), *sweeps, appendix)


@cache
def reproduction() -> Path:
    """Return the folder of the reproduction, with both reports; tests only read it."""
    folder = Path(tempfile.mkdtemp(prefix="qoex-report-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run_studies(studies(), folder / "tables", SEEDS, LocalRunner(1))
    panels = [panel for panel in (*PANELS, *CONVERGENCE_PANELS) if panel.name in _DRAWN]
    draw_all(panels, folder / "tables", folder / "figures")
    judge_claims(folder)
    write_report(folder, ("html", "md"))
    return folder


def judge_claims(folder: Path) -> None:
    """Write the judged claims of a folder from its tables."""
    tables = folder / "tables"
    frames = {path.stem: pl.read_parquet(path) for path in tables.glob("*.parquet")}
    write_claims(judge(CLAIMS, frames), folder)
