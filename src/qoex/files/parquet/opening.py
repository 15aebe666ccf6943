"""The files of a stored market: finding them, and reading all but the users themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.arrays_json import parse_json
from qoex.files.parquet.chunk import ProviderTable
from qoex.files.parquet.columns import (
    NAME,
    PROVIDERS_KEY,
    check_columns,
    check_providers_known,
    names_in,
    parquet_errors,
    scan,
    user_columns,
)
from qoex.model.market import PROVIDER_FIELDS
from qoex.text.refusals import shown_name

FilePath = str | os.PathLike[str]

PROVIDERS_FILE = "providers.parquet"


@dataclass(frozen=True)
class UserFile:
    """One file of users as it was when the market was opened.

    Attributes:
        shown: its path as messages give it.
        path: the same, absolute.
        rows: how many users it has.
        named: whether it names them.
        size: bytes.
        modified: ns since 1970.
    """

    shown: Path
    path: Path
    rows: int
    named: bool
    size: int
    modified: int

    def frame(self, columns: Sequence[str], start: int, stop: int) -> pl.DataFrame:
        """Return some rows, from ``start`` up to, not including, ``stop``.

        Raises:
            ScenarioError: they cannot be read, or the file is not what it was.

        """
        self._require_unchanged()
        with parquet_errors(self.shown):
            rows = scan(self.path).select(columns).slice(start, stop - start).collect()
        self._require_unchanged()
        return rows

    def _require_unchanged(self) -> None:
        try:
            found = self.path.stat()
            same = (found.st_size, found.st_mtime_ns) == (self.size, self.modified)
        except OSError:
            same = False
        if not same:
            raise ScenarioError(
                f"{self.shown}: it was changed or removed after the market was opened; begin anew"
            )


def open_market(path: Path) -> tuple[ProviderTable, list[UserFile]]:
    """Return the providers of a stored market, and its files of users in their order.

    Raises:
        ScenarioError: it holds no market; names the file and what is wrong with it.
    """
    if path.is_dir():
        shown = _files_of_users(path)
        providers = _providers_of_file(path / PROVIDERS_FILE)
    else:
        shown = [path]
        providers = _providers_of_metadata(path)
    files = [_open_users(file, providers.names) for file in shown]
    if not any(file.rows for file in files):
        raise ScenarioError(f"{path}: it has no users; a market needs a provider and a user")
    named = [file for file in files if file.named]
    if named and len(named) < len(files):
        other = next(file for file in files if not file.named)
        raise ScenarioError(
            f"{other.shown}: it lacks the column {NAME}, which {named[0].shown.name} has; "
            "give names in all files or in none"
        )
    return providers, files


def _files_of_users(folder: Path) -> list[Path]:
    # Spark, Dask and others put markers of their own beside the data, with _ or . in front.
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".parquet" and path.name[0] not in "._"
    )
    if folder / PROVIDERS_FILE not in files:
        raise ScenarioError(f"{folder}: there is no {PROVIDERS_FILE} in this directory")
    files.remove(folder / PROVIDERS_FILE)
    if not files:
        raise ScenarioError(f"{folder}: there is no users.parquet in this directory")
    return files


def _open_users(path: Path, providers: Sequence[str]) -> UserFile:
    absolute = path.absolute()
    with parquet_errors(path):
        found = path.stat()
        schema = dict(scan(absolute).collect_schema())
        check_columns(schema, user_columns(providers), named=False)
        check_providers_known(schema, providers)
        rows = scan(absolute).select(pl.len()).collect().item()
    return UserFile(path, absolute, rows, NAME in schema, found.st_size, found.st_mtime_ns)


def _providers_of_file(path: Path) -> ProviderTable:
    with parquet_errors(path):
        frame = scan(path.absolute()).collect()
        check_columns(dict(frame.schema), PROVIDER_FIELDS, named=True)
        values: dict[str, Any] = {"names": names_in(frame[NAME])}
        for field in PROVIDER_FIELDS:
            column = frame[field]
            if column.null_count():
                row = int(column.is_null().arg_true()[0])
                raise ScenarioError(f"{field} of {shown_name(values['names'][row])} is missing")
            values[field] = column.cast(pl.Float64).to_numpy()
        return _table(values)


def _providers_of_metadata(path: Path) -> ProviderTable:
    with parquet_errors(path):
        text = pl.read_parquet_metadata(path.absolute()).get(PROVIDERS_KEY)
        if text is None:
            raise ScenarioError(
                f"its metadata lacks the providers ({PROVIDERS_KEY}); "
                f"put it into a directory with {PROVIDERS_FILE}"
            )
        rows = parse_json(text)
        wanted = (NAME, *PROVIDER_FIELDS)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ScenarioError(f"{PROVIDERS_KEY} in its metadata must be a list of objects")
        for n, row in enumerate(rows):
            missing = [key for key in wanted if row.get(key) is None]
            if missing:
                raise ScenarioError(f"{PROVIDERS_KEY}[{n}] in its metadata lacks {missing[0]}")
        columns = {key: [row[key] for row in rows] for key in wanted}
        return _table({"names": columns.pop(NAME), **columns})


def _table(values: dict[str, Any]) -> ProviderTable:
    if not values["names"]:
        raise ScenarioError("it has no providers; a market needs a provider and a user")
    try:
        return ProviderTable(**values)
    except InvalidInputError as error:
        raise ScenarioError(str(error)) from None
