"""The page: what was measured, the exponents, and where the cost goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .fit import FROM_SAMPLED, FROM_USERS, PROVIDERS_GOAL, USERS_GOAL, USERS_MARGIN, Fit
from .measure import Row, Size

_QUANTITIES = {
    "cost": "cold solve with certificate",
    "processor_cost": "its processor time",
    "sweep_cost": "one sweep",
    "settle_cost": "settling",
    "certificate_cost": "certificate",
}


def page(rows: Sequence[Row], fits: Sequence[Fit], left_out: Sequence[Size], cores: int) -> str:
    """Return the page in Markdown.

    Args:
        rows: of both axes.
        fits: exponents.
        left_out: sizes that there was no memory for.
        cores: of the machine.
    """
    parts = [
        _introduction(rows, cores),
        "## Exponents\n\n" + _fit_table(fits),
        *(f"* {line}" for line in _remarks(left_out)),
        *(
            f"## {title}\n\n" + _row_table([row for row in rows if row.axis == axis])
            for axis, title in (("users", "More users"), ("providers", "More providers"))
        ),
        "## Renew this page\n\n```bash\nmake bench\n```\n\nruns this among other benchmarks; "
        "`.venv/bin/python -m benchmarks.growth` runs it alone, and with `--quick` in a minute. "
        "The numbers are in [growth.json](growth.json).",
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(rows: Sequence[Row], cores: int) -> str:
    fixed = {row.axis: row for row in rows}
    providers = fixed["users"].providers if "users" in fixed else 0
    users = fixed["providers"].users if "providers" in fixed else 0
    return f"""# How the cost of a solve grows

This page is written by `benchmarks/growth/`, numbers included; do not edit it.

![Cost against users and against providers](growth.svg)

How to read it:

* Markets are drawn from the paper's Table III; capacities grow with the number of users, and those
  that are short are raised, so that some bind and others are slack at any size. Users vary at
  {providers} providers with one seed, so that all markets have the same providers; providers vary
  at {users} users, over several seeds.
* A *cold solve* starts from nothing and ends with its certificate. *Sweep* and *settling* are parts
  of it, timed by themselves at the solution: one pass in which all users respond to prices, and the
  providers' answers. Compiling does not count.
* *Cost* is time divided by the time that a streaming pass takes per byte, measured beside every
  solve over 264 MB: as many bytes could have been read meanwhile. It varies less than time does on
  a shared machine. *Passes* is the cost over the bytes of the market itself.
* An *exponent* is the slope of a least-squares line through logarithms of size and cost. The whole
  range of users bends, for three reasons: up to some 1000 users most of a solve is Python and
  threads; up to 20 000 pairs the certificate searches the best deviation of every user, where in
  larger markets bounds do; and from 32 768 users on a solve begins with a sample of the users,
  which saves half of its sweeps. So the range from {FROM_USERS} users on flatters growth; that from
  {FROM_SAMPLED} on, in which all is done alike, does not.

Measured on {cores} shared cores. *Cores used* is processor time over time: where it is well below
{cores}, other work had the rest, and a solve, which computes, lost more by it than a streaming
pass, which waits for memory. Processor time does not count such waiting, nor does it gain by a
second core; its exponents tell whether those of time are due to the company."""


def _fit_table(fits: Sequence[Fit]) -> str:
    lines = [
        "| of | by | range | exponent | standard error | goal |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for item in fits:
        goal = f"≤ {PROVIDERS_GOAL:g}"
        if item.axis == "users":
            goal = f"{USERS_GOAL:.2f} ± {USERS_MARGIN:g}"
        verdict = "met" if item.met else "missed"
        is_goal = item.quantity == "cost" and (item.axis == "providers" or item.low >= FROM_USERS)
        cells = (
            _QUANTITIES[item.quantity],
            item.axis,
            f"{item.low} to {item.high}",
            f"{item.exponent:.3f}",
            "–" if math.isnan(item.error) else f"{item.error:.3f}",
            f"{goal}, {verdict}" if is_goal else "",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _remarks(left_out: Sequence[Size]) -> list[str]:
    return [
        f"{size.providers} providers × {size.users} users did not fit into the memory that was free"
        for size in left_out
    ]


def _row_table(rows: Sequence[Row]) -> str:
    lines = [
        "| providers | users | solves | seconds | cost, GB | passes | sweeps | sweep, passes | "
        "settling, passes | certificate, passes | cores used |",
        "|" + " ---: |" * 11,
    ]
    for row in rows:
        size = row.cost / row.passes
        numbers: list[Any] = [row.providers, row.users, row.solves]
        numbers += [_short(row.seconds), _short(row.cost / 1e9), _short(row.passes)]
        numbers.append(f"{row.sweeps:.1f}" + ("" if row.ok else " (failed)"))
        costs = (row.sweep_cost, row.settle_cost, row.certificate_cost)
        numbers += [_short(cost / size) for cost in costs]
        numbers.append(f"{row.cores_used:.2f}")
        lines.append("| " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
