"""What ``qoex reproduce`` prints: how the paper's statements came out, and which ones differ."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from qoex.cli.render import Column, View, table
from qoex.experiments.claims import ClaimVerdict
from qoex.text.numbers import counted, listed

if TYPE_CHECKING:
    from qoex.experiments.claims import Judged

_SOLVED = "solved"
# Algorithm 1 often does not stop in time, which is a result of Appendix A; all else has to end.
_MAY_NOT_END = "dual-perturbation"
_UNSTOPPED = "unstopped"


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
    sections = list(dict.fromkeys(item.claim.section for item in decided))
    found = [(item.claim.section, item.verdict) for item in decided]
    columns = [
        Column("section", sections, text=True),
        *(
            Column(verdict, [str(found.count((name, verdict))) for name in sections])
            for verdict in ClaimVerdict
        ),
    ]
    view: View = [
        _outcome_line(frames),
        "",
        f"{counted(len(decided), 'statement')} of the paper beside these tables",
        "",
        table(columns, width),
    ]
    differing = [item for item in decided if item.verdict is ClaimVerdict.DIFFERS]
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
    counts = _outcomes(frames)
    return counts["failed"] + counts["unsolved"] > 0


def _outcomes(frames: Mapping[str, pl.DataFrame]) -> Counter[str]:
    """Return outcome → how many rows have it; those of Algorithm 1 without end are "unstopped"."""
    counts: Counter[str] = Counter()
    for frame in frames.values():
        if "outcome" not in frame.columns:
            continue
        outcome = pl.col("outcome")
        if "method" in frame.columns:
            endless = (outcome == "unsolved") & (pl.col("method") == _MAY_NOT_END)
            outcome = pl.when(endless).then(pl.lit(_UNSTOPPED)).otherwise(outcome)
        counts.update(frame.select(outcome.alias("outcome"))["outcome"].to_list())
    return counts


def _outcome_line(frames: Mapping[str, pl.DataFrame]) -> str:
    """Return how many points there are, and how those ended that have no result."""
    counts = _outcomes(frames)
    unstopped = counts.pop(_UNSTOPPED, 0)
    rows = sum(frame.height for frame in frames.values())
    line = f"{counted(rows, 'point')} in {counted(len(frames), 'table')}"
    others = [
        f"{count} {outcome}" for outcome, count in sorted(counts.items()) if outcome != _SOLVED
    ]
    if others:
        line += f"; without a result: {listed(others)}"
    if unstopped:
        line += f"; {counted(unstopped, 'run')} of Algorithm 1 did not stop in time"
    return f"{line}."
