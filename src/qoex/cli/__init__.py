"""The ``qoex`` command.

Exit codes: 0 for yes or done, 1 for no (not solved, not an equilibrium), 2 for input that cannot
be used. Results go to stdout, everything about them to stderr. Nothing is imported before it is
needed: ``commands`` lists the commands, each of which has a module, and what a command computes and
prints is imported in it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

from qoex import __version__


def main() -> None:
    """Run the command line."""
    try:
        _open_streams()
        if sys.argv[1:] == ["--version"]:
            print(f"qoex {__version__}", flush=True)
            return
        from qoex.cli.commands import app

        app(sys.argv[1:] or ["--help"])
    except KeyboardInterrupt:  # while something is imported; afterwards commands see to it
        sys.exit(130)


def _open_streams() -> None:
    """Let a closed stdout refuse what is written to it, and a closed stderr swallow it."""
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # something else stands in for the stream
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


class _Closed(io.TextIOBase):
    """What stands for a stream that is closed."""

    def write(self, text: str) -> int:
        """Refuse it, as a disk that is full does.

        Raises:
            OSError: always, but for nothing.
        """
        if text:
            raise OSError(errno.EBADF, "it is closed")
        return 0
