"""What ``qoex bench`` shows: costs in streaming passes, goals beside them, and where they go."""

from __future__ import annotations

import math
from typing import Any

from qoex.cli.render import Column, View, table
from qoex.experiments.speed import GOALS, GOALS_ARE_FOR, Benchmark
from qoex.text.numbers import counted, listed, number, percent


def bench_data(result: Benchmark) -> dict[str, Any]:
    """Return the JSON object: flat, and each cost in passes of ``pass_seconds``."""
    cold, warm = result.cold, result.warm
    return {
        "providers": result.providers,
        "users": result.users,
        "seed": result.seed,
        "repeat": result.repeat,
        "cores": result.cores,
        "ok": result.ok,
        "pass_bytes": result.pass_bytes,
        "pass_seconds": result.pass_seconds,
        "cold_passes": cold.passes,
        "cold_solve_passes": cold.solve_passes,
        "warm_passes": warm.solve_passes,
        "warm_certified_passes": warm.passes,
        "certificate_passes": result.certificate_passes,
        "search_passes": result.search_passes,
        "settle_passes": result.settle_passes,
        "sweep_passes": result.sweep_passes,
        "cold_seconds": cold.seconds,
        "warm_seconds": warm.seconds,
        "cold_cores_used": cold.cores_used,
        "warm_cores_used": warm.cores_used,
        "cold_sweeps": cold.sweeps,
        "warm_sweeps": warm.sweeps,
        "changed_users": result.changed_users,
        "status": cold.status,
        "residual": cold.residual,
        "regret_relative": cold.regret_relative,
        "kkt_residual": cold.kkt_residual,
        "warm_status": warm.status,
        "warm_residual": warm.residual,
        "warm_regret_relative": warm.regret_relative,
        "warm_kkt_residual": warm.kkt_residual,
        "alone_share": result.alone_share,
        "served_share": result.served_share,
        "capacities": result.regimes,
        "goals": GOALS,
    }


def bench_view(result: Benchmark, width: int) -> View:
    """Return the tables and sentences for people."""
    data = bench_data(result)
    rows = [
        ("cold solve, certificate included", "cold_passes"),
        ("  search: all else, mostly sweeps", "search_passes"),
        ("  settling: what providers answer", "settle_passes"),
        ("  certificate", "certificate_passes"),
        ("warm solve", "warm_passes"),
        ("warm solve, certificate included", "warm_certified_passes"),
        ("one sweep, at the solution", "sweep_passes"),
    ]
    solves = [result.cold, result.warm]
    capacities = [f"{count} {regime}" for regime, count in result.regimes.items() if count]
    providers, users = GOALS_ARE_FOR
    seconds = number(1e3 * result.pass_seconds, 3)
    size = number(result.pass_bytes / 1e6, 3)
    changed = counted(result.changed_users, "user")
    return [
        f"{counted(result.providers, 'provider')}, {counted(result.users, 'user')}, "
        f"seed {result.seed}, {counted(result.cores, 'core')}",
        f"Of the capacities {listed(capacities)}; {percent(result.served_share)} of the pairs "
        "have QoE.",
        f"One streaming pass reads {size} MB in {seconds} ms.",
        "",
        table(
            [
                Column("cost, in streaming passes", [name for name, _ in rows], text=True),
                Column("passes", [number(data[key], 3) for _, key in rows]),
                Column("goal", [_goal(key) for _, key in rows]),
                Column("", [_verdict(result, key, data[key]) for _, key in rows], text=True),
            ],
            width,
        ),
        "",
        table(
            [
                Column("", ["cold", "warm"], text=True),
                Column("seconds", [number(item.seconds, 3) for item in solves]),
                Column("cores\nused", [f"{item.cores_used:.2f}" for item in solves]),
                Column("sweeps", [str(item.sweeps) for item in solves]),
                Column("residual", [f"{item.residual:.1e}" for item in solves]),
                Column("regret,\nrelative", [f"{item.regret_relative:.1e}" for item in solves]),
                Column("KKT\nresidual", [f"{item.kkt_residual:.1e}" for item in solves]),
                Column("status", [item.status for item in solves], text=True),
            ],
            width,
        ),
        "",
        f"Medians of {counted(result.repeat, 'solve')} of each kind; seconds are with certificate. "
        f"Warm: {changed} of {result.users} changed demands.",
        f"Goals are for {providers} providers and {users} users; a small market costs what Python "
        "and threads cost.",
    ]


def _goal(key: str) -> str:
    return f"≤ {GOALS[key]:g}" if key in GOALS else ""


def _verdict(result: Benchmark, key: str, passes: float) -> str:
    if key not in GOALS or result.providers * result.users < math.prod(GOALS_ARE_FOR):
        return ""
    return "met" if passes <= GOALS[key] else "missed"
