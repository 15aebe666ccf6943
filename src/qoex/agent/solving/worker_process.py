"""The process that solves: ``python -P -m qoex.agent.solving.worker_process`` and its arguments.

They are DESCRIPTOR THREADS NICENESS. It is started by :mod:`qoex.agent.solving.worker` with its end
of a socket pair, says when it is ready, and then answers one task after another. It ends
when the other end is closed, in whatever way that process ends. Nothing is imported before it is
needed, for a restart waits for this process.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from qoex.agent.solving.channel import Channel, ChannelClosed

if TYPE_CHECKING:
    from qoex.agent.solving.task import CycleOutcome, Task

READY = "ready"


def main(arguments: list[str]) -> None:
    """Serve tasks until nobody is there to send any."""
    descriptor, threads, niceness = map(int, arguments)
    # The agent says when to end, by closing its socket or by SIGKILL; a signal to the whole group,
    # from a terminal or a service manager, is for the agent alone.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    end = socket.socket(fileno=descriptor)
    threading.Thread(target=_end_with_agent, args=(end,), daemon=True).start()
    channel = Channel(end)

    from qoex.kernels.threads import use_threads

    use_threads(threads)
    import qoex.agent.solving.decide  # noqa: F401  (with all that a task needs)
    from qoex.equilibrium.warm_up import warm_up

    # Even for markets that are quicker without: the bits must be those that a later replay gets,
    # whatever size the market had when the process began.
    warm_up()
    # Only now: until it is ready the agent waits for it.
    os.nice(niceness)
    try:
        channel.send(READY)
        channel.send(answer(channel.receive()))
        # What admission needs takes long to load, and the first decision need not wait for it.
        import scipy.optimize  # noqa: F401

        while True:
            channel.send(answer(channel.receive()))
    except ChannelClosed:
        return


def answer(task: Task) -> CycleOutcome:
    """Return what comes of a task, even if that is an error nobody expected."""
    from qoex.agent.reports.kept import Cause
    from qoex.agent.solving.decide import decide
    from qoex.agent.solving.task import CycleOutcome

    try:
        return decide(task)
    except Exception as error:
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return CycleOutcome(Cause.ERROR.kept(error=what))


def _end_with_agent(end: socket.socket) -> None:
    """End the process at once when the other end of the socket is closed, busy or not."""
    watch = select.poll()
    watch.register(end, 0)  # for nothing but that the other end is closed
    while not watch.poll():
        pass
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
