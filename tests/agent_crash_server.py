"""Agents that are started fast, to be killed: ``python agent_crash_server.py DATABASE BILLING``.

All that an agent imports is imported once; each line on the standard input forks one that is the
whole agent as ``qoex serve`` runs it, but that it solves in a thread. Its port and process id are
the line that answers. With "replay" for BILLING it computes all cycles of such a database again,
and prints how many of those that decided something are the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import uvloop  # noqa: F401

# A forked process must not inherit a compiler's threads.
import interpreted_kernels  # noqa: F401
from qoex.agent import service
from qoex.agent.cycle.replay import Sameness, replay
from qoex.agent.logs import set_up_logs
from qoex.agent.reports.entries import CycleResult
from qoex.agent.settings import Settings
from qoex.agent.solving import decide
from qoex.agent.solving.task import CycleOutcome, Task
from qoex.agent.solving.worker import Worker
from qoex.agent.storage import Store


class _InThread(Worker):
    def __init__(self, **unused: Any) -> None:
        super().__init__()

    def start(self) -> None:
        pass

    async def wait_ready(self, seconds: float) -> bool:
        return True

    async def run(self, task: Task, seconds: float) -> CycleOutcome:
        return await asyncio.to_thread(decide.decide, task)

    async def stop(self) -> None:
        pass


def _run(database: str, billing: str, port: int) -> None:
    settings = Settings.model_validate(
        {
            "database": database,
            "billing": billing,
            "port": port,
            "cycle_s": 0.1,
            "checkpoint_every": 40,
            "checkpoint_cycles": 7,
            "log_level": "error",
        }
    )
    set_up_logs(settings.log_level, settings.log_format)
    asyncio.run(service.serve(settings, _InThread()))


async def _replay(database: str) -> None:
    async with await Store.open(database, exclusive=False) as store:
        again = [item async for item in replay(store, _InThread())]
    for item in again:
        if item.sameness is Sameness.DIFFERENT:
            print(item, file=sys.stderr)
    same = [item for item in again if item.sameness is Sameness.SAME]
    print(sum(item.result is CycleResult.DECIDED for item in same), flush=True)


def main(database: str, billing: str) -> None:
    """Fork an agent for every line, and let go of those that are dead."""
    if billing == "replay":
        asyncio.run(_replay(database))
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _run(database, billing, int(line))
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
