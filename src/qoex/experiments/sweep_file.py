"""Reading sweeps that people write: TOML in, a sweep and its seeds out (the form: docs/how-to)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qoex.errors import InvalidInputError
from qoex.experiments.axes import AXES
from qoex.experiments.measure import SchemeCase
from qoex.experiments.sweep import Sweep, SweepFields
from qoex.experiments.sweep_tables import RangesTable, SchemeTable, SweepTables
from qoex.files.market_files import FilePath, parse_toml, read_scenario, read_text
from qoex.scenario.sampling import TABLE_III
from qoex.scenario.tables import Table
from qoex.text.refusals import sentence_by_path

# What says how random markets are drawn, and so says nothing beside a scenario.
_OF_RANDOM_MARKETS = ("ranges", "drawn", "seeds", "root_seed")


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file holds.

    Attributes:
        sweep: the sweep.
        seeds: how many seeds it asks for, 0 to one less than this.
    """

    sweep: Sweep
    seeds: int


def read_sweep(path: FilePath) -> SweepFile:
    """Read a sweep file (.toml).

    Raises:
        InvalidInputError: it is not one; a sentence that names the file and the place.
    """
    try:
        tables = _read(Path(path))
        return SweepFile(_sweep(tables, Path(path)), tables.seeds)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from None


def _read(path: Path) -> SweepTables:
    if path.suffix.lower() != ".toml":
        raise InvalidInputError("the name of the file must end in .toml")
    try:
        return SweepTables.model_validate(parse_toml(read_text(path)))
    except ValidationError as error:
        tables: dict[str, type[Table]] = {
            "": SweepTables,
            "ranges": RangesTable,
            "schemes": SchemeTable,
        }
        fields = {name: list(table.model_fields) for name, table in tables.items()}
        raise InvalidInputError(sentence_by_path(error, "a sweep", fields)) from None


def _sweep(tables: SweepTables, path: Path) -> Sweep:
    name = path.stem if tables.name is None else tables.name
    chosen: dict[str, Any] = {}
    if tables.scenario is not None:
        for key in _OF_RANDOM_MARKETS:
            if key in tables.model_fields_set:
                raise InvalidInputError(f"{key} has no effect beside a scenario; leave it out")
        scenario = read_scenario(path.parent / tables.scenario)
        sizes = {"providers": len(scenario.providers), "users": len(scenario.users)}
        chosen = {"scenario": scenario, **sizes}
    for key in ("providers", "users"):
        count = getattr(tables, key)
        if count is not None:
            if tables.vary in AXES and AXES[tables.vary].size == key:
                raise InvalidInputError(f"{key} is what varies, so it is not fixed; leave it out")
            chosen[key] = count
    if tables.ranges is not None:
        given = tables.ranges.model_dump(exclude_none=True)
        try:
            chosen["ranges"] = replace(TABLE_III, **given)
        except InvalidInputError as error:
            raise InvalidInputError(f"ranges.{error}") from None
    return Sweep(
        name=name,
        title=name if tables.title is None else tables.title,
        **{key: getattr(tables, key) for key in SweepFields.model_fields},
        schemes=tuple(_case(table) for table in tables.schemes),
        **chosen,
    )


def _case(table: SchemeTable) -> SchemeCase:
    label = table.scheme if table.label is None else table.label
    return SchemeCase(label, table.scheme, dict(table.options))
