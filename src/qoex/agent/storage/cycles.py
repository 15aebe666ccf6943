"""Cycles, the memberships they refer to, and checkpoints: rows in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.reports.entries import CycleRecord, CycleResult
from qoex.agent.reports.kept import Kept
from qoex.agent.storage import blobs
from qoex.agent.storage.failures import StorageError
from qoex.agent.storage.tables import CHECKPOINTS, CYCLES, MEMBERSHIPS

_LAST_CYCLE = sa.select(sa.func.coalesce(sa.func.max(CYCLES.c.number), 0))
_MEMBERSHIP = sa.select(MEMBERSHIPS.c.providers, MEMBERSHIPS.c.users).where(
    MEMBERSHIPS.c.digest == sa.bindparam("wanted")
)
_NEW_MEMBERSHIP = {
    "sqlite": sqlite.insert(MEMBERSHIPS).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(MEMBERSHIPS).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place from which the log need not be read again.

    Attributes:
        position: seq of the last entry that it holds.
        cycle: number of the last cycle that it holds; 0 for none.
        blob: name of the blob that holds it.
    """

    position: int
    cycle: int
    blob: str


async def last_cycle(connection: AsyncConnection) -> int:
    """Return the number of the last cycle; 0 for none."""
    return int((await connection.execute(_LAST_CYCLE)).scalar_one())


async def commit_cycle(connection: AsyncConnection, record: CycleRecord) -> None:
    """Store a cycle, and let its payload exist.

    Raises:
        StorageError: its number is not the next one, or there is no new blob for its payload.
    """
    number = await last_cycle(connection) + 1
    if record.number != number:
        raise StorageError(f"cycle {record.number} cannot be stored as cycle {number}")
    row = {column.name: getattr(record, column.name) for column in CYCLES.columns}
    row |= {
        "result": record.result.value,
        "kept": None if record.kept is None else record.kept.document(),
        "summary": dict(record.summary),
    }
    await connection.execute(sa.insert(CYCLES), row)
    if record.payload is not None:
        await blobs.settle(connection, record.payload)


async def cycles(
    connection: AsyncConnection, after: int, before: int | None, limit: int, *, newest_first: bool
) -> list[CycleRecord]:
    """Return the cycles between two numbers, neither included."""
    query = sa.select(CYCLES).where(CYCLES.c.number > after).limit(limit)
    if before is not None:
        query = query.where(CYCLES.c.number < before)
    query = query.order_by(CYCLES.c.number.desc() if newest_first else CYCLES.c.number)
    found = await connection.execute(query)
    return [_record(row._asdict()) for row in found]


async def commit_checkpoint(connection: AsyncConnection, checkpoint: Checkpoint) -> None:
    """Store a checkpoint, and let its blob exist."""
    row = {"position": checkpoint.position, "cycle": checkpoint.cycle, "blob": checkpoint.blob}
    await connection.execute(sa.insert(CHECKPOINTS), row)
    await blobs.settle(connection, checkpoint.blob)


async def newest_checkpoint(
    connection: AsyncConnection, up_to_cycle: int | None, up_to_position: int | None
) -> Checkpoint | None:
    """Return the last checkpoint that holds no later cycle and no later entry."""
    query = sa.select(CHECKPOINTS.c.position, CHECKPOINTS.c.cycle, CHECKPOINTS.c.blob)
    if up_to_cycle is not None:
        query = query.where(CHECKPOINTS.c.cycle <= up_to_cycle)
    if up_to_position is not None:
        query = query.where(CHECKPOINTS.c.position <= up_to_position)
    query = query.order_by(CHECKPOINTS.c.position.desc(), CHECKPOINTS.c.cycle.desc()).limit(1)
    found = (await connection.execute(query)).one_or_none()
    return None if found is None else Checkpoint(*found)


async def put_membership(
    connection: AsyncConnection, digest: str, providers: Sequence[str], users: Sequence[str]
) -> None:
    """Store lists of names under a digest of them, unless they are there already."""
    row = {"digest": digest, "providers": list(providers), "users": list(users)}
    await connection.execute(_NEW_MEMBERSHIP[connection.dialect.name], row)


async def membership(
    connection: AsyncConnection, digest: str
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the names of providers and of users under a digest; None if there are none."""
    found = (await connection.execute(_MEMBERSHIP, {"wanted": digest})).one_or_none()
    return None if found is None else (tuple(found[0]), tuple(found[1]))


def _record(row: dict[str, Any]) -> CycleRecord:
    row["result"] = CycleResult(row["result"])
    row["dropped"] = tuple((provider, user) for provider, user in row["dropped"])
    reason, document = row.pop("reason"), row["kept"]
    if document is not None:
        row["kept"] = Kept.read(document)
    elif reason:
        row["kept"] = Kept.told(reason)
    record = CycleRecord(**row)
    return replace(record, summary={"ending": record.ending.value, **record.summary})
