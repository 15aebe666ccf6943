"""One measured run: register, load, watch, kill, restart."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from .fleet import Fleet, as_ndjson
from .load import Load, run_load
from .running import RunningAgent

# What the first seconds bring (caches fill, arrays grow) says nothing about growth.
_SETTLED = 1.0 / 3.0


@dataclass
class Row:
    """What was measured; times in ms unless said otherwise, memory in MiB."""

    providers: int
    users: int
    cycle_seconds: float
    seconds: float
    reports: int
    reports_per_second: float
    failed: int
    statuses: dict[str, int]
    latency_p50: float
    latency_p99: float
    latency_p999: float
    latency_max: float
    registration_seconds: float
    cycles: int
    kept: int
    cycle_p50: float
    cycle_p99: float
    cycle_max: float
    phases_p50: dict[str, float]
    regret_relative: float
    kkt_residual: float
    memory: list[tuple[float, float, float]]
    memory_per_hour: float
    memory_per_hour_error: float
    database: float
    restart_seconds: float
    restart_after_kill_seconds: float


def measure(
    folder: Path, *, providers: int, users: int, rate: float, seconds: float, cycle: float
) -> tuple[Row, Load]:
    """Run it all in a folder; return the numbers, and the latencies one by one."""
    agent = RunningAgent(folder, cycle).start()
    try:
        fleet = Fleet(providers, users)
        registration = _register(agent, fleet)
        # The first decision of this size settles caches; what is measured comes after it.
        _wait_for_cycle(agent, users)
        cycles: list[dict[str, Any]] = []
        listener = agent.listen(cycles)
        memory: list[tuple[float, float, float]] = []

        def watch(now: float) -> None:
            found = agent.memory()
            memory.append((now, found.answering, found.solving))
            if len(memory) % 30 == 0:
                _tell(f"{now:5.0f} s, {found.answering:.0f} + {found.solving:.0f} MiB")

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            load = runner.run(
                run_load(
                    fleet, agent.host, agent.port, agent.token,
                    rate=rate, seconds=seconds, each_second=watch,
                )
            )  # fmt: skip
        agent.stop()
        listener.join(10)
        if load.failure:
            _tell(f"the first of {load.failed} failed reports: {load.failure}")
        restart = _restart(agent)
        agent.stop(signal.SIGKILL)
        after_kill = _restart(agent)
    finally:
        agent.stop(signal.SIGKILL)
        agent.http.close()
    size = sum(path.stat().st_size for path in folder.glob("agent.db*")) / 2**20
    row = _row(
        load, cycles, memory,
        providers=providers, users=users, cycle_seconds=cycle, seconds=seconds,
        registration_seconds=registration, database=size,
        restart_seconds=restart, restart_after_kill_seconds=after_kill,
    )  # fmt: skip
    return row, load


def _register(agent: RunningAgent, fleet: Fleet) -> float:
    start = time.perf_counter()
    for lines in fleet.registration():
        answer = agent.http.post(
            "/v1/reports",
            content=as_ndjson(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        if answer.is_error:
            raise RuntimeError(f"registration was refused: {answer.text[:2000]}")
    return time.perf_counter() - start


def _wait_for_cycle(agent: RunningAgent, users: int) -> None:
    patience = time.monotonic() + 60.0
    while time.monotonic() < patience:
        newest = agent.newest_cycle()
        if newest is not None and newest["result"] == "decided" and newest["users"] == users:
            return
        time.sleep(0.1)
    raise RuntimeError("no decision for all users was made within a minute")


def _restart(agent: RunningAgent) -> float:
    """Start it anew; return the seconds from the start of the process to its first decision."""
    before = agent.start().newest_cycle()
    patience = time.monotonic() + 60.0
    while time.monotonic() < patience:
        for record in agent.cycles(20):
            committed = datetime.fromisoformat(record["committed_at"]).timestamp()
            if committed > agent.started_at and record["result"] == "decided":
                later = [
                    datetime.fromisoformat(item["committed_at"]).timestamp()
                    for item in agent.cycles(20)
                    if item["result"] == "decided"
                ]
                return min(at for at in later if at > agent.started_at) - agent.started_at
        time.sleep(0.02)
    raise RuntimeError(f"no decision within a minute of the restart; before: {before}")


def _row(
    load: Load, cycles: list[dict[str, Any]], memory: list[tuple[float, float, float]], **given: Any
) -> Row:
    latency = np.array(load.latency) * 1e3
    decided = [item for item in cycles if item["result"] == "decided"]
    totals = np.array([item["duration_ms"]["total"] for item in decided])
    names = decided[0]["duration_ms"]
    slope, error = growth([(at, one + other) for at, one, other in memory])
    return Row(
        reports=len(load.latency),
        reports_per_second=len(load.latency) / (max(load.due) + max(1e-9, load.latency[-1])),
        failed=load.failed,
        statuses={str(status): n for status, n in sorted(load.statuses.items()) if n},
        latency_p50=float(np.percentile(latency, 50)),
        latency_p99=float(np.percentile(latency, 99)),
        latency_p999=float(np.percentile(latency, 99.9)),
        latency_max=float(latency.max()),
        cycles=len(cycles),
        kept=len(cycles) - len(decided),
        cycle_p50=float(np.percentile(totals, 50)),
        cycle_p99=float(np.percentile(totals, 99)),
        cycle_max=float(totals.max()),
        phases_p50={
            name: float(np.median([item["duration_ms"][name] for item in decided]))
            for name in names
        },
        regret_relative=max(item["regret_relative"] for item in decided),
        kkt_residual=max(item["kkt_residual"] for item in decided),
        memory=memory,
        memory_per_hour=slope,
        memory_per_hour_error=error,
        **given,
    )


def growth(memory: list[tuple[float, float]]) -> tuple[float, float]:
    """Return MiB per hour by least squares over what is settled, and its standard error.

    Samples of one run hang together, so blocks of a tenth are what the error is taken from.
    """
    settled = [item for item in memory if item[0] >= _SETTLED * memory[-1][0]]
    if len(settled) < 20:
        return float("nan"), float("nan")
    blocks = np.array([np.mean(block, axis=0) for block in np.array_split(np.array(settled), 10)])
    hours, used = blocks[:, 0] / 3600.0, blocks[:, 1]
    spread = hours - hours.mean()
    slope = float(spread @ (used - used.mean()) / (spread @ spread))
    rest = used - used.mean() - slope * spread
    error = float(np.sqrt((rest @ rest) / (len(hours) - 2) / (spread @ spread)))
    return slope, error


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def as_data(row: Row) -> dict[str, Any]:
    """Return the row as JSON data."""
    return asdict(row)
