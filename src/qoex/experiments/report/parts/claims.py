"""The paper's statements, each with its verdict, our numbers, and what a saving costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qoex.experiments.claims.verdict import ClaimVerdict
from qoex.experiments.intervals import Estimate
from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import Interval, ShownNumber, interval
from qoex.experiments.report.sources import SourceTable

_SECTIONS = {
    "VI-A": "Critical factors",
    "VI-B": "Case of two providers and three users",
    "VI-C": "Comparison of schemes",
}

# Short names of verdicts, in the order in which they are counted, each with a sign that tells them
# apart without colour.
VERDICTS: Mapping[str, str] = {
    ClaimVerdict.AGREES: "✓",
    ClaimVerdict.SAME_DIRECTION: "≈",
    ClaimVerdict.DIFFERS: "✗",
    ClaimVerdict.UNDETERMINED: "?",
}


@dataclass(frozen=True)
class Labelled:
    """A number of ours behind a verdict.

    Attributes:
        label: what it is of.
        interval: mean and interval.
        unit: nothing for a ratio.
    """

    label: str
    interval: Interval
    unit: str


@dataclass(frozen=True)
class Trade:
    """What the proposed scheme delivers less what another one does.

    Attributes:
        scheme: the other one.
        differences: QoE, utilities and so on.
    """

    scheme: str
    differences: tuple[Labelled, ...]


@dataclass(frozen=True)
class ReportedJudgement:
    """A claim judged on one set of tables.

    Attributes:
        tables: their names.
        verdict: a key of VERDICTS.
        telling: the numbers that stand beside the paper's.
        numbers: all that it rests on, those first.
        reason: why there is no number; empty where there is one.
        trades: for a claim on costs, what else the schemes compared deliver.
    """

    tables: str
    verdict: str
    telling: tuple[Labelled, ...]
    numbers: tuple[Labelled, ...]
    reason: str
    trades: tuple[Trade, ...]


@dataclass(frozen=True)
class ReportedClaim:
    """One statement of the paper.

    Attributes:
        id: of the claim.
        place: where it stands.
        statement: what it says.
        paper: the paper's value or direction.
        note: how it was read, where it can be read otherwise.
        why: why it is not met, where it is not.
        main: judged on the paper's own ranges.
        variant: on other markets, where there are any.
    """

    id: str
    place: str
    statement: str
    paper: str
    note: str
    why: str
    main: ReportedJudgement
    variant: ReportedJudgement | None


@dataclass(frozen=True)
class Section:
    """The claims of one section of the paper, with how often each verdict was given."""

    name: str
    title: str
    tally: tuple[tuple[str, ShownNumber], ...]
    claims: tuple[ReportedClaim, ...]


@dataclass(frozen=True)
class Claims:
    """All claims.

    Attributes:
        count: how many there are.
        tally: verdict and how often it was given.
        sections: in the paper's order.
    """

    count: ShownNumber
    tally: tuple[tuple[str, ShownNumber], ...]
    sections: tuple[Section, ...]


def claims(folder: Folder) -> Claims | None:
    """Return the judged claims of a folder, or None if none were judged."""
    table = folder.claims
    count = table.number("distinct", "claim") if table else None
    if table is None or count is None:
        return None
    sections = tuple(_section(table, name) for name in table.values("section"))
    return Claims(count, _tally(table), sections)


def _section(table: SourceTable, name: str) -> Section:
    own = table.where(section=name)
    found = tuple(_claim(own.where(claim=identity)) for identity in own.values("claim"))
    return Section(name, _SECTIONS.get(name, ""), _tally(own), found)


def _tally(table: SourceTable) -> tuple[tuple[str, ShownNumber], ...]:
    """Return how many claims have each verdict, by the tables of the paper's own ranges."""
    main = table.where(main=True)
    found = ((name, main.where(verdict=name).number("distinct", "claim")) for name in VERDICTS)
    return tuple((name, count) for name, count in found if count is not None)


def _claim(rows: SourceTable) -> ReportedClaim:
    main, variant = rows.where(main=True), rows.where(main=False)
    first = main.rows.row(0, named=True)
    return ReportedClaim(
        id=first["claim"],
        place=first["place"],
        statement=first["statement"],
        paper=first["paper"],
        note=first["note"] or "",
        why=first["why"] or "",
        main=_judgement(main),
        variant=None if variant.rows.is_empty() else _judgement(variant),
    )


def _judgement(rows: SourceTable) -> ReportedJudgement:
    first = rows.rows.row(0, named=True)
    ours = _labelled(rows, "ours")
    telling = tuple(item for row, item in ours if row["telling"])
    numbers = (*telling, *(item for row, item in ours if not row["telling"]))
    return ReportedJudgement(
        tables=", ".join(first["tables"]),
        verdict=first["verdict"],
        telling=telling,
        numbers=numbers,
        reason="" if numbers else first["reason"],
        trades=_trades(rows),
    )


def _labelled(rows: SourceTable, role: str) -> list[tuple[Mapping[str, Any], Labelled]]:
    """Return the numbers of one claim on one set of tables that play a role, with their rows."""
    found = rows.where(role=role).rows.iter_rows(named=True)
    return [(row, _number(row, place)) for place, row in enumerate(found)]


def _number(row: Mapping[str, Any], place: int) -> Labelled:
    which = f"claim:{row['claim']}:{'main' if row['main'] else 'variant'}:{row['role']}:{place}"
    mean, low, high = (
        math.nan if row[end] is None else row[end] for end in ("mean", "low", "high")
    )
    found = interval(Estimate(mean, low, high, row["count"]), lambda end: f"{which}:{end}")
    return Labelled(row["label"], found, row["unit"] or "")


def _trades(rows: SourceTable) -> tuple[Trade, ...]:
    """Return what proposed delivers less what others do, by the other scheme."""
    by_scheme: dict[str, list[Labelled]] = {}
    for row, item in _labelled(rows, "companion"):
        by_scheme.setdefault(row["against"], []).append(item)
    return tuple(Trade(scheme, tuple(found)) for scheme, found in by_scheme.items())


def trade_columns(trades: Sequence[Trade]) -> tuple[tuple[str, str], ...]:
    """Return label and unit of everything that trades compare, in their order."""
    return tuple(
        dict.fromkeys((item.label, item.unit) for trade in trades for item in trade.differences)
    )
