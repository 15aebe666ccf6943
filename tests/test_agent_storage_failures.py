"""What happens to a database, and what the store says of it: one sentence, and nothing changed."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from agent_support import cycle, entries, entry, run_sql
from qoex.agent.storage import Address, StorageError, Store

pytestmark = pytest.mark.anyio


async def refusal(database: str | Path, **options: bool) -> str:
    """What opening a database is refused with."""
    with pytest.raises(StorageError) as refused:
        await Store.open(database, **options)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


async def lose_connections(server: str, database: str) -> None:
    """Let the server end all connections to a database's schema, as when it is started anew."""
    schema = database.rpartition("=")[2]
    # Their last statements are not all about the schema, but whoever holds its lock is its agent.
    await asyncio.to_thread(
        run_sql,
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
        f"AND objid = CAST(hashtext('{schema}') AS bigint) & 4294967295",
    )


# One agent at a time.


async def test_a_second_agent_is_refused_until_the_first_is_gone(database: str) -> None:
    async with await Store.open(database) as first:
        sentence = await refusal(database)
        assert sentence.startswith(f"another agent is running on {first.address.name}")
        async with await Store.open(database, exclusive=False) as other:
            assert await other.last_seq() == 0
        await first.append(entries(1, 1))
    async with await Store.open(database) as second:
        assert await second.last_seq() == 1


async def test_the_refusal_says_which_process_has_the_file(sqlite_database: str) -> None:
    async with await Store.open(sqlite_database):
        assert f"(process {os.getpid()})" in await refusal(sqlite_database)


async def test_a_link_to_a_database_is_the_same_database(tmp_path: Path) -> None:
    path, link = tmp_path / "agent.db", tmp_path / "link.db"
    link.symlink_to(path)
    async with await Store.open(path):
        assert "another agent" in await refusal(link)
        assert "another agent" in await refusal(f"sqlite:///{path}")


async def test_agents_on_other_schemas_do_not_meet(
    postgresql_server: str, postgresql_database: str
) -> None:
    schema = f"{postgresql_database.rpartition('=')[2]}_b"
    other = re.sub("search_path=.*", f"search_path={schema}", postgresql_database)
    await asyncio.to_thread(run_sql, postgresql_server, f"CREATE SCHEMA {schema}")
    try:
        async with await Store.open(postgresql_database), await Store.open(other):
            pass
    finally:
        await asyncio.to_thread(run_sql, postgresql_server, f"DROP SCHEMA {schema} CASCADE")


async def test_an_agent_that_is_killed_leaves_no_lock(database: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from qoex.agent.storage import Store\n"
        "async def run():\n"
        "    store = await Store.open(sys.argv[1])\n"
        "    print('open', flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, database], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "open\n"
        assert "another agent" in await refusal(database)
        process.kill()
    for _ in range(200):  # PostgreSQL notices a little later
        try:
            async with await Store.open(database):
                return
        except StorageError:
            await asyncio.sleep(0.05)
    pytest.fail("the lock is still held")


# Databases that cannot be used.


async def test_a_file_that_is_not_there_is_made_only_if_wanted(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    assert await refusal(path, create=False) == f"there is no database {path}"
    assert not path.exists()
    async with await Store.open(path):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none/agent.db", "cannot be created (No such file or directory)"),
        ("", "names no file"),
        (":memory:", "names no file"),
        ("file:agent.db?mode=memory", "names no file"),
        ("sqlite://agent.db", "begins with sqlite:///"),
        ("mysql://user:secret@host/db", "mysql://user@host/db: a database is a path"),
    ],
)
async def test_a_name_that_means_no_database_is_refused(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in await refusal(name)
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert await refusal(tmp_path) == f"{tmp_path} is not a file"


async def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    content = b"MARKET = 1\n" * 1000
    path.write_bytes(content)
    assert "is not an SQLite database" in await refusal(path)
    assert path.read_bytes() == content


async def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    async with await Store.open(path) as store:
        await store.append(entries(1, 2_000))
    content = bytearray(path.read_bytes())
    content[20 * 4096 :] = b"\xa5" * (len(content) - 20 * 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=f"{path} is damaged: restore it from a backup"):
        async with await Store.open(path) as store:
            [item async for item in store.entries()]


async def test_a_database_of_another_program_is_left_alone(database: str, tmp_path: Path) -> None:
    await asyncio.to_thread(run_sql, database, "CREATE TABLE reports (title text)")
    assert "has a table 'reports' that is not qoex's" in await refusal(database)
    assert "has a table 'reports'" in await refusal(database, exclusive=False)
    assert await asyncio.to_thread(run_sql, database, "SELECT * FROM reports") == []


async def test_tables_of_a_newer_version_are_left_alone(database: str) -> None:
    async with await Store.open(database) as store:
        await store.append(entries(1, 3))
    await asyncio.to_thread(run_sql, database, "UPDATE qoex_schema_version SET version_num='9999'")
    for exclusive in (True, False):
        sentence = await refusal(database, exclusive=exclusive)
        assert "another version of qoex (its tables are of version 9999" in sentence
    assert await asyncio.to_thread(run_sql, database, "SELECT count(*) FROM reports") == [(3,)]


async def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    for place in (f"127.0.0.1:1/{tmp_path.name}", f"/x?host={tmp_path}&password=secret"):
        user = "someone:secret@" if "password" not in place else ""
        sentence = await refusal(f"postgresql://{user}{place}")
        assert "cannot be reached" in sentence
        assert "secret" not in sentence


async def test_a_database_or_schema_that_is_not_there_is_named(postgresql_server: str) -> None:
    other = postgresql_server.replace("/postgres", "/nowhere")
    assert "there is no such database" in await refusal(other)
    joined = "&" if "?" in postgresql_server else "?"
    schema = f"{postgresql_server}{joined}search_path=nowhere"
    assert "there is no such schema" in await refusal(schema)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:pass@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgres://me:p:a/ss@host/db", "postgresql://me@host/db"),
        ("postgresql+asyncpg://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?password=pass", "postgresql://host/db?password=…"),
        ("postgresql://h/d?sslpassword=pass&a=b", "postgresql://h/d?sslpassword=…&a=b"),
    ],
)
def test_passwords_are_not_shown(given: str, shown: str) -> None:
    address = Address.parse(given)
    assert address.name == shown
    assert "pass@" not in repr(address)


