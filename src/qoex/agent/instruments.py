"""What Prometheus reads of the agent. Labels take few values, however many nodes there are.

Prices and use are read from the last cycle's summary whenever somebody asks, so that the series of
a provider that left are gone; beyond ``MOST_PROVIDERS`` only the first of them by name have any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from qoex.agent.reports.entries import CycleResult, EntryKind, NodeKind
from qoex.agent.reports.kept import CycleEnding
from qoex.agent.reports.lines import FORMS
from qoex.agent.solving.recording import VERSION

MOST_PROVIDERS = 1_000
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CYCLE_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)

# When a counter was made says nothing; without these series there are half as many.
disable_created_metrics()  # type: ignore[no-untyped-call]

Summary = Mapping[str, Any]


class Instruments:
    """All metrics of one agent, in a registry of their own.

    Attributes:
        unauthenticated: requests without a valid token.
        commit_seconds: time from the first report of a batch to its place on the disk.
        events_dropped: event streams ended because their readers were too slow.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        registry = self._registry
        Info("qoex_build", "Version of qoex.", registry=registry).info({"version": VERSION})
        reports = Counter(
            "qoex_reports",
            "Reports, by what they do and what became of them: accepted, replayed or refused.",
            ("node_kind", "kind", "result"),
            registry=registry,
        )
        self._answers = Counter(
            "qoex_http_answers", "Answers over HTTP, by status.", ("status",), registry=registry
        )
        self.unauthenticated = Counter(
            "qoex_unauthenticated_requests", "Requests without a valid token.", registry=registry
        )
        self._cycles = Counter(
            "qoex_cycles",
            "Update cycles, by result; reason is how a cycle ended that kept the last decision.",
            ("result", "reason"),
            registry=registry,
        )
        # From the start on, for what a series counted before its first value is lost to rate().
        for ending in CycleEnding:
            self._cycles.labels(*_labels(ending))
        self._cycle_seconds = Histogram(
            "qoex_cycle_duration_seconds",
            "Time of a cycle from snapshot to commit.",
            buckets=_CYCLE_SECONDS,
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "qoex_commit_duration_seconds",
            "Time that a batch of reports takes to be on the disk.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self.events_dropped = Counter(
            "qoex_event_streams_dropped",
            "Event streams that were ended because their readers were too slow.",
            registry=registry,
        )
        self._latest = _LatestCycle()
        registry.register(self._latest)
        self._report_children = {
            (node_kind, kind, result): reports.labels(node_kind.value, kind.value, result)
            for node_kind, kind in FORMS
            for result in ("accepted", "replayed", "refused")
        }
        self._answer_children: dict[int, Counter] = {}

    def reported(self, node_kind: NodeKind, kind: EntryKind, result: str, count: int = 1) -> None:
        """Count reports.

        Args:
            node_kind: side of the market.
            kind: what they do.
            result: "accepted", "replayed" or "refused".
            count: how many.

        """
        self._report_children[node_kind, kind, result].inc(count)

    def answered(self, status: int) -> None:
        """Count an answer; status 0 is a client that was gone before it."""
        child = self._answer_children.get(status)
        if child is None:
            child = self._answer_children[status] = self._answers.labels(str(status))
        child.inc()

    def cycle_ended(self, summary: Summary) -> None:
        """Note a cycle's summary."""
        self._cycles.labels(*_labels(CycleEnding(summary["ending"]))).inc()
        total = summary["duration_ms"].get("total")
        if total is not None:
            self._cycle_seconds.observe(total / 1e3)
        self._latest.note(summary)

    def restored(self, cycle: Summary, decided: Summary | None) -> None:
        """Show the last cycle before a restart, and the one whose decision is in force."""
        for summary in (decided, cycle):
            if summary is not None:
                self._latest.note(summary)

    def watch(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is asked for whenever somebody reads the metrics."""
        Gauge(name, documentation, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text form; takes a while with many providers."""
        return generate_latest(self._registry)


def _labels(ending: CycleEnding) -> tuple[str, str]:
    if ending is CycleEnding.DECIDED:
        return CycleResult.DECIDED.value, ""
    return CycleResult.KEPT.value, ending.value


class _LatestCycle(Collector):
    """Gauges of the last cycle, and of the capacities of the last decision."""

    def __init__(self) -> None:
        self._cycle: Summary | None = None
        self._decided: Summary | None = None

    def note(self, summary: Summary) -> None:
        """Remember a summary."""
        self._cycle = summary
        if summary["result"] == CycleResult.DECIDED:
            self._decided = summary

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all gauges."""
        cycle, decided = self._cycle, self._decided
        if cycle is not None:
            in_force = cycle["in_force"]
            for name, documentation, value in (
                ("cycle", "Number of the last cycle.", cycle["number"]),
                ("cycle_in_force", "Cycle whose decision is in force; 0: none.", in_force or 0),
                ("providers", "Providers in the last cycle.", cycle["providers"]),
                ("users", "Users in the last cycle.", cycle["users"]),
                ("demands_dropped", "Demands that admission turned away.", cycle["dropped"]),
            ):
                yield GaugeMetricFamily(f"qoex_{name}", documentation, value=float(value))
        if decided is None:
            return
        for name, key, documentation in (
            ("relative_regret", "regret_relative", "Most that a user could gain by deviating."),
            ("kkt_residual", "kkt_residual", "Largest residual of the providers' conditions."),
            ("payments", "payments_total", "R·Q of all pairs of the decision in force."),
        ):
            if decided[key] is not None:
                yield GaugeMetricFamily(f"qoex_{name}", documentation, value=float(decided[key]))
        yield from _capacities(decided)


def _capacities(decided: Summary) -> Iterator[GaugeMetricFamily]:
    for name, key, documentation in (
        ("use", "use", "Compute (TFLOPS) or bandwidth (MHz) in use."),
        ("available", "capacity", "Compute (TFLOPS) or bandwidth (MHz) that there is."),
        ("price", "price", "Marginal value of a unit, cost included, money."),
        ("unit_cost", "unit_cost", "Cost of a unit, money."),
    ):
        family = GaugeMetricFamily(
            f"qoex_capacity_{name}", documentation, labels=("provider", "resource")
        )
        for item in decided["capacity"][:MOST_PROVIDERS]:
            for resource in ("compute", "bandwidth"):
                labels = (item["provider"], resource)
                family.add_metric(labels, float(item[resource][key]))
        yield family
