"""What happens before a database is used: lock it, and bring its tables to our version."""

from __future__ import annotations

import asyncio
import time

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.storage.address import Address
from qoex.agent.storage.failures import StorageError
from qoex.agent.storage.locks import (
    FileLock,
    file_owner,
    lock_path,
    try_advisory_lock,
)
from qoex.agent.storage.schema import is_current, upgrade
from qoex.agent.storage.writer import Readers, Writer

# How long to wait for another program that is making the tables, and how often to look.
_PATIENCE, _PAUSE = 10.0, 0.05  # seconds


def lock_file(address: Address) -> FileLock | None:
    """Take the lock of the only agent on an SQLite database; None for PostgreSQL.

    Raises:
        StorageError: an agent is running on it.
    """
    if address.path is None:
        return None
    path = lock_path(address.path)
    try:
        return FileLock(path)
    except BlockingIOError:
        raise StorageError(_taken(address, file_owner(path))) from None


async def claim(connection: AsyncConnection, address: Address) -> None:
    """Take the lock of the only agent on a PostgreSQL database, for as long as we are connected.

    Raises:
        StorageError: an agent is running on it.
    """
    if not await try_advisory_lock(connection, until_commit=False):
        raise StorageError(_taken(address))


async def has_current_tables(readers: Readers, address: Address) -> bool:
    """Return whether the tables are of our version.

    Raises:
        StorageError: they never will be, or the database cannot be read.
    """
    return await readers.run(lambda connection: connection.run_sync(is_current, address.name))


async def migrate(writer: Writer, address: Address) -> None:
    """Bring the tables to our version; the lock of the only agent is held already."""
    await writer.run(lambda connection: connection.run_sync(_upgrade_if_needed, address.name))


async def migrate_beside_others(writer: Writer, address: Address) -> None:
    """Bring the tables to our version, unless an agent is running on them.

    Raises:
        StorageError: one is running, and needs the tables as they are.
    """
    deadline = time.monotonic() + _PATIENCE
    while not await _migrated(writer, address):
        # Another program may be doing the same, and is done soon; an agent is not.
        if time.monotonic() > deadline:
            raise StorageError(
                f"the tables of {address.name} are of an older version, and an agent is running "
                "on it: stop the agent first"
            )
        await asyncio.sleep(_PAUSE)


async def _migrated(writer: Writer, address: Address) -> bool:
    if address.path is None:

        async def work(connection: AsyncConnection) -> bool:
            if await try_advisory_lock(connection, until_commit=True):
                await connection.run_sync(_upgrade_if_needed, address.name)
                return True
            return await connection.run_sync(is_current, address.name)

        return await writer.run(work)
    try:
        lock = FileLock(lock_path(address.path))
    except BlockingIOError:
        return await writer.run(lambda c: c.run_sync(is_current, address.name))
    try:
        await migrate(writer, address)
    finally:
        lock.release()
    return True


def _upgrade_if_needed(connection: sa.Connection, name: str) -> None:
    if not is_current(connection, name):
        upgrade(connection)


def _taken(address: Address, owner: str = "") -> str:
    return f"another agent is running on {address.name}{owner}: a database serves one at a time"
