"""The settings as a TOML file: what ``qoex serve --print-config`` prints, and reads again."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from textwrap import wrap
from typing import Any

from qoex.agent.settings import Settings
from qoex.agent.storage.address import Address

_HEADING = """\
# Settings of qoex serve. Each can also be set by a variable of the environment (QOEX_PORT for
# port; lists with commas), which wins over this file, and the usual ones on the command line,
# which wins over both.
"""


def settings_text(settings: Settings) -> str:
    """Return the settings as TOML with what each means; what is not set stands as a comment.

    A password in the address of the database is left out.
    """
    blocks = [_HEADING]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "database":
            value = _without_password(value)
        comment = " ".join((field.description or "").split())
        lines = [f"# {line}" for line in wrap(comment, 98)]
        lines.append(f"# {name} =" if value is None else f"{name} = {_value(value)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _without_password(database: str) -> str:
    address = Address.parse(database)
    return database if address.dsn is None else address.name


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Enum):
        return _value(value.value)
    if isinstance(value, str | Path):
        # A JSON string is a TOML basic string, but that TOML wants the delete character escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
