"""Commands that run experiments, and what they share: who computes, how far it is, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoex.cli.running import is_compiled, say_compiling
from qoex.cli.terminal import INTERRUPTED, NO, busy, counting, notice, require_extra, show, width
from qoex.errors import InvalidInputError
from qoex.text.numbers import counted

if TYPE_CHECKING:
    import polars as pl

    from qoex.experiments.running import Runner
    from qoex.experiments.study import Study

AUTO = "auto"

Folder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the tables.")
]
Jobs = Annotated[
    str, typer.Option(metavar="N|auto", help="How many processes of this machine compute.")
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="tcp://HOST:PORT", help="Compute on a Dask cluster: its scheduler."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace tables of other parameters or other code.")
]


def sweep(
    sweep_file: Annotated[
        Path, typer.Argument(metavar="SWEEP", help="What varies, and what settles it (.toml).")
    ],
    output: Folder,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds, in place of what the file says.")
    ] = None,
    jobs: Jobs = AUTO,
    cluster: Cluster = None,
    overwrite: Overwrite = False,
) -> None:
    """Run a sweep of your own; run again after an interruption, it goes on."""
    require_extra("sweep", "paper")
    from qoex.cli.sweep_view import sweep_view
    from qoex.experiments.sweep_file import read_sweep

    found = read_sweep(sweep_file)
    if seeds is not None and found.sweep.fixed:
        raise InvalidInputError("--seeds has no effect on a sweep that starts from a scenario")
    with runner_of(jobs, cluster) as runner:
        frame = run_tables([found.sweep], output, seeds or found.seeds, runner, overwrite)[
            found.sweep.name
        ]
    notice(f"wrote {output / found.sweep.name}.parquet: {counted(frame.height, 'row')}")
    show(sweep_view(found.sweep, frame, width()))
    if frame["outcome"].is_in(["unsolved", "failed"]).any():
        raise typer.Exit(NO)


@contextmanager
def runner_of(jobs: str, cluster: str | None) -> Iterator[Runner]:
    """Give the runner that options ask for, and leave the cluster when the block ends.

    Args:
        jobs: "auto" or a number above 0.
        cluster: address of a Dask scheduler, in place of this machine.

    Raises:
        InvalidInputError: options that cannot be.
        UnavailableClusterError: the cluster cannot be used.
    """
    if cluster is None:
        from qoex.experiments.runners import LocalRunner

        yield LocalRunner(job_count(jobs), here_first=not _kernels_are_compiled())
        return
    if jobs != AUTO:
        raise InvalidInputError("--jobs and --cluster exclude each other")
    from qoex.experiments.cluster import ClusterRunner

    with busy("connecting"):
        runner = ClusterRunner(cluster)
    try:
        yield runner
    finally:
        runner.close()


def run_tables(
    studies: Sequence[Study],
    folder: Path,
    seeds: int,
    runner: Runner,
    overwrite: bool,
    finished: Callable[[str], object] | None = None,
) -> dict[str, pl.DataFrame]:
    """Run studies into the tables of a folder, with progress on stderr; return them by name.

    Ctrl-C ends the command with one line that says how much is in the tables.

    Args:
        studies: of distinct names.
        folder: of the tables.
        seeds: the seeds asked for are 0 to one less than this.
        runner: who computes.
        overwrite: whether to replace tables that other parameters or other code made.
        finished: told the name of each table as soon as it has all that was asked for.

    Raises:
        InvalidInputError: a folder that cannot be used.
        UnavailableClusterError: the cluster went away.
    """
    from qoex.experiments.running import run_studies

    try:
        with counting("solving", "points") as progress:
            return run_studies(
                studies,
                folder,
                range(seeds),
                runner,
                overwrite=overwrite,
                progress=progress,
                finished=finished,
            )
    except KeyboardInterrupt:
        there, asked = _points(studies, folder, seeds)
        notice(f"interrupted: {there} of {asked} points are in {folder}; run again to go on")
        raise typer.Exit(INTERRUPTED) from None


def _points(studies: Sequence[Study], folder: Path, seeds: int) -> tuple[int, int]:
    """Return how many of the points asked for are in tables, and how many were asked for."""
    from qoex.experiments.tables import read_table

    there = asked = 0
    for study in studies:
        wanted = 1 if study.fixed else seeds
        asked += wanted * study.rows_per_seed
        try:
            frame = read_table(folder, study.name)
        except InvalidInputError:  # it was not even begun
            continue
        there += int((frame["seed"] < wanted).sum())
    return there, asked


def job_count(jobs: str) -> int:
    """Return how many processes of this machine "auto" or a number stands for.

    Raises:
        InvalidInputError: it is neither.
    """
    if jobs == AUTO:
        from qoex.experiments.runners import usable_cores

        return usable_cores()
    if not (jobs.isdecimal() and int(jobs) > 0):
        raise InvalidInputError(f"--jobs is {jobs!r}; it must be a number above 0, or {AUTO}")
    return int(jobs)


def _kernels_are_compiled() -> bool:
    """Return whether kernels come from numba's cache, and say so where they have to be compiled.

    Experiments always run on compiled kernels, however small they are: interpreted ones differ in
    the last digits, and a row must not depend on who computed it.
    """
    from qoex.experiments.running import interrupts_deferred

    with interrupts_deferred():
        from qoex.kernels.sweep import sweep as kernel

    compiled = is_compiled(kernel)
    if not compiled:
        say_compiling()
    return compiled
