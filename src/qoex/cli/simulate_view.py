"""What ``qoex simulate`` shows: the fleet while it lives, and what it came to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from qoex.cli.render import Column, View, table
from qoex.cli.terminal import notice, width
from qoex.fleet import POLICIES, FleetSettings, FleetStep, Record
from qoex.fleet.settings import HOUR
from qoex.text.numbers import column, counted, number, percent

_LINE_INTERVAL = 10.0  # seconds between two lines of a log
_LATE = 0.5  # seconds behind its clock from which on that is worth saying


@contextmanager
def watching(heading: Sequence[str] = ()) -> Iterator[Callable[[FleetStep], None]]:
    """Show each step on stderr: live on a terminal, a line now and then in a log.

    Args:
        heading: lines that stay above it on a terminal.

    Yields:
        What is to be told each step.
    """
    if not sys.stderr.isatty():
        yield _StepNowAndThen()
        return
    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    with Live(Group(*heading), console=console, transient=True, refresh_per_second=4) as live:
        yield lambda step: live.update(Group(*heading, step_line(step), "", _now(step)))


class _StepNowAndThen:
    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_INTERVAL

    def __call__(self, step: FleetStep) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_INTERVAL
            notice(step_line(step))


def step_line(step: FleetStep) -> str:
    """Return a step in one line."""
    hours, minutes = divmod(int(step.time) // 60, 60)
    parts = [
        f"{hours}:{minutes:02d} h simulated",
        counted(step.users, "user"),
        counted(step.providers, "provider"),
        f"cycle {step.cycle.number} {step.cycle.result}",
    ]
    total = step.cycle.duration_ms.get("total")
    if step.cycle.reason:
        parts[-1] += f" ({step.cycle.reason})"
    elif total is not None:
        parts[-1] += f" in {number(total, 3)} ms"
    if step.late > _LATE:
        parts.append(f"{number(step.late, 2)} s late")
    return ", ".join(parts)


def _now(step: FleetStep) -> Table:
    scores = [step.scores[policy] for policy in POLICIES]
    return table(
        [
            Column("re-solved", POLICIES, text=True),
            Column("mean QoE\nms", column([item.qoe / max(step.users, 1) for item in scores])),
            Column("payments\nmoney", column([item.payments for item in scores])),
            Column("without\nQoE", [str(item.unserved) for item in scores]),
        ],
        width(),
    )


def summary_view(record: Record, settings: FleetSettings, columns: int) -> View:
    """Return the summary of a simulation of at least one step."""
    totals = [record.totals(policy) for policy in POLICIES]
    hours = record.times[-1]
    users = number(sum(record.users) / record.steps, 3)
    kept = "".join(f", {count} kept ({reason})" for reason, count in sorted(record.kept.items()))
    median, tail = record.cycle_ms(0.5), record.cycle_ms(0.99)
    view: View = [
        f"{counted(settings.providers, 'provider')}, {users} users on average, seed "
        f"{settings.seed}: {number(hours, 3)} simulated hours in steps of "
        f"{number(settings.step)} s, {counted(record.lines, 'report')}",
        f"{record.steps - record.kept.total()} cycles decided{kept}"
        + (
            ""
            if median is None or tail is None
            else f"; a cycle took {number(median, 3)} ms (median), {number(tail, 3)} ms (p99)"
        ),
        "",
        table(
            [
                Column("re-solved", POLICIES, text=True),
                Column("total QoE\nms", column([item.qoe_sum for item in totals])),
                Column("mean QoE\nms", column([item.qoe_mean for item in totals])),
                Column("without\nQoE", [percent(item.unserved) for item in totals]),
                Column("payments\nmoney", column([item.payments for item in totals])),
                Column("user\nutility", column([item.user_utility for item in totals])),
                Column("provider\nutility", column([item.provider_utility for item in totals])),
            ],
            columns,
        ),
        "",
        "QoE and utilities are means over time: the total over users (providers: over all of "
        "them), the others per user. Payments are the sum over all cycles. Every policy is valued "
        "in the fleet as it really was.",
    ]
    if hours * HOUR < HOUR:
        view.append("In less than an hour, hourly is the same as never.")
    return view
