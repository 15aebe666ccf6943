"""The benchmark of a running agent: that it runs at a size that takes no time, and its page."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

# The benchmark is no part of the package; it lies beside the others.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from agent.__main__ import main
from agent.fleet import Fleet
from agent.measure import Row
from agent.page import page

ROW = Row(
    providers=10,
    users=10_000,
    cycle_seconds=1.0,
    seconds=300.0,
    reports=300_000,
    reports_per_second=1000.0,
    failed=0,
    statuses={"200": 300_000},
    latency_p50=5.0,
    latency_p99=49.0,
    latency_p999=80.0,
    latency_max=100.0,
    registration_seconds=2.0,
    cycles=300,
    kept=0,
    cycle_p50=200.0,
    cycle_p99=450.0,
    cycle_max=600.0,
    phases_p50={"solve": 50.0},
    regret_relative=1e-16,
    kkt_residual=1e-15,
    memory=[(1.0, 200.0, 150.0)],
    memory_per_hour=0.0,
    memory_per_hour_error=1.0,
    database=100.0,
    restart_seconds=2.0,
    restart_after_kill_seconds=2.5,
)


def verdicts(row: Row) -> list[str]:
    """Return the last column of the table of goals."""
    lines = page(row, cores=2).split("| --- | ---: | ---: | --- |\n")[1].splitlines()
    return [line.split("|")[-2].strip() for line in lines if line.startswith("|")]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"reports_per_second": 900.0}),
        (0, {"failed": 1}),
        (1, {"latency_p99": 51.0}),
        (2, {"cycle_p99": 501.0}),
        (3, {"restart_seconds": 3.1}),
        (4, {"restart_after_kill_seconds": 3.1}),
    ],
)
def test_the_page_says_what_is_met_and_what_is_missed(place: int, change: dict[str, float]) -> None:
    assert verdicts(ROW) == ["yes"] * 5
    assert verdicts(replace(ROW, **change)) == [  # type: ignore[arg-type]
        "no" if i == place else "yes" for i in range(5)
    ]


def test_the_fleet_is_the_same_for_a_seed_and_reports_of_its_own_nodes() -> None:
    fleet, again = Fleet(3, 20, seed=4), Fleet(3, 20, seed=4)
    reports = [fleet.report() for _ in range(500)]
    assert reports == [again.report() for _ in range(500)]
    paths = {f"/v1/users/{name}" for name in fleet.users}
    paths |= {f"/v1/providers/{name}/links" for name in fleet.providers}
    assert {path for _, path, _ in reports} <= paths
    assert {method for method, _, _ in reports} == {"PATCH", "PUT", "DELETE"}


@pytest.mark.slow
def test_a_small_run(tmp_path: Path) -> None:
    chosen = ["--providers", "3", "--users", "40", "--rate", "50", "--seconds", "3"]
    assert main([*chosen, "--cycle", "0.5", "--output", str(tmp_path)]) == 0
    row = json.loads((tmp_path / "agent.json").read_text(encoding="utf-8"))
    assert row["reports"] == 150
    assert row["failed"] == 0
    assert row["cycles"] >= 3
    assert row["kept"] == 0
    assert 0.0 < row["latency_p50"] <= row["latency_p99"] <= row["latency_max"]
    assert row["regret_relative"] < 1e-10
    assert (tmp_path / "agent.png").read_bytes().startswith(b"\x89PNG")
    assert "| reports a second |" in (tmp_path / "agent.md").read_text(encoding="utf-8")
