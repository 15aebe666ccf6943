"""The process that solves: it answers, can be given up, dies, and ends with the agent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent_cycles import small_snapshot
from agent_support import anyio_backend  # noqa: F401
from qoex.agent.reports.kept import CycleEnding
from qoex.agent.solving.channel import Channel, ChannelClosed
from qoex.agent.solving.decide import decide
from qoex.agent.solving.task import Start, Task
from qoex.agent.solving.worker import Worker

pytestmark = pytest.mark.anyio

LONG = 120.0  # seconds that no test waits for, even on a machine that has to compile


@asynccontextmanager
async def worker(**options: int) -> AsyncIterator[Worker]:
    made = Worker(**options)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


def is_running(pid: int) -> bool:
    """Whether a process is there, and more than an entry that waits for its parent."""
    # Its parent cannot tell that it ended until the last of its threads has.
    try:
        threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):  # a thread ended meanwhile
        return Path(f"/proc/{pid}").exists()
    return any(text.rpartition(")")[2].split()[0] != "Z" for text in threads)


def ends(pid: int) -> bool:
    """Wait until a process has ended; return whether it has."""
    for _ in range(int(LONG / 0.05)):
        if not is_running(pid):
            return True
        time.sleep(0.05)
    return False


def pid_of(worker: Worker) -> int:
    assert worker.pid is not None
    return worker.pid


async def test_it_answers_with_the_bits_that_this_process_computes() -> None:
    first, then = small_snapshot(5, compute_capacity=3.0), small_snapshot(6, compute_capacity=3.0)
    async with worker() as process:
        outcome = await process.run(Task(first), LONG)
        assert outcome.ending is CycleEnding.DECIDED
        assert outcome.payload == decide(Task(first)).payload
        assert outcome.payload is not None
        task = Task(then, Start(outcome.payload, first.provider_names, first.user_names))
        again = await process.run(task, LONG)
        assert again.warm
        assert again.payload == decide(task).payload
        assert process.restarts == 0
    assert process.pid is None


async def test_threads_do_not_change_the_bits() -> None:
    snapshot = small_snapshot(40, compute_capacity=30.0)
    many = tuple(f"mu-{m}" for m in range(40 * 500))
    wide = replace(
        snapshot,
        user_names=many,
        users={name: np.tile(values, 500) for name, values in snapshot.users.items()},
        demands={name: np.tile(values, 500) for name, values in snapshot.demands.items()},
        snr_db=np.tile(snapshot.snr_db, 500),
        providers={
            name: values * (500 if name.endswith("capacity") else 1)
            for name, values in snapshot.providers.items()
        },
    )
    digests = []
    for threads in (1, 3):
        async with worker(threads=threads) as process:
            outcome = await process.run(Task(wide), LONG)
            assert outcome.ending is CycleEnding.DECIDED
            digests.append(outcome.digest)
    assert digests[0] == digests[1]


async def test_it_comes_after_reports_and_leaves_the_terminal_to_the_agent() -> None:
    async with worker(niceness=7) as process:
        assert await process.wait_ready(LONG)
        pid = pid_of(process)
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 7
        assert os.getpgid(pid) != os.getpgid(0)  # Ctrl-C goes to the agent's group
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert (await process.run(Task(small_snapshot()), LONG)).ending is CycleEnding.DECIDED
        assert process.pid == pid


async def test_a_task_that_takes_too_long_is_given_up_and_the_next_one_is_not() -> None:
    async with worker() as process:
        assert await process.wait_ready(LONG)
        first = pid_of(process)
        os.kill(first, signal.SIGSTOP)
        outcome = await process.run(Task(small_snapshot()), 0.2)
        assert outcome.ending is CycleEnding.DEADLINE
        assert "within 0.2 s" in outcome.sentence
        assert process.restarts == 1
        assert (await process.run(Task(small_snapshot()), LONG)).ending is CycleEnding.DECIDED
        assert process.pid != first
    assert ends(first)


async def test_a_process_that_dies_at_work_fails_the_task_only() -> None:
    async with worker() as process:
        assert await process.wait_ready(LONG)
        first = pid_of(process)
        os.kill(first, signal.SIGSTOP)
        asking = asyncio.ensure_future(process.run(Task(small_snapshot()), LONG))
        await asyncio.sleep(0.1)
        os.kill(first, signal.SIGKILL)
        outcome = await asking
        assert outcome.ending is CycleEnding.WORKER_FAILED
        assert outcome.sentence == "the process that solves was ended by signal 9"
        assert (await process.run(Task(small_snapshot()), LONG)).ending is CycleEnding.DECIDED
        assert process.restarts == 1


async def test_a_process_that_died_idle_is_replaced_before_the_next_task() -> None:
    async with worker() as process:
        assert await process.wait_ready(LONG)
        os.kill(pid_of(process), signal.SIGKILL)
        assert ends(pid_of(process))
        outcome = await process.run(Task(small_snapshot()), LONG)
        assert outcome.ending is CycleEnding.DECIDED
        assert process.restarts == 1


async def test_a_process_that_is_not_ready_is_said_to_be_starting() -> None:
    async with worker() as process:
        first = pid_of(process)
        os.kill(first, signal.SIGSTOP)
        assert not process.is_ready
        outcome = await process.run(Task(small_snapshot()), 0.05)
        assert outcome.ending is CycleEnding.WORKER_STARTING
        assert "not ready within 0.05 s" in outcome.sentence
        assert process.pid == first  # it gets the time it needs
        os.kill(first, signal.SIGCONT)
        assert await process.wait_ready(LONG)
        assert process.is_ready
        assert process.restarts == 0


async def test_an_error_that_nobody_expected_fails_the_task_and_no_more() -> None:
    broken = replace(small_snapshot(), users={})
    async with worker() as process:
        assert await process.wait_ready(LONG)
        first = process.pid
        outcome = await process.run(Task(broken), LONG)
        assert outcome.ending is CycleEnding.WORKER_FAILED
        assert "KeyError: 'profit_factor'" in outcome.sentence
        assert (await process.run(Task(small_snapshot()), LONG)).ending is CycleEnding.DECIDED
        assert process.pid == first


async def test_a_process_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process = Worker()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert not await process.wait_ready(0.05)
    assert "cannot be started (No such file or directory)" in caplog.text
    monkeypatch.undo()
    assert await process.wait_ready(LONG)
    await process.stop()


async def test_after_its_end_nothing_is_started_any_more() -> None:
    async with worker() as process:
        first = pid_of(process)
    assert not is_running(first)
    process.start()
    assert process.pid is None
    assert not await process.wait_ready(LONG)


async def test_whoever_is_cancelled_leaves_no_process_at_work() -> None:
    async with worker() as process:
        assert await process.wait_ready(LONG)
        first = pid_of(process)
        os.kill(first, signal.SIGSTOP)
        asking = asyncio.ensure_future(process.run(Task(small_snapshot()), LONG))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert process.pid != first
    assert ends(first)


AGENT = """
import asyncio, sys
import qoex.agent.cycle.engine, qoex.agent.cycle.history, qoex.agent.cycle.replay
from qoex.agent.solving.worker import Worker

