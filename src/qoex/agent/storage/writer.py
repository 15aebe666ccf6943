"""The one connection that writes: one transaction at a time, each whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import InterfaceError, InternalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from qoex.agent.storage.failures import StorageError, told_plainly

T = TypeVar("T")


class ToTheEnd:
    """Pieces of work that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of the work; who is cancelled here does not wait for it any longer."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def wait(self) -> None:
        """Wait until none is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits for it any more


Work = Callable[[AsyncConnection], Awaitable[T]]


class Writer:
    """Runs pieces of work, each in a transaction, in the order in which they came.

    Attributes:
        name: of the database, for messages.
    """

    def __init__(self, engine: AsyncEngine, name: str, claim: Work[None] | None) -> None:
        """Connect to nothing yet.

        Args:
            engine: of connections that may write.
            name: of the database, for messages.
            claim: takes the lock of the only agent; done with every new connection, for the lock
                of PostgreSQL goes with it.
        """
        self.name = name
        self._engine = engine
        self._claim = claim
        self._connection: AsyncConnection | None = None
        self._closed = False
        self._turn = asyncio.Lock()
        self._running = ToTheEnd()

    async def run(self, work: Work[T]) -> T:
        """Do the work in a transaction of its own; it is on the disk when this returns.

        Raises:
            StorageError: it was not done, and has changed nothing. Only where a connection broke
                while the transaction was being committed it may have been done nevertheless.
        """
        return await self._running.run(self._run(work))

    async def close(self) -> None:
        """Wait for the work under way, and disconnect."""
        await self._running.wait()
        async with self._turn:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                with told_plainly(self.name):
                    await connection.close()
            await self._engine.dispose()

    async def _run(self, work: Work[T]) -> T:
        async with self._turn:
            with told_plainly(self.name):
                connection = await self._connected()
                try:
                    async with connection.begin():
                        return await work(connection)
                except (InterfaceError, InternalError):
                    # The driver itself is at a loss, as when the server has just gone.
                    await connection.invalidate()
                    raise

    async def _connected(self) -> AsyncConnection:
        if self._closed:  # the lock is given back, and may be another agent's
            raise StorageError(f"{self.name} is closed")
        if self._connection is not None and not self._connection.invalidated:
            return self._connection
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        connection = await self._engine.connect()
        try:
            if self._claim is not None:
                async with connection.begin():
                    await self._claim(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection


class Readers:
    """Runs pieces of work that change nothing, several at the same time."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        """Connect to nothing yet.

        Args:
            engine: of connections that may only read.
            name: of the database, for messages.
        """
        self._engine = engine
        self._name = name
        self._running = ToTheEnd()

    async def run(self, work: Work[T]) -> T:
        """Do the work on what is committed now.

        Raises:
            StorageError: it cannot be read.
        """
        return await self._running.run(self._run(work))

    async def close(self) -> None:
        """Wait for the work under way, and disconnect."""
        await self._running.wait()
        await self._engine.dispose()

    async def _run(self, work: Work[T]) -> T:
        with told_plainly(self._name):
            async with self._engine.connect() as connection:
                return await work(connection)
