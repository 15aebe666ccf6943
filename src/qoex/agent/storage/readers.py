"""Connections that only read: a few at a time, and the rest wait for one of them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from qoex.agent.storage.failures import told_plainly
from qoex.agent.storage.to_the_end import ToTheEnd
from qoex.agent.storage.writer import T, Work


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
