"""The process that solves, as the agent sees it: asked for one task at a time, killed when it must.

Solving takes a processor for itself, and may take longer than anyone wants to wait. In a process
of its own it never holds up a report, can be given up at a deadline, and may die.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qoex.agent.reports.kept import Cause, Kept
from qoex.agent.solving.channel import Channel, ChannelClosed
from qoex.agent.solving.task import CycleOutcome, Task

# Linear algebra here is of small matrices, where more threads only get in the way, and results
# must not hang on how many there are.
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Compiling all kernels, on a machine that never did, takes a minute or two.
_STARTING_AT_MOST_S = 600.0
_PAUSE_S = 1.0

NICENESS = 5

_log = logging.getLogger(__name__)


class Worker:
    """A process that solves; it is started anew whenever it is gone.

    Attributes:
        restarts: how many times it had to be.
    """

    def __init__(self, *, threads: int = 1, niceness: int = NICENESS) -> None:
        """Take what the process needs; nothing is started yet.

        Args:
            threads: how many a solve may use.
            niceness: by how much its priority is lowered, so that reports come first.
        """
        self._arguments = [str(threads), str(niceness)]
        self._current: _Process | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._stopped = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process that there is now, ready or not."""
        return None if self._current is None else self._current.pid

    @property
    def is_ready(self) -> bool:
        """Whether a task would be taken up at once."""
        return self._current is not None and self._current.is_ready

    def start(self) -> None:
        """Start the process, and return without waiting until it is ready; needs a running loop."""
        if self._current is None and not self._stopped:
            self._current = _Process(self._arguments)

    async def wait_ready(self, seconds: float) -> bool:
        """Wait until a task would be taken up at once, at most so many seconds; return whether."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._stopped:
            process = self._current
            if process is not None:
                await asyncio.wait([process.ready], timeout=max(until - loop.time(), 0.0))
                if process.is_ready:
                    return True
            pause = process is not None and not process.was_ready
            try:
                if process is None:
                    self.start()
                elif process.is_gone or process.has_taken_too_long:
                    self._replace()
            except OSError as error:
                _log.error("the process that solves cannot be started (%s)", error.strerror)
                pause = True
            left = until - loop.time()
            if left <= 0.0:
                return False
            if pause:  # what does not even start must not be started as fast as that goes
                await asyncio.sleep(min(left, _PAUSE_S))
        return False

    async def run(self, task: Task, seconds: float) -> CycleOutcome:
        """Return what comes of a task within so many seconds.

        A process that takes longer, or dies, is given up, and the next one is started.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if not await self.wait_ready(seconds):
            return not_ready(seconds)
        process = self._current
        assert process is not None
        answer = process.ask(task)
        try:
            done, _ = await asyncio.wait([answer], timeout=max(until - loop.time(), 0.0))
        except asyncio.CancelledError:
            self._replace()
            raise
        if not done:
            self._replace()
            return CycleOutcome(Cause.TOO_LATE.kept(seconds=seconds))
        try:
            return answer.result()
        except ChannelClosed:
            kept = process.ending()
            self._replace()
            return CycleOutcome(kept)

    async def stop(self) -> None:
        """End the process and wait until it is gone; no other is started."""
        self._stopped = True
        self._give_up()
        if self._ending:
            await asyncio.wait(self._ending)

    def _replace(self) -> None:
        """Give up the process that there is, and start the next one."""
        self._give_up()
        if not self._stopped:
            self.restarts += 1
            self.start()

    def _give_up(self) -> None:
        process, self._current = self._current, None
        if process is not None:
            task = asyncio.ensure_future(process.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def not_ready(seconds: float) -> CycleOutcome:
    """Return what comes of a task that no process was there for."""
    return CycleOutcome(Cause.NOT_READY.kept(seconds=seconds))


class _Process:
    """One process, from its start to its end; what waits for it waits in a thread."""

    def __init__(self, arguments: list[str]) -> None:
        self._channel, theirs = Channel.pair()
        program = [
            sys.executable,
            "-P",
            "-m",
            "qoex.agent.solving.worker_process",
            str(theirs.fileno()),
        ]
        try:
            self._process = subprocess.Popen(
                program + arguments,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # What a terminal sends to the agent's group passes by.
                start_new_session=True,
                env={**os.environ, **_ONE_THREAD},
            )
        except BaseException:
            self._channel.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="qoex-worker")
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self.ready: asyncio.Future[Any] = loop.run_in_executor(self._thread, self._channel.receive)
        self.ready.add_done_callback(_looked_at)
        self._loop = loop

    @property
    def was_ready(self) -> bool:
        return self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None

    @property
    def is_ready(self) -> bool:
        return self.was_ready and self._process.poll() is None

    @property
    def is_gone(self) -> bool:
        return self.ready.done() and not self.is_ready

    @property
    def has_taken_too_long(self) -> bool:
        return self._loop.time() - self._began > _STARTING_AT_MOST_S

    def ask(self, task: Task) -> asyncio.Future[CycleOutcome]:
        """Begin to send a task; return what will be its outcome."""
        answer = self._loop.run_in_executor(self._thread, self._asked, task)
        answer.add_done_callback(_looked_at)
        return answer

    def _asked(self, task: Task) -> CycleOutcome:
        self._channel.send(task)
        outcome: CycleOutcome = self._channel.receive()
        return outcome

    def ending(self) -> Kept:
        """Say how it ended, which its socket showed a moment ago."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return Cause.SILENT.kept()
        return Cause.KILLED.kept(signal=-code) if code < 0 else Cause.EXITED.kept(code=code)

    async def end(self) -> None:
        """Kill it, and wait until nothing of it is left."""
        self._process.kill()
        self._channel.close()
        await asyncio.to_thread(self._wait_for_end)

    def _wait_for_end(self) -> None:
        self._process.wait()
        self._thread.shutdown()


def _looked_at(future: asyncio.Future[Any]) -> None:
    """Look at the failure of what nobody waits for any more, so that it is not reported."""
    if not future.cancelled():
        future.exception()
