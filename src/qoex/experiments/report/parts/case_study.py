"""Table V as the paper prints it beside what the mechanism decides here."""

from __future__ import annotations

from dataclasses import dataclass

from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import ShownNumber
from qoex.experiments.report.sources import SourceTable

_TABLE = "table-v"


@dataclass(frozen=True)
class Compared:
    """One number of Table V.

    Attributes:
        printed: by the paper.
        computed: here; None without a solution.
        error: (computed − printed)/printed.
    """

    printed: ShownNumber | None
    computed: ShownNumber | None
    error: ShownNumber | None


@dataclass(frozen=True)
class CaseStudyPair:
    """One user at one provider; one entry of ``numbers`` for each quantity."""

    provider: str
    user: str
    numbers: tuple[Compared, ...]


@dataclass(frozen=True)
class CaseStudyPart:
    """Table V.

    Attributes:
        quantities: name and unit, in the order of the columns.
        pairs: the rows.
        count: how many numbers there are.
        largest: the greatest error of all, without its sign.
        regret: what a user could gain by deviating, relative to what it has.
    """

    quantities: tuple[tuple[str, str], ...]
    pairs: tuple[CaseStudyPair, ...]
    count: ShownNumber
    largest: ShownNumber | None
    regret: ShownNumber | None


def case_study(folder: Folder) -> CaseStudyPart | None:
    """Return Table V, or None if it was not made."""
    table = folder.tables.get(_TABLE)
    if table is None:
        return None
    quantities = table.values("quantity")
    units = dict(table.rows.select("quantity", "unit").iter_rows())
    return CaseStudyPart(
        quantities=tuple((name, units[name]) for name in quantities),
        pairs=tuple(
            CaseStudyPair(
                provider,
                user,
                tuple(
                    _compared(table.where(provider=provider, user=user, quantity=name))
                    for name in quantities
                ),
            )
            for provider in table.values("provider")
            for user in table.where(provider=provider).values("user")
        ),
        count=table.count(),
        largest=table.number("largest", "relative_error", decimals=2, percent=True),
        regret=table.number("max", "regret_relative", digits=2),
    )


def _compared(row: SourceTable) -> Compared:
    return Compared(
        row.only("printed"),
        row.only("computed"),
        row.only("relative_error", percent=True, decimals=2, signed=True),
    )
