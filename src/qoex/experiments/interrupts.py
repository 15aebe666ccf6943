"""Ctrl-C at the right moment: between points and files, and never in the processes that help.

A KeyboardInterrupt may be raised between any two instructions. Inside compiled kernels while they
are loaded it is printed and forgotten, and while a table is written it costs what is in memory.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends; a second one is not held back.

    Outside the main thread, where Ctrl-C is never delivered, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if received:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def interrupts_hidden_from_children() -> Iterator[None]:
    """Let processes that joblib starts in the block never see Ctrl-C; here it comes at the end.

    A terminal sends it to them, too. They are ended by this process, and would only fill the
    terminal with where they were.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # These two helpers of joblib's processes end their start by unblocking, so it comes before.
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as loky_resource_tracker

    resource_tracker.ensure_running()
    loky_resource_tracker.ensure_running()
    with interrupts_deferred():  # a thread that does not block it may take it
        # What is blocked is inherited.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
