"""The agent as a process of its own: started, asked, watched and killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

START_PATIENCE = 60.0


@dataclass
class Memory:
    """Resident memory of the agent's processes, MiB: the one that answers and its solver."""

    answering: float
    solving: float


class RunningAgent:
    """A ``qoex serve`` on a free port of this machine, with its own database.

    Args:
        folder: for database and log.
        cycle: seconds between cycles.
    """

    def __init__(self, folder: Path, cycle: float) -> None:
        self.database = folder / "agent.db"
        self.cycle = cycle
        self.host, self.port = "127.0.0.1", _free_port()
        self.log = folder / "agent.log"
        self.token = self._new_token()
        self.started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            base_url=f"http://{self.host}:{self.port}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=120.0,
        )

    def start(self) -> Self:
        """Start it, and return once it says that it is ready."""
        command = [sys.executable, "-m", "qoex", "serve", "--database", str(self.database)]
        command += ["--host", self.host, "--port", str(self.port), "--cycle", str(self.cycle)]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.started_at = time.time()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        patience = time.monotonic() + START_PATIENCE
        while time.monotonic() < patience:
            if self._process.poll() is not None:
                break
            try:
                if self.http.get("/readyz").status_code == httpx.codes.OK:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.01)
        raise RuntimeError(f"the agent did not start: {self.log.read_text()[-2000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal and wait."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def newest_cycle(self) -> dict[str, Any] | None:
        """Return the summary of the newest cycle."""
        cycles = self.cycles(1)
        return cycles[0] if cycles else None

    def cycles(self, most: int) -> list[dict[str, Any]]:
        """Return the summaries of the newest cycles, newest first, 100 at most."""
        answer = self.http.get("/v1/cycles", params={"limit": most}).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["cycles"]
        return found

    def listen(self, seen: list[dict[str, Any]]) -> threading.Thread:
        """Collect every cycle from now on as it is published, until the agent ends."""

        def run() -> None:
            with (
                contextlib.suppress(httpx.TransportError),
                self.http.stream("GET", "/v1/events", timeout=None) as stream,
            ):
                lines = (line for line in stream.iter_lines() if line.startswith("data:"))
                seen.extend(json.loads(line[5:]) for line in lines)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def memory(self) -> Memory:
        """Return the resident memory of the process and of its children."""
        assert self._process is not None
        pid = self._process.pid
        tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return Memory(_resident(pid), sum(_resident(int(child)) for child in tasks))

    def _new_token(self) -> str:
        command = [sys.executable, "-m", "qoex", "token", "create", "--operator"]
        command += ["--database", str(self.database)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _resident(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024.0
    except FileNotFoundError:
        pass
    return 0.0
