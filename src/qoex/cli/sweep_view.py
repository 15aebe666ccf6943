"""What ``qoex sweep`` prints of its table: how the rows came out, and means of the main numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qoex.cli.render import Column, View, table
from qoex.text.numbers import column, counted, number

if TYPE_CHECKING:
    from qoex.experiments.sweep import Sweep

# Lines of the table of means; what is beyond is in the Parquet file anyway.
MOST_LINES = 40

_SOLVED = "solved"
_MEANS = {
    "user_cost": "user's\npayment",
    "provider_cost": "provider's\nresource cost",
    "mean_qoe": "user's QoE\nms",
    "welfare": "welfare\n(sum)",
}


def sweep_view(sweep: Sweep, frame: pl.DataFrame, width: int) -> View:
    """Return what to print of a sweep's table.

    Args:
        sweep: the sweep.
        frame: all of its rows.
        width: columns of the terminal.
    """
    axis = sweep.axis
    what = f"{axis.label}, in {axis.unit}" if axis.unit else axis.label
    return [
        sweep.title,
        *_outcome_lines(frame),
        *_dropped_lines(frame),
        "",
        "Means over the seeds solved (money unless it says otherwise)",
        f"value: {what}",
        "",
        *_means(sweep, frame, width),
    ]


def _outcome_lines(frame: pl.DataFrame) -> list[str]:
    """Return how many rows came out how, and of each way but the best the first one's reason."""
    counts = dict(frame["outcome"].value_counts().sort("outcome").iter_rows())
    ways = [_SOLVED, *(outcome for outcome in counts if outcome != _SOLVED)]
    listed = ", ".join(f"{counts.get(outcome, 0)} {outcome}" for outcome in ways)
    lines = [f"{counted(frame.height, 'row')}: {listed}."]
    for outcome in ways[1:]:
        first = frame.filter(pl.col("outcome") == outcome).row(0, named=True)
        place = f"{first['scheme']} at {number(first['value'])}, seed {first['seed']}"
        lines.append(f"The first {outcome}, {place}: {first['reason'].rstrip('.')}.")
    return lines


def _dropped_lines(frame: pl.DataFrame) -> list[str]:
    markets = frame.unique(["point", "seed"]).filter(pl.col("dropped_pairs") > 0)
    if not markets.height:
        return []
    total = frame.unique(["point", "seed"]).height
    dropped = int(markets["dropped_pairs"].sum())
    were = "was" if dropped == 1 else "were"
    return [
        f"In {markets.height} of {counted(total, 'market')}, not all demands can be served: "
        f"{counted(dropped, 'demand')} {were} dropped."
    ]


def _means(sweep: Sweep, frame: pl.DataFrame, width: int) -> View:
    solved = pl.col("outcome") == _SOLVED
    means = frame.group_by("point", "value", "scheme", maintain_order=True).agg(
        solved.sum().alias(_SOLVED),
        pl.len().alias("rows"),
        *(pl.col(name).filter(solved).mean().fill_null(float("nan")) for name in _MEANS),
    )
    order = {case.label: place for place, case in enumerate(sweep.schemes)}
    means = means.sort("point", pl.col("scheme").replace_strict(order))
    shown = means.head(MOST_LINES)
    columns = [
        Column("value", [number(value) for value in shown["value"]]),
        Column("scheme", shown["scheme"].to_list(), name=True),
        Column("solved", [f"{good} of {all_}" for good, all_ in shown[[_SOLVED, "rows"]].rows()]),
        *(Column(header, column(shown[name].to_list())) for name, header in _MEANS.items()),
    ]
    ends = [
        place
        for place, (point, after) in enumerate(
            zip(shown["point"], shown["point"].shift(-1), strict=True)
        )
        if after is not None and point != after and len(sweep.schemes) > 1
    ]
    view: View = [table(columns, width, ends)]
    if means.height > shown.height:
        view.append(f"… and {means.height - shown.height} more; {sweep.name}.parquet has them all")
    return view
