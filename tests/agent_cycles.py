"""What tests of cycles share: an agent with a database, and a worker that is no other process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# Cycles compute with compiled kernels; no command may switch this process to interpreted ones.
import qoex.kernels.sweep  # noqa: F401
from agent_state import PROVIDER, PROVIDER_BODY, USER, Clock, new_entry, user_body
from qoex.agent.cycle.engine import CycleSettings, Engine
from qoex.agent.cycle.history import History
from qoex.agent.reports.entries import EntryKind
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.decide import decide
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.solving.task import CycleOutcome, Task
from qoex.agent.solving.worker import Worker
from qoex.agent.state.intake import Intake
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store

PUT, PATCH, LEAVE = EntryKind.PUT, EntryKind.PATCH, EntryKind.LEAVE

DEMAND = {"performance_gap": 0.1, "input_tokens": 30.0, "output_tokens": 20.0}


class InProcessWorker(Worker):
    """Computes in a thread of this process, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Task] = []

    def start(self) -> None:
        pass

    async def wait_ready(self, seconds: float) -> bool:
        return True

    async def run(self, task: Task, seconds: float) -> CycleOutcome:
        self.tasks.append(task)
        return await asyncio.to_thread(decide, task)

    async def stop(self) -> None:
        pass


@dataclass
class Agent:
    """The parts of an agent below HTTP."""

    store: Store
    intake: Intake
    history: History
    worker: Worker
    engine: Engine
    clock: Clock
    keys: int = field(default=0)

    async def send(self, *reports: tuple[Any, str, EntryKind, dict[str, Any]]) -> None:
        entries = []
        for kind, name, what, body in reports:
            self.keys += 1
            moment = self.clock.now.isoformat()
            entries.append(new_entry((kind, name), what, body, f"{moment} {self.keys}"))
        await self.intake.submit(entries)

    async def providers(self, *names: str, **changes: Any) -> None:
        await self.send(*((PROVIDER, name, PUT, PROVIDER_BODY | changes) for name in names))

    async def users(self, names: Sequence[str], *providers: str, **changes: Any) -> None:
        bodies = [user_body(*providers, **changes) for _ in names]
        for m, body in enumerate(bodies):
            for n, demand in enumerate(body["demands"].values()):
                demand["input_tokens"] = 30.0 + m % 7 + 3 * n  # no two pairs alike
        await self.send(
            *((USER, name, PUT, body) for name, body in zip(names, bodies, strict=True))
        )


@asynccontextmanager
async def running(
    path: Path,
    worker: Worker | None = None,
    settings: CycleSettings | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[Agent]:
    """Yield an agent on a database; by default it runs cycles only when it is asked to."""
    clock = clock or Clock()
    async with await Store.open(path) as store:
        history = History(store)
        registry = Registry(node_lifetime_s=1000.0)
        intake = Intake(store, registry, history.allocation, clock=clock, **options)
        await intake.start()
        worker = worker or InProcessWorker()
        settings = settings or CycleSettings(cycle_s=None)
        engine = Engine(intake, store, history, worker, settings, clock=clock)
        await engine.start()
        agent = Agent(store, intake, history, worker, engine, clock)
        try:
            yield agent
        finally:
            await engine.stop()
            await intake.stop()


def small_snapshot(users: int = 3, providers: int = 2, **changes: Any) -> Snapshot:
    """What a few nodes say who have enough of everything, unless the changes say otherwise."""
    from agent_state import Log

    log = Log()
    names = [f"asp-{n}" for n in range(providers)]
    for name in names:
        log.provider(name, **changes)
    for m in range(users):
        demands = {
            name: DEMAND | {"input_tokens": 30.0 + m % 7 + 3 * n} for n, name in enumerate(names)
        }
        log.user(f"mu-{m}", demands=demands)
    return log.registry.snapshot(log.now)


def same_allocation(one: CertifiedAllocation, other: CertifiedAllocation) -> bool:
    """Whether two allocations are the same to the last bit."""
    for name, value in vars(one).items():
        there = getattr(other, name)
        if isinstance(value, np.ndarray):
            if value.tobytes() != there.tobytes() or value.shape != there.shape:
                return False
        elif hasattr(value, "regime"):
            same = all(
                np.asarray(getattr(value, field)).tobytes()
                == np.asarray(getattr(there, field)).tobytes()
                for field in ("use", "capacity", "price", "unit_cost")
            )
            if not same or value.regime != there.regime:
                return False
        elif value != there:
            return False
    return True
