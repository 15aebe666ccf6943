"""Time a peer in a child process that is killed when its time is up."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from qoex.model.market import Market

from .outcome import Outcome, Prepare

REPETITIONS = 5
# A peer that takes next to no time is repeated until this much is spent, or so many times.
_LEAST_SECONDS = 0.5
_MOST_REPETITIONS = 25
# Preparing may take this many times the limit of a solve, and at least so many seconds: to import
# and to compile takes some, however short a solve is to be.
_SET_UP_LIMITS = 3.0
_LEAST_SET_UP = 30.0
# The child's clock decides; the parent waits a little longer for what the child has to say.
_GRACE = 0.5

# One thread each, so that peers are compared on one core.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


@dataclass(frozen=True)
class Measurement:
    """What became of a peer at a market.

    Attributes:
        outcome: of the first repetition; None where there was none.
        seconds: of each repetition, without compiling.
        set_up: s to prepare, compiling and warm-up included; None if it did not get so far.
        stopped: why the child did not end by itself; empty if it did.
        timed_out: whether that was a limit of time.
    """

    outcome: Outcome | None
    seconds: tuple[float, ...]
    set_up: float | None
    stopped: str = ""
    timed_out: bool = False

    @property
    def median(self) -> float | None:
        """Median time of a repetition, s; None without any."""
        return statistics.median(self.seconds) if self.seconds else None


def set_up_limit(limit: float) -> float:
    """Return how long preparing may take where a solve may take ``limit``, s."""
    return max(_SET_UP_LIMITS * limit, _LEAST_SET_UP)


def measure(
    prepare: Prepare, market: Market, limit: float, *, repetitions: int = REPETITIONS
) -> Measurement:
    """Return what a peer does with a market within a limit.

    Args:
        prepare: a function of a module's top level, or another object that can be pickled.
        market: N providers × M users.
        limit: of one solve, s; what preparing has is ``set_up_limit``.
        repetitions: at least so many, but one alone if it fails.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_serve, args=(theirs, prepare, market, limit, repetitions), daemon=True
    )
    with _environment():
        child.start()
    theirs.close()
    outcome, set_up, seconds = None, None, []
    stopped, timed_out = "", False
    wait, phase = set_up_limit(limit), "set-up"
    try:
        while True:
            if not ours.poll(wait + _GRACE):
                stopped, timed_out = f"{phase} not done in {wait:.3g} s", True
                break
            kind, value, detail = ours.recv()
            if kind == "ready":
                set_up, allowance = value, detail
                wait, phase = limit + allowance, "solve"
            elif kind == "outcome":
                if value > limit:
                    stopped, timed_out = f"solve not done in {limit:.3g} s", True
                    break
                outcome = outcome or detail
                seconds.append(value)
            elif kind == "error":
                stopped = detail
                break
            else:
                break
    except EOFError:
        child.join()
        stopped = f"the process ended with code {child.exitcode}"
    finally:
        child.kill()
        child.join()
        ours.close()
    return Measurement(outcome, tuple(seconds), set_up, stopped, timed_out)


@contextmanager
def _environment() -> Iterator[None]:
    """Give children their environment: it has to be there before they import anything."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(
    connection: Connection, prepare: Prepare, market: Market, limit: float, repetitions: int
) -> None:
    """Run in the child: prepare, solve repeatedly, and send (kind, seconds, detail) of each."""
    try:
        began = time.perf_counter()
        prepared = prepare(market)
        # Twice what it took before: compiling is not what the limit is about.
        connection.send(("ready", time.perf_counter() - began, 2.0 * prepared.compiling))
        number, spent = 0, 0.0
        while number < repetitions or (spent < _LEAST_SECONDS and number < _MOST_REPETITIONS):
            began = time.perf_counter()
            outcome = prepared.solve()
            whole = time.perf_counter() - began
            number, spent = number + 1, spent + whole
            seconds = whole - outcome.compiling
            connection.send(("outcome", seconds, outcome))
            if outcome.failure or seconds > limit:
                break
        connection.send(("done", 0.0, None))
    except Exception as error:  # whatever a peer raises is its result
        message = " ".join(str(error).split()) or "no message"
        connection.send(("error", 0.0, f"{type(error).__name__}: {message[:200]}"))
