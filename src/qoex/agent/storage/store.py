"""The store: everything the agent keeps, behind one class."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.reports.entries import CycleRecord, Entry
from qoex.agent.storage import blobs, cycles, log, opening, token_rows
from qoex.agent.storage.address import Address
from qoex.agent.storage.cycles import Checkpoint
from qoex.agent.storage.engines import reading_engine, require_file, writing_engine
from qoex.agent.storage.locks import FileLock
from qoex.agent.storage.log import EntryKey, KnownKey
from qoex.agent.storage.writer import Readers, ToTheEnd, Writer
from qoex.agent.tokens import Token

T = TypeVar("T")
P = ParamSpec("P")

_NO_END = 2**63 - 1

# How long to wait for another program that writes to the database, seconds.
BUSY_TIMEOUT = 5.0


class Store:
    """A database of an agent, opened.

    What a method wrote is on the disk when it returns. Every method raises StorageError, with
    nothing changed, if the database does not do what it is asked. Writing methods may be called
    at the same time; they are done one after the other, in the order in which they were called.

    Attributes:
        address: where the database lies.
    """

    def __init__(
        self, address: Address, writer: Writer, readers: Readers, lock: FileLock | None
    ) -> None:
        """For ``open`` only."""
        self.address = address
        self._writer = writer
        self._readers = readers
        self._lock = lock
        self._end: int | None = None
        self._appends = 0
        self._appending = ToTheEnd()

    @classmethod
    async def open(
        cls,
        database: str | Path,
        *,
        exclusive: bool = True,
        create: bool = True,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> Self:
        """Open a database, with its tables brought to our version.

        Args:
            database: a path, ``sqlite:///path`` or ``postgresql://user@host/database``.
            exclusive: whether to be the one agent that runs on it. Others may read, and change
                tokens.
            create: whether to make an SQLite file that is not there.
            busy_timeout: how long to wait for another program that writes to it, seconds.

        Raises:
            StorageError: it cannot be used, or another agent is running on it.
        """
        address = Address.parse(database)
        require_file(address, create=create)
        lock = opening.lock_file(address) if exclusive else None
        claim = None
        if exclusive and address.dsn is not None:
            claim = functools.partial(opening.claim, address=address)
        writer = Writer(writing_engine(address, busy_timeout), address.name, claim)
        readers = Readers(reading_engine(address, busy_timeout), address.name)
        store = cls(address, writer, readers, lock)
        try:
            await store._prepare(exclusive=exclusive)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Finish what is being written, disconnect, and give the lock back."""
        try:
            await self._appending.wait()
            await self._writer.close()
        finally:
            await self._readers.close()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # The log of reports.

    async def last_seq(self) -> int:
        """Return the place of the last entry; 0 for an empty log."""
        return await self._read(log.last_seq)

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add entries at the end of the log, all or none; their places are the next ones.

        Raises:
            AlreadyStoredError: one of them has the key of an entry that is stored.
        """
        if entries:
            await self._appending.run(self._append(entries))

    async def _append(self, entries: Sequence[Entry]) -> None:
        # No other program writes to the log, so its end is asked for only when it is not sure.
        place, self._end = self._end, None
        self._appends += 1
        try:
            await self._write(log.append, entries, place)
        finally:
            self._appends -= 1
        if not self._appends:
            self._end = entries[-1].seq

    async def entries(self, after: int = 0, up_to: int | None = None) -> AsyncIterator[Entry]:
        """Iterate over the entries that follow a place, in order; the last is ``up_to``.

        They are read in batches, with no transaction left open between them.
        """
        end = _NO_END if up_to is None else up_to
        while True:
            batch = await self._read(log.next_entries, after, end)
            for entry in batch:
                yield entry
            if len(batch) < log.BATCH:
                return
            after = batch[-1].seq

    async def find_keys(self, keys: Iterable[EntryKey]) -> dict[EntryKey, KnownKey]:
        """Return those of the keys (side, node, key) that have an entry, with what it was."""
        return await self._read(log.find_keys, keys)

    # Blobs.

    async def put_blob(self, name: str, data: bytes) -> None:
        """Store bytes, not none, for a cycle or checkpoint that is stored next and names them.

        They are written in parts, between which other writes have their turn. Until something
        names the blob it does not exist; a pending one of the same name is replaced.
        """
        if not data:
            raise ValueError(f"blob {name!r} is empty")
        size = blobs.PART_BYTES
        await self._write(blobs.begin, name, data[:size])
        for part, start in enumerate(range(size, len(data), size), 1):
            await self._write(blobs.put_part, name, part, data[start : start + size])

    async def get_blob(self, name: str) -> bytes | None:
        """Return a blob that a cycle or checkpoint names; None if there is none."""
        return await self._read(blobs.get, name)

    # Cycles, memberships, checkpoints.

    async def commit_cycle(self, record: CycleRecord) -> None:
        """Store a cycle; its number is the next one, its payload and membership are put before."""
        await self._write(cycles.commit_cycle, record)

    async def last_cycle(self) -> int:
        """Return the number of the last cycle; 0 for none."""
        return await self._read(cycles.last_cycle)

    async def cycle(self, number: int) -> CycleRecord | None:
        """Return one cycle; None if there is none of that number."""
        found = await self.cycles(after=number - 1, limit=1)
        return found[0] if found and found[0].number == number else None

    async def cycles(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[CycleRecord]:
        """Return cycles with ``after`` < number < ``before``, at most ``limit``."""
        return await self._read(cycles.cycles, after, before, limit, newest_first=newest_first)

    async def put_membership(
        self, digest: str, provider_names: Sequence[str], user_names: Sequence[str]
    ) -> None:
        """Store lists of names under a digest of them, unless they are there already."""
        await self._write(cycles.put_membership, digest, provider_names, user_names)

    async def membership(self, digest: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return names of providers and names of users under a digest; None if there are none."""
        return await self._read(cycles.membership, digest)

    async def commit_checkpoint(self, position: int, cycle: int, blob_name: str) -> None:
        """Store a checkpoint of what entries and cycles up to these made; its blob is put before.

        There may be one for each pair of position and cycle.
        """
        await self._write(cycles.commit_checkpoint, Checkpoint(position, cycle, blob_name))

    async def newest_checkpoint(
        self, *, up_to_cycle: int | None = None, up_to_position: int | None = None
    ) -> Checkpoint | None:
        """Return the last checkpoint that holds no later cycle and no later entry."""
        return await self._read(cycles.newest_checkpoint, up_to_cycle, up_to_position)

    # Tokens.

    async def create_token(self, token: Token) -> None:
        """Store a token."""
        await self._write(token_rows.create, token)

    async def tokens(self) -> list[Token]:
        """Return all tokens, valid or not, the oldest first."""
        return await self._read(token_rows.list_all)

    async def revoke_token(self, token_id: str, now: datetime) -> Token | None:
        """Revoke a token, unless it was before; return what it is now, None if there is none."""
        return await self._write(token_rows.revoke, token_id, now)

    async def tokens_version(self) -> int:
        """Return a number that is another one after every change of a token, by any process.

        What is known of tokens holds as long as it stays, except that they expire.
        """
        return await self._read(token_rows.version)

    async def _prepare(self, *, exclusive: bool) -> None:
        if not exclusive:
            if not await opening.has_current_tables(self._readers, self.address):
                await opening.migrate_beside_others(self._writer, self.address)
            return
        await opening.migrate(self._writer, self.address)
        for name in await self._read(blobs.pending):
            await self._write(blobs.drop_pending, name)

    async def _read(
        self,
        work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        return await self._readers.run(lambda connection: work(connection, *args, **options))

    async def _write(
        self,
        work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        return await self._writer.run(lambda connection: work(connection, *args, **options))
