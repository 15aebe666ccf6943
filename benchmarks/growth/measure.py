"""Cold solves of markets of growing size, each timed beside streaming passes of one size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qoex.certificate import certify
from qoex.equilibrium.solver import solve
from qoex.experiments.speed.measure import load_everything
from qoex.experiments.speed.parts import measure_parts
from qoex.experiments.speed.streaming import Streaming
from qoex.files.parquet.sampling import sample_large_market

# What is streamed beside every solve, 264 MB, whatever the market: of a small market's own numbers,
# which stay in the cache, a pass would be no measure of the machine.
_STREAMED = 33_000_000
# Memory that a solve takes: its market twice while it is checked or once beside its solution, and
# names of users.
_COPIES, _NAME_BYTES, _SPARE = 3.5, 150, 1.2


@dataclass(frozen=True)
class Size:
    """A size to measure.

    Attributes:
        axis: what varies: "users" or "providers".
        providers: N.
        users: M.
        seeds: one market each.
        repeat: solves of each.
    """

    axis: str
    providers: int
    users: int
    seeds: tuple[int, ...]
    repeat: int

    @property
    def bytes(self) -> int:
        """What the numbers of the market take, 3NM + 3M of them."""
        return 8 * 3 * (self.providers + 1) * self.users

    @property
    def fits(self) -> bool:
        """Whether the memory that is free will do."""
        return _SPARE * (_COPIES * self.bytes + _NAME_BYTES * self.users) < free_memory()


@dataclass(frozen=True)
class Row:
    """What a size costs; medians over all solves of it.

    Attributes:
        axis: what varies: "users" or "providers".
        providers: N.
        users: M.
        solves: how many were timed.
        seconds: of a cold solve and its certificate.
        cost: bytes that a streaming pass beside it reads in that time.
        passes: the same over the bytes of the market.
        processor_cost: bytes, of the processor time, all cores together, that it takes.
        certificate_cost: bytes, of the certificate.
        sweep_cost: bytes, of one more sweep at the solution.
        settle_cost: bytes, of the providers' answers at the solution.
        sweeps: passes of the solver over all users, mean.
        cores_used: processor time over time of the solves.
        ok: whether all ended well, with certificates that hold.
    """

    axis: str
    providers: int
    users: int
    solves: int
    seconds: float
    cost: float
    passes: float
    processor_cost: float
    certificate_cost: float
    sweep_cost: float
    settle_cost: float
    sweeps: float
    cores_used: float
    ok: bool


def measure(sizes: Sequence[Size], tell: Callable[[Row], None]) -> Iterator[Row]:
    """Yield a row for each size that fits into memory, and tell it."""
    streaming = Streaming([np.ones(_STREAMED)])
    for size in sizes:
        if size.fits:
            row = _row(size, streaming)
            tell(row)
            yield row


def _row(size: Size, streaming: Streaming) -> Row:
    load_everything(size.providers, size.users, size.seeds[0])
    solves, parts = [], []
    cores, sweeps, ok = [], [], True
    for seed in size.seeds:
        market = sample_large_market(size.providers, size.users, seed, feasible=True)
        for _ in range(size.repeat):
            beside = streaming.seconds(3)
            began, processor = time.perf_counter(), time.process_time()
            solution = solve(market)
            solved = time.perf_counter()
            certificate = certify(market, solution)
            ended, spent = time.perf_counter(), time.process_time() - processor
            beside += streaming.seconds(3)
            rate = streaming.bytes / float(np.median(beside))
            times = (ended - began, spent, ended - solved)
            solves.append((ended - began, *(rate * value for value in times)))
            cores.append(spent / (ended - began))
            sweeps.append(solution.steps)
            ok = ok and solution.status.ok and certificate.holds()
            del certificate
        timed = measure_parts(market, solution)
        rate = streaming.bytes / float(np.median(streaming.seconds()))
        parts.append((rate * timed.sweep, rate * timed.settle))
        del market, solution  # of the largest, memory holds no second one
    seconds, cost, processor_cost, certificate_cost = np.median(solves, axis=0).tolist()
    sweep_cost, settle_cost = np.median(parts, axis=0).tolist()
    return Row(
        axis=size.axis,
        providers=size.providers,
        users=size.users,
        solves=len(solves),
        seconds=seconds,
        cost=cost,
        passes=cost / size.bytes,
        processor_cost=processor_cost,
        certificate_cost=certificate_cost,
        sweep_cost=sweep_cost,
        settle_cost=settle_cost,
        sweeps=float(np.mean(sweeps)),
        cores_used=float(np.median(cores)),
        ok=ok,
    )


def free_memory() -> float:
    """Return the bytes of memory that nobody uses; infinity where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
