"""What an experiment is to all that run, keep and describe it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from qoex.cluster.code_identity import identity_of

Row = dict[str, Any]
Task = tuple[int, int]  # which of several studies, which seed


class Study(Protocol):
    """An experiment as a value: it can be sent to another process, and run there seed by seed."""

    @property
    def name(self) -> str:
        """The stem of its table's file name."""
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """Column → type of its table, in order; one of them is ``seed``.

        The types are "text", "whole", "real" and "flag" (true or false).
        """
        ...

    @property
    def rows_per_seed(self) -> int:
        """How many rows every seed gives."""
        ...

    @property
    def fixed(self) -> bool:
        """Whether nothing in it is random, so that it has rows for seed 0 only."""
        ...

    def rows(self, seed: int) -> Sequence[Row]:
        """Return the rows of one seed, the same ones in every process.

        A point that cannot be solved is a row that says why, never an error or a gap.
        """
        ...

    def parameters(self) -> dict[str, Any]:
        """Return all that the rows of a seed depend on but the code, as JSON can hold it."""
        ...


def compute(study: Study, task: Task) -> tuple[Task, Sequence[Row]]:
    """Return a task with its rows."""
    return task, study.rows(task[1])


def fingerprint(study: Study) -> str:
    """Return what tells this study from any other, and from itself under other code.

    Its title does not count: better words for an experiment must not cost its rows.
    """
    parameters = {key: value for key, value in study.parameters().items() if key != "title"}
    text = json.dumps([study.name, code_identity(), parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Modules and folders whose change cannot change a row: they only start, keep, draw, judge or print.
_WITHOUT_EFFECT = frozenset(
    {
        "agent",
        "certificate/explanation",
        "cli",
        "client",
        "cluster",
        "experiments/claims",
        "experiments/cluster",
        "experiments/intervals",
        "experiments/lock",
        "experiments/paper",  # all that is in it is among the parameters
        "experiments/plots",
        "experiments/provenance",
        "experiments/report",
        "experiments/reproduction",
        "experiments/runners",
        "experiments/running",
        "experiments/speed",
        "experiments/sweep_file",
        "fleet",
        "out_of_core",
    }
)


@cache
def code_identity() -> str:
    """Return the version and a digest of the sources that rows depend on."""
    return identity_of(files("qoex"), _WITHOUT_EFFECT)
