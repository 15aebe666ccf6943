"""Running studies: which seeds are missing, who computes them, and keeping what comes back."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import polars as pl

from qoex.errors import InvalidInputError
from qoex.experiments.study import Row, Study, Task
from qoex.experiments.tables import StudyTable


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends; a second one is not held back.

    Outside the main thread, where Ctrl-C is never delivered, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if received:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def interrupts_hidden_from_children() -> Iterator[None]:
    """Let processes that joblib starts in the block never see Ctrl-C; here it comes at the end.

    A terminal sends it to them, too. They are ended by this process, and would only fill the
    terminal with where they were.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # These two helpers of joblib's processes end their start by unblocking, so it comes before.
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as loky_resource_tracker

    resource_tracker.ensure_running()
    loky_resource_tracker.ensure_running()
    with interrupts_deferred():  # a thread that does not block it may take it
        # What is blocked is inherited.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Runner(Protocol):
    """Computes the rows of tasks, in any order, anywhere."""

    def run(
        self, studies: Sequence[Study], tasks: Sequence[Task]
    ) -> Generator[tuple[Task, Sequence[Row]]]:
        """Yield every task with its rows, as they are done."""
        ...

    def description(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        ...


class StudyProgress(Protocol):
    """Is told how far a run has come."""

    def __call__(self, done: int, total: int, /) -> None:
        """Take how many points are done, of how many."""
        ...


def run_studies(
    studies: Sequence[Study],
    folder: Path,
    seeds: Iterable[int],
    runner: Runner,
    *,
    overwrite: bool = False,
    progress: StudyProgress | None = None,
    finished: Callable[[str], object] | None = None,
) -> dict[str, pl.DataFrame]:
    """Bring the tables of studies up to the seeds asked for, and return them by name.

    Seeds that a table has already are not computed again. However the run ends, what was computed
    is in valid tables, and another run goes on from there.

    Args:
        studies: of distinct names.
        folder: where the tables are.
        seeds: which seeds the tables are to have; those that they have besides stay.
        runner: who computes.
        overwrite: whether to replace tables that other parameters or other code made.
        progress: told the rows done and to do.
        finished: told the name of each table as soon as it has all that was asked for.

    Raises:
        InvalidInputError: two studies of one name, or a folder that cannot be used or has the
            tables of other studies.
    """
    names = [study.name for study in studies]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InvalidInputError(f"two studies are named {twice[0]!r}, but a table has one")
    asked = frozenset(seeds)
    wanted = [frozenset({0}) if study.fixed else asked for study in studies]
    with contextlib.ExitStack() as opened:
        tables: list[StudyTable] = []
        for study in studies:
            tables.append(StudyTable(folder, study, overwrite=overwrite))
            opened.callback(tables[-1].close)
        tasks = [
            (index, seed)
            for index, table in enumerate(tables)
            for seed in sorted(wanted[index] - table.done())
        ]
        frames: dict[str, pl.DataFrame] = {}

        def finish(index: int) -> None:
            if names[index] in frames:
                return
            with interrupts_deferred():
                frames[names[index]] = tables[index].finish(wanted[index], runner.description())

        def complete(index: int) -> None:
            finish(index)
            if finished is not None:
                finished(names[index])

        # However computing ends, each table is finished, even where another one cannot be.
        with contextlib.ExitStack() as finishing:
            for index in range(len(tables)):
                finishing.callback(finish, index)
            _compute(studies, tables, tasks, runner, progress, complete)
    return {name: frames[name] for name in names}


def _compute(
    studies: Sequence[Study],
    tables: Sequence[StudyTable],
    tasks: Sequence[Task],
    runner: Runner,
    progress: StudyProgress | None,
    complete: Callable[[int], None],
) -> None:
    left = Counter(index for index, _ in tasks)
    for index in range(len(studies)):
        if not left[index]:
            complete(index)
    done, total = 0, sum(studies[index].rows_per_seed for index, _ in tasks)
    if progress is not None:
        progress(done, total)
    with contextlib.closing(runner.run(studies, tasks)) as results:
        for (index, _), rows in results:
            with interrupts_deferred():
                tables[index].add(rows)
            done += len(rows)
            if progress is not None:
                progress(done, total)
            left[index] -= 1
            if not left[index]:
                complete(index)
