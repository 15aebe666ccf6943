"""The store: what is put comes out to the last bit, whole or not at all, on both databases."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from agent_support import START, cycle, entries, entry, run_sql
from qoex.agent.reports.entries import CycleResult, Entry, EntryKind, NodeKind
from qoex.agent.storage import Checkpoint, StorageError, Store
from qoex.agent.storage.blobs import PART_BYTES
from qoex.agent.storage.log import BATCH
from qoex.agent.tokens import Role, new_token

pytestmark = pytest.mark.anyio


async def everything(store: Store, after: int = 0, up_to: int | None = None) -> list[Entry]:
    return [item async for item in store.entries(after, up_to)]


# The log.


async def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert await store.last_seq() == await store.last_cycle() == 0
    assert await everything(store) == []
    assert await store.cycles() == []
    assert await store.tokens() == []
    assert await store.cycle(1) is None
    assert await store.newest_checkpoint() is None
    assert await store.get_blob("a") is None
    assert await store.membership("a") is None
    assert await store.find_keys([(NodeKind.USER, "mu-1", "a")]) == {}
    assert await store.tokens() == []


async def test_entries_come_out_as_they_went_in(store: Store) -> None:
    put = [
        entry(1, {"big": 2**62, "whole": 1.0, "small": 5e-324, "zero": -0.0, "huge": 1e22}),
        entry(
            2,
            {"text": "\x00 ü \ud800 😀 '", "list": [None, True, 0.1], "nested": {"": {}}},
            content_hash="",
        ),
        entry(3, kind=EntryKind.LINKS, node_kind=NodeKind.PROVIDER, node="asp-1", key=" ~'\";--"),
        entry(4, received_at=datetime(2026, 3, 1, 1, 30, 0, 1, timezone(timedelta(hours=2)))),
        entry(5, received_at=datetime(2199, 12, 31, 23, 59, 59, 999_999, UTC)),
    ]
    await store.append(put)
    got = await everything(store)
    assert got == put
    assert json.dumps([item.body for item in got]) == json.dumps([item.body for item in put])
    assert all(item.received_at.utcoffset() == timedelta() for item in got)


def test_every_json_object_and_time_comes_out_to_the_last_bit(database: str) -> None:
    numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers()
    values = st.recursive(
        numbers | st.text(max_size=5) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )
    times = st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1))
    last = 0
    with asyncio.Runner() as runner:
        store = runner.run(Store.open(database))

        @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(st.dictionaries(st.text(max_size=5), values, max_size=4), times)
        def check(body: dict[str, object], time: datetime) -> None:
            nonlocal last
            put = entry(last + 1, body, content_hash="", received_at=time.replace(tzinfo=UTC))
            runner.run(store.append([put]))
            last += 1
            (got,) = runner.run(everything(store, last - 1))
            assert got == put
            assert json.dumps(got.body) == json.dumps(body)

        check()
        runner.run(store.close())


@pytest.mark.parametrize(
    "wrong",
    [
        [entry(5)],
        [entry(3)],
        [entry(4), entry(6)],
        [entry(4), entry(4)],
        [entry(4), entry(5, key="key-2", node="mu-3")],  # that of entry 2
        [entry(4), entry(5, {"x": float("nan")}, content_hash="")],
    ],
)
async def test_what_cannot_follow_is_refused_and_changes_nothing(
    store: Store, wrong: list[Entry]
) -> None:
    await store.append(entries(1, 3))
    with pytest.raises(StorageError):
        await store.append(wrong)
    assert await everything(store) == entries(1, 3)
    await store.append(entries(4, 5))
    assert await store.last_seq() == 5


async def test_no_entries_are_no_work(store: Store) -> None:
    await store.append([])
    assert await store.last_seq() == 0


async def test_the_log_is_read_in_batches_up_to_its_end(store: Store) -> None:
    size = 2 * BATCH + 3
    await store.append(entries(1, size))
    assert [item.seq for item in await everything(store)] == list(range(1, size + 1))
    assert [item.seq for item in await everything(store, 3, BATCH + 3)] == list(range(4, BATCH + 4))
    assert [item.seq for item in await everything(store, BATCH, 2 * BATCH)] == list(
        range(BATCH + 1, 2 * BATCH + 1)
    )
    assert await everything(store, size) == await everything(store, 5, 5) == []


async def test_a_long_read_stands_in_nobodys_way(store: Store) -> None:
    await store.append(entries(1, BATCH + 1))
    seen = []
    async for item in store.entries():
        if item.seq == 1:
            await store.append(entries(BATCH + 2, BATCH + 5))
        seen.append(item.seq)
    # The first batch was read before; what came meanwhile is in the second.
    assert seen == list(range(1, BATCH + 6))


async def test_keys_are_found_with_what_became_of_them(store: Store) -> None:
    put = entries(1, 20)
    await store.append(put)
    mine = [(item.node_kind, item.node, item.key) for item in put]
    others = [
        (NodeKind.PROVIDER, put[0].node, put[0].key),
        (NodeKind.USER, "mu-99", put[0].key),
        (NodeKind.USER, put[0].node, "key-99"),
        (NodeKind.USER, "', '$[0]", '"'),
    ]
    found = await store.find_keys([*mine, *others, mine[0]])
    assert set(found) == set(mine)
    for item in put:
        known = found[item.node_kind, item.node, item.key]
        assert known == (item.seq, item.content_hash, item.received_at)
    assert await store.find_keys([]) == {}


async def test_thousands_of_keys_are_found_at_once(store: Store) -> None:
    await store.append(entries(1, 3))
    wanted = [(NodeKind.USER, f"mu-{n % 7 + 1}", f"key-{n}") for n in range(20_000)]
    assert len(await store.find_keys(wanted)) == 3


@pytest.mark.parametrize("table", ["reports", "cycles"])
async def test_the_database_itself_refuses_to_change_the_past(store: Store, table: str) -> None:
    await store.append(entries(1, 2))
    await store.commit_cycle(cycle(1))
    name = store.address.dsn or str(store.address.path)
    changed = "node = 'mu-9'" if table == "reports" else "reason = ''"
    for statement in (f"UPDATE {table} SET {changed}", f"DELETE FROM {table}"):
        with pytest.raises(Exception, match=f"{table} is only ever appended to|only ever appended"):
            await asyncio.to_thread(run_sql, name, statement)
    assert await everything(store) == entries(1, 2)
    assert await store.cycles() == [cycle(1)]


async def test_who_stops_waiting_does_not_stop_the_work(store: Store) -> None:
    task = asyncio.create_task(store.append(entries(1, 3 * BATCH)))
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.append(entries(3 * BATCH + 1, 3 * BATCH + 2))
    assert await store.last_seq() == 3 * BATCH + 2


async def test_a_reader_that_is_cancelled_leaves_the_store_in_order(store: Store) -> None:
    await store.append(entries(1, 5))
    for steps in range(40):
        task = asyncio.create_task(store.last_seq())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    gc.collect()  # a connection that is lost would be noticed here
    assert await everything(store) == entries(1, 5)


async def test_writes_at_the_same_time_follow_one_another(store: Store) -> None:
    await asyncio.gather(*(store.append(entries(10 * n + 1, 10 * n + 10)) for n in range(20)))
    assert await everything(store) == entries(1, 200)


async def test_what_was_appended_is_there_when_opened_again(database: str) -> None:
    async with await Store.open(database) as store:
        await store.append(entries(1, 3))
    async with await Store.open(database) as store:
        assert await everything(store) == entries(1, 3)


async def test_a_closed_store_takes_nothing(database: str) -> None:
    store = await Store.open(database)
    await store.close()
    with pytest.raises(StorageError, match="is closed"):
        await store.append(entries(1, 1))
    async with await Store.open(database, exclusive=False) as again:
        assert await again.last_seq() == 0


# Blobs.


@pytest.mark.parametrize(
    "size", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7]
)
async def test_a_blob_exists_once_a_cycle_names_it(store: Store, size: int) -> None:
    data = os.urandom(size)
    await store.put_blob("a", data)
    assert await store.get_blob("a") is None
    await store.commit_cycle(cycle(1, payload="a"))
    assert await store.get_blob("a") == data


async def test_a_blob_that_is_not_named_can_be_put_anew_and_a_named_one_not(store: Store) -> None:
    await store.put_blob("a", os.urandom(2 * PART_BYTES))
    await store.put_blob("a", b"new")
    await store.commit_checkpoint(0, 0, "a")
    assert await store.get_blob("a") == b"new"
    with pytest.raises(StorageError, match="'a' already"):
        await store.put_blob("a", b"newer")
    assert await store.get_blob("a") == b"new"
    with pytest.raises(ValueError, match="empty"):
        await store.put_blob("b", b"")


async def test_a_cycle_or_checkpoint_without_its_blob_is_not_stored(store: Store) -> None:
    with pytest.raises(StorageError, match="no new blob 'a'"):
        await store.commit_cycle(cycle(1, payload="a"))
    with pytest.raises(StorageError, match="no new blob 'a'"):
        await store.commit_checkpoint(0, 0, "a")
    assert await store.cycles() == []
    assert await store.newest_checkpoint() is None
    await store.put_blob("a", b"data")
    await store.commit_cycle(cycle(1, payload="a"))
    with pytest.raises(StorageError, match="no new blob 'a'"):
        await store.commit_cycle(cycle(2, payload="a"))


async def test_a_report_has_its_turn_between_the_parts_of_a_blob(store: Store) -> None:
    putting = asyncio.create_task(store.put_blob("a", bytes(20 * PART_BYTES)))
    await asyncio.sleep(0)
    await store.append(entries(1, 1))
    assert not putting.done()
    await putting
    await store.commit_cycle(cycle(1, payload="a"))
    assert await store.get_blob("a") == bytes(20 * PART_BYTES)


async def test_blobs_that_a_crash_left_behind_are_removed_by_the_next_agent(database: str) -> None:
    async with await Store.open(database) as store:
        for name in ("a", "b", "c"):
            await store.put_blob(name, bytes(PART_BYTES + 1))
        await store.commit_cycle(cycle(1, payload="b"))
    async with await Store.open(database, exclusive=False):
        pass  # the agent may be at work on them
    count = "SELECT count(*) FROM blob_parts"
    assert await asyncio.to_thread(run_sql, database, count) == [(6,)]
    async with await Store.open(database) as store:
        assert await asyncio.to_thread(run_sql, database, count) == [(2,)]
        assert await store.get_blob("b") == bytes(PART_BYTES + 1)
        await store.put_blob("a", b"anew")


# Cycles, memberships, checkpoints.


async def test_cycles_come_out_as_they_went_in(store: Store) -> None:
    await store.put_membership("m", ["asp-1", "asp-2"], ["mu-1"])
    await store.put_blob("payload-1", b"data")
    decided = cycle(
        1,
        position=7,
        result=CycleResult.DECIDED,
        kept=None,
        in_force=1,
        membership="m",
        payload="payload-1",
        digest="ab" * 32,
        dropped=(("asp-1", "mu-1"), ("asp-2", "mu-2")),
        summary={
            "ending": "decided",
            "regret": 0.1 + 0.2,
            "steps": 3,
            "none": None,
            "list": [1e-300],
        },
    )
    kept = cycle(2, in_force=1, start_cycle=1)
    await store.commit_cycle(decided)
    await store.commit_cycle(kept)
    assert await store.cycles() == [decided, kept]
    assert await store.cycle(1) == decided
    assert await store.cycle(2) == kept
    assert await store.cycle(3) is None
    assert await store.cycle(0) is None
    assert await store.last_cycle() == 2


async def test_cycles_are_listed_from_both_ends(store: Store) -> None:
    for number in range(1, 8):
        await store.commit_cycle(cycle(number))

    async def numbers(**options: Any) -> list[int]:
        return [item.number for item in await store.cycles(**options)]

    assert await numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert await numbers(after=2, limit=3) == [3, 4, 5]
    assert await numbers(newest_first=True, limit=2) == [7, 6]
    assert await numbers(newest_first=True, before=6, limit=2) == [5, 4]
    assert await numbers(after=2, before=4) == [3]
    assert await numbers(after=7) == []


@pytest.mark.parametrize("number", [0, 1, 3])
async def test_a_cycle_has_the_next_number(store: Store, number: int) -> None:
    await store.commit_cycle(cycle(1))
    with pytest.raises(StorageError, match=f"cycle {number} cannot be stored as cycle 2"):
        await store.commit_cycle(cycle(number))
    assert await store.cycles() == [cycle(1)]


async def test_names_are_stored_once_and_a_cycle_needs_them(store: Store) -> None:
    with pytest.raises(StorageError):
        await store.commit_cycle(cycle(1, membership="m"))
    await store.put_membership("m", ("asp-1",), ("mu-1", "mu-2"))
    await store.put_membership("m", ("asp-1",), ("mu-1", "mu-2"))
    await store.put_membership("n", (), ())
    await store.commit_cycle(cycle(1, membership="m"))
    assert await store.membership("m") == (("asp-1",), ("mu-1", "mu-2"))
    assert await store.membership("n") == ((), ())


async def test_the_newest_checkpoint_may_be_asked_for_before_a_cycle(store: Store) -> None:
    places = [(10, 0), (10, 3), (25, 3), (40, 9)]
    for position, number in places:
        await store.put_blob(f"{position}-{number}", b"state")
        await store.commit_checkpoint(position, number, f"{position}-{number}")
    assert await store.newest_checkpoint() == Checkpoint(40, 9, "40-9")
    assert await store.newest_checkpoint(up_to_cycle=8) == Checkpoint(25, 3, "25-3")
    assert await store.newest_checkpoint(up_to_cycle=0) == Checkpoint(10, 0, "10-0")
    assert await store.newest_checkpoint(up_to_position=24) == Checkpoint(10, 3, "10-3")
    assert await store.newest_checkpoint(up_to_position=9) is None


# Tokens.


async def test_tokens_are_kept_without_their_secrets(store: Store) -> None:
    first, secret = new_token(Role.OPERATOR, created_at=START, label="the first 'one'")
    second, _ = new_token(
        Role.USER,
        "mu-1",
        created_at=START + timedelta(microseconds=1),
        expires_at=START + timedelta(days=1),
    )
    await store.create_token(second)
    await store.create_token(first)
    assert await store.tokens() == [first, second]
    name = store.address.dsn or str(store.address.path)
    rows = await asyncio.to_thread(run_sql, name, "SELECT * FROM tokens")
    assert secret.split("_", 2)[2] not in str(rows)


async def test_a_token_is_revoked_once(store: Store) -> None:
    token, _ = new_token(Role.PROVIDER, "asp-1", created_at=START)
    await store.create_token(token)
    revoked = await store.revoke_token(token.id, START + timedelta(hours=1))
    assert revoked is not None
    assert revoked.revoked_at == START + timedelta(hours=1)
    assert await store.revoke_token(token.id, START + timedelta(hours=2)) == revoked
    assert await store.tokens() == [revoked]
    assert await store.revoke_token("nobody", START) is None


async def test_every_change_of_a_token_is_noticed_by_other_processes(database: str) -> None:
    token, _ = new_token(Role.USER, "mu-1", created_at=START)
    async with (
        await Store.open(database) as agent,
        await Store.open(database, exclusive=False) as command,
    ):
        versions = [await agent.tokens_version()]
        await command.create_token(token)
        versions.append(await agent.tokens_version())
        assert await agent.tokens_version() == versions[-1]
        await command.revoke_token(token.id, START)
        versions.append(await agent.tokens_version())
        await asyncio.to_thread(run_sql, database, "DELETE FROM tokens")  # by hand
        versions.append(await agent.tokens_version())
        await command.append(entries(1, 1))
        assert await agent.tokens_version() == versions[-1]
    assert len(set(versions)) == 4


async def test_two_tokens_cannot_share_a_secret(store: Store) -> None:
    token, _ = new_token(Role.USER, "mu-1", created_at=START)
    await store.create_token(token)
    with pytest.raises(StorageError) as refused:
        await store.create_token(token)
    assert isinstance(refused.value.__cause__, DBAPIError)
