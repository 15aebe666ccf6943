"""Kernels over blocks of users on all cores: they hold no lock of the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from qoex.kernels import interpreted

# Blocks handed to a thread at once: enough to hide the handing, few enough to end together.
_AT_ONCE = 4

_state: dict[str, int | None] = {"most": None}


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Let kernels have so many threads at most; to be said before the first of them runs."""
    _state["most"] = count


def over_blocks(task: Callable[[int, int], object], blocks: int) -> None:
    """Run ``task(first, last)`` over ranges that make up ``range(blocks)``, on all cores.

    Threads are numba's own business only where its loops are its own: its parallel loops may not
    be entered from two threads at a time, and an agent or a Dask worker does that.
    """
    if blocks <= 1 or interpreted() or _threads() == 1:
        task(0, blocks)
        return
    starts = range(0, blocks, _AT_ONCE)
    done = _pool().map(lambda first: task(first, min(first + _AT_ONCE, blocks)), starts)
    for _ in done:  # raises what a task raised
        pass


def _threads() -> int:
    most = _state["most"]
    return cores() if most is None else min(most, cores())


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_threads(), thread_name_prefix="qoex-kernels")


# A forked process has the pool but none of its threads, and would wait for them forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
