"""The log of reports: rows in, rows out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.reports.entries import Entry, EntryKind, NodeKind
from qoex.agent.storage.failures import StorageError
from qoex.agent.storage.tables import REPORTS, json_text

# Rows made into entries, or entries into rows, at a time: about 5 ms of the event loop.
BATCH = 500

# The side, the node and the key that it chose: what names an entry to its client.
EntryKey = tuple[NodeKind, str, str]


class KnownKey(NamedTuple):
    """What became of a key.

    Attributes:
        seq: place of its entry in the log.
        content_hash: of what was sent with it.
        received_at: when it was taken in, UTC.
    """

    seq: int
    content_hash: str
    received_at: datetime


_COLUMNS = [
    REPORTS.c[name]
    for name in ("seq", "received_at", "content_hash", "node_kind", "node", "kind", "key", "body")
]
_NEXT_ENTRIES = (
    sa.select(*_COLUMNS)
    .where(REPORTS.c.seq > sa.bindparam("after"), REPORTS.c.seq <= sa.bindparam("up_to"))
    .order_by(REPORTS.c.seq)
    .limit(BATCH)
)
_LAST_SEQ = sa.select(sa.func.coalesce(sa.func.max(REPORTS.c.seq), 0))
_APPEND = sa.insert(REPORTS)

# The keys go in as one JSON text, since no database takes tens of thousands of parameters.
_FOUND = "r.node_kind, r.node, r.key, r.seq, r.content_hash, r.received_at"
_FIND_KEYS = {
    "sqlite": f"SELECT {_FOUND} FROM json_each(:keys) AS k CROSS JOIN reports AS r "
    "ON r.node_kind = json_extract(k.value, '$[0]') AND r.node = json_extract(k.value, '$[1]') "
    "AND r.key = json_extract(k.value, '$[2]')",
    "postgresql": f"SELECT {_FOUND} FROM json_array_elements(CAST(:keys AS json)) AS k(value) "
    "JOIN reports AS r ON r.node_kind = k.value ->> 0 AND r.node = k.value ->> 1 "
    "AND r.key = k.value ->> 2",
}
_FIND_KEYS_COLUMNS = [
    REPORTS.c[name] for name in ("node_kind", "node", "key", "seq", "content_hash", "received_at")
]
_FIND = {
    dialect: sa.text(statement).columns(*_FIND_KEYS_COLUMNS)
    for dialect, statement in _FIND_KEYS.items()
}


async def last_seq(connection: AsyncConnection) -> int:
    """Return the place of the last entry; 0 for an empty log."""
    return int((await connection.execute(_LAST_SEQ)).scalar_one())


async def append(connection: AsyncConnection, entries: Sequence[Entry], place: int | None) -> None:
    """Add entries at the end of the log.

    Args:
        connection: in a transaction.
        entries: one or more.
        place: of the last entry that the log has; None if the caller is not sure.

    Raises:
        StorageError: their places are not the next ones.
    """
    place = await last_seq(connection) if place is None else place
    for entry in entries:
        place += 1
        if entry.seq != place:
            raise StorageError(f"entry {entry.seq} cannot be stored as entry {place} of the log")
    for start in range(0, len(entries), BATCH):
        rows = [
            {
                "seq": entry.seq,
                "received_at": entry.received_at,
                "content_hash": entry.content_hash,
                "node_kind": entry.node_kind.value,
                "node": entry.node,
                "kind": entry.kind.value,
                "key": entry.key,
                "body": dict(entry.body),
            }
            for entry in entries[start : start + BATCH]
        ]
        await connection.execute(_APPEND, rows)


async def next_entries(connection: AsyncConnection, after: int, up_to: int) -> list[Entry]:
    """Return the entries that follow a place, at most BATCH of them, none behind ``up_to``."""
    found = await connection.execute(_NEXT_ENTRIES, {"after": after, "up_to": up_to})
    return [
        Entry(
            seq=seq,
            received_at=received_at,
            content_hash=content_hash,
            node_kind=NodeKind(node_kind),
            node=node,
            kind=EntryKind(kind),
            key=key,
            body=body,
        )
        for seq, received_at, content_hash, node_kind, node, kind, key, body in found
    ]


async def find_keys(
    connection: AsyncConnection, keys: Iterable[EntryKey]
) -> dict[EntryKey, KnownKey]:
    """Return those of the keys that have an entry, with what became of them."""
    wanted = json_text([[kind.value, node, key] for kind, node, key in set(keys)])
    found = await connection.execute(_FIND[connection.dialect.name], {"keys": wanted})
    return {
        (NodeKind(kind), node, key): KnownKey(seq, content_hash, received_at)
        for kind, node, key, seq, content_hash, received_at in found
    }