# What happens while it is used.


async def test_a_full_disk_refuses_what_is_new_and_keeps_what_is_there(tmp_path: Path) -> None:
    async def limit(connection: AsyncConnection, pages: int) -> None:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    async with await Store.open(tmp_path / "agent.db") as store:
        await store.append(entries(1, 5))
        await store._writer.run(lambda connection: limit(connection, 1))
        with pytest.raises(StorageError, match="there is no space left for "):
            await store.append([entry(6, {"text": "x" * 100_000})])
        with pytest.raises(StorageError, match="there is no space left for "):
            await store.put_blob("a", bytes(100_000))
        assert await store.last_seq() == 5
        await store._writer.run(lambda connection: limit(connection, 100_000))
        await store.append([entry(6, {"text": "x" * 100_000})])
        assert await store.last_seq() == 6


async def test_a_file_that_another_program_locks_is_waited_for_and_then_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agent.db"
    async with await Store.open(path, busy_timeout=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=f"{path} is locked by another program"):
            await store.append(entries(1, 1))
        assert await store.last_seq() == 0
        other.close()
        await store.append(entries(1, 1))
    async with await Store.open(path, busy_timeout=5.0) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.append(entries(2, 2)))
        await asyncio.sleep(0.1)
        other.execute("COMMIT")
        await waiting
        other.close()


async def test_a_table_that_another_program_locks_is_told(postgresql_database: str) -> None:
    import asyncpg

    async with await Store.open(postgresql_database, busy_timeout=0.05) as store:
        other = await asyncpg.connect(postgresql_database)
        try:
            transaction = other.transaction()
            await transaction.start()
            await other.execute("LOCK TABLE reports IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StorageError, match="is locked by another program"):
                await store.append(entries(1, 1))
            await transaction.rollback()
        finally:
            await other.close()
        await store.append(entries(1, 1))


async def test_a_lost_connection_is_told_once_and_made_anew(
    postgresql_server: str, postgresql_database: str
) -> None:
    async with await Store.open(postgresql_database) as store:
        await store.append(entries(1, 1))
        await lose_connections(postgresql_server, postgresql_database)
        with pytest.raises(StorageError, match=r"connection to .* was lost|shutting down"):
            await store.append(entries(2, 2))
        await store.append(entries(2, 2))
        assert await store.last_seq() == 2
        assert "another agent" in await refusal(postgresql_database)


async def test_who_lost_the_database_to_another_agent_writes_no_more(
    postgresql_server: str, postgresql_database: str
) -> None:
    async with await Store.open(postgresql_database) as store:
        await lose_connections(postgresql_server, postgresql_database)
        async with await Store.open(postgresql_database) as heir:
            await heir.append(entries(1, 1))
            for _ in range(2):
                with pytest.raises(StorageError):
                    await store.append(entries(2, 2))
                with pytest.raises(StorageError):
                    await store.commit_cycle(cycle(1))
            assert await heir.last_seq() == 1
