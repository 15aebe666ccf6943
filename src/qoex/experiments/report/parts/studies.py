"""The manifest: which tables there are, how they were made, and by which code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import ShownNumber
from qoex.experiments.report.sources import SourceTable, lookup


@dataclass(frozen=True)
class ReportedRun:
    """One run that added rows to a table.

    Attributes:
        began: date and time, UTC.
        seconds: what it took, together with the other tables of the same run.
        seeds: how many it added.
        runner: who computed.
    """

    began: str
    seconds: ShownNumber | None
    seeds: ShownNumber | None
    runner: str


@dataclass(frozen=True)
class ReportedStudy:
    """One table.

    Attributes:
        name: the stem of its file's name.
        title: what it shows.
        rows: how many it has.
        seeds: how many seeds they are of.
        complete: whether all seeds asked for are there.
        missing: how many are not.
        fingerprint: of its parameters and the code.
        runs: those that made it, first to last.
    """

    name: str
    title: str
    rows: ShownNumber
    seeds: ShownNumber | None
    complete: bool
    missing: ShownNumber | None
    fingerprint: str
    runs: tuple[ReportedRun, ...]


@dataclass(frozen=True)
class Code:
    """Code and versions that made tables.

    Attributes:
        studies: the tables; all of them is empty.
        revision: of git; ends in "+" where the checkout had changes. Empty where there is none.
        platform: system and machine.
        versions: package and version.
    """

    studies: tuple[str, ...]
    revision: str
    platform: str
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Provenance:
    """How all tables of a folder were made."""

    studies: tuple[ReportedStudy, ...]
    codes: tuple[Code, ...]


def provenance(folder: Folder) -> Provenance:
    """Return how the tables of a folder were made, from their manifests."""
    makers: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for name, table in folder.tables.items():
        for run in table.manifest["runs"]:
            code = {key: run.get(key) for key in ("git_revision", "platform", "versions")}
            names = makers.setdefault(json.dumps(code, sort_keys=True), (code, []))[1]
            if name not in names:
                names.append(name)
    return Provenance(
        tuple(_study(table) for table in folder.tables.values()),
        tuple(
            _code(code, () if len(names) == len(folder.tables) else tuple(names))
            for code, names in makers.values()
        ),
    )


def _study(table: SourceTable) -> ReportedStudy:
    runs = table.manifest["runs"]
    return ReportedStudy(
        name=table.name,
        title=table.stated_text("parameters/title"),
        rows=table.count(),
        seeds=table.number("distinct", "seed") if table.has("seed") else None,
        complete=bool(table.manifest.get("complete", True)),
        missing=table.length("missing_seeds"),
        fingerprint=table.stated_text("fingerprint"),
        runs=tuple(_run(table, place, run) for place, run in enumerate(runs)),
    )


def _run(table: SourceTable, place: int, run: Mapping[str, Any]) -> ReportedRun:
    # How many processes is a number too, so the runner's name alone is text.
    return ReportedRun(
        began=str(run.get("began", "")),
        seconds=table.stated(f"runs/{place}/seconds"),
        seeds=table.stated(f"runs/{place}/seeds"),
        runner=str(lookup(run, "runner") or ""),
    )


def _code(code: Mapping[str, Any], studies: tuple[str, ...]) -> Code:
    return Code(
        studies=studies,
        revision=code.get("git_revision") or "",
        platform=code.get("platform") or "",
        versions=tuple((code.get("versions") or {}).items()),
    )
