"""What became of every point: solved or not and why, overload, and what certificates say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from qoex.experiments.axes import AXES
from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import ShownNumber
from qoex.experiments.report.sources import SourceTable, lookup
from qoex.game.solution import Status

SOLVED = "solved"

# What an outcome other than SOLVED means (``measure`` defines them).
OUTCOMES: dict[str, str] = {
    "unsolved": "the method ended before its conditions held",
    "infeasible": "the scheme cannot serve the demands within the capacities",
    "unavailable": "the market lacks what the scheme needs",
    "failed": "an error of the program",
}


@dataclass(frozen=True)
class Tally:
    """How many points came out in one way.

    Attributes:
        name: an outcome or a status.
        meaning: what that is.
        count: how many points.
    """

    name: str
    meaning: str
    count: ShownNumber


@dataclass(frozen=True)
class Unsolved:
    """Points of one place without a result.

    Attributes:
        study: the name of the table.
        place: what varies there ("number of users").
        value: at which value.
        scheme: by which scheme.
        outcome: a key of OUTCOMES.
        count: how many draws.
        reason: of the first of them, as the table has it.
    """

    study: str
    place: str
    value: ShownNumber | None
    scheme: str
    outcome: str
    count: ShownNumber
    reason: str


@dataclass(frozen=True)
class Overload:
    """One point of a sweep on random markets: how many draws could not be served as they are.

    Attributes:
        value: of what varies.
        draws: markets drawn.
        overloaded: those whose providers cannot serve all of their users.
        dropped: demands dropped from them.
        dropped_share: of all demands of the point.
        factor: the greatest factor on capacities that a draw would have needed.
    """

    value: ShownNumber | None
    draws: ShownNumber
    overloaded: ShownNumber | None
    dropped: ShownNumber | None
    dropped_share: ShownNumber | None
    factor: ShownNumber | None


@dataclass(frozen=True)
class OverloadedSweep:
    """The points of one sweep.

    Attributes:
        study: the name of the table.
        title: of the sweep.
        place: what varies ("number of users").
        points: in the order of the sweep.
        unserved: scheme and the share of admitted demands that it gives nothing; those above zero.
    """

    study: str
    title: str
    place: str
    points: tuple[Overload, ...]
    unserved: tuple[tuple[str, ShownNumber], ...]


@dataclass(frozen=True)
class Ample:
    """A sweep on random markets in which every draw can be served.

    Attributes:
        study: the name of the table.
        factor: the greatest factor on capacities that a draw needed; at most one.
    """

    study: str
    factor: ShownNumber | None


@dataclass(frozen=True)
class Certificates:
    """What the certificates of one table say.

    Attributes:
        study: the name of the table.
        scheme: the scheme that has them.
        solved: its points with a result.
        certified: those whose certificate holds.
        share: of the first.
        regret: the largest gain of any user by deviating, relative to what it has.
    """

    study: str
    scheme: str
    solved: ShownNumber
    certified: ShownNumber | None
    share: ShownNumber | None
    regret: ShownNumber | None


@dataclass(frozen=True)
class Outcomes:
    """What became of all points.

    Attributes:
        points: rows of all tables with outcomes.
        seeds: distinct seeds among them.
        solved: of the points.
        others: the other outcomes that occur.
        statuses: how the methods ended.
        unsolved: every place where points have no result.
        overloaded: sweeps in which a draw could not be served.
        ample: sweeps in which all could.
        certificates: by table.
    """

    points: ShownNumber
    seeds: ShownNumber | None
    solved: ShownNumber
    others: tuple[Tally, ...]
    statuses: tuple[Tally, ...]
    unsolved: tuple[Unsolved, ...]
    overloaded: tuple[OverloadedSweep, ...]
    ample: tuple[Ample, ...]
    certificates: tuple[Certificates, ...]


def outcomes(folder: Folder) -> Outcomes | None:
    """Return what became of all points of a folder, or None if it has no table with outcomes."""
    every = folder.every_sweep
    if every is None:
        return None
    random = [table for table in folder.sweeps if lookup(table.manifest, "parameters/ranges")]
    overloaded = [table for table in random if (table.rows["capacity_factor"] > 1).any()]
    return Outcomes(
        points=every.count(),
        seeds=every.number("distinct", "seed"),
        solved=every.where(outcome=SOLVED).count(),
        others=tuple(
            Tally(name, OUTCOMES.get(name, ""), every.where(outcome=name).count())
            for name in every.values("outcome")
            if name != SOLVED
        ),
        statuses=tuple(
            Tally(name, _status_meaning(name), every.where(status=name).count())
            for name in sorted(every.values("status"))
        ),
        unsolved=tuple(item for table in folder.sweeps for item in _unsolved(table)),
        overloaded=tuple(_overloaded(table) for table in overloaded),
        ample=tuple(_ample(table) for table in random if table not in overloaded),
        certificates=tuple(
            _certificates(table) for table in folder.sweeps if table.rows["certified"].count()
        ),
    )


def axis_label(table: SourceTable) -> str:
    """Return what varies in a table, with its unit; empty where nothing does."""
    axis = AXES.get(str(table.stated_text("parameters/vary")))
    if axis is None:
        return ""
    return f"{axis.label} ({axis.unit})" if axis.unit else axis.label


def _status_meaning(name: str) -> str:
    return Status[name].sentence if name in Status.__members__ else ""


def _unsolved(table: SourceTable) -> Iterator[Unsolved]:
    """Yield the places of a table where points have no result, in the order of the table."""
    missing = table.rows.filter(pl.col("outcome") != SOLVED).sort("point", maintain_order=True)
    places = missing.select("value", "scheme", "outcome").unique(maintain_order=True)
    for place in places.iter_rows(named=True):
        found = table.where(**place)
        yield Unsolved(
            study=table.name,
            place=axis_label(table),
            value=found.number("max", "value"),
            scheme=place["scheme"],
            outcome=place["outcome"],
            count=found.count(),
            reason=next(iter(found.values("reason")), ""),
        )


def _overloaded(table: SourceTable) -> OverloadedSweep:
    # Overload is a matter of the market, so the rows of one scheme have it all.
    first = table.values("scheme")[0]
    unserved = []
    for scheme in table.values("scheme"):
        solved = table.where(scheme=scheme, outcome=SOLVED)
        share = solved.missing_share("served_pairs", "demanded_pairs")
        if share is not None and share.value > 0:
            unserved.append((scheme, share))
    return OverloadedSweep(
        study=table.name,
        title=table.stated_text("parameters/title"),
        place=axis_label(table),
        points=tuple(
            _overload(table.where(scheme=first, value=value)) for value in table.values("value")
        ),
        unserved=tuple(unserved),
    )


def _overload(point: SourceTable) -> Overload:
    return Overload(
        value=point.number("max", "value"),
        draws=point.count(),
        overloaded=point.number("above-one", "capacity_factor"),
        dropped=point.number("sum", "dropped_pairs"),
        dropped_share=point.where(outcome=SOLVED).share(
            "dropped_pairs", ("dropped_pairs", "demanded_pairs")
        ),
        factor=point.number("max", "capacity_factor", decimals=3),
    )


def _ample(table: SourceTable) -> Ample:
    first = table.values("scheme")[0]
    return Ample(table.name, table.where(scheme=first).number("max", "capacity_factor", decimals=3))


def _certificates(table: SourceTable) -> Certificates:
    # Only the schemes that claim an equilibrium have certificates; the others' rows are null.
    first = next(
        scheme
        for scheme in table.values("scheme")
        if table.where(scheme=scheme).rows["certified"].count()
    )
    found = table.where(scheme=first, outcome=SOLVED)
    return Certificates(
        study=table.name,
        scheme=first,
        solved=found.count(),
        certified=found.number("true", "certified"),
        share=found.share("certified"),
        regret=found.number("max", "regret_relative", digits=2),
    )
