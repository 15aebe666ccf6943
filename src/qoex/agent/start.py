"""The start of the agent, in the order in which it is soonest there.

A restart is waited for, and until its first decision most of it is imports. The process that
solves has the most of them, so it begins before this one imports the rest of its own.
"""

from __future__ import annotations

import asyncio
import gc

from qoex.agent.settings import Settings
from qoex.agent.solving.worker import Worker


def run(settings: Settings) -> None:
    """Run an agent until SIGTERM or SIGINT, with its log set up.

    Raises:
        QoexError: it cannot start; says why.
    """
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    worker = Worker(threads=settings.solver_threads)
    worker.start()
    try:
        # What is imported stays: the collector need not look at it, now or ever.
        gc.disable()
        from qoex.agent.logs import set_up_logs
        from qoex.agent.service import serve

        gc.freeze()
        gc.enable()
        set_up_logs(settings.log_level, settings.log_format)
        await serve(settings, worker)
    finally:
        await worker.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
