"""A folder with a reproduction, or a part of one: what a report reads of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from qoex.experiments.claims import read_claims
from qoex.experiments.plots.panels import PANELS
from qoex.experiments.report.sources import SourceTable
from qoex.experiments.tables import read_manifest, read_table

# The name of all sweeps together.
ALL = "*"

# What every sweep has, and no other table.
_OF_SWEEPS = (
    "point",
    "value",
    "seed",
    "scheme",
    "outcome",
    "status",
    "reason",
    "dropped_pairs",
    "capacity_factor",
    "certified",
    "regret_relative",
)


@dataclass(frozen=True)
class Folder:
    """A folder with a reproduction, or a part of one.

    Attributes:
        path: the folder; it holds ``tables``, ``figures`` and ``claims.parquet``, or some of them.
    """

    path: Path

    @cached_property
    def tables(self) -> Mapping[str, SourceTable]:
        """Every table by its name: in the order of the figures, then in that of the names."""
        folder = self.path / "tables"
        names = sorted((path.stem for path in folder.glob("*.parquet")), key=_place)
        return {
            name: SourceTable(name, read_table(folder, name), read_manifest(folder, name))
            for name in names
        }

    @cached_property
    def sweeps(self) -> tuple[SourceTable, ...]:
        """The tables whose rows are markets settled by schemes."""
        return tuple(table for table in self.tables.values() if table.has(*_OF_SWEEPS))

    @cached_property
    def every_sweep(self) -> SourceTable | None:
        """The rows of all sweeps together; None if there is no sweep."""
        if not self.sweeps:
            return None
        frames = [table.rows.select(_OF_SWEEPS) for table in self.sweeps]
        return SourceTable(ALL, pl.concat(frames), {})

    @cached_property
    def claims(self) -> SourceTable | None:
        """The judged claims whose tables are all there; None if there are none."""
        rows = read_claims(self.path)
        if rows is None:
            return None
        there = [
            claim
            for claim, names in rows.filter("main").select("claim", "tables").iter_rows()
            if set(names) <= set(self.tables)
        ]
        kept = rows.filter(pl.col("claim").is_in(there))
        return None if kept.is_empty() else SourceTable("claims", kept, {})

    def figure(self, name: str, suffix: str) -> Path | None:
        """Return where a panel is, or None if it was not drawn."""
        path = self.path / "figures" / f"{name}.{suffix}"
        return path if path.exists() else None


def _place(name: str) -> tuple[int, str]:
    drawn = [panel.table for panel in PANELS]
    return drawn.index(name) if name in drawn else len(drawn), name
