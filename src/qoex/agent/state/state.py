"""What the log makes, kept in memory: what nodes said, what is owed, which decision is in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from qoex.agent.reports.entries import EntryKind, NewEntry
from qoex.agent.state.checkpoint import Captured
from qoex.agent.state.ledger import Billing, Charge, Ledger, amount_micro
from qoex.agent.state.recovery import DecisionOf, InForce, charge_now, recover
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store

_log = logging.getLogger(__name__)


class State:
    """Registry, ledger and decision in force, with their checkpoints.

    Attributes:
        registry: what the nodes said; the same object for good.
        ledger: what users owe; the same object for good.
        checkpoints: stored since the start.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        decision_of: DecisionOf,
        *,
        billing: Billing,
        checkpoint_every: int,
        checkpoint_cycles: int,
    ) -> None:
        """Make an empty state; arguments as of :class:`qoex.agent.state.intake.Intake`."""
        self.registry = registry
        self.ledger = Ledger()
        self.checkpoints = 0
        self._store = store
        self._decision_of = decision_of
        self._billing = billing
        self._checkpoint_every = checkpoint_every
        self._checkpoint_cycles = checkpoint_cycles
        self._in_force: InForce | None = None
        self._rows: dict[str, int] | None = None
        self._columns: dict[str, int] = {}
        self._last = (0, 0)  # position and cycle of the last checkpoint
        self._storing: asyncio.Task[None] | None = None

    async def recover(self) -> None:
        """Become what is stored.

        Raises:
            StorageError: the store cannot be read.
            DamagedLogError: it cannot be what an agent wrote.
        """
        found = await recover(self._store, self.registry, self.ledger, self._decision_of)
        self.in_force = found.in_force
        self._last = found.checkpoint

    @property
    def in_force(self) -> InForce | None:
        """The decision in force, with the number of its cycle."""
        return self._in_force

    @in_force.setter
    def in_force(self, value: InForce | None) -> None:
        if value is not self._in_force:
            self._rows = None
        self._in_force = value

    def price_of(self, user: str, provider: str) -> tuple[int, float, float] | None:
        """Return cycle, reward and QoE of a pair in the decision in force; None if it has none."""
        if self._in_force is None:
            return None
        decision = self._in_force.decision
        if self._rows is None:
            self._rows = {name: n for n, name in enumerate(decision.provider_names)}
            self._columns = {name: m for m, name in enumerate(decision.user_names)}
        n, m = self._rows.get(provider), self._columns.get(user)
        if n is None or m is None:
            return None
        return self._in_force.cycle, float(decision.rewards[n, m]), float(decision.qoe[n, m])

    def charge(self, in_force: InForce | None) -> Charge | None:
        """Return what a cycle charges that has a decision in force; None for nothing.

        Raises:
            ValueError: a payment that is negative or not finite.
        """
        if in_force is None or self._billing is not Billing.CYCLE:
            return None
        return charge_now(self.registry, in_force.decision)

    def amended(self, new: NewEntry) -> Mapping[str, Any]:
        """Return the body that is logged: with the amount, where served requests are charged."""
        if new.kind is not EntryKind.SERVED or self._billing is not Billing.REQUEST:
            return new.body
        price = self.price_of(new.body["user"], new.node)
        if price is None:
            return {**new.body, "cycle": None, "amount_micro": 0}
        cycle, reward, qoe = price
        amount = amount_micro(reward, qoe) * new.body["requests"]
        return {**new.body, "cycle": cycle, "amount_micro": amount}

    def checkpoint_if_due(self) -> None:
        """Begin to store a checkpoint, if enough happened since the last; all has to be stored."""
        if self._storing is not None and not self._storing.done():
            return
        entries = self.registry.position - self._last[0]
        cycles = self.ledger.cycle - self._last[1]
        if entries >= self._checkpoint_every or cycles >= self._checkpoint_cycles:
            captured = Captured.of(self.registry, self.ledger)
            self._storing = asyncio.create_task(self._store_checkpoint(captured))

    async def last_checkpoint(self) -> None:
        """Store a checkpoint of where things stand, if there is none; all has to be stored."""
        if self._storing is not None:
            await self._storing
        if self._last != (self.registry.position, self.ledger.cycle):
            await self._store_checkpoint(Captured.of(self.registry, self.ledger))

    async def _store_checkpoint(self, captured: Captured) -> None:
        """Store a checkpoint; where that fails, only the next start takes longer."""
        self._last = captured.position, captured.cycle
        name = f"checkpoint-{captured.position}-{captured.cycle}"
        try:
            data = await asyncio.to_thread(captured.encoded)
            await self._store.put_blob(name, data)
            await self._store.commit_checkpoint(captured.position, captured.cycle, name)
        except Exception:
            _log.exception("%s could not be stored", name)
        else:
            self.checkpoints += 1
