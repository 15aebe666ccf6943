"""How all commands fail: in one line on stderr, with an exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from qoex.cli.exit_codes import NO_READER, UNUSABLE
from qoex.cli.terminal import notice
from qoex.errors import QoexError


class Group(TyperGroup):
    """Says every mistake in one line on stderr, and turns it into an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what cannot be written to stdout is told as such."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            # Files say what is wrong with them in our own errors, so this is stdout: whoever read
            # it is gone, or a disk is full. Python must not find that out again at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(NO_READER) from None
            raise QoexError(f"the output cannot be written ({error.strerror})") from None

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; return the exit code, or leave with it."""
        standalone = options.pop("standalone_mode", True)
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except QoexError as error:
            notice(f"error: {error}")
            code = UNUSABLE
        except MemoryError:
            notice("error: there is not enough memory for that")
            code = UNUSABLE
        except Exception as error:
            # What typer raises for wrong usage has no public base class, but this method.
            if not hasattr(error, "format_message"):
                raise
            notice(f"error: {error.format_message()}")
            code = UNUSABLE
        if standalone:
            sys.exit(code)
        return code
