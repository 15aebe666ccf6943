"""What tests of the agent share: databases of both kinds, a store, and entries to put into it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import throwaway_postgresql

if TYPE_CHECKING:
    from qoex.agent.reports.entries import CycleRecord, Entry
    from qoex.agent.storage import Store

REQUIRED = "QOEX_REQUIRE_POSTGRESQL"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Let async tests run on asyncio; it is what uvicorn and the drivers run on."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a server: the one that is there for all, or one for the tests of this process."""
    given = os.environ.get(throwaway_postgresql.VARIABLE)
    if given:
        yield given
        return
    binaries = throwaway_postgresql.programs()
    if binaries is None:
        if os.environ.get(REQUIRED):
            pytest.fail("there is no PostgreSQL, and it is required")
        pytest.skip("there is no PostgreSQL (Debian: postgresql)")
    with throwaway_postgresql.server(binaries) as url:
        yield url


@pytest.fixture
def postgresql_database(postgresql_server: str) -> Iterator[str]:
    """URL of an empty schema for one test."""
    schema = f"test_{secrets.token_hex(8)}"
    run_sql(postgresql_server, f"CREATE SCHEMA {schema}")
    yield f"{postgresql_server}{'&' if '?' in postgresql_server else '?'}search_path={schema}"
    run_sql(postgresql_server, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def sqlite_database(tmp_path: Path) -> str:
    """Path of a database that is not there yet."""
    return str(tmp_path / "agent.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """An empty database, once of each kind."""
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """Yield a store on an empty database, once of each kind, as the only agent has it."""
    from qoex.agent.storage import Store

    async with await Store.open(database) as opened:
        yield opened


def run_sql(database: str, statement: str) -> list[tuple[Any, ...]]:
    """Execute a statement beside qoex, as an operator might; returns its rows."""
    if "://" not in database:
        import sqlite3

        connection = sqlite3.connect(database)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    async def run() -> list[tuple[Any, ...]]:
        import asyncpg

        connection = await asyncpg.connect(database)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(run())


def entry(seq: int, body: dict[str, Any] | None = None, **changes: Any) -> Entry:
    """Return an entry: user mu-1 … mu-7 reports, with a key of its own."""
    from qoex.agent.reports.entries import Entry, EntryKind, NewEntry, NodeKind

    given = {name: changes.pop(name) for name in ("content_hash", "received_at") if name in changes}
    new = NewEntry(
        **{
            "node_kind": NodeKind.USER,
            "node": f"mu-{seq % 7 + 1}",
            "kind": EntryKind.PATCH,
            "key": f"key-{seq}",
            "body": {"profit_factor": 0.1 * seq} if body is None else body,
            **changes,
        }
    )
    return Entry(
        seq=seq,
        received_at=given.get("received_at", START + timedelta(microseconds=seq)),
        content_hash=given["content_hash"] if "content_hash" in given else new.content_hash(),
        **{name: getattr(new, name) for name in ("node_kind", "node", "kind", "key", "body")},
    )


def entries(first: int, last: int) -> list[Entry]:
    """Return entries from one place to another, both included."""
    return [entry(seq) for seq in range(first, last + 1)]


def cycle(number: int, **changes: Any) -> CycleRecord:
    """Return a cycle that kept nothing, as nobody was there to serve."""
    from qoex.agent.reports.entries import CycleRecord, CycleResult
    from qoex.agent.reports.kept import Cause

    values: dict[str, Any] = {
        "number": number,
        "position": 0,
        "snapshot_at": START + timedelta(seconds=number),
        "committed_at": START + timedelta(seconds=number, microseconds=123_457),
        "result": CycleResult.KEPT,
        "kept": Cause.NO_USER.kept(),
        "in_force": None,
        "start_cycle": None,
        "membership": None,
        "payload": None,
        "digest": None,
        "dropped": (),
        "summary": {"ending": "empty", "number": number},
        "version": "0.1.0",
    }
    return CycleRecord(**{**values, **changes})
