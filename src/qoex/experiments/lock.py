"""One run at a time fills a table: a lock that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO


class Lock:
    """A file that one process holds at a time; it is gone when nobody holds it.

    Where the system or the file system has no such locks (Windows, some network folders) it holds
    nobody off.

    Args:
        path: of the lock file; its folder is made where it does not exist.

    Raises:
        BlockingIOError: another run holds it.
        OSError: the folder or the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        while self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever held it may have removed the folder or the file just now: then once more.
            with contextlib.suppress(FileNotFoundError):
                file = path.open("ab")
                try:
                    _hold(file)
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        self._file = file
                finally:
                    if self._file is None:
                        file.close()

    def release(self) -> None:
        """Let go of it; a second time, nothing happens."""
        if self._file is None:
            return
        if sys.platform == "win32":  # it keeps an open file in place
            self._file.close()
        # Unlinked while it is held: a run that opened it before sees that it is no longer there.
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._file.close()
        self._file = None


def _hold(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # there are none here
        return
