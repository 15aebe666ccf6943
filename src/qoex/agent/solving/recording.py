"""The record of a cycle, from what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version

from qoex.agent.reports.entries import CycleRecord, CycleResult
from qoex.agent.solving.allocation import membership_digest
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.solving.summary import cycle_summary, phase_durations
from qoex.agent.solving.task import CycleOutcome

VERSION = version("qoex")


def cycle_record(
    number: int,
    snapshot: Snapshot,
    outcome: CycleOutcome,
    in_force: int | None,
    committed_at: datetime,
) -> CycleRecord:
    """Return the record of a cycle, as yet without its durations.

    Args:
        number: of the cycle.
        snapshot: what it stands on.
        outcome: what came of it.
        in_force: the cycle whose decision was in force before, and from which the solver started
            if it did from any.
        committed_at: when the result was ready to be stored, UTC.
    """
    decided = outcome.kept is None
    names = snapshot.provider_names, snapshot.user_names
    record = CycleRecord(
        number=number,
        position=snapshot.position,
        snapshot_at=snapshot.taken_at,
        committed_at=committed_at,
        result=CycleResult.DECIDED if decided else CycleResult.KEPT,
        kept=outcome.kept,
        in_force=number if decided else in_force,
        start_cycle=in_force if decided and outcome.warm else None,
        membership=membership_digest(*names) if decided else None,
        payload=f"cycle-{number}" if decided else None,
        digest=outcome.digest,
        dropped=outcome.dropped,
        summary={},
        version=VERSION,
    )
    counts = {"providers": len(names[0]), "users": len(names[1])}
    return replace(record, summary=cycle_summary(record, {**counts, **outcome.summary}))


def with_durations(record: CycleRecord, milliseconds: Mapping[str, float]) -> CycleRecord:
    """Return the record with what each phase took, as far as it is known."""
    durations = phase_durations(milliseconds)
    return replace(record, summary={**record.summary, "duration_ms": durations})
