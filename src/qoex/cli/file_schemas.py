"""JSON Schemas (draft 2020-12) of all file forms, for editors and for programs.

The repository's ``schemas/`` are written by ``python -m qoex.cli.file_schemas schemas``. A schema
says what each key may hold; that lists match in length and names refer to something is checked only
when a file is read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qoex.errors import InvalidInputError
from qoex.files.arrays_json import NAME_FIELDS
from qoex.files.market_files import write_atomically
from qoex.model.market import ARRAY_FIELDS, PAIR_FIELDS
from qoex.scenario import Scenario
from qoex.scenario.tables import DemandFields

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FILE_NAMES = {
    "scenario": "scenario.schema.json",
    "arrays": "arrays.schema.json",
    "sweep": "sweep.schema.json",
}

_MEANING = {
    "work": "a, TFLOPS·ms (eq. 7), one list of M numbers for each of the N providers.",
    "traffic": "b, MHz·ms (eq. 7), N lists of M numbers.",
    "latency_budget": "κ, ms (eq. 7), N lists of M numbers; zero, as work and traffic, if absent.",
    "compute_cost": "c^f, money per TFLOPS (eq. 8), N numbers.",
    "bandwidth_cost": "c^B, money per MHz (eq. 8), N numbers.",
    "compute_capacity": "f^max, TFLOPS (C2 of eq. 8), N numbers.",
    "bandwidth_capacity": "B^max, MHz (C2 of eq. 8), N numbers.",
    "profit_factor": "μ, money (eq. 9), M numbers.",
    "reward_min": "R^min, money per ms of QoE (eq. 9), M numbers.",
    "reward_max": "R^max, money per ms of QoE (eq. 9), M numbers, none below reward_min.",
    "provider_names": "N distinct names; provider-1, provider-2, … where left out.",
    "user_names": "M distinct names; user-1, user-2, … where left out.",
}
_MAY_BE_ZERO = (*PAIR_FIELDS, "reward_min")


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a file form: "scenario", "arrays" or "sweep".

    Raises:
        InvalidInputError: there is no form of that name.

    """
    if kind == "scenario":
        return _scenario()
    if kind == "arrays":
        return _arrays()
    if kind == "sweep":
        return _sweep()
    raise InvalidInputError(f"there is no schema {kind!r}; there are {', '.join(FILE_NAMES)}")


def schema_text(kind: str) -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> None:
    """Write all schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in FILE_NAMES.items():
        write_atomically(folder / name, schema_text(kind))


def _scenario() -> dict[str, Any]:
    result = {"$schema": DRAFT, **Scenario.model_json_schema()}
    tables = result["$defs"]
    accuracy = ("performance_gap", "examples")
    tables["Demand"]["allOf"] = [
        _not_both(*accuracy),
        _not_both("snr_db", "channel_gain"),
        _not_both("snr_db", "noise_power"),
        {
            "if": {"properties": {"absent": {"const": True}}, "required": ["absent"]},
            "then": {"properties": {name: {"type": "null"} for name in DemandFields.model_fields}},
        },
    ]
    tables["Defaults"]["allOf"] = [_not_both(*accuracy), _not_both("snr_db", "channel_gain")]
    return result


def _sweep() -> dict[str, Any]:
    from qoex.experiments.sweep_tables import SweepTables  # loads the kernels with the schemes

    result = {"$schema": DRAFT, **SweepTables.model_json_schema()}
    random = ("ranges", "drawn", "seeds", "root_seed")
    result["allOf"] = [
        {
            "if": {"properties": {"scenario": {"type": "string"}}, "required": ["scenario"]},
            "then": {"not": {"anyOf": [{"required": [name]} for name in random]}},
        },
        *(
            {
                "if": {"properties": {"vary": {"const": name}}},
                "then": {"not": {"properties": {name: {"type": "integer"}}, "required": [name]}},
            }
            for name in ("providers", "users")
        ),
    ]
    return result


def _not_both(one: str, other: str) -> dict[str, Any]:
    number = {"type": "number"}  # a null counts as left out
    return {"not": {"properties": {one: number, other: number}, "required": [one, other]}}


def _arrays() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name in ARRAY_FIELDS:
        bound = {"minimum": 0} if name in _MAY_BE_ZERO else {"exclusiveMinimum": 0}
        items: dict[str, Any] = _list({"type": "number", **bound})
        properties[name] = {
            "description": _MEANING[name],
            **(_list(items) if name in PAIR_FIELDS else items),
        }
    for name in NAME_FIELDS:
        items = _list({"type": "string", "pattern": r"\S"})
        properties[name] = {"description": _MEANING[name], **items, "uniqueItems": True}
    return {
        "$schema": DRAFT,
        "title": "Market",
        "description": "A market of N providers and M users as arrays.",
        "type": "object",
        "properties": properties,
        "required": list(ARRAY_FIELDS),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas"))
