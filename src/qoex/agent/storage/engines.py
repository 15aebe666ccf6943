"""Engines: how connections to the database are made, for the writer and for readers.

There is one writing connection, kept open, and a few reading ones, so that a long read never
stands in the way of a report.
"""

from __future__ import annotations

import os
from typing import Any

import aiosqlite
import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.util import await_only

from qoex.agent.storage.address import Address
from qoex.agent.storage.failures import StorageError
from qoex.agent.storage.tables import json_text

# Streams of history and the HTTP layer read at the same time; more would only wait for the disk.
_READERS = 4

# Pages of the log's index that stay in memory, KiB: keys of 10,000 nodes come in any order.
_WRITER_CACHE = 64 * 1024

# A long read lets SQLite's write-ahead log grow; it is cut to this when it begins anew, bytes.
_LONGEST_LOG = 64 * 1024 * 1024

# After these seconds a statement counts as lost; the longest that is meant to run is a migration.
_STATEMENT_TIMEOUT = 120.0
_CONNECT_TIMEOUT = 10.0

# PostgreSQL gives an advisory lock back when it notices that its owner is gone: after about a
# minute, where the other machine just fell silent.
_SESSION = {
    "application_name": "qoex",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


def writing_engine(address: Address, busy_timeout: float) -> AsyncEngine:
    """Return the engine of the one connection that writes; it pools nothing.

    Args:
        address: of the database.
        busy_timeout: seconds to wait for a lock that another program holds.
    """
    return _engine(address, busy_timeout, writes=True)


def reading_engine(address: Address, busy_timeout: float) -> AsyncEngine:
    """Return the engine of the connections that only read."""
    return _engine(address, busy_timeout, writes=False)


def require_file(address: Address, *, create: bool) -> None:
    """See to it that an SQLite file is there, and that only its owner can read it.

    Raises:
        StorageError: it is not there and must not be created, or it is no file.
    """
    path = address.path
    if path is None:
        return
    if path.exists():
        if not path.is_file():
            raise StorageError(f"{address.name} is not a file")
        return
    if not create:
        raise StorageError(f"there is no database {address.name}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(f"{address.name} cannot be created ({error.strerror})") from None


def _engine(address: Address, busy_timeout: float, *, writes: bool) -> AsyncEngine:
    options: dict[str, Any] = {"json_serializer": json_text}
    if writes:
        options["poolclass"] = NullPool
    else:
        options |= {"pool_size": _READERS, "max_overflow": 0}
    if address.path is not None:
        url = sa.URL.create("sqlite+aiosqlite", database=str(address.path))
        engine = create_async_engine(url, connect_args={"timeout": busy_timeout}, **options)
        _prepare_sqlite(engine, writes=writes)
        return engine

    async def connect() -> Any:
        # asyncpg reads the URL itself, so that it means what it means to libpq.
        settings = {
            **_SESSION,
            "lock_timeout": f"{round(busy_timeout * 1000)}ms",
        }
        if not writes:
            settings["default_transaction_read_only"] = "on"
        connection = await asyncpg.connect(
            address.dsn,
            timeout=_CONNECT_TIMEOUT,
            command_timeout=_STATEMENT_TIMEOUT,
            server_settings=settings,
        )
        if writes:
            # Where the server is set to acknowledge what is not on its disk yet.
            await connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
        return connection

    if not writes:
        options["pool_pre_ping"] = True  # the server may have been started anew
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)


def _prepare_sqlite(engine: AsyncEngine, *, writes: bool) -> None:
    settings = ["foreign_keys=ON"]
    if writes:
        settings += [
            "journal_mode=WAL",
            "synchronous=FULL",
            f"cache_size=-{_WRITER_CACHE}",
            f"journal_size_limit={_LONGEST_LOG}",
        ]
    else:
        settings += ["query_only=ON"]

    @sa.event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, record: ConnectionPoolEntry) -> None:
        # The driver would begin transactions when it likes, and not before changes of tables.
        connection.isolation_level = None
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    # A transaction that begins by reading may find later that it cannot write any more.
    begin_statement = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Straight to the driver: a cursor, made and closed, would be two more turns of its thread.
        driver: aiosqlite.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        await_only(driver.execute(begin_statement))
