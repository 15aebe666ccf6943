"""Past cycles: what was decided, on what, and what it meant to a node.

The last few decisions are kept at hand. What is older is read back from the store, and the market
it stood on is made anew from the log, which takes a while; that happens beside the event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import CycleRecord, CycleResult, NodeKind
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.explanations import Explanation, explain_node, place_in
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.solving.task import Start
from qoex.agent.solving.turning_away import without
from qoex.agent.state.recovery import DamagedLogError, recover_registry
from qoex.agent.state.registry import Registry
from qoex.agent.storage import Store
from qoex.errors import InvalidInputError
from qoex.model.market import Market

KEPT_AT_HAND = 8


@dataclass(eq=False, repr=False)
class Decided:
    """A decision and what it stands on.

    Attributes:
        record: of the cycle that brought it.
        payload: its allocation as bytes.
        allocation: the same as arrays.
        snapshot: what the nodes had said; None until somebody asks.
        market: that was settled; None until somebody asks.
    """

    record: CycleRecord
    payload: bytes
    allocation: CertifiedAllocation
    snapshot: Snapshot | None = None
    market: Market | None = field(default=None, init=False)

    def start(self) -> Start:
        """Return it as what the solver starts from."""
        return Start(self.payload, self.allocation.provider_names, self.allocation.user_names)


class History:
    """Reads decisions back, and explains them."""

    def __init__(self, store: Store) -> None:
        """Take the store, opened."""
        self._store = store
        self._decided: OrderedDict[int, Decided] = OrderedDict()
        # One market is made from the log at a time: each takes a while, and memory.
        self._remaking = asyncio.Lock()

    def remember(self, decided: Decided) -> None:
        """Keep a decision at hand."""
        self._decided[decided.record.number] = decided
        self._decided.move_to_end(decided.record.number)
        while len(self._decided) > KEPT_AT_HAND:
            self._decided.popitem(last=False)

    async def decided(self, cycle: int) -> Decided:
        """Return the decision that a cycle brought.

        Raises:
            Refused: there is no such cycle, or it brought none.
            DamagedLogError: its allocation is not stored, or damaged.
            StorageError: the store cannot be read.
        """
        found = self._decided.get(cycle)
        if found is None:
            found = await self._read(await self.record(cycle))
        self.remember(found)
        return found

    async def allocation(self, cycle: int) -> CertifiedAllocation:
        """Return the allocation that a cycle brought; see ``decided``."""
        return (await self.decided(cycle)).allocation

    async def record(self, cycle: int) -> CycleRecord:
        """Return the record of a cycle.

        Raises:
            Refused: there is no such cycle.
        """
        found = self._decided.get(cycle)
        record = await self._store.cycle(cycle) if found is None else found.record
        if record is None:
            raise Refused(ProblemKind.NOT_FOUND, f"There is no cycle {cycle}.")
        return record

    async def in_force(self, cycle: int) -> tuple[CycleRecord, Decided]:
        """Return the record of a cycle, and the decision that was in force after it.

        Raises:
            Refused: there is no such cycle, or no decision was in force.
        """
        record = await self.record(cycle)
        if record.in_force is None:
            raise Refused(ProblemKind.NOT_FOUND, f"No decision was in force after cycle {cycle}.")
        return record, await self.decided(record.in_force)

    async def explanation(self, cycle: int, kind: NodeKind, name: str) -> Explanation:
        """Say what the decision in force after a cycle meant to a node.

        Raises:
            Refused: there is no such cycle, no decision was in force, or it has nothing for the
                node.
        """
        record, decided = await self.in_force(cycle)
        place_in(decided.allocation, decided.record.number, kind, name)  # before what takes long
        market = await self.market(decided)
        return await asyncio.to_thread(explain_node, record, market, decided.allocation, kind, name)

    async def market(self, decided: Decided) -> Market:
        """Return the market that a decision settled.

        Raises:
            DamagedLogError: the log does not make such a market.
            StorageError: the store cannot be read.
        """
        async with self._remaking:
            if decided.market is None:
                if decided.snapshot is None:
                    decided.snapshot = await self.snapshot(decided.record)
                decided.market = await asyncio.to_thread(
                    _settled_market, decided.record, decided.snapshot
                )
            return decided.market

    async def snapshot(self, record: CycleRecord) -> Snapshot:
        """Return what the nodes had said when a cycle began."""
        registry = await self.state_at(record.position)
        return await asyncio.to_thread(registry.snapshot, record.snapshot_at)

    async def state_at(self, position: int) -> Registry:
        """Return the registry as it was after an entry of the log.

        Raises:
            DamagedLogError: the log does not reach that far, or has a gap.
            StorageError: the store cannot be read.
        """
        return await asyncio.to_thread(_remade_registry, self._store, position)

    async def _read(self, record: CycleRecord) -> Decided:
        if record.result is not CycleResult.DECIDED:
            raise Refused(ProblemKind.NOT_FOUND, f"Cycle {record.number} brought no decision.")
        assert record.payload is not None
        assert record.membership is not None
        payload = await self._store.get_blob(record.payload)
        names = await self._store.membership(record.membership)
        if payload is None or names is None:
            raise DamagedLogError(f"the allocation of cycle {record.number} is not stored")
        try:
            allocation = await asyncio.to_thread(CertifiedAllocation.decoded, payload, *names)
        except InvalidInputError as error:
            raise DamagedLogError(f"cycle {record.number}: {error}") from error
        return Decided(record, payload, allocation)


def _settled_market(record: CycleRecord, snapshot: Snapshot) -> Market:
    market = snapshot.market()
    if market is None:
        raise DamagedLogError(f"the log makes no market for cycle {record.number}, which had one")
    return without(market, record.dropped) if record.dropped else market


def _remade_registry(store: Store, position: int) -> Registry:
    """Do it in a thread, which has an event loop of its own."""
    return asyncio.run(_registry_at(store, position))


async def _registry_at(store: Store, position: int) -> Registry:
    # Over a connection of its own, for connections belong to an event loop.
    database = store.address.path or store.address.dsn
    assert database is not None
    registry = Registry()
    async with await Store.open(database, exclusive=False, create=False) as beside:
        await recover_registry(beside, registry, position)
    return registry
