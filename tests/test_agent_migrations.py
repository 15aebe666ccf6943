"""Migrations: up and down on both databases, and the same tables as the code has."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from agent_support import cycle, entries, run_sql
from qoex.agent.reports.kept import Cause, CycleEnding, Kept
from qoex.agent.storage import StorageError, Store, opening, schema
from qoex.agent.storage.address import Address
from qoex.agent.storage.engines import writing_engine
from qoex.agent.storage.tables import METADATA
from qoex.agent.storage.writer import Writer

pytestmark = pytest.mark.anyio

FUNCTIONS = (
    "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace "
    "WHERE nspname = current_schema()"
)
TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT DISTINCT trigger_name FROM information_schema.triggers "
    "WHERE trigger_schema = current_schema()",
}


def differences(connection: sa.Connection) -> list[object]:
    """What Alembic would change to make the tables those of the code."""
    context = MigrationContext.configure(
        connection,
        opts={"version_table": schema.VERSION_TABLE, "compare_type": True},
    )
    return list(compare_metadata(context, METADATA))


def objects(connection: sa.Connection) -> dict[str, list[str]]:
    """Everything there is in the database, by kind."""
    found = {
        "tables": sorted(sa.inspect(connection).get_table_names()),
        "triggers": sorted(connection.scalars(sa.text(TRIGGERS[connection.dialect.name]))),
    }
    if connection.dialect.name == "postgresql":
        found["functions"] = sorted(connection.scalars(sa.text(FUNCTIONS)))
    return found


async def test_up_down_and_up_again(database: str) -> None:
    address = Address.parse(database)
    writer = Writer(writing_engine(address, 5.0), address.name, None)
    try:
        await opening.migrate(writer, address)
        full = await writer.run(lambda c: c.run_sync(objects))
        assert set(full["tables"]) == {*METADATA.tables, schema.VERSION_TABLE}
        assert full["triggers"]
        assert await writer.run(lambda c: c.run_sync(differences)) == []
        await writer.run(lambda c: c.run_sync(schema.downgrade, "base"))
        left = await writer.run(lambda c: c.run_sync(objects))
        assert left.pop("tables") == [schema.VERSION_TABLE]
        assert not any(left.values())
        await opening.migrate(writer, address)
        assert await writer.run(lambda c: c.run_sync(objects)) == full
        assert await writer.run(lambda c: c.run_sync(differences)) == []
    finally:
        await writer.close()


async def test_every_version_can_be_left_and_reached_again(database: str) -> None:
    address = Address.parse(database)
    writer = Writer(writing_engine(address, 5.0), address.name, None)
    scripts = ScriptDirectory.from_config(schema._config(None))
    try:
        await opening.migrate(writer, address)
        for script in scripts.walk_revisions():
            below = script.down_revision or "base"
            assert isinstance(below, str)

            async def leave(connection: AsyncConnection, version: str = below) -> None:
                await connection.run_sync(schema.downgrade, version)

            await writer.run(leave)
            await opening.migrate(writer, address)
            assert await writer.run(lambda c: c.run_sync(differences)) == []
    finally:
        await writer.close()


async def test_the_comparison_sees_a_difference(sqlite_database: str) -> None:
    async with await Store.open(sqlite_database):
        pass
    await asyncio.to_thread(run_sql, sqlite_database, "ALTER TABLE tokens ADD COLUMN extra TEXT")
    address = Address.parse(sqlite_database)
    writer = Writer(writing_engine(address, 5.0), address.name, None)
    try:
        assert len(await writer.run(lambda c: c.run_sync(differences))) == 1
    finally:
        await writer.close()


def test_the_code_knows_the_newest_version() -> None:
    scripts = ScriptDirectory.from_config(schema._config(None))
    assert scripts.get_heads() == [schema.HEAD]


async def test_a_migration_that_fails_leaves_nothing_behind(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sa.Connection) -> None:
        schema.upgrade(connection)
        connection.execute(sa.text("SELECT * FROM no_such_table"))

    with monkeypatch.context() as patch:
        patch.setattr(opening, "upgrade", fail)
        with pytest.raises(StorageError, match="no_such_table"):
            await Store.open(database)
    address = Address.parse(database)
    writer = Writer(writing_engine(address, 5.0), address.name, None)
    try:
        assert not any((await writer.run(lambda c: c.run_sync(objects))).values())
    finally:
        await writer.close()
    async with await Store.open(database) as store:
        await store.append(entries(1, 1))


async def test_commands_at_the_same_time_make_the_tables_once(database: str) -> None:
    stores = await asyncio.gather(*(Store.open(database, exclusive=False) for _ in range(4)))
    try:
        assert [await store.last_seq() for store in stores] == [0] * 4
    finally:
        for store in stores:
            await store.close()


async def test_a_command_does_not_change_the_tables_under_an_agent(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE", 0.1)
    async with await Store.open(database) as store:
        await store.append(entries(1, 1))
        # An agent of an older version runs, as it were.
        await store._writer.run(lambda c: c.run_sync(schema.downgrade, "base"))
        with pytest.raises(StorageError, match="an agent is running on it: stop the agent first"):
            await Store.open(database, exclusive=False)
    async with await Store.open(database, exclusive=False) as store:
        assert await store.last_seq() == 0


async def test_reasons_of_before_causes_were_stored_are_read(database: str) -> None:
    address = Address.parse(database)
    writer = Writer(writing_engine(address, 5.0), address.name, None)

    async def fill(connection: AsyncConnection) -> None:
        await connection.run_sync(schema.downgrade, "0001")
        columns = [column for column in METADATA.tables["cycles"].columns if column.name != "kept"]
        old = sa.Table("cycles", sa.MetaData(), *(column._copy() for column in columns))
        for number, result, reason in (
            (1, "kept", "empty: no user is active: none"),
            (2, "decided", ""),
        ):
            row = {
                name: getattr(cycle(number), name) for name in set(old.columns.keys()) - {"result"}
            }
            row |= {"result": result, "reason": reason, "summary": {"reason": reason}}
            await connection.execute(sa.insert(old), row)

    try:
        await opening.migrate(writer, address)
        await writer.run(fill)
    finally:
        await writer.close()
    async with await Store.open(database) as store:
        kept, decided = await store.cycles()
    assert kept.kept == Kept(CycleEnding.EMPTY, Cause.TOLD, {"sentence": "no user is active: none"})
    assert kept.reason == kept.summary["reason"] == "empty: no user is active: none"
    assert (decided.kept, decided.reason) == (None, "")
    assert [item.summary["ending"] for item in (kept, decided)] == ["empty", "decided"]
