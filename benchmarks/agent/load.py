"""Reports at a fixed rate, whatever the agent does: a late answer delays no later report.

Latency counts from the moment at which a report was due, so waiting for a free connection counts.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .fleet import Fleet
from .wire import Connection, request

# A user who left or comes back is refused where the draw meets one who is gone: both are answers.
EXPECTED = frozenset({200, 201, 204, 404, 409})


@dataclass
class Load:
    """What came of the reports.

    Attributes:
        due: seconds from the start at which each was due.
        latency: seconds from then to its answer.
        statuses: how often each HTTP status came; 0 where no answer came.
        failure: the first answer that was not expected, for people.
    """

    due: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failure: str = ""

    @property
    def failed(self) -> int:
        """Number of reports that were not answered, or by an error of the agent."""
        return sum(n for status, n in self.statuses.items() if status not in EXPECTED)


async def run_load(
    fleet: Fleet,
    host: str,
    port: int,
    token: str,
    *,
    rate: float,
    seconds: float,
    connections: int = 64,
    each_second: Callable[[float], None],
) -> Load:
    """Send ``rate`` reports a second for so many seconds, and wait for the last answer."""
    loop = asyncio.get_running_loop()
    load = Load()
    idle: deque[Connection] = deque()
    waiting: deque[tuple[float, bytes]] = deque()
    open_reports = 0

    def answered(due: float, status: int, body: bytes) -> None:
        nonlocal open_reports
        open_reports -= 1
        load.due.append(due)
        load.latency.append(time.perf_counter() - start - due)
        load.statuses[status] += 1
        if status not in EXPECTED and not load.failure:
            load.failure = f"{status} {body.decode(errors='replace')}"

    def send(connection: Connection, due: float, data: bytes) -> None:
        connection.send(data, partial(answered, due))

    def on_idle(connection: Connection) -> None:
        if waiting:
            send(connection, *waiting.popleft())
        else:
            idle.append(connection)

    for _ in range(connections):
        _, connection = await loop.create_connection(lambda: Connection(on_idle), host, port)
        idle.append(connection)
    name = f"{host}:{port}"
    run = time.time_ns()
    # Made before, for whoever sends reports in earnest does not share the agent's cores.
    reports = [_made(*fleet.report()) for _ in range(round(rate * seconds))]
    gc.collect()
    gc.freeze()
    start = time.perf_counter()
    number, told = 0, 0
    while number < len(reports):
        now = time.perf_counter() - start
        while number <= now * rate and number < len(reports):
            method, path, payload = reports[number]
            headers = {
                "Idempotency-Key": f"load-{run}-{number}",
                "Content-Type": "application/json",
            }
            data = request(method, path, name, token, payload, headers)
            open_reports += 1
            due = number / rate
            number += 1
            if idle:
                send(idle.popleft(), due, data)
            else:
                waiting.append((due, data))
        if now >= told + 1:
            told = int(now)
            each_second(now)
        await asyncio.sleep(max(0.0, number / rate - (time.perf_counter() - start)))
    patience = time.perf_counter() + 30.0
    while open_reports and time.perf_counter() < patience:
        await asyncio.sleep(0.01)
    load.statuses[0] += open_reports
    for connection in idle:
        connection.close()
    return load


def _made(method: str, path: str, body: dict[str, Any]) -> tuple[str, str, bytes]:
    return method, path, json.dumps(body).encode() if method != "DELETE" else b""
