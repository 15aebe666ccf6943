"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from qoex.agent.cycle.engine import Engine
from qoex.agent.cycle.history import History
from qoex.agent.http.limits import Streams
from qoex.agent.http.security import KnownTokens
from qoex.agent.instruments import Instruments
from qoex.agent.settings import Settings
from qoex.agent.state.intake import Intake
from qoex.agent.storage import Store


@dataclass
class Lifecycle:
    """Whether the agent is stopping."""

    stopping: bool = False


@dataclass(frozen=True)
class AgentParts:
    """The agent, as HTTP sees it.

    Attributes:
        settings: what the operator decided.
        intake: takes reports in; holds registry and ledger.
        engine: runs cycles.
        history: of past cycles.
        store: opened.
        tokens: all tokens.
        instruments: metrics.
        lifecycle: whether the agent is stopping.
        streams: event streams that are open.
    """

    settings: Settings
    intake: Intake
    engine: Engine
    history: History
    store: Store
    tokens: KnownTokens
    instruments: Instruments
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    streams: Streams = field(default_factory=Streams)

    def reasons_not_ready(self) -> list[str]:
        """Return why the agent is not ready; nothing if it is."""
        reasons = []
        if self.lifecycle.stopping:
            reasons.append("The agent is stopping.")
        if not self.intake.healthy:
            reasons.append("The database failed, and what it holds is being read back.")
        counts = self.engine.counts
        tried = counts.decided + counts.failed + sum(counts.kept.values())
        if not tried and any(
            roster.active_count for roster in self.intake.registry.rosters.values()
        ):
            reasons.append("No cycle has been run since the agent started.")
        return reasons


def parts_of(request: Request) -> AgentParts:
    """Return the agent that answers a request."""
    parts = request.app.state.parts
    assert isinstance(parts, AgentParts)
    return parts
