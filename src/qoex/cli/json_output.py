"""The option with which commands write JSON, and the writing."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qoex.cli.terminal import notice
from qoex.files import write_atomically

JsonPath = Annotated[
    str | None,
    typer.Option("--json", metavar="PATH", help="Write JSON to a file, or with - print it alone."),
]


def put_json(path: str, data: dict[str, Any]) -> bool:
    """Write JSON to a file, or alone to stdout for "-"; return whether stdout is left for people.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    from qoex.solution_file import json_text

    text = json_text(data)
    if path == "-":
        print(text, end="", flush=True)
        return False
    write_atomically(path, text)
    notice(f"wrote {path}")
    return True
