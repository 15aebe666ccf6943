"""The page: how to read it, the figure, a table per family, and how each peer was set up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .families import FAMILIES, SEED, Family
from .measure import REPETITIONS, set_up_limit
from .registry import PEERS
from .rows import ACCURATE, FAILED, INEXACT, SOLVED, UNTRIED, Row

_HEAD = (
    "size",
    "peer",
    "time, ms",
    "times",
    "set-up, s",
    "steps",
    "regret",
    "violation",
    "status",
)


def page(rows: Sequence[Row], limit: float, machine: dict[str, Any]) -> str:
    """Return the page in Markdown.

    Args:
        rows: of all families.
        limit: of one solve, s.
        machine: cores, processor and versions.
    """
    present = {row.family for row in rows}
    families = [family for family in FAMILIES if family.name in present]
    parts = [
        _introduction(limit, machine),
        "## Findings\n\n" + "\n".join(f"* {line}" for line in findings(rows)),
        *(
            f"## {family.title}\n\n{_described(family)}\n\n"
            + table([row for row in rows if row.family == family.name])
            for family in families
        ),
        "## How each peer was set up\n\nAll begin with the same rewards, half of μ/(1 + Σκ), and "
        "run on one thread.\n\n" + "\n".join(f"* **{peer.name}.** {peer.set_up}" for peer in PEERS),
        "## Renew this page\n\n```console\n$ make peers\n```\n\nThis creates `.venv-peers/` with "
        'the extra "peers" and runs `python -m benchmarks.peers`, which writes this page, its '
        "figure and [the rows](peers.json). With `--quick` it looks at the "
        "smallest size only, in about a minute; `--limit`, "
        "`--sizes`, `--peers` and `--output` narrow it or send it elsewhere.",
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(limit: float, machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return f"""# Other ways to the equilibrium

The same markets, solved side by side by qoex and by six other ways that a reader might try.
This page is written by `benchmarks/peers/`, numbers included; do not edit it.

![Time against the number of pairs](peers.svg)

How to read it:

* A *size* is providers × users. Markets are drawn from the paper's Table III with seed {SEED}, in
  two families; capacities grow with the number of users, so that a family is as loaded at any size.
* *Time* is the median of at least {REPETITIONS} solves in one process; *times* says of how many.
  What comes once (imports, compiling, building a programme, a warm-up) is *set-up* and not in it.
* A solve may take {limit:g} s and set-up {set_up_limit(limit):g} s. A peer that takes longer is
  killed, and not tried at larger sizes of the family. One that fails is run once, and tried again
  at the next size.
* *Regret* is what the user with most to gain could gain by other rewards, as a share of the
  largest utility. `qoex.certify` computes it from the rewards, for all alike, with the providers
  answering anew.
* *Violation* is by how much, as a share, reward bounds, capacities or QoE ≥ 0 are missed: by the
  allocation of a peer that has its own, else by the providers' exact answer to its rewards.
* *Status*: "{SOLVED}" is a regret of at most {ACCURATE:.0e}; "{INEXACT}" means that the peer's own
  rule ended it with more; "{FAILED}" that its own rule did not hold.
* Stop rules differ, so times are not to the same accuracy: look at the regret beside them.

Machine: {machine["cores"]} cores, {machine["processor"]}, shared with other work: times within a
third of each other do not differ. Versions: {versions}."""


def _described(family: Family) -> str:
    return f"In this family {family.description}."


def findings(rows: Sequence[Row]) -> list[str]:
    """Return one sentence per peer: how far it came, and how well, in each family."""
    lines = []
    for peer in dict.fromkeys(row.peer for row in rows):
        parts = []
        for family in dict.fromkeys(row.family for row in rows):
            mine = [row for row in rows if row.peer == peer and row.family == family]
            parts.append(f"{family}: {_how_far(mine)}")
        lines.append(f"**{peer}**: {'; '.join(parts)}.")
    return lines


def _how_far(rows: Sequence[Row]) -> str:
    solved = [row for row in rows if row.status == SOLVED]
    tried = [row for row in rows if row.status != UNTRIED]
    late = [row for row in rows if row.gave_up]
    text = f"solved at {len(solved)} of {len(tried)} sizes tried"
    if solved:
        largest = max(solved, key=lambda row: row.pairs)
        text += f", up to {_size(largest)} ({_seconds(largest.seconds)})"
    if late:
        text += f", out of time at {_size(late[0])}"
    return text


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table of the rows, without those that were not tried."""
    lines = ["| " + " | ".join(_HEAD) + " |", "| --- | --- |" + " ---: |" * 6 + " --- |"]
    last = ""
    for row in rows:
        if row.status == UNTRIED:
            continue
        size = _size(row)
        status = f"{row.status}: {row.reason}" if row.reason else row.status
        cells = (
            size if size != last else "",
            row.peer,
            _number(row.seconds, 1e3),
            str(row.repetitions or "–"),
            _number(row.set_up),
            "–" if row.steps is None else str(row.steps),
            _small(row.regret),
            _small(row.violation),
            status.replace("|", "/"),
        )
        lines.append("| " + " | ".join(cells) + " |")
        last = size
    return "\n".join(lines)


def _size(row: Row) -> str:
    return f"{row.providers}×{row.users}"


def _number(value: float | None, factor: float = 1.0) -> str:
    """Return a number with three digits, or a dash."""
    if value is None:
        return "–"
    scaled = value * factor
    return f"{scaled:.0f}" if scaled >= 100 else f"{scaled:.3g}"


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.0e}" if value > 0 else "0"


def _seconds(value: float | None) -> str:
    if value is None:
        return "no time"
    return f"{value:.2g} s" if value >= 1 else f"{_number(value, 1e3)} ms"