async def main():
    worker = Worker()
    worker.start()
    if sys.argv[1] == "ready":
        await worker.wait_ready(120)
    print(worker.pid, "numba" in sys.modules, flush=True)
    await asyncio.sleep(120)

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["starting", "ready"])
def test_it_ends_with_an_agent_that_is_killed(when: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", AGENT, when], stdout=subprocess.PIPE, text=True
    ) as agent:
        assert agent.stdout is not None
        pid, has_numba = agent.stdout.readline().split()
        assert is_running(int(pid))
        agent.kill()
    assert ends(int(pid))
    assert has_numba == "False"  # only the process that solves loads it


def test_a_channel_carries_what_is_larger_than_its_buffers() -> None:
    ours, end = Channel.pair()
    theirs = Channel(end)
    large = np.arange(2_000_000.0)

    async def exchange() -> np.ndarray:
        sending = asyncio.to_thread(ours.send, large)
        receiving = asyncio.to_thread(theirs.receive)
        _, received = await asyncio.gather(sending, receiving)
        assert isinstance(received, np.ndarray)
        return received

    np.testing.assert_array_equal(asyncio.run(exchange()), large)
    ours.close()
    with pytest.raises(ChannelClosed):
        theirs.receive()
    with pytest.raises(ChannelClosed):
        theirs.send(large)
    theirs.close()
    theirs.close()
