from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qoex.experiments.speed.measure as measure
from commands import qoex_command
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.experiments.speed import GOALS, run_benchmark
from qoex.experiments.speed.markets import changed_demands
from qoex.experiments.speed.parts import measure_parts
from qoex.experiments.speed.streaming import Streaming
from qoex.files.parquet.sampling import sample_large_market
from qoex.model.feasibility import frontier_factor
from qoex.model.market import ARRAY_FIELDS

KEYS = {
    "cold_passes", "warm_passes", "cold_sweeps", "warm_sweeps", "regret_relative", "kkt_residual",
    "providers", "users", "seed", "cores", "pass_seconds", "cold_seconds", "warm_seconds",
    "certificate_passes", "sweep_passes", "status", "residual", "alone_share",
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tests of times: what is measured first can be as small as the rest."""
    monkeypatch.setattr(measure, "_USERS_FIRST", 30)


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "-"], ["--json", "--repeat", 1]])
def test_json_is_alone_on_stdout(arguments: list[object]) -> None:
    result = qoex_command("bench", "--providers", 2, "--users", 3, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    data = json.loads(result.stdout)
    assert data.keys() >= KEYS
    assert (data["providers"], data["users"], data["seed"]) == (2, 3, 0)
    assert data["status"] == data["warm_status"] == "converged"
    assert data["goals"] == GOALS
    for name in ("regret_relative", "kkt_residual", "residual"):
        assert 0 <= data[name] < 1e-9
        assert 0 <= data[f"warm_{name}"] < 1e-9
    for name in ("cold_passes", "warm_passes", "pass_seconds", "cold_seconds", "warm_seconds"):
        assert data[name] > 0
    assert data["cold_passes"] >= data["cold_solve_passes"]
    assert sum(data["capacities"].values()) == 4
    assert data["pass_bytes"] == 8 * (3 * 2 * 3 + 3 * 3)


def test_json_into_a_file_beside_tables(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    result = qoex_command(
        "bench", "--providers", 3, "--users", 300, "--seed", 2, "--repeat", 2, "--json", path
    )
    assert (result.exit_code, result.stderr) == (0, f"wrote {path}\n")
    data = json.loads(path.read_text())
    assert (data["providers"], data["users"], data["seed"], data["repeat"]) == (3, 300, 2, 2)
    assert data["changed_users"] == 3
    for words in ("3 providers, 300 users", "≤ 80", "≤ 25", "certificate included", "converged"):
        assert words in result.stdout
    # Of a market as small as this one nothing was promised.
    assert "met" not in result.stdout.split()
    assert max(map(len, result.stdout.split("\n"))) <= 80


@pytest.mark.parametrize("option", ["--providers", "--users", "--repeat"])
def test_there_is_nothing_to_measure(option: str) -> None:
    result = qoex_command("bench", option, 0)
    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_refusals_of_the_function() -> None:
    with pytest.raises(InvalidInputError, match="repeat is 0; it must be one or more"):
        run_benchmark(2, 3, repeat=0)
    with pytest.raises(InvalidInputError, match="users is 0; it must be one or more"):
        run_benchmark(2, 0)
    with pytest.raises(InvalidInputError, match="seed is -1; it must be zero or more"):
        run_benchmark(2, 3, seed=-1)


def test_a_certificate_that_does_not_hold_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "CERTIFIED", -1.0)
    result = qoex_command("bench", "--providers", 1, "--users", 2, "--repeat", 1)
    assert result.exit_code == 1
    assert result.stderr == "a solve failed, or its certificate does not hold\n"
    assert "converged" in result.stdout


@pytest.mark.parametrize(("providers", "users"), [(2, 3), (3, 5000), (1, 1), (2, 300_000)])
def test_a_streaming_pass_reads_every_number_once(providers: int, users: int) -> None:
    market = sample_large_market(providers, users, 1)
    arrays = (
        market.work, market.traffic, market.latency_budget,
        market.profit_factor, market.reward_min, market.reward_max,
    )  # fmt: skip
    streaming = Streaming.over(market)
    assert streaming.total() == pytest.approx(sum(array.sum() for array in arrays), rel=1e-12)
    assert streaming.bytes == 8 * (3 * providers * users + 3 * users)
    assert len(streaming.seconds(3)) == 3


@pytest.mark.parametrize(("providers", "users", "count"), [(2, 3, 1), (1, 1, 1), (4, 1000, 10)])
def test_one_user_in_a_hundred_changes(providers: int, users: int, count: int) -> None:
    market = sample_large_market(providers, users, 4, feasible=True)
    changed, changes = changed_demands(market, 4)
    assert changes == count
    assert (changed.work != market.work).any(axis=0).sum() == count
    assert (frontier_factor(changed) < 1).all()
    for name in set(ARRAY_FIELDS) - {"work", "traffic"}:
        np.testing.assert_array_equal(getattr(changed, name), getattr(market, name))
    assert changed_demands(market, 4)[0] == changed


def test_a_market_without_room_for_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoex.experiments.speed.markets._MOST_LOAD", 0.0)
    with pytest.raises(InvalidInputError, match="3 users has no room for other demands"):
        changed_demands(sample_large_market(2, 3, 0, feasible=True), 0)


def test_parts_of_a_solve() -> None:
    market = sample_large_market(3, 9000, 0, feasible=True)
    parts = measure_parts(market, solve(market))
    assert parts.sweep > 0
    assert parts.settle > 0
    assert parts.alone_share == 0.0  # all are solved together, for nobody's start is bad
