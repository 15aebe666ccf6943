"""What a report reads, and numbers taken from it together with the keys that say what they are.

::

    table:NAME:STATISTIC:COLUMN?CONDITIONS   of the rows of a table that meet the conditions
    manifest:NAME:PATH                       of the manifest beside it; PATH as keys and indices
    panel:NAME:STATISTIC:COLUMN?line=…&x=…   of what a panel draws
    claim:ID:main:ours:0:mean                of the first number behind a judged claim
    constant:MODULE:NAME                     of qoex itself

Conditions are equalities, as in the query of an address. The name ``*`` stands for all sweeps
together, and ``claims`` for the judged claims whose tables are there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlencode

import polars as pl

from qoex.errors import InvalidInputError
from qoex.experiments.intervals import Estimate, estimate
from qoex.experiments.report.numbers import DIGITS, Interval, ShownNumber, interval, number

# A share below this, or as near to all, is told to the last one.
_FEW = 0.01

Statistic = Literal["sum", "max", "largest", "present", "distinct", "true", "false", "above-one"]

_STATISTICS: dict[Statistic, Any] = {
    "sum": lambda column: column.sum(),
    "max": lambda column: column.max(),
    "largest": lambda column: column.abs().max(),
    "present": lambda column: column.len(),
    "distinct": lambda column: column.n_unique(),
    "true": lambda column: int(column.sum()),
    "false": lambda column: column.len() - int(column.sum()),
    "above-one": lambda column: int((column > 1).sum()),
}


@dataclass(frozen=True)
class SourceTable:
    """The rows of a table that meet some conditions.

    Attributes:
        name: the stem of its file's name, or "*" for all sweeps together.
        rows: the rows.
        manifest: what is beside the table; empty for "*" for all sweeps together.
        conditions: column and value.
    """

    name: str
    rows: pl.DataFrame
    manifest: Mapping[str, Any]
    conditions: tuple[tuple[str, Any], ...] = ()

    def where(self, **conditions: Any) -> SourceTable:
        """Return those of the rows where columns have these values."""
        rows = self.rows
        for column, value in conditions.items():
            rows = rows.filter(pl.col(column) == value)
        return replace(self, rows=rows, conditions=(*self.conditions, *conditions.items()))

    def has(self, *columns: str) -> bool:
        """Whether the table has these columns."""
        return set(columns) <= set(self.rows.columns)

    def values(self, column: str) -> list[Any]:
        """Return the distinct values of a column that are not null, as they first occur."""
        found: list[Any] = self.rows[column].drop_nulls().unique(maintain_order=True).to_list()
        return found

    def count(self) -> ShownNumber:
        """Return how many rows there are."""
        return _certain(number(self.rows.height, self._key("rows", "")))

    def number(
        self,
        statistic: Statistic,
        column: str,
        *,
        decimals: int | None = None,
        digits: int = DIGITS,
        percent: bool = False,
    ) -> ShownNumber | None:
        """Return a statistic of a column; None where all of it is null."""
        values = self.rows[column].drop_nulls()
        if values.is_empty():
            return None
        value = _STATISTICS[statistic](values)
        return number(
            value,
            self._key(statistic, column),
            decimals=decimals,
            digits=digits,
            percent=percent,
        )

    def only(
        self,
        column: str,
        *,
        decimals: int | None = None,
        percent: bool = False,
        signed: bool = False,
    ) -> ShownNumber | None:
        """Return the value of the one row there is; see ``numbers.number`` for how it is shown.

        Raises:
            InvalidInputError: there are more rows, or fewer.
        """
        if self.rows.height != 1:
            raise InvalidInputError(
                f"the table {self.name} has {self.rows.height} rows where "
                f"{dict(self.conditions)!r}; there must be one"
            )
        return number(
            self.rows[column].item(),
            self._key("only", column),
            decimals=decimals,
            percent=percent,
            signed=signed,
        )

    def share(self, part: str, whole: tuple[str, ...] = ()) -> ShownNumber | None:
        """Return the sum of a column over that of others together, or over the rows that have it.

        Args:
            part: a column of counts or of flags.
            whole: columns of counts.
        """
        total = sum(self._sum(column) for column in whole) or self.rows[part].count()
        return self._ratio("share", self._sum(part), total, part, whole)

    def missing_share(self, part: str, whole: str) -> ShownNumber | None:
        """Return one less the sum of a column over that of another one."""
        total = self._sum(whole)
        return self._ratio("missing", total - self._sum(part), total, part, (whole,))

    def interval(self, column: str, *, percent: bool = False) -> Interval:
        """Return the mean of a column over seeds, with its 95 % interval."""
        found = estimate(self.rows[column])
        return interval(found, lambda end: self._key(end, column), percent=percent)

    def fitted(self, value: str, low: str, high: str) -> Interval:
        """Return what the one row there is says of a number, by the columns of its ends."""
        columns = {"mean": value, "low": low, "high": high}
        ends = {name: self.rows[column].item() for name, column in columns.items()}
        found = {name: math.nan if end is None else end for name, end in ends.items()}
        return interval(Estimate(**found, count=1), lambda end: self._key("only", columns[end]))

    def stated(self, path: str, *, percent: bool = False) -> ShownNumber | None:
        """Return a number of the manifest, or None where there is none.

        Args:
            path: keys and indices, with slashes between.
            percent: whether it is a share, to be shown in percent.
        """
        value = lookup(self.manifest, path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return number(value, f"manifest:{self.name}:{path}", percent=percent)

    def length(self, path: str) -> ShownNumber | None:
        """Return how long a list of the manifest is, or None where there is none."""
        value = lookup(self.manifest, path)
        if not isinstance(value, list):
            return None
        return number(len(value), f"manifest:{self.name}:{path}/length")

    def stated_text(self, path: str) -> str:
        """Return a text of the manifest, empty where there is none."""
        value = lookup(self.manifest, path)
        return value if isinstance(value, str) else ""

    def _sum(self, column: str) -> float:
        return float(self.rows[column].sum())

    def _ratio(
        self, statistic: str, part: float, total: float, column: str, whole: tuple[str, ...]
    ) -> ShownNumber | None:
        of = f"{column}/{'+'.join(whole)}"
        if not total:
            return None
        # As many decimals as tell one more from one fewer, where that matters: near none and all.
        decimals = max(math.ceil(math.log10(total)) - 2, 0)
        if _FEW < part / total < 1.0 - _FEW:
            decimals = min(decimals, 1)
        key = self._key(statistic, of)
        return number(part / total, key, decimals=decimals, percent=True)

    def _key(self, statistic: str, column: str) -> str:
        query = urlencode([(name, _text(value)) for name, value in self.conditions])
        return f"table:{self.name}:{statistic}:{column}" + (f"?{query}" if query else "")


def lookup(data: Any, path: str) -> Any:
    """Return what stands in nested tables and lists at a path, or None."""
    for step in path.split("/"):
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and int(step) < len(data):
            data = data[int(step)]
        else:
            return None
    return data


def _certain(found: ShownNumber | None) -> ShownNumber:
    assert found is not None
    return found


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
