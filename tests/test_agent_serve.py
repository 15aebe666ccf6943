"""``qoex serve`` as a process: it starts, answers, stops when told to, and leaves all in order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent_http import PROVIDER_BODY, user_body
from commands import qoex_command

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0


class Serving:
    """A running ``qoex serve``."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.database = str(folder / "agent.db")
        done = qoex_command("token", "create", "--operator", "--database", self.database)
        self.secret = done.stdout.strip()
        self.log = folder / "agent.log"
        command = [sys.executable, "-m", "qoex", "serve", "--port", "0", "--cycle", "0.2"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--database", self.database],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def address(self) -> str:
        """Wait until it serves; return where."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            for line in self.lines():
                if line["event"] == "started":
                    return str(line["address"])
            time.sleep(0.02)
        raise AssertionError("it did not start")

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.secret}"}
        return httpx.Client(base_url=self.address(), headers=headers, timeout=PATIENCE_S)


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Serving]:
    agent = Serving(folder, **environment)
    try:
        yield agent
    finally:
        agent.process.kill()
        agent.process.wait()


def register(client: httpx.Client) -> None:
    for path, body in (
        ("/v1/providers/asp-1", PROVIDER_BODY),
        ("/v1/users/mu-1", user_body("asp-1")),
    ):
        client.put(path, json=body, headers={"idempotency-key": path}).raise_for_status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_and_goes_on_where_it_was(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as agent:
        with agent.client() as client:
            register(client)
            cycle = client.post("/v1/cycles").raise_for_status().json()
            owed = client.get("/v1/ledger").json()
        agent.process.send_signal(number)
        assert agent.process.wait(PATIENCE_S) == 0
        assert [line["event"] for line in agent.lines()][-2:] == ["stopping", "stopped"]
        assert agent.secret not in agent.log.read_text(encoding="utf-8")
    assert not Path(f"{agent.database}-wal").exists()  # all of it is in the file
    again = tmp_path / "again"
    again.mkdir()
    with serving(again, QOEX_DATABASE=agent.database) as later:
        later.process.kill()
        later.process.wait()
    replayed = qoex_command("replay", agent.database)
    assert replayed.exit_code == 0, replayed.output
    assert cycle["result"] == "decided"
    assert float(owed["total"]) > 0.0


def test_a_stream_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with serving(tmp_path) as agent, agent.client() as client:
        register(client)
        with client.stream("GET", "/v1/events") as stream:
            lines = stream.iter_lines()
            next(line for line in lines if line.startswith("data:"))
            agent.process.send_signal(signal.SIGTERM)
            assert not any(line.startswith("event: error") for line in lines)
        assert agent.process.wait(PATIENCE_S) == 0


def test_what_an_operator_watches(tmp_path: Path) -> None:
    with serving(tmp_path) as agent, agent.client() as client:
        assert client.get("/healthz").status_code == 200
        register(client)
        client.post("/v1/cycles").raise_for_status()
        assert client.get("/readyz").json()["status"] == "ready"
        text = client.get("/metrics", headers={"authorization": ""}).raise_for_status().text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(sample: str, **labels: str) -> float:
        found = [
            item.value
            for family in families.values()
            for item in family.samples
            if item.name == sample and labels.items() <= item.labels.items()
        ]
        assert found, sample
        return sum(found)

    assert value("qoex_cycle_duration_seconds_count") >= 1.0
    assert value("qoex_cycles_total", result="decided") >= 1.0
    assert value("qoex_reports_total") == 2.0
    assert 0.0 <= value("qoex_relative_regret") < 1e-10
    assert value("qoex_capacity_price", provider="asp-1", resource="compute") > 0.0
    assert value("qoex_healthy") == 1.0


def test_two_agents_do_not_run_on_one_database(tmp_path: Path) -> None:
    with serving(tmp_path) as agent:
        agent.address()
        done = subprocess.run(
            [sys.executable, "-m", "qoex", "serve", "--port", "0", "--database", agent.database],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode != 0
    assert "another agent" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "qoex", "serve", "--port", port, "--database", "a.db"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=tmp_path,
        )
    assert done.returncode != 0
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = str(tmp_path / "notify")
        manager.bind(path)
        manager.settimeout(PATIENCE_S)
        with serving(tmp_path, NOTIFY_SOCKET=path) as agent:
            assert manager.recv(100) == b"READY=1"
            agent.process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert agent.process.wait(PATIENCE_S) == 0
