"""Large pieces of bytes, cut into parts, so that nobody waits long for one of them.

A blob is pending until a cycle or a checkpoint names it, and until then it does not exist for
readers. What is still pending when the agent starts is what a crash left behind.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.storage.failures import StorageError
from qoex.agent.storage.tables import BLOB_PARTS, PENDING_BLOBS

PART_BYTES = 1024 * 1024

_NAME: sa.BindParameter[str] = sa.bindparam("blob")
_IS_PENDING = sa.select(PENDING_BLOBS.c.name).where(PENDING_BLOBS.c.name == _NAME)
_PENDING = sa.select(PENDING_BLOBS.c.name)
_PARTS = (
    sa.select(BLOB_PARTS.c.data)
    .where(BLOB_PARTS.c.name == _NAME, ~sa.exists(_IS_PENDING))
    .order_by(BLOB_PARTS.c.part)
)
_HAS_PARTS = sa.select(BLOB_PARTS.c.part).where(BLOB_PARTS.c.name == _NAME).limit(1)
_SETTLE = sa.delete(PENDING_BLOBS).where(PENDING_BLOBS.c.name == _NAME)
_REMOVE_PARTS = sa.delete(BLOB_PARTS).where(BLOB_PARTS.c.name == _NAME)


async def begin(connection: AsyncConnection, name: str, data: bytes) -> None:
    """Store the first part of a blob; one of that name that is pending from before is dropped.

    Raises:
        StorageError: there is a blob of that name.
    """
    await drop_pending(connection, name)
    if (await connection.execute(_HAS_PARTS, {"blob": name})).first() is not None:
        raise StorageError(f"there is a blob {name!r} already")
    await connection.execute(sa.insert(PENDING_BLOBS), {"name": name})
    await put_part(connection, name, 0, data)


async def put_part(connection: AsyncConnection, name: str, part: int, data: bytes) -> None:
    """Store one part of a pending blob."""
    await connection.execute(sa.insert(BLOB_PARTS), {"name": name, "part": part, "data": data})


async def settle(connection: AsyncConnection, name: str) -> None:
    """Let a pending blob exist, in the transaction that stores the row which names it.

    Raises:
        StorageError: there is no pending blob of that name.
    """
    settled = await connection.execute(_SETTLE, {"blob": name})
    if settled.rowcount != 1:
        raise StorageError(f"there is no new blob {name!r}")


async def get(connection: AsyncConnection, name: str) -> bytes | None:
    """Return a blob; None if there is none of that name."""
    parts = (await connection.execute(_PARTS, {"blob": name})).scalars().all()
    return b"".join(parts) if parts else None


async def pending(connection: AsyncConnection) -> list[str]:
    """Return the names of the blobs that nothing names."""
    return list((await connection.execute(_PENDING)).scalars())


async def drop_pending(connection: AsyncConnection, name: str) -> None:
    """Remove a pending blob, if there is one of that name."""
    settled = await connection.execute(_SETTLE, {"blob": name})
    if settled.rowcount:
        await connection.execute(_REMOVE_PARTS, {"blob": name})
