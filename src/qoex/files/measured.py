"""Columns of numbers out of tables that others wrote: measured latencies, traces of requests."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.market_files import FilePath, read_text
from qoex.model.market import FloatArray
from qoex.text.refusals import did_you_mean, shown_name


class MeasuredTable:
    """A table as text: rows are numbered from 1, the head of a CSV file not counted.

    Args:
        path: of a .csv file with a head, or of a .jsonl file with an object to a line.

    Raises:
        ScenarioError: it cannot be read; names the file and the line.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = path
        suffix = Path(path).suffix.lower()
        if suffix not in (".csv", ".jsonl"):
            raise ScenarioError(f"{path}: the name of the file must end in .csv or .jsonl")
        try:
            text = read_text(path)
            self._frame = _csv(text) if suffix == ".csv" else _jsonl(text)
        except InvalidInputError as error:
            raise ScenarioError(f"{path}: {error}") from None
        if self._frame.is_empty():
            raise ScenarioError(f"{path}: the table has no rows")

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order of the file."""
        return self._frame.columns

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self._frame.height

    def texts(self, column: str) -> list[str]:
        """Return a column as it stands in the file, "" where there is nothing.

        Raises:
            ScenarioError: there is no such column.
        """
        if column not in self._frame.columns:
            near = did_you_mean(column, self._frame.columns)
            raise ScenarioError(f"{self.path}: there is no column {shown_name(column)}{near}")
        return self._frame[column].fill_null("").to_list()

    def numbers(self, column: str) -> FloatArray:
        """Return a column as numbers.

        Raises:
            ScenarioError: there is no such column, or a row has no finite number in it.
        """
        texts = self.texts(column)
        numbers = np.array([_number(text) for text in texts])
        bad = np.flatnonzero(~np.isfinite(numbers))
        if bad.size:
            row = int(bad[0])
            found = f"is {shown_name(texts[row])}" if texts[row] else "is empty"
            raise ScenarioError(
                f"{self.path}: {shown_name(column)} of row {row + 1} {found}; "
                "it must be a finite number"
            )
        return numbers


def first_column(table: MeasuredTable, known: Sequence[str], what: str) -> str:
    """Return the first of some usual names that a table has a column of.

    Raises:
        ScenarioError: it has none of them; says which option names the column.
    """
    for name in known:
        if name in table.columns:
            return name
    raise ScenarioError(
        f"{table.path}: no column is named {' or '.join(known)}; say which holds the {what} "
        f"(it has {', '.join(map(shown_name, table.columns))})"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _csv(text: str) -> pl.DataFrame:
    try:
        return pl.read_csv(io.StringIO(text), infer_schema=False)
    except pl.exceptions.NoDataError:
        raise InvalidInputError("the file is empty") from None
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"not a table in CSV ({str(error).splitlines()[0]})") from None


def _jsonl(text: str) -> pl.DataFrame:
    rows: list[dict[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidInputError(f"line {number} is not JSON") from None
        if not isinstance(row, dict):
            raise InvalidInputError(f"line {number} must be an object")
        rows.append({key: _text(value) for key, value in row.items()})
    names = dict.fromkeys(key for row in rows for key in row)
    return pl.DataFrame({name: [row.get(name, "") for row in rows] for name in names})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
