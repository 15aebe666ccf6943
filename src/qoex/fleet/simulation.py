"""A fleet that reports to a running agent, step by step, and what comes of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from qoex.client import AgentError, Client, Line
from qoex.client.errors import UNREACHABLE
from qoex.errors import InvalidInputError, QoexError
from qoex.fleet.policies import Holders, PolicyAllocation, Score
from qoex.fleet.reporter import Reporter
from qoex.fleet.settings import FleetSettings
from qoex.fleet.world import World
from qoex.wire.answers import BulkAnswer, CycleAnswer

# What the agent says if nodes expired, though they are there: this machine was too slow, or the
# agent began anew. Everybody registers again then.
_FORGOTTEN = ("not-active", "not-found", "unknown-node")

# Seconds of the agent's clock that nodes may be silent at least: steps are not on time to the ms.
_LEAST_LIFETIME = 2.0
# Steps of the next few may take so many times the longest of the last few.
_MARGIN = 2.0
_FADING = 0.9  # of that longest step, with every step

_FIRST_DECISION = 60.0  # seconds to wait for it; the agent may still be starting
_POLL = 0.1  # seconds


class Cycles(StrEnum):
    """Who says when a cycle is run."""

    ASK = "ask"
    OWN = "own"


@dataclass(frozen=True)
class FleetStep:
    """One step of a simulation.

    Attributes:
        number: 0 for the first.
        time: simulated seconds since the beginning.
        users: who are there.
        providers: which are there.
        lines: sent to the agent.
        cycle: how the agent's last cycle ended.
        scores: by policy.
        seconds: that the step took.
        late: seconds by which the simulation is behind its clock.
    """

    number: int
    time: float
    users: int
    providers: int
    lines: int
    cycle: CycleAnswer
    scores: dict[str, Score]
    seconds: float
    late: float


class Simulation:
    """Lets a fleet live, over HTTP, against a running agent; a context manager.

    In every step the world moves on, its nodes report, the agent runs a cycle (asked to, or on its
    own schedule), its decision in force is read back, and every policy is valued in the world as
    it really is. At the end of the context everybody leaves.
    """

    def __init__(
        self,
        client: Client,
        settings: FleetSettings,
        *,
        speedup: float = 0.0,
        cycles: Cycles = Cycles.ASK,
    ) -> None:
        """Prepare a simulation; nothing is sent yet.

        Args:
            client: of an operator.
            settings: of the fleet.
            speedup: simulated seconds per second; 0 for as many as the agent can follow.
            cycles: whether the agent is asked for a cycle in every step, or has its own schedule.

        Raises:
            InvalidInputError: speedup is negative.
        """
        if not 0 <= speedup < float("inf"):
            raise InvalidInputError(f"speedup is {speedup!r}; it must be a number, 0 or more")
        self.world = World(settings)
        self._client = client
        self._cycles = cycles
        self._pace = settings.step / speedup if speedup else 0.0
        self._reporter = Reporter(self.world)
        self._holders = Holders()
        self._slowest = 0.0
        self._in_force: int | None = None
        self._allocation: PolicyAllocation | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let everybody leave, if the agent can still be reached."""
        if not (isinstance(error, AgentError) and error.slug == UNREACHABLE):
            with contextlib.suppress(AgentError):
                self._client.report_many(self._reporter.farewell())

    def steps(self, duration: float | None = None) -> Generator[FleetStep, None, None]:
        """Yield each step once it is done.

        Args:
            duration: simulated seconds; None for without end.

        Raises:
            AgentError: the agent refuses reports, or cannot be reached.
            QoexError: the agent comes to no decision.
        """
        begin = time.monotonic()
        receipt = self._send(self._reporter.everything(self._lifetime()))
        cycle = self._first_cycle(receipt.last_seq or 0)
        number = 0
        while True:
            self._read_decision(cycle)
            self._holders.take(self.world.time, self._allocation)
            due = begin + self._pace
            now = time.monotonic()
            yield FleetStep(
                number=number,
                time=self.world.time,
                users=len(self.world.user_names),
                providers=int(self.world.up.sum()),
                lines=receipt.accepted,
                cycle=cycle,
                scores=self._holders.scores(self.world.market()),
                seconds=now - begin,
                late=max(0.0, now - due) if self._pace else 0.0,
            )
            if number:  # the first one waited for the agent
                self._slowest = max(now - begin, _FADING * self._slowest)
            number += 1
            if duration is not None and number * self.world.settings.step > duration:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            # A step that was late does not make the next ones hurry.
            begin = max(due, time.monotonic()) if self._pace else time.monotonic()
            receipt = self._send(self._reporter.changes(self.world.advance(), self._lifetime()))
            cycle = self._newest_cycle() or cycle

    def _lifetime(self) -> float:
        """Return how long nodes may be silent, in seconds of the agent's clock."""
        if not self._slowest:
            return _FIRST_DECISION
        settings = self.world.settings
        step = max(self._pace, _MARGIN * self._slowest)
        return round(max(_LEAST_LIFETIME, settings.lifetime / settings.step * step), 3)

    def _send(self, lines: Iterable[Line]) -> BulkAnswer:
        try:
            return self._client.report_many(lines)
        except AgentError as error:
            if error.slug not in _FORGOTTEN:
                raise
        return self._client.report_many(self._reporter.everything(self._lifetime()))

    def _first_cycle(self, position: int) -> CycleAnswer:
        """Return the first decided cycle that knows what stands at this place of the log."""
        until = time.monotonic() + _FIRST_DECISION
        reason = "no cycle was run"
        while time.monotonic() < until:
            cycle = self._newest_cycle()
            if cycle is not None:
                if cycle.result == "decided" and cycle.position >= position:
                    return cycle
                reason = cycle.reason or "no cycle was run since the fleet registered"
            time.sleep(_POLL)
        raise QoexError(
            f"the agent came to no decision within {_FIRST_DECISION:g} seconds: {reason}"
        )

    def _newest_cycle(self) -> CycleAnswer | None:
        if self._cycles is Cycles.ASK:
            return self._client.run_cycle()
        return next(iter(self._client.cycles(limit=1).cycles), None)

    def _read_decision(self, cycle: CycleAnswer) -> None:
        if cycle.in_force is None or cycle.in_force == self._in_force:
            return
        self._allocation = PolicyAllocation(self._client.decision(cycle.in_force).pairs)
        self._in_force = cycle.in_force
