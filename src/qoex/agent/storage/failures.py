"""What can go wrong with a database, each as one sentence that an operator can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from qoex.errors import QoexError


class StorageError(QoexError):
    """The database cannot be used, or did not take what it was to store; it has changed nothing."""


class AlreadyStoredError(StorageError):
    """A row of that key or place is there already; nothing was changed."""


# Low byte of SQLite's error codes, which says the kind.
_KIND = 0xFF

_SQLITE_SENTENCES = {
    sqlite3.SQLITE_FULL: "there is no space left for {name}",
    sqlite3.SQLITE_BUSY: "{name} is locked by another program",
    sqlite3.SQLITE_LOCKED: "{name} is locked by another program",
    sqlite3.SQLITE_READONLY: "{name} cannot be written: it is read-only",
    sqlite3.SQLITE_PERM: "{name} cannot be opened: permission denied",
    sqlite3.SQLITE_CANTOPEN: "{name} cannot be opened",
    sqlite3.SQLITE_NOTADB: "{name} is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "{name} is damaged: restore it from a backup",
    sqlite3.SQLITE_IOERR: "{name} cannot be read or written: the disk reports an error",
}

# Prefixes of PostgreSQL's error codes, the longest that fits counts.
_POSTGRESQL_SENTENCES = {
    "08": "the connection to {name} was lost",
    "28": "{name} refused the user or the password",
    "3D000": "there is no such database: {name}",
    "3F": "there is no such schema: {name}",
    "25006": "{name} cannot be written: it is read-only",
    "42501": "{name} does not allow this user to do that",
    "53": "{name} has no resources left",
    "53100": "there is no space left for {name}",
    "53300": "{name} takes no more connections",
    "55P03": "{name} is locked by another program",
    "57": "{name} is shutting down, or gave up on this",
    "XX001": "{name} is damaged: restore it from a backup",
}

_ASYNCPG_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@contextmanager
def told_plainly(name: str) -> Iterator[None]:
    """Turn what drivers raise in the block into a StorageError that names the database."""
    try:
        yield
    except IntegrityError as error:
        raise AlreadyStoredError(_sentence(error, name)) from error
    except (SQLAlchemyError, sqlite3.Error, *_ASYNCPG_ERRORS) as error:
        raise StorageError(_sentence(error, name)) from error
    except OSError as error:  # no server there, no network, or no file
        reason = error.strerror or str(error) or type(error).__name__
        raise StorageError(f"{name} cannot be reached ({reason})") from error


def _sentence(error: BaseException, name: str) -> str:
    """Say what a driver's error means; with its own words added where they say more."""
    root: BaseException = error
    while True:
        inner = root.orig if isinstance(root, DBAPIError) else root.__cause__
        if inner is None:
            break
        root = inner
    words = str(root).partition("\n")[0]
    if isinstance(root, sqlite3.Error):
        code = getattr(root, "sqlite_errorcode", 0) & _KIND
        sentence = _SQLITE_SENTENCES.get(code)
    else:
        state = getattr(root, "sqlstate", None) or ""
        prefixes = (state[:length] for length in range(len(state), 1, -1))
        sentence = next(
            (_POSTGRESQL_SENTENCES[p] for p in prefixes if p in _POSTGRESQL_SENTENCES), None
        )
        # asyncpg says the last two of a connection that has just broken, too.
        if sentence is None and isinstance(root, (OSError, *_ASYNCPG_ERRORS[1:])):
            sentence = _POSTGRESQL_SENTENCES["08"]
    if sentence is None:
        return f"{name} did not do what it was asked ({words})"
    return f"{sentence.format(name=name)} ({words})"
