"""How a database is named: by a path, a sqlite URL, or a PostgreSQL URL."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from qoex.agent.storage.failures import StorageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?=//)")
_POSTGRESQL = {"postgresql", "postgres", "postgresql+asyncpg"}
_SQLITE = {"sqlite", "sqlite+aiosqlite"}


@dataclass(frozen=True)
class Address:
    """Where a database lies.

    Attributes:
        path: file of an SQLite database, absolute and free of links; None for PostgreSQL.
        dsn: URL of a PostgreSQL database as libpq takes it; None for SQLite.
        name: how messages name it: without a password.
    """

    path: Path | None
    dsn: str | None = field(repr=False)
    name: str

    @classmethod
    def parse(cls, text: str | Path) -> Address:
        """Read a path, ``sqlite:///path`` or ``postgresql://user@host/database``.

        Raises:
            StorageError: it names no database that can be used.
        """
        given = str(text)
        scheme = _SCHEME.match(given)
        if scheme is None:
            return cls._file(given, given)
        if scheme[1] in _POSTGRESQL:
            dsn = "postgresql" + given[scheme.end(1) :]
            return cls(None, dsn, _without_password(dsn))
        if scheme[1] in _SQLITE:
            rest = given[scheme.end() + 2 :]
            if not rest.startswith("/"):
                raise StorageError(f"{given}: the URL of an SQLite file begins with sqlite:///")
            return cls._file(unquote(rest[1:]), given)
        raise StorageError(
            f"{_without_password(given)}: a database is a path, sqlite:///path or postgresql://…"
        )

    @classmethod
    def _file(cls, path: str, given: str) -> Address:
        # Readers have connections of their own, and what is acknowledged has to be on a disk.
        if path in ("", ":memory:") or path.startswith("file:"):
            raise StorageError(f"{given!r} names no file: the database has to be one")
        try:
            resolved = Path(path).expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise StorageError(f"{given!r} cannot be used as a path ({error})") from None
        return cls(resolved, None, str(resolved))


def _without_password(url: str) -> str:
    # Up to the last @, for people forget to escape what is in a password.
    shown = re.sub(r"(://[^:/?#@]*):.*@", r"\1@", url)
    return re.sub(r"(?i)([?&](?:ssl)?password=)[^&]*", r"\1…", shown)
