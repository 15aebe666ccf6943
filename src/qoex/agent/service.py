"""The whole agent as one process: everything started in order, and stopped in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Self

import structlog

from qoex.agent import systemd
from qoex.agent.cycle.engine import CycleSettings, Engine
from qoex.agent.cycle.history import History
from qoex.agent.cycle.publishing import Subscription
from qoex.agent.http.parts import AgentParts
from qoex.agent.http.security import KnownTokens
from qoex.agent.instruments import Instruments
from qoex.agent.listening import address_of, listening_socket, require_certificate, server_of
from qoex.agent.reports.entries import Entry
from qoex.agent.settings import Settings, unknown_variables
from qoex.agent.solving.recording import VERSION
from qoex.agent.solving.worker import Worker
from qoex.agent.state.intake import Intake
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Address, StorageError, Store

log = structlog.stdlib.get_logger("qoex.agent")

# A token that was revoked opens nothing after this many seconds.
TOKENS_EVERY_S = 1.0

_LISTENER_LAG = 1_000
_START_POLL_S = 0.01
_ENDING = (signal.SIGTERM, signal.SIGINT)


class TimedStore(Store):
    """A store that tells how long appending takes."""

    instruments: Instruments

    async def append(self, entries: Sequence[Entry]) -> None:
        """Add entries at the end of the log; see ``Store``."""
        started = time.perf_counter()
        await super().append(entries)
        self.instruments.commit_seconds.observe(time.perf_counter() - started)


@asynccontextmanager
async def running(settings: Settings, worker: Worker | None = None) -> AsyncIterator[AgentParts]:
    """Run an agent that nobody can reach yet; it stops in order when the block ends.

    Args:
        settings: what the operator decided.
        worker: started or not, if the caller wants to know it; stopped with the agent.

    Raises:
        StorageError: the database cannot be used, or another agent runs on it.
        DamagedLogError: what it holds cannot be what an agent wrote.
    """
    instruments = Instruments()
    worker = worker or Worker(threads=settings.solver_threads)
    async with AsyncExitStack() as stack:
        # It takes longest to be ready, so it begins first.
        worker.start()
        stack.push_async_callback(worker.stop)
        store = await stack.enter_async_context(await TimedStore.open(settings.database))
        store.instruments = instruments
        history = History(store)
        registry = Registry(
            node_lifetime_s=settings.node_lifetime_s, max_clock_skew_s=settings.max_clock_skew_s
        )
        intake = Intake(
            store,
            registry,
            history.allocation,
            billing=settings.billing,
            checkpoint_every=settings.checkpoint_every,
            checkpoint_cycles=settings.checkpoint_cycles,
        )
        await intake.start()
        stack.push_async_callback(intake.stop)
        engine = Engine(intake, store, history, worker, _cycle_settings(settings))
        tokens = KnownTokens(await store.tokens())
        parts = AgentParts(settings, intake, engine, history, store, tokens, instruments)
        _watch(parts, worker)
        await engine.start()
        if engine.latest is not None:
            decided = engine.latest.decided
            before = None if decided is None else decided.record.summary
            instruments.restored(engine.latest.record.summary, before)
        listening = asyncio.create_task(_tell(engine.subscribe(_LISTENER_LAG), instruments))
        stack.push_async_callback(asyncio.wait, [listening])
        stack.push_async_callback(engine.stop)
        following = asyncio.create_task(_follow_tokens(store, tokens))
        stack.push_async_callback(_end, following)
        yield parts


async def serve(settings: Settings, worker: Worker) -> None:
    """Run an agent until SIGTERM or SIGINT; a second signal ends it at once.

    Args:
        settings: what the operator decided.
        worker: started or not; stopped with the agent.

    Raises:
        QoexError: it cannot start; says why.
    """
    with _Signals(worker) as signals:
        try:
            await _serve(settings, worker, signals)
        except asyncio.CancelledError:
            if not signals.stopping.is_set():
                raise
        log.info("stopped")


async def _serve(settings: Settings, worker: Worker, signals: _Signals) -> None:
    began = time.perf_counter()
    with listening_socket(settings.host, settings.port) as listener:
        address = address_of(settings, listener)
        _say_what_starts(settings, address)
        require_certificate(settings)
        async with running(settings, worker) as parts:
            server = server_of(parts)
            # What is there now stays: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not (server.started or serving.done()):
                await asyncio.sleep(_START_POLL_S)
            signals.started()
            if not parts.tokens.any_operator():
                log.warning("no operator has a token", advice="qoex token create --operator")
            log.info(
                "started",
                address=address,
                seconds=round(time.perf_counter() - began, 3),
                position=parts.intake.registry.position,
                cycle=parts.intake.ledger.cycle,
            )
            systemd.notify("READY=1")
            stop = asyncio.create_task(signals.stopping.wait())
            await asyncio.wait([serving, stop], return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            systemd.notify("STOPPING=1")
            log.info("stopping")
            parts.lifecycle.stopping = True
            parts.engine.publisher.end()  # with it every event stream
            server.should_exit = True
            await serving


class _Signals:
    """Takes the signals that end the agent: the first lets it stop in order, the second not."""

    def __init__(self, worker: Worker) -> None:
        self.stopping = asyncio.Event()
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._starting = asyncio.current_task()

    def __enter__(self) -> Self:
        for number in _ENDING:
            self._loop.add_signal_handler(number, self._handle, number)
        return self

    def __exit__(self, *unused: object) -> None:
        for number in _ENDING:
            self._loop.remove_signal_handler(number)

    def started(self) -> None:
        """Say that from now on somebody waits for ``stopping``."""
        self._starting = None

    def _handle(self, number: signal.Signals) -> None:
        if self.stopping.is_set():
            if self._worker.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._worker.pid, signal.SIGKILL)
            os._exit(128 + number)
        self.stopping.set()
        if self._starting is not None:
            self._starting.cancel()


def _say_what_starts(settings: Settings, address: str) -> None:
    changed = settings.model_dump(mode="json", exclude_defaults=True, exclude={"database"})
    log.info(
        "starting",
        version=VERSION,
        pid=os.getpid(),
        database=Address.parse(settings.database).name,
        settings=changed,
    )
    for name in unknown_variables(os.environ):
        log.warning("a variable sets nothing", variable=name)
    if settings.tls_certificate is None and not settings.on_loopback:
        log.warning(
            "tokens cross the network unencrypted",
            address=address,
            advice="set tls_certificate and tls_key, or put a proxy in front",
        )


def _cycle_settings(settings: Settings) -> CycleSettings:
    return CycleSettings(
        cycle_s=settings.cycle_s or None,
        deadline_s=settings.cycle_deadline_s,
        admit_by=settings.admission,
        admission_most=settings.admission_most,
    )


def _watch(parts: AgentParts, worker: Worker) -> None:
    """Add gauges whose values lie in other parts of the agent."""
    watch = parts.instruments.watch
    intake, engine = parts.intake, parts.engine
    watch("qoex_reports_waiting", "Reports that are not stored yet.", lambda: intake.waiting)
    watch(
        "qoex_log_position",
        "Place of the last report in the log.",
        lambda: intake.registry.position,
    )
    watch("qoex_event_streams", "Event streams that are open.", lambda: parts.streams.total)
    watch("qoex_worker_restarts", "Times the solver was started anew.", lambda: worker.restarts)
    watch("qoex_healthy", "Whether reports can be stored.", lambda: intake.healthy)
    watch("qoex_failed_cycles", "Cycles that could not be stored.", lambda: engine.counts.failed)
    for kind, roster in intake.registry.rosters.items():
        watch(
            f"qoex_active_{kind}s",
            f"{kind.value.capitalize()}s that are active.",
            partial(getattr, roster, "active_count"),
        )


async def _tell(cycles: Subscription, instruments: Instruments) -> None:
    """Write a line for every cycle, and count it."""
    async for item in cycles:
        summary = item.record.summary
        instruments.cycle_ended(summary)
        log.info(
            "cycle",
            number=summary["number"],
            result=summary["result"],
            reason=summary["reason"],
            in_force=summary["in_force"],
            providers=summary["providers"],
            users=summary["users"],
            dropped=summary["dropped"],
            regret_relative=summary["regret_relative"],
            ms=summary["duration_ms"]["total"],
        )


async def _follow_tokens(store: Store, tokens: KnownTokens) -> None:
    """Know of every token that is made or revoked, soon after."""
    version: int | None = None
    failing = False
    while True:
        try:
            newest = await store.tokens_version()
            if newest != version:
                tokens.replace(await store.tokens())
                version = newest
        except StorageError as error:
            if not failing:
                log.warning("tokens cannot be read", error=str(error))
            failing = True
        else:
            failing = False
        await asyncio.sleep(TOKENS_EVERY_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
