"""A scenario as TOML text; reading it back gives the same scenario, bit for bit."""

from __future__ import annotations

import json

from qoex.scenario import Scenario
from qoex.scenario.tables import Table

WHOLE = 1e15  # whole numbers below it are written without a point; doubles hold them exactly
_NAMES = ("name", "user", "provider")


def toml_text(scenario: Scenario) -> str:
    """Return the scenario as a TOML document, without the fields that are left out of it."""
    blocks = []
    if scenario.title is not None:
        blocks.append(f"title = {_string(scenario.title)}\n")
    defaults = _lines(scenario.defaults)
    if defaults:
        blocks.append("[defaults]\n" + defaults)
    for key in ("providers", "users", "demands"):
        blocks += [f"[[{key}]]\n" + _lines(table) for table in getattr(scenario, key)]
    return "\n".join(blocks)


def _lines(table: Table) -> str:
    values = table.model_dump(exclude_defaults=True)
    keys = sorted(values, key=lambda key: key not in _NAMES)  # names first, the rest in order
    return "".join(f"{key} = {_value(values[key])}\n" for key in keys)


def _value(value: str | bool | float) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value.is_integer() and 0 < value < WHOLE:
        return str(int(value))
    return repr(value)  # the shortest decimal that reads back as the same double


def _string(text: str) -> str:
    # A JSON string is a TOML basic string, but that TOML wants the delete character escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
