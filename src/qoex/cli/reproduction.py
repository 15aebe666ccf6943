"""The command that reproduces the paper: it computes, then judges, draws and reports."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from qoex.cli.experiments import AUTO, Cluster, Jobs, Overwrite, job_count, run_tables, runner_of
from qoex.cli.terminal import NO, busy, notice, require_extra, show, width
from qoex.errors import InvalidInputError

SEEDS, QUICK_SEEDS = 100, 3


def reproduce(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the reproduction.")
    ],
    items: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ITEM]...",
            help="What to reproduce: all (the default), fig3, fig5, table5, fig6, fig7, fig8 or "
            "appendix-a.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help=f"How many random markets for each point; {SEEDS} by default."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help=f"Only {QUICK_SEEDS} seeds and no variants, for a first look."
        ),
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="html|md", help="Of the report; may be given twice."),
    ] = None,
    jobs: Jobs = AUTO,
    cluster: Cluster = None,
    overwrite: Overwrite = False,
) -> None:
    """Compute the paper's figures, tables and claims anew, and report where they differ."""
    require_extra("reproduce", "paper")
    from qoex.cli.reproduction_view import reproduction_view, went_wrong
    from qoex.experiments.report import check_formats
    from qoex.experiments.reproduction import ALL, drawing_aside, present, studies_of
    from qoex.experiments.runners import FEW_ROWS

    studies = studies_of(items or [ALL], variants=not quick)
    wanted = check_formats(formats or ["html"])
    if quick and seeds is not None:
        raise InvalidInputError("--quick and --seeds exclude each other")
    count = QUICK_SEEDS if quick else seeds or SEEDS
    processes = job_count(jobs)
    # Where this process computes alone, others have time to draw what is done.
    rows = sum(study.rows_per_seed * (1 if study.fixed else count) for study in studies)
    aside = drawing_aside(output, processes) if rows < FEW_ROWS else nullcontext()
    with runner_of(jobs, cluster) as runner, aside as draw:
        frames = run_tables(studies, output / "tables", count, runner, overwrite, draw)
    with busy("drawing and judging"):
        presented = present(output, processes, wanted, drawn=frames if draw else ())
    show(reproduction_view(presented.judged, frames, width()))
    for path in presented.reports:
        notice(f"wrote {path}")
    if went_wrong(frames):
        raise typer.Exit(NO)
