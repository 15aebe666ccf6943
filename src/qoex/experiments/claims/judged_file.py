"""Judged claims as a table, and its file."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from qoex.experiments.claims.claim import Judged
from qoex.experiments.claims.verdict import JudgedNumber
from qoex.experiments.tables import read_table
from qoex.files.market_files import write_atomically

NAME = "claims"

# What a reader of a file can go by; files of the first form have no version.
_VERSION_KEY, VERSION = "qoex.claims.version", "2"

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "claim": pl.String,
    "section": pl.String,
    "place": pl.String,
    "statement": pl.String,
    "paper": pl.String,
    "note": pl.String,
    "tables": pl.List(pl.String),
    "main": pl.Boolean,
    "verdict": pl.String,
    "reason": pl.String,
    "why": pl.String,
    "role": pl.String,
    "telling": pl.Boolean,
    "label": pl.String,
    "against": pl.String,
    "unit": pl.String,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "count": pl.Int64,
}


def judged_frame(judged: Iterable[Judged]) -> pl.DataFrame:
    """Return one row for every claim, set of tables and labelled number.

    ``main`` tells the paper's tables from their variants; ``role`` is "ours" for a number that the
    verdict rests on, and "companion" for what ``proposed`` delivers less what the scheme
    ``against`` does. A number that is ``telling`` stands beside the paper's. A claim without any
    number has one row, whose ``label`` is null. Ends of intervals are null where there is none.
    """
    rows = [row for item in judged for row in _rows(item)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def write_claims(judged: Iterable[Judged], folder: Path) -> None:
    """Write ``claims.parquet`` of a reproduction's folder.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    buffer = io.BytesIO()
    judged_frame(judged).write_parquet(buffer, metadata={_VERSION_KEY: VERSION})
    write_atomically(folder / f"{NAME}.parquet", buffer.getvalue())


def read_claims(folder: Path) -> pl.DataFrame | None:
    """Return the table in ``claims.parquet``, in today's form; None if it is not there.

    Raises:
        InvalidInputError: the file cannot be read.
    """
    path = folder / f"{NAME}.parquet"
    if not path.exists():
        return None
    rows = read_table(folder, NAME)
    return rows if _VERSION_KEY in pl.read_parquet_metadata(path) else _from_first_form(rows)


def _from_first_form(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a table of the first form, whose words said what columns of their own say now."""
    label, numbers = pl.col("label"), ["claim", "main", "role"]
    ours, companion = pl.col("role") == "ours", pl.col("role") == "companion"
    decided = pl.col("reason").str.starts_with(label + ": ").fill_null(value=False)
    both_ends = pl.col("paper").str.contains(" to ", literal=True)
    first = pl.int_range(pl.len()).over(numbers) < 1 + both_ends.cast(pl.Int64)
    compared = label.str.extract_groups("^(?<label>.*), proposed less (?<against>.*)$")
    return rows.with_columns(
        section=pl.col("claim").str.extract("^([^.]*)"),
        tables=pl.col("tables").str.split(", "),
        telling=ours & pl.when(decided.any().over(numbers)).then(decided).otherwise(first),
        label=pl.when(companion).then(compared.struct.field("label")).otherwise(label),
        against=pl.when(companion).then(compared.struct.field("against")),
    ).select(_SCHEMA.keys())


def _rows(judged: Judged) -> list[dict[str, Any]]:
    claim = judged.claim
    rows = []
    for outcome in (judged.main, judged.variant):
        if outcome is None:
            continue
        head: dict[str, Any] = {
            "claim": claim.id,
            "section": claim.section,
            "place": claim.place,
            "statement": claim.statement,
            "paper": claim.paper,
            "note": claim.note,
            "tables": list(outcome.tables),
            "main": outcome is judged.main,
            "verdict": outcome.finding.verdict.value,
            "reason": outcome.finding.reason,
            "why": judged.why if outcome is judged.main else "",
        }
        finding = outcome.finding
        found = [
            head | {"role": "ours", "telling": place in finding.telling} | _of_number(item)
            for place, item in enumerate(finding.numbers)
        ]
        found += [
            head | {"role": "companion", "telling": False} | _of_number(item)
            for item in outcome.companions
        ]
        rows += found or [head | dict.fromkeys(list(_SCHEMA)[len(head) :])]
    return rows


def _of_number(item: JudgedNumber) -> dict[str, Any]:
    found = item.estimate
    ends = {"mean": found.mean, "low": found.low, "high": found.high}
    return {
        "label": item.label,
        "against": item.against,
        "unit": item.unit,
        **{name: None if math.isnan(value) else value for name, value in ends.items()},
        "count": found.count,
    }
