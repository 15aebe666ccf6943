"""A real Dask cluster of two workers gives the same rows, or one sentence on why it cannot."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, KilledWorker, LocalCluster

import qoex.cluster.connection
from commands import qoex_command
from qoex.errors import UnavailableClusterError
from qoex.experiments import cluster as module
from qoex.experiments.provenance import provenance
from qoex.experiments.runners import ClusterRunner, LocalRunner
from qoex.experiments.running import Runner, run_studies
from qoex.experiments.study import Row
from qoex.experiments.tables import read_manifest, read_table
from small_studies import SMALL, Digits


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as found:
        yield found


@pytest.fixture
def runner(cluster: LocalCluster) -> Iterator[ClusterRunner]:
    with Client(cluster) as client:  # a test before may have killed a worker
        client.wait_for_workers(2)
    found = ClusterRunner(cluster.scheduler_address)
    yield found
    found.close()


def test_two_workers_give_the_rows_of_this_machine(runner: ClusterRunner, tmp_path: Path) -> None:
    runners: dict[str, Runner] = {
        "one": LocalRunner(1),
        "two": LocalRunner(2, patience=0.0),
        "dask": runner,
    }
    frames = {
        name: run_studies([SMALL], tmp_path / name, range(6), who)["small"]
        for name, who in runners.items()
    }
    assert frames["one"].height == 24
    assert frames["one"].equals(frames["two"])
    assert frames["one"].equals(frames["dask"])
    files = {(tmp_path / name / "small.parquet").read_bytes() for name in frames}
    assert len(files) == 1
    run = read_manifest(tmp_path / "dask", "small")["runs"][0]
    assert (run["runner"], run["workers"]) == ("dask", 2)
    assert "versions_of_workers" not in run  # they are those of this process


def test_the_command_line_takes_the_scheduler_s_address(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    file = tmp_path / "small.toml"
    file.write_text('vary = "users"\nvalues = [2, 5]\nschemes = ["token"]\n', encoding="utf-8")
    address = cluster.scheduler_address
    on_cluster = qoex_command(
        "sweep", file, "-o", tmp_path / "a", "--seeds", 4, "--cluster", address
    )
    here = qoex_command("sweep", file, "-o", tmp_path / "b", "--seeds", 4, "--jobs", 1)
    assert (on_cluster.exit_code, here.exit_code) == (0, 0)
    assert on_cluster.stdout == here.stdout
    assert read_table(tmp_path / "a", "small").equals(read_table(tmp_path / "b", "small"))


def test_an_interrupted_run_goes_on_elsewhere(runner: ClusterRunner, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    study = Digits(seconds=0.01)
    with pytest.raises(KeyboardInterrupt):
        run_studies([study], tmp_path, range(40), runner, progress=interrupt)
    there = set(read_table(tmp_path, "digits")["seed"])
    assert len(there) == 4
    frame = run_studies([study], tmp_path, range(8), LocalRunner(1))["digits"]
    assert set(frame["seed"]) == {*range(8)} | there
    assert frame.to_dicts() == [r for s in frame["seed"].unique().sort() for r in Digits().rows(s)]


def test_a_worker_that_dies_costs_no_row(
    cluster: LocalCluster, runner: ClusterRunner, tmp_path: Path
) -> None:
    def kill_one(done: int, total: int) -> None:
        if done == 30:
            nanny = next(iter(cluster.workers.values()))
            os.kill(nanny.process.process.pid, signal.SIGKILL)

    study = Digits(seconds=0.005)
    frame = run_studies([study], tmp_path, range(60), runner, progress=kill_one)["digits"]
    assert frame.to_dicts() == [row for seed in range(60) for row in Digits().rows(seed)]


@dataclass(frozen=True)
class Faulty(Digits):
    """A study that cannot be computed by others than this process."""

    def rows(self, seed: int) -> Sequence[Row]:
        raise ImportError("No module named 'secret'")


def test_a_task_that_fails_there_is_one_sentence(runner: ClusterRunner, tmp_path: Path) -> None:
    with pytest.raises(UnavailableClusterError) as caught:
        run_studies([Digits(), Faulty(name="faulty")], tmp_path, range(3), runner)
    assert str(caught.value) == (
        f"a worker of the Dask cluster at {runner._cluster.address} failed; each needs qoex and "
        "all that it needs (ImportError: No module named 'secret')"
    )
    assert read_table(tmp_path, "faulty").height == 0


def test_workers_of_other_code_are_refused(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "code_identity", lambda: "0.0.0 0123")
        with pytest.raises(UnavailableClusterError) as early:
            ClusterRunner(cluster.scheduler_address)
    late = ClusterRunner(cluster.scheduler_address)
    with monkeypatch.context() as patch:  # as if workers came after the check
        patch.setattr(module, "code_identity", lambda: "0.0.0 0123")
        with pytest.raises(UnavailableClusterError) as later:
            run_studies([Digits()], tmp_path, range(3), late)
    late.close()
    for caught in (early, later):
        message = str(caught.value)
        assert message.startswith("the Dask worker tcp://127.0.0.1:")
        assert message.endswith(" has another version of qoex than this machine")


def test_other_versions_of_packages_are_told_in_the_manifest(
    runner: ClusterRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = provenance()["versions"]
    here = {"versions": {**versions, "numpy": "1.0"}}
    monkeypatch.setattr(module, "provenance", lambda: here)
    assert runner.description() == {
        "runner": "dask",
        "workers": 2,
        "versions_of_workers": [versions],
    }


def test_logging_is_silent_only_until_it_is_closed(cluster: LocalCluster) -> None:
    logger = logging.getLogger("distributed.client")
    before = logger.level
    runner = ClusterRunner(cluster.scheduler_address)
    assert not logger.isEnabledFor(logging.ERROR)
    runner.close()
    assert logger.level == before


def test_a_cluster_without_workers_is_one_sentence() -> None:
    with LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        address = empty.scheduler_address
        with pytest.raises(UnavailableClusterError) as caught:
            ClusterRunner(address)
        assert str(caught.value) == f"the Dask cluster at {address} has no workers"


def test_a_cluster_that_goes_away_is_one_sentence(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 9:
            closing.start()

    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    )
    closing = threading.Thread(target=cluster.close)
    runner = ClusterRunner(cluster.scheduler_address)
    study = Digits(seconds=0.02)
    with pytest.raises(UnavailableClusterError) as caught:
        run_studies([study], tmp_path, range(500), runner, progress=stop)
    runner.close()
    closing.join()
    address = runner._cluster.address
    assert str(caught.value) == f"the connection to the Dask cluster at {address} was lost"
    frame = read_table(tmp_path, "digits")
    assert frame.height >= 9
    assert frame.to_dicts() == [r for s in frame["seed"].unique().sort() for r in Digits().rows(s)]


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of what takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def refused_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["refused", "mute"])
def test_a_scheduler_that_does_not_answer_is_one_sentence(
    kind: str, mute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qoex.cluster.connection, "_PATIENCE", 0.5)
    address = mute if kind == "mute" else refused_port()
    file = tmp_path / "small.toml"
    file.write_text('vary = "users"\nvalues = [2]\nschemes = ["token"]\n', encoding="utf-8")
    result = qoex_command("sweep", file, "-o", tmp_path / "out", "--cluster", address)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: no Dask scheduler answers at {address}\n"
    assert not (tmp_path / "out").exists()


def test_inside_a_notebook_s_loop_it_is_the_same_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cell() -> None:
        ClusterRunner(refused_port())

    monkeypatch.setattr(qoex.cluster.connection, "_PATIENCE", 0.1)
    with pytest.raises(UnavailableClusterError, match="no Dask scheduler answers at "):
        asyncio.run(cell())


def test_a_task_that_kills_worker_after_worker_is_one_sentence(runner: ClusterRunner) -> None:
    def ask() -> None:
        raise KilledWorker("compute", None, 4)

    with pytest.raises(UnavailableClusterError) as caught:
        runner._cluster.result(ask)
    assert str(caught.value) == (
        f"workers of the Dask cluster at {runner._cluster.address} died again and again over the "
        "same task"
    )


@pytest.mark.parametrize("address", ["", "here", "tcp://host", "http://host:1", "tcp://a b:1"])
def test_what_is_no_address_is_said_at_once(address: str) -> None:
    with pytest.raises(UnavailableClusterError) as caught:
        ClusterRunner(address)
    expected = f"{address!r} is not the address of a Dask scheduler, such as tcp://host:8786"
    assert str(caught.value) == expected


def test_a_worker_is_no_scheduler(cluster: LocalCluster) -> None:
    nanny: Any = next(iter(cluster.workers.values()))
    with pytest.raises(UnavailableClusterError, match="is not a Dask scheduler"):
        ClusterRunner(nanny.worker_address)


def test_without_the_package_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnavailableClusterError, match=r"pip install 'qoex\[cluster\]'"):
        ClusterRunner("tcp://127.0.0.1:1")
