"""One agent per database: a locked file beside an SQLite database, PostgreSQL's advisory lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.storage.failures import StorageError

# First half of PostgreSQL's lock number ("qoex" in ASCII); the second says which schema.
_QOEX = int.from_bytes(b"qoex")


def lock_path(database: Path) -> Path:
    """Return the file that is locked while an agent runs on an SQLite database."""
    return database.with_name(f"{database.name}.lock")


class FileLock:
    """A lock that the system takes back when the process ends, however it ends.

    The file stays when the lock is given back: whoever waits for it holds it open, and would lock
    a file that is gone.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            BlockingIOError: somebody else has it.
            StorageError: the file cannot be written.
        """
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error.strerror})") from None
        try:
            # Unlike lockf, also between two that open it in one process.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._file)


def file_owner(path: Path) -> str:
    """Return " (process 123)" if the file of a lock says who has it, else ""."""
    with contextlib.suppress(OSError, ValueError):
        return f" (process {int(path.read_text(encoding='ascii'))})"
    return ""


async def try_advisory_lock(connection: AsyncConnection, *, until_commit: bool) -> bool:
    """Take PostgreSQL's lock, if nobody has it.

    Args:
        connection: whose lock it is to be.
        until_commit: whether to hold it as long as the transaction, not as the connection.

    Returns:
        Whether it was taken.
    """
    function = "pg_try_advisory_xact_lock" if until_commit else "pg_try_advisory_lock"
    # A search path may lead to no schema at all; the tables will say so.
    taken = await connection.execute(
        sa.text(f"SELECT {function}(:qoex, hashtext(coalesce(current_schema(), '')))"),
        {"qoex": _QOEX},
    )
    return bool(taken.scalar_one())
