"""Columns of Parquet files: which ones a market has, and what they may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from qoex.errors import ScenarioError
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, FloatArray
from qoex.text.refusals import did_you_mean, shown_name

NAME = "name"
PROVIDERS_KEY = "qoex.providers"

Schema = dict[str, pl.DataType]


def pair_column(field: str, provider: str) -> str:
    """Return the column of a field of pairs: ``work.north``."""
    return f"{field}.{provider}"


def user_columns(providers: Sequence[str]) -> list[str]:
    """Return the columns of numbers that every file of users has, in the order we write them."""
    pairs = [pair_column(field, name) for field in PAIR_FIELDS for name in providers]
    return [*USER_FIELDS, *pairs]


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a Parquet file is read into one sentence that names it."""
    try:
        yield
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise ScenarioError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ScenarioError(f"{path}: it cannot be read ({error.strerror or error})") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise ScenarioError(f"{path}: not a valid Parquet table ({lines[0]})") from None


def scan(path: Path) -> pl.LazyFrame:
    """Return a file as polars' lazy frame, its name taken as it is."""
    if path.is_dir():  # of which polars would read what is in it
        raise ScenarioError("it is a directory, not a file")
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def check_columns(schema: Schema, numbers: Sequence[str], *, named: bool) -> None:
    """Raise unless a table has its columns of numbers, and names that are names.

    Raises:
        ScenarioError: a column is missing or holds something else; says so without the file.
    """
    missing = [column for column in numbers if column not in schema]
    if named and NAME not in schema:
        missing.insert(0, NAME)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        known = [column for column in schema if column not in numbers]
        raise ScenarioError(
            f"it lacks the column {shown_name(missing[0])}{more}" + did_you_mean(missing[0], known)
        )
    for column in numbers:
        kind = schema[column]
        # A column without any value has the type Null, for its writer could not tell better.
        if not kind.is_numeric() and kind != pl.Null:
            raise ScenarioError(
                f"its column {shown_name(column)} holds {kind}; it must hold numbers (Float64)"
            )
    if NAME in schema:
        kind = schema[NAME]
        if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum)):
            raise ScenarioError(f"its column {NAME} holds {kind}; it must hold text (String)")


def check_providers_known(schema: Schema, providers: Sequence[str]) -> None:
    """Raise unless no column is of a provider that is none.

    Raises:
        ScenarioError: one is; says so without the file.
    """
    known = set(user_columns(providers))
    for column in schema:
        field, _, provider = column.partition(".")
        if field in PAIR_FIELDS and provider and column not in known:
            raise ScenarioError(
                f"its column {shown_name(column)} is of no provider of the market"
                + did_you_mean(provider, providers)
            )


def names_in(series: pl.Series, start: int = 0) -> list[str]:
    """Return the names in a column, of rows from ``start`` on.

    Raises:
        ScenarioError: one is missing; says so without the file.
    """
    if series.null_count():
        row = start + int(series.is_null().arg_true()[0]) + 1
        raise ScenarioError(f"{NAME} is missing in row {row}")
    return series.cast(pl.String).to_list()


def copy_numbers(series: pl.Series, out: FloatArray) -> None:
    """Copy a column without nulls into an array of its length."""
    start = 0
    # Chunk by chunk, for polars would join them in memory of its own first.
    for piece in series.cast(pl.Float64).get_chunks():
        out[start : start + piece.len()] = piece.to_numpy()
        start += piece.len()


def copy_users(
    frame: pl.DataFrame,
    providers: Sequence[str],
    out: dict[str, FloatArray],
    place: Callable[[str, tuple[int, ...]], str],
) -> None:
    """Copy the numbers of some users into arrays, a pair of three nulls as an absent one.

    Args:
        frame: m rows with ``user_columns``.
        providers: N names.
        out: by field, N×m for fields of pairs and m for those of users; overwritten.
        place: how a sentence names the provider and user at an index of a field.

    Raises:
        ScenarioError: a number is missing; says so without the file.
    """
    for field in USER_FIELDS:
        column = frame[field]
        if column.null_count():
            row = int(column.is_null().arg_true()[0])
            raise ScenarioError(f"{field} of {place(field, (row,))} is missing")
        copy_numbers(column, out[field])
    for n, name in enumerate(providers):
        columns = {field: frame[pair_column(field, name)] for field in PAIR_FIELDS}
        if any(column.null_count() for column in columns.values()):
            empty = np.array([column.is_null().to_numpy() for column in columns.values()])
            torn = empty.any(axis=0) & ~empty.all(axis=0)
            if torn.any():
                row = int(np.argmax(torn))
                field = PAIR_FIELDS[int(np.argmax(empty[:, row]))]
                raise ScenarioError(
                    f"{field} of {place(field, (n, row))} is missing; give it, or leave "
                    "work, traffic and latency_budget all three out (an absent pair)"
                )
            columns = {field: column.fill_null(0) for field, column in columns.items()}
        for field, column in columns.items():
            copy_numbers(column, out[field][n])
