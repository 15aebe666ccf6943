"""A cycle in numbers, as it is stored with its record and published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from qoex.agent.reports.entries import CycleRecord
from qoex.agent.solving.allocation import CertifiedAllocation, ResourceUse
from qoex.agent.solving.snapshot import Snapshot
from qoex.model.market import FloatArray

PHASES = ("snapshot", "admit", "solve", "certify", "commit", "total")

_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_BINS = 24


def snapshot_numbers(snapshot: Snapshot) -> dict[str, Any]:
    """Return how large a market is: its nodes, its pairs, and the demands left out of it."""
    return {
        "providers": len(snapshot.provider_names),
        "users": len(snapshot.user_names),
        "pairs": int(np.count_nonzero(snapshot.present)),
        "left_out": snapshot.left_out.count,
    }


def allocation_numbers(allocation: CertifiedAllocation) -> dict[str, Any]:
    """Return what an allocation comes to; QoE and payments are those of users who have a pair."""
    served = allocation.present.any(axis=0)
    payments = allocation.payments.sum(axis=0)
    resources = (
        ("compute", allocation.compute_resource),
        ("bandwidth", allocation.bandwidth_resource),
    )
    return {
        "sweeps": allocation.sweeps,
        "regret_relative": allocation.relative_regret,
        "kkt_residual": allocation.kkt_residual,
        "payments_total": float(payments.sum()),
        "qoe": _distribution(allocation.qoe.sum(axis=0)[served]),
        "payments": _distribution(payments[served]),
        "capacity": [
            {"provider": name, **{word: resource_numbers(use, n) for word, use in resources}}
            for n, name in enumerate(allocation.provider_names)
        ],
    }


def resource_numbers(resource: ResourceUse, provider: int) -> dict[str, Any]:
    """Return how one capacity of a provider stands."""
    return {
        "use": float(resource.use[provider]),
        "capacity": float(resource.capacity[provider]),
        "price": float(resource.price[provider]),
        "unit_cost": float(resource.unit_cost[provider]),
        "regime": str(resource.regime[provider]),
    }


def cycle_summary(record: CycleRecord, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a cycle; what a kept one did not compute is null, or empty.

    Args:
        record: of the cycle; its own summary is not looked at.
        numbers: what ``snapshot_numbers`` and ``allocation_numbers`` gave, as far as it came.
    """
    return {
        "number": record.number,
        "position": record.position,
        "result": str(record.result),
        "ending": str(record.ending),
        "reason": record.reason,
        "in_force": record.in_force,
        "snapshot_at": _text(record.snapshot_at),
        "committed_at": _text(record.committed_at),
        "duration_ms": phase_durations({}),
        "providers": numbers["providers"],
        "users": numbers["users"],
        "pairs": numbers.get("pairs"),
        "dropped": len(record.dropped),
        "left_out": numbers.get("left_out"),
        "sweeps": numbers.get("sweeps"),
        "regret_relative": numbers.get("regret_relative"),
        "kkt_residual": numbers.get("kkt_residual"),
        "payments_total": numbers.get("payments_total"),
        "qoe": numbers.get("qoe"),
        "payments": numbers.get("payments"),
        "capacity": numbers.get("capacity", []),
    }


def phase_durations(milliseconds: Mapping[str, float]) -> dict[str, float | None]:
    """Return what each phase took, to the microsecond; None for those it never came to."""
    return {
        phase: round(milliseconds[phase], 3) if phase in milliseconds else None for phase in PHASES
    }


def _text(moment: datetime) -> str:
    """Return a time in UTC as RFC 3339 has it."""
    return moment.isoformat().replace("+00:00", "Z")


def _distribution(values: FloatArray) -> dict[str, Any]:
    """Return mean, quantiles and histogram of at least one value that is not negative."""
    most = float(values.max())
    counts, edges = np.histogram(values, bins=_BINS, range=(0.0, most if most > 0.0 else 1.0))
    return {
        "mean": float(values.mean()),
        "quantiles": np.quantile(values, _QUANTILES).tolist(),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
