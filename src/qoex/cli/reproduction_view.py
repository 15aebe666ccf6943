"""What ``qoex reproduce`` prints: how the paper's statements came out, and which ones differ."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from qoex.cli.render import Column, View, table
from qoex.experiments.claims import Verdict
from qoex.phrases import counted, listed

if TYPE_CHECKING:
    from qoex.experiments.claims import Judged

_SOLVED = "solved"
# Algorithm 1 often does not stop in time, which is a result there; a sweep's scheme has to end.
_MAY_END_UNSOLVED = "appendix-a"


def reproduction_view(
    judged: Sequence[Judged], frames: Mapping[str, pl.DataFrame], width: int
) -> View:
    """Return what to print of a reproduction.

    Args:
        judged: the paper's statements; those for which a table is missing are left out.
        frames: the tables of this run by name.
        width: columns of the terminal.
    """
    decided = [item for item in judged if item.ours]
    if not decided:
        return [_outcome_line(frames)]
    sections = list(dict.fromkeys(map(_section, decided)))
    found = [(_section(item), item.verdict) for item in decided]
    columns = [
        Column("section", sections, text=True),
        *(
            Column(verdict.label, [str(found.count((name, verdict))) for name in sections])
            for verdict in Verdict
        ),
    ]
    view: View = [
        _outcome_line(frames),
        "",
        f"{counted(len(decided), 'statement')} of the paper beside these tables",
        "",
        table(columns, width),
    ]
    differing = [item for item in decided if item.verdict is Verdict.DIFFERS]
    if differing:
        view += ["", "Where they differ, and why:"]
    for item in differing:
        view += textwrap.wrap(
            f"{item.claim.statement} {item.why}",
            width,
            initial_indent="* ",
            subsequent_indent="  ",
        )
    return view


def went_wrong(frames: Mapping[str, pl.DataFrame]) -> bool:
    """Whether a row failed, or was not solved by a method that promises to solve it."""
    for name, frame in frames.items():
        bad = ["failed"] if name.startswith(_MAY_END_UNSOLVED) else ["failed", "unsolved"]
        if "outcome" in frame.columns and frame["outcome"].is_in(bad).any():
            return True
    return False


def _section(item: Judged) -> str:
    return item.claim.id.partition(".")[0]


def _outcome_line(frames: Mapping[str, pl.DataFrame]) -> str:
    """Return how many points there are, and how those ended that have no result."""
    rows = sum(frame.height for frame in frames.values())
    counts: dict[str, int] = {}
    for frame in frames.values():
        if "outcome" in frame.columns:
            for outcome, number in frame["outcome"].value_counts().iter_rows():
                counts[outcome] = counts.get(outcome, 0) + number
    others = [
        f"{count} {outcome}" for outcome, count in sorted(counts.items()) if outcome != _SOLVED
    ]
    without = f"; without a result: {listed(others)}" if others else ""
    return f"{counted(rows, 'point')} in {counted(len(frames), 'table')}{without}."
