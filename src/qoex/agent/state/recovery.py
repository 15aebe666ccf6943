"""From the store to the state it stands for: a checkpoint, and what the log holds after it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from qoex.agent.reports.entries import CycleRecord, Entry, EntryKind, NodeKind
from qoex.agent.state.checkpoint import Captured
from qoex.agent.state.ledger import Charge, Decision, Ledger, charge_for, money
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store
from qoex.errors import InvalidInputError, QoexError

CYCLES_AT_A_TIME = 100

_log = logging.getLogger(__name__)

# Gives the decision that a cycle brought, from its number.
DecisionOf = Callable[[int], Awaitable[Decision]]


class DamagedLogError(QoexError):
    """What the store holds cannot be what an agent wrote."""


@dataclass(frozen=True)
class InForce:
    """The decision in force, and the number of the cycle that brought it."""

    cycle: int
    decision: Decision


@dataclass(frozen=True)
class Recovered:
    """What came of a recovery.

    Attributes:
        in_force: the decision in force, or None if there is none.
        checkpoint: (position, cycle) of the checkpoint it began with; (0, 0) for none.
    """

    in_force: InForce | None
    checkpoint: tuple[int, int]


async def recover(
    store: Store, registry: Registry, ledger: Ledger, decision_of: DecisionOf
) -> Recovered:
    """Let registry and ledger hold what all that is stored makes of them.

    Args:
        store: opened.
        registry: to be filled; what it held is gone.
        ledger: likewise.
        decision_of: reads a decision back.

    Raises:
        DamagedLogError: the log has a gap, or cycles charge other amounts than they did.
    """
    await _start(store, registry, ledger, None)
    began = registry.position, ledger.cycle
    entries = store.entries(after=registry.position)
    last: CycleRecord | None = None
    in_force: InForce | None = None
    if ledger.cycle:
        before = await store.cycles(after=ledger.cycle - 1, limit=1)
        last = before[0] if before else None
    async for record in _cycles_after(store, ledger.cycle):
        last = record
        charged = record.summary.get("charged")
        if charged is None:
            ledger.charge_cycle(record.number, None)
            continue
        await _apply(entries, registry, ledger, charged["position"])
        in_force = await _in_force(record, in_force, decision_of)
        ledger.charge_cycle(record.number, _charge_again(record, in_force, registry))
    await _apply(entries, registry, ledger, None)
    if last is not None:
        in_force = await _in_force(last, in_force, decision_of)
    return Recovered(in_force, began)


async def recover_registry(store: Store, registry: Registry, position: int) -> None:
    """Let a registry hold what the entries up to a place of the log make of it.

    Raises:
        DamagedLogError: the log does not reach that far, or has a gap.
    """
    ledger = Ledger()
    await _start(store, registry, ledger, position)
    entries = store.entries(after=registry.position, up_to=position)
    await _apply(entries, registry, ledger, position)


def charged_summary(charge: Charge, position: int) -> dict[str, Any]:
    """Return what a cycle's summary says of its charge, which was made after so many entries."""
    return {"position": position, "total": str(money(charge.total_micro))}


def charge_now(registry: Registry, decision: Decision) -> Charge:
    """Return what a cycle charges whose decision is in force now."""
    return charge_for(
        decision,
        registry.rosters[NodeKind.PROVIDER].active_among(decision.provider_names),
        registry.rosters[NodeKind.USER].active_among(decision.user_names),
    )


async def _start(store: Store, registry: Registry, ledger: Ledger, limit: int | None) -> None:
    """Fill both from the newest checkpoint up to a place that can be used, else with nothing."""
    while True:
        row = await store.newest_checkpoint(up_to_position=limit)
        if row is None:
            Captured.of(Registry(), Ledger()).fill(registry, ledger)
            return
        data = await store.get_blob(row.blob)
        try:
            Captured.decoded(data or b"").fill(registry, ledger)
        except InvalidInputError as error:
            # The log holds all of it as well; it only takes longer.
            _log.warning("checkpoint %s is passed over: %s", row.blob, error)
            limit = row.position - 1
        else:
            return


async def _cycles_after(store: Store, number: int) -> AsyncIterator[CycleRecord]:
    while True:
        records = await store.cycles(after=number, limit=CYCLES_AT_A_TIME)
        for record in records:
            yield record
        if len(records) < CYCLES_AT_A_TIME:
            return
        number = records[-1].number


async def _apply(
    entries: AsyncIterator[Entry], registry: Registry, ledger: Ledger, up_to: int | None
) -> None:
    """Apply entries up to a place, or all that are left."""
    while up_to is None or registry.position < up_to:
        entry = await anext(entries, None)
        if entry is None:
            break
        if entry.seq != registry.position + 1:
            raise DamagedLogError(f"entry {registry.position + 1} of the log is missing")
        registry.apply(entry)
        if entry.kind is EntryKind.SERVED:
            ledger.charge_served(entry)
    if up_to is not None and registry.position != up_to:
        raise DamagedLogError(f"the log ends at {registry.position}, before {up_to}")


async def _in_force(
    record: CycleRecord, before: InForce | None, decision_of: DecisionOf
) -> InForce | None:
    if record.in_force is None:
        return None
    if before is not None and before.cycle == record.in_force:
        return before
    return InForce(record.in_force, await decision_of(record.in_force))


def _charge_again(record: CycleRecord, in_force: InForce | None, registry: Registry) -> Charge:
    if in_force is None:
        raise DamagedLogError(f"cycle {record.number} charged without a decision in force")
    charge = charge_now(registry, in_force.decision)
    then = record.summary["charged"]["total"]
    if str(money(charge.total_micro)) != then:
        raise DamagedLogError(
            f"cycle {record.number} charged {then}, but what is stored makes "
            f"{money(charge.total_micro)}"
        )
    return charge
