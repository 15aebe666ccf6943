"""Studies that cost next to nothing, and what tests of running and keeping them share."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qoex.experiments.measure import SchemeCase
from qoex.experiments.study import Row, Study, Task
from qoex.experiments.sweep import Sweep
from qoex.experiments.tables import StudyTable

SMALL = Sweep(
    name="small",
    title="A small sweep",
    vary="users",
    values=(2, 5),
    schemes=(SchemeCase("proposed", "proposed"), SchemeCase("ratio-1", "ratio", {"total": 1.0})),
    providers=3,
)


def small_sweep(**changes: Any) -> Sweep:
    """A sweep of four rows for each seed, with some fields changed."""
    return SMALL.replace(**changes)


@dataclass(frozen=True)
class Digits:
    """Rows that follow from the seed, in all types that a table knows; nothing is solved."""

    name: str = "digits"
    flavour: str = "plain"
    title: str = "Digits"
    points: int = 3
    fixed: bool = False
    seconds: float = 0.0
    deadly_seed: int = -1

    @property
    def columns(self) -> Mapping[str, str]:
        return {
            "point": "whole",
            "seed": "whole",
            "value": "real",
            "outcome": "text",
            "reason": "text",
            "good": "flag",
        }

    @property
    def rows_per_seed(self) -> int:
        return self.points

    def rows(self, seed: int) -> Sequence[Row]:
        if self.seconds:
            time.sleep(self.seconds)
        if seed == self.deadly_seed:
            os._exit(3)
        return [self._row(seed, point) for point in range(self.points)]

    def parameters(self) -> dict[str, Any]:
        return {"kind": "digits", "title": self.title, "flavour": self.flavour}

    def _row(self, seed: int, point: int) -> Row:
        solved = (seed + point) % 3 != 0
        return {
            "point": point,
            "seed": seed,
            "value": 1.0 / (1.0 + seed + point) if solved else None,
            "outcome": "solved" if solved else "infeasible",
            "reason": None if solved else f"{self.flavour}: {seed} + {point} is a multiple of 3",
            "good": None if not solved else point % 2 == 0,
        }


DIGITS = Digits()
RUNNER = {"runner": "none"}  # what a table is told of who computed it


class Recorder:
    """A runner that says which tasks it was given."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.tasks: list[Task] = []
        self.closed = False
        self._fails_after = fails_after

    def run(
        self, studies: Sequence[Study], tasks: Sequence[Task]
    ) -> Generator[tuple[Task, Sequence[Row]]]:
        self.tasks += tasks
        try:
            for count, task in enumerate(reversed(tasks)):
                if count == self._fails_after:
                    raise ConnectionError("the line went dead")
                yield task, studies[task[0]].rows(task[1])
        finally:
            self.closed = True

    def description(self) -> dict[str, Any]:
        return {"runner": "recorder"}


def fill(
    folder: Path, seeds: Iterable[int], study: Digits = DIGITS, **options: Any
) -> pl.DataFrame:
    with closing(StudyTable(folder, study, **options)) as table:
        for seed in seeds:
            if seed not in table.done():
                table.add(study.rows(seed))
        return table.finish(seeds, RUNNER)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        name: (folder / name).read_bytes() for name in files(folder) if (folder / name).is_file()
    }
