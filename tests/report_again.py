"""A second implementation of every number in a report: plain polars and numpy, from its key.

It shares no code with the report, the intervals, the reading of panels or the judging of claims.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import polars as pl

from claim_reader_again import Ends, Reader, ends_of_mean
from claims_again import claim_numbers
from qoex.experiments.claims import CLAIMS
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.plots.panels import PANELS

_PANELS = {panel.name: panel for panel in (*PANELS, *CONVERGENCE_PANELS)}

# Every element of HTML that has no end.
_VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """What a report holds: its numbers, its tags, and its words outside of numbers.

    Attributes:
        numbers: (source, value, shown) of every number.
        tags: (tag, attributes) of every element.
        words: (text, tags and marks around it) of all text that is not a number.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.numbers: list[tuple[str, str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[tuple[str, frozenset[str]]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> ends with </{tag}>"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "data":
            attributes = self._open[-1][1]
            self.numbers.append((attributes["data-source"] or "", attributes["value"] or "", data))
            return
        around = {tag for tag, _ in self._open}
        around |= {name for _, attributes in self._open for name in attributes}
        self.words.append((data, frozenset(around)))


class Again:
    """Computes the number that a key of a report names.

    Args:
        folder: of the reproduction.
    """

    def __init__(self, folder: Path) -> None:
        self.frames = {
            path.stem: pl.read_parquet(path) for path in (folder / "tables").glob("*.parquet")
        }
        self.manifests = {
            path.stem: json.loads(path.read_text()) for path in (folder / "tables").glob("*.json")
        }
        self.judged = pl.read_parquet(folder / "claims.parquet")
        lacking = {
            row["claim"]
            for row in self.judged.iter_rows(named=True)
            if row["main"] and not all(name in self.frames for name in row["tables"].split(", "))
        }
        self.judged = self.judged.filter(~pl.col("claim").is_in(lacking))
        self._rows = {name: frame.to_dicts() for name, frame in self.frames.items()}
        self._readers = {main: Reader(self.frames, variant=not main) for main in (True, False)}
        self._claims: dict[tuple[str, bool], dict[str, Ends]] = {}

    def __call__(self, source: str) -> float:
        """Return the number; KeyError where there is no such key."""
        kind, rest = source.split(":", 1)
        finders: dict[str, Callable[[str], float]] = {
            "table": self._table,
            "panel": self._panel,
            "claim": self._claim,
            "manifest": self._manifest,
            "constant": _constant,
        }
        return finders[kind](rest)

    def _table(self, rest: str) -> float:
        rest, _, query = rest.partition("?")
        name, statistic, column = rest.split(":")
        if name == "*":
            frames = [
                frame.select("seed", "scheme", "outcome", "status")
                for frame in self.frames.values()
                if {"scheme", "point", "outcome"} <= set(frame.columns)
            ]
            rows = [row for frame in frames for row in frame.to_dicts()]
        else:
            rows = self.judged.to_dicts() if name == "claims" else self._rows[name]
        rows = [row for row in rows if _meets(row, parse_qsl(query))]
        if statistic == "rows":
            return len(rows)
        if statistic in ("share", "missing"):
            return _share(rows, column, missing=statistic == "missing")
        values = [row[column] for row in rows if row[column] is not None]
        ends = ("mean", "low", "high")
        if statistic in ends:
            return ends_of_mean(np.array(values, dtype=float))[ends.index(statistic)]
        return _STATISTICS[statistic](values)

    def _panel(self, rest: str) -> float:
        rest, _, query = rest.partition("?")
        name, statistic, column = rest.split(":")
        panel = _PANELS[name]
        rows = self._rows[panel.table]
        members = {line.label: line.member for line in panel.lines}
        if statistic == "x":
            levels = {row[panel.x.column] for row in rows if row[panel.by] in members.values()}
            return float(sorted(levels)[int(column)])
        at = dict(parse_qsl(query))
        here = [row for row in rows if row[panel.x.column] == float(at["x"])]
        own = [row for row in here if row[panel.by] == members[at["line"]]]
        if statistic == "rows":
            return len(own)
        quantity = next(item for item in panel.series if item.column == column)
        values = []
        for row in own:
            value = row[column] if row["outcome"] == "solved" or quantity.of_all else None
            if value is not None and quantity.relative_to is not None:
                base = next(
                    other[column]
                    for other in here
                    if other[panel.by] == quantity.relative_to and other["seed"] == row["seed"]
                )
                value = value / base if base is not None and base > 0 else None
            if value is not None:
                values.append(float(value))
        if statistic == "count":
            return len(values)
        return ends_of_mean(np.array(values))[("mean", "low", "high").index(statistic)]

    def _claim(self, rest: str) -> float:
        identity, tables, role, place, end = rest.split(":")
        main = tables == "main"
        rows = self.judged.filter(claim=identity, main=main, role=role)
        if (identity, main) not in self._claims:
            claim = next(item for item in CLAIMS if item.id == identity)
            self._claims[identity, main] = claim_numbers(claim, self._readers[main])
        found = self._claims[identity, main][rows["label"][int(place)]]
        return found[("mean", "low", "high").index(end)]

    def _manifest(self, rest: str) -> float:
        name, path = rest.split(":")
        found: Any = self.manifests[name]
        for step in path.split("/"):
            if isinstance(found, list):
                found = len(found) if step == "length" else found[int(step)]
            else:
                found = found[step]
        return float(found)


def _constant(rest: str) -> float:
    module, name = rest.split(":")
    return float(getattr(importlib.import_module(module), name))


_STATISTICS: dict[str, Callable[[list[Any]], float]] = {
    "sum": sum,
    "max": max,
    "largest": lambda values: max(abs(value) for value in values),
    "distinct": lambda values: len(set(values)),
    "present": len,
    "false": lambda values: sum(value is False for value in values),
    "true": lambda values: sum(value is True for value in values),
    "above-one": lambda values: sum(value > 1 for value in values),
    "only": lambda values: values[0] if len(values) == 1 else float("nan"),
}


def _meets(row: dict[str, Any], conditions: list[tuple[str, str]]) -> bool:
    for column, wanted in conditions:
        if column.endswith("^"):
            if not str(row[column[:-1]]).startswith(wanted):
                return False
        elif str(row[column]) != wanted:
            return False
    return True


def _share(rows: list[dict[str, Any]], column: str, *, missing: bool) -> float:
    part, whole = column.split("/")
    values = [row[part] for row in rows if row[part] is not None]
    if not whole:
        return float(sum(values) / len(values))
    total = sum(row[name] for row in rows for name in whole.split("+"))
    share = sum(values) / total
    return float(1 - share if missing else share)
