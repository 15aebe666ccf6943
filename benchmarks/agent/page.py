"""The page and the picture: what was asked for, and what was measured."""

from __future__ import annotations

from pathlib import Path

from .measure import Row

RATE_GOAL, LATENCY_GOAL, CYCLE_GOAL, RESTART_GOAL = 1000.0, 50.0, 500.0, 3.0


def page(row: Row, cores: int) -> str:
    """Return the page in Markdown."""
    goals = [
        ("reports a second", f"{row.reports_per_second:.0f}", f"{RATE_GOAL:.0f}",
         row.reports_per_second >= 0.99 * RATE_GOAL and row.failed == 0),
        ("99 % of reports acknowledged within", f"{row.latency_p99:.1f} ms",
         f"{LATENCY_GOAL:.0f} ms", row.latency_p99 <= LATENCY_GOAL),
        ("99 % of cycles, snapshot to commit, within", f"{row.cycle_p99:.0f} ms",
         f"{CYCLE_GOAL:.0f} ms", row.cycle_p99 <= CYCLE_GOAL),
        ("start to first decision, after a stop", f"{row.restart_seconds:.2f} s",
         f"{RESTART_GOAL:.0f} s", row.restart_seconds <= RESTART_GOAL),
        ("start to first decision, after `kill -9`", f"{row.restart_after_kill_seconds:.2f} s",
         f"{RESTART_GOAL:.0f} s", row.restart_after_kill_seconds <= RESTART_GOAL),
    ]  # fmt: skip
    table = "\n".join(
        f"| {what} | {measured} | {goal} | {'yes' if met else 'no'} |"
        for what, measured, goal, met in goals
    )
    phases = ", ".join(f"{name} {value:.0f}" for name, value in row.phases_p50.items())
    statuses = ", ".join(f"{status}: {count}" for status, count in row.statuses.items())
    answering, solving = row.memory[-1][1:] if row.memory else (float("nan"), float("nan"))
    return f"""# The agent under load

This page is written by `benchmarks/agent/`, numbers included; do not edit it.

![Latency of reports, cycle time and memory](agent.svg)

{row.users} users and {row.providers} providers of the paper's Table III are registered over HTTP,
and then report at a fixed rate for {row.seconds:.0f} s, one report a request, while the market is
solved again every {row.cycle_seconds:g} s. Of a hundred reports, 70 change a demand, 26 an SNR, and
4 let a user leave or come back. Latency counts from the moment at which a report was due to its
acknowledgement, when it is on disk. Agent, solver, database and the generator of the load share
{cores} cores.

| what | measured | asked for | met |
| --- | ---: | ---: | --- |
{table}

* **Reports**: {row.reports} in {row.seconds:.0f} s, {row.failed} failed; median
  {row.latency_p50:.1f} ms, 99.9 % within {row.latency_p999:.0f} ms, the longest
  {row.latency_max:.0f} ms. Answers by status: {statuses}
  (404 and 409: a report for a user who had just left).
* **Cycles**: {row.cycles}, of which {row.kept} kept the decision before. Median
  {row.cycle_p50:.0f} ms, the longest {row.cycle_max:.0f} ms; median by phase, ms: {phases}. Largest
  relative regret {row.regret_relative:.1e}, largest residual of a provider's conditions
  {row.kkt_residual:.1e}.
* **Memory**: {answering:.0f} MiB where reports are answered and {solving:.0f} MiB where the market
  is solved. Growth over the last two thirds of the run: {row.memory_per_hour:+.0f} ±
  {row.memory_per_hour_error:.0f} MiB per hour (one standard error), a straight line through
  {row.seconds * 2 / 3 / 60:.1f} minutes; an hour was not waited for.
* **Registration** of all by bulk requests: {row.registration_seconds:.1f} s. The database has
  {row.database:.0f} MiB at the end.

## Renew this page

```text
.venv/bin/python -m benchmarks.agent --seconds {row.seconds:g}
```

takes {row.seconds / 60 + 1:.0f} minutes; `--seconds 20` is for a first look. The numbers are in
[agent.json](agent.json).
"""


def draw(row: Row, latency: list[tuple[float, float]], folder: Path) -> None:
    """Write ``agent.svg`` and ``agent.png``: latency, cycle time and memory over time."""
    import matplotlib as mpl

    mpl.use("agg")
    import numpy as np
    from matplotlib import pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    seconds = np.array([due for due, _ in latency])
    values = np.array([value for _, value in latency]) * 1e3
    each = np.floor(seconds).astype(int)
    for share, shade in ((50, "0.6"), (99, "tab:blue")):
        line = [np.percentile(values[each == s], share) for s in np.unique(each)]
        upper.plot(np.unique(each), line, color=shade, linewidth=1, label=f"{share} % within")
    upper.axhline(LATENCY_GOAL, color="tab:red", linewidth=0.8, linestyle=":", label="goal")
    upper.set(yscale="log", ylabel="latency of a report, ms")
    upper.yaxis.set_major_formatter("{x:g}")
    upper.yaxis.set_minor_formatter("{x:g}")
    upper.legend(frameon=False, loc="upper right", ncols=3)
    at, answering, solving = np.array(row.memory).T
    lower.plot(at, answering, color="tab:blue", label="answering")
    lower.plot(at, solving, color="tab:orange", label="solving")
    lower.set(xlabel="s", ylabel="resident memory, MiB", ylim=(0, None))
    lower.legend(frameon=False, loc="lower right", ncols=2)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    for ending in ("svg", "png"):
        figure.savefig(folder / f"agent.{ending}", dpi=110)
    plt.close(figure)
