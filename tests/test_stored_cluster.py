"""On a real Dask cluster of two processes a stored market has the same equilibrium, bit by bit."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from distributed import LocalCluster

from certificate_cases import KINDS, random_market
from commands import qoex_command
from market_files import stored
from qoex.equilibrium.solver import solve
from qoex.errors import QoexError, ScenarioError, UnavailableClusterError
from qoex.files.parquet import BLOCK, MarketDirectory
from qoex.game.solution import Solution, Status
from qoex.model.market import Market
from qoex.out_of_core import OnCluster, on_cluster, solve_stored
from stored_markets import check_alike, check_same, check_written, many_users

Many = tuple[Market, Solution, Path]


def local_cluster(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with local_cluster(2) as found:
        yield found


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Many:
    market = many_users()
    return market, solve(market), stored(market, tmp_path_factory.mktemp("many"), 11_000)


@pytest.mark.parametrize("chunks", [None, 1, 3])
def test_a_cluster_does_not_change_a_bit(
    cluster: LocalCluster, many: Many, tmp_path: Path, chunks: int | None
) -> None:
    market, whole, path = many
    opened = MarketDirectory(path)
    hosts = OnCluster(opened, cluster.scheduler_address, chunks)
    try:
        assert len(hosts.firsts) == (chunks or 7)
        assert hosts.firsts[-1] % BLOCK == 0
        assert len(hosts.workers) == 2
        found = solve_stored(opened, hosts=hosts, out=tmp_path / "out")
    finally:
        hosts.close()
    check_same(found, whole)
    check_written(tmp_path / "out", market, whole)
    assert found.verdict.holds(1e-9)
    here = solve_stored(opened, chunks=2)
    assert found.sentence() == here.sentence()
    np.testing.assert_array_equal(found.totals.served_by, here.totals.served_by)
    for name in ("utility", "qoe", "paid", "served"):
        assert getattr(found.totals, name) == getattr(here.totals, name)
    assert found.totals.qoe_spread.quantile(0.5) == here.totals.qoe_spread.quantile(0.5)


def test_marginal_pairs_on_a_cluster(cluster: LocalCluster, tmp_path: Path) -> None:
    for kind in KINDS:
        market = random_market(np.random.default_rng([KINDS.index(kind), 0]), kind)
        whole = solve(market)
        (tmp_path / kind).mkdir()
        opened = MarketDirectory(stored(market, tmp_path / kind))
        hosts = OnCluster(opened, cluster.scheduler_address)
        found = solve_stored(opened, hosts=hosts)
        hosts.close()
        if found.status is not Status.STALLED:
            check_alike(found, whole)


def test_the_command_line(cluster: LocalCluster, many: Many, tmp_path: Path) -> None:
    market, whole, path = many
    address = cluster.scheduler_address
    out = tmp_path / "out"
    result = qoex_command("solve", path, "--cluster", address, "--out", out)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, f"wrote {out}")
    check_written(out, market, whole)
    here = qoex_command("solve", path, "--out", tmp_path / "here")
    without_time = [text.split(" in ")[0] for text in (result.stdout, here.stdout)]
    assert without_time[0] == without_time[1]


def test_what_users_cannot_be_is_said_by_the_worker_that_reads_them(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    path = stored(many_users(2, 9000), tmp_path)
    file = path / "users-00000.parquet"
    frame = pl.read_parquet(file)
    row = pl.int_range(pl.len()) == 8000
    bad = pl.when(row).then(-1.0).otherwise("profit_factor").alias("profit_factor")
    file.unlink()
    frame.with_columns(bad).write_parquet(file)
    with pytest.raises(ScenarioError, match=r"profit_factor of user-8001 \(row 8001\) is -1"):
        OnCluster(MarketDirectory(path), cluster.scheduler_address)


def test_workers_need_the_same_market(
    cluster: LocalCluster, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = many[2]
    monkeypatch.setattr(MarketDirectory, "content", "another one")
    with pytest.raises(UnavailableClusterError) as caught:
        OnCluster(MarketDirectory(path), cluster.scheduler_address)
    message = str(caught.value)
    assert message.startswith(f"{path}: the Dask worker tcp://127.0.0.1:")
    assert message.endswith(
        f" does not find this market at {path}, where all workers need the same files"
    )


def test_workers_need_this_code(
    cluster: LocalCluster, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "_identity", lambda: "0.0.0 0123")
    with pytest.raises(UnavailableClusterError, match="has another version of qoex than this"):
        OnCluster(MarketDirectory(many[2]), cluster.scheduler_address)


def test_workers_have_to_reach_what_is_written(
    cluster: LocalCluster, many: Many, tmp_path: Path
) -> None:
    hosts = OnCluster(MarketDirectory(many[2]), cluster.scheduler_address)
    with pytest.raises(UnavailableClusterError, match=r"^mine: the Dask worker tcp.* not see this"):
        hosts.require_reachable(tmp_path / "not there", "mine")
    hosts.require_reachable(tmp_path, "mine")
    hosts.close()


def test_what_cannot_be_written_is_said(cluster: LocalCluster, many: Many, tmp_path: Path) -> None:
    opened = MarketDirectory(many[2])
    hosts = OnCluster(opened, cluster.scheduler_address)

    def remove(doing: str) -> None:
        for folder in tmp_path.iterdir():
            if doing.endswith("allocating"):
                folder.rmdir()

    with pytest.raises(QoexError, match=r"out: cannot be written \(No such file or directory\)"):
        solve_stored(opened, hosts=hosts, out=tmp_path / "out", progress=remove)
    hosts.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
@pytest.mark.parametrize("moment", ["pass 3", "allocating"])
def test_a_worker_that_dies_is_one_sentence(many: Many, tmp_path: Path, moment: str) -> None:
    opened = MarketDirectory(many[2])
    with local_cluster(2) as mortal:

        def kill_one(doing: str) -> None:
            if moment in doing:
                nanny: Any = next(iter(mortal.workers.values()))
                os.kill(nanny.process.process.pid, signal.SIGKILL)

        hosts = OnCluster(opened, mortal.scheduler_address)
        with pytest.raises(UnavailableClusterError) as caught:
            solve_stored(opened, hosts=hosts, out=tmp_path / "out", progress=kill_one)
        hosts.close()
        assert str(caught.value) == (
            f"a worker of the Dask cluster at {mortal.scheduler_address} was lost, perhaps for "
            "want of memory, and with it the users that it held; start again"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_goes_away_is_one_sentence(many: Many, tmp_path: Path) -> None:
    opened = MarketDirectory(many[2])
    mortal = local_cluster(1)
    address = mortal.scheduler_address

    def stop(doing: str) -> None:
        if doing.startswith("pass 3"):
            mortal.close()

    hosts = OnCluster(opened, address)
    with pytest.raises(UnavailableClusterError, match="was lost"):
        solve_stored(opened, hosts=hosts, out=tmp_path / "out", progress=stop)
    hosts.close()
    assert list(tmp_path.iterdir()) == []


def test_users_that_begin_anew_are_noticed(cluster: LocalCluster, many: Many) -> None:
    hosts = OnCluster(MarketDirectory(many[2]), cluster.scheduler_address)
    hosts.call("floor_load")
    hosts._turns[0] = 0
    with pytest.raises(UnavailableClusterError, match="was lost, perhaps for want of memory"):
        hosts.call("floor_load")
    hosts.close()


def test_levels_of_logging_come_back(cluster: LocalCluster, many: Many) -> None:
    before = logging.getLogger("distributed.client").level
    hosts = OnCluster(MarketDirectory(many[2]), cluster.scheduler_address)
    hosts.close()
    assert logging.getLogger("distributed.client").level == before
