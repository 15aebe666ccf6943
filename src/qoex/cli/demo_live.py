"""``qoex demo --live``: agent, fleet and dashboard until Ctrl-C, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from urllib.parse import quote

from qoex.agent.storage import Store
from qoex.agent.tokens import Role, new_token
from qoex.cli.simulate_view import watching
from qoex.cli.terminal import busy, notice, show
from qoex.client import AgentError, Client, Retries
from qoex.errors import QoexError
from qoex.fleet import Cycles, FleetSettings, Simulation

CYCLE_SECONDS = 1.0
FLEET = FleetSettings(users=30, providers=4, arrivals=30.0)
# A simulated minute passes in every cycle, so that something happens while one looks.
SPEEDUP = 60.0

_START_SECONDS = 120.0  # a machine that never ran qoex compiles the kernels first
_STOP_SECONDS = 15.0
_POLL = 0.1  # seconds
_LOG_LINES = 5  # of the agent's log that are shown if it ends


def demo_live(*, open_page: bool) -> None:
    """Run an agent on a free port of this machine and let a fleet live on it, until Ctrl-C.

    Args:
        open_page: whether to open the dashboard in a browser.

    Raises:
        QoexError: the agent does not start, or ends.
    """
    # A polite end and a closed terminal clean up as Ctrl-C does.
    polite = _handled((signal.SIGTERM, signal.SIGHUP), _interrupt)
    with polite, TemporaryDirectory(prefix="qoex-demo-") as folder:
        try:
            secret = asyncio.run(_operator_token(Path(folder) / "agent.db"))
            with _agent(Path(folder)) as (address, process):
                with busy("starting the agent"):
                    _wait_until_ready(address, secret, process, Path(folder))
                page = f"{address}/#token={quote(secret)}"
                # In one line however wide the terminal is, so that it can be copied.
                print(f"Dashboard: {page}", flush=True)
                show(["Ctrl-C ends the demo; nothing stays behind."])
                if open_page:
                    webbrowser.open(page)
                _live(address, secret)
        except KeyboardInterrupt:
            notice("ended")


def _live(address: str, secret: str) -> None:
    with (
        Client(address, secret) as client,
        Simulation(client, FLEET, speedup=SPEEDUP, cycles=Cycles.OWN) as simulation,
        watching() as tell,
    ):
        for step in simulation.steps():
            tell(step)


async def _operator_token(database: Path) -> str:
    """Make the database, and a token that opens everything of it."""
    token, secret = new_token(Role.OPERATOR, created_at=datetime.now(UTC), label="demo")
    async with await Store.open(database) as store:
        await store.create_token(token)
    return secret


@contextmanager
def _agent(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run an agent on the database of a folder; yield its address and process."""
    port = _free_port()
    # Settings of the agent that somebody runs elsewhere are not to reach this one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("QOEX_")}
    environment |= {
        "QOEX_DATABASE": str(folder / "agent.db"),
        "QOEX_PORT": str(port),
        "QOEX_CYCLE_S": str(CYCLE_SECONDS),
        "QOEX_LOG_FORMAT": "console",
    }
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "qoex", "serve"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches only this process, which lets the fleet leave before the agent stops.
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN):
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the process that solves
                process.wait()


def _wait_until_ready(
    address: str, secret: str, process: subprocess.Popen[bytes], folder: Path
) -> None:
    until = time.monotonic() + _START_SECONDS
    with Client(address, secret, retries=Retries(attempts=1)) as client:
        while True:
            if process.poll() is not None:
                raise QoexError(f"the agent ended at once: {_last_lines(folder)}")
            try:
                client.ready()
            except AgentError as error:
                if time.monotonic() > until:
                    raise QoexError(
                        f"the agent was not ready within {_START_SECONDS:g} seconds: {error}"
                    ) from None
            else:
                return
            time.sleep(_POLL)


def _last_lines(folder: Path) -> str:
    log = (folder / "agent.log").read_text(encoding="utf-8", errors="replace")
    return " | ".join(log.strip().splitlines()[-_LOG_LINES:]) or "it said nothing"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _handled(
    numbers: Iterable[signal.Signals],
    handler: signal.Handlers | Callable[[int, FrameType | None], None],
) -> Iterator[None]:
    """Let signals be handled another way for a while."""
    usual = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in usual.items():
            signal.signal(number, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
