"""What of a well-formed entry is refused, seen from what everybody said before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import Entry, EntryKind, NodeKind
from qoex.agent.reports.lines import refused
from qoex.agent.reports.nodes import Owner
from qoex.agent.state.registry.columns import patched
from qoex.agent.state.registry.roster import Roster
from qoex.wire.problems import Fault
from qoex.wire.rules import demand_faults, provider_faults, user_faults

LISTED = 20  # of the names in a refusal


class Known(Protocol):
    """What was said before: the part of a registry that an entry is checked against."""

    @property
    def rosters(self) -> Mapping[NodeKind, Roster]:
        """Return the nodes of each side."""
        ...

    def given(self, kind: NodeKind, name: str) -> dict[str, Any]:
        """Return what a node says of itself."""
        ...

    def demand(self, user: str, provider: str) -> dict[str, Any]:
        """Return what a user asks of a provider."""
        ...


def check(known: Known, entry: Entry, max_clock_skew_s: float) -> None:
    """Raise unless an entry may be taken in.

    Raises:
        Refused: it may not; the problem says why.
    """
    roster = known.rosters[entry.node_kind]
    if entry.kind is not EntryKind.PUT:
        _require_active(roster, entry.node)
    _check_clock(roster, entry, max_clock_skew_s)
    if entry.kind is EntryKind.LINKS:
        _require_known(known.rosters[NodeKind.USER], entry.body, "")
    elif entry.kind is EntryKind.SERVED:
        _require_known(known.rosters[NodeKind.USER], [entry.body["user"]], "user")
    elif entry.node_kind is NodeKind.USER:
        _check_user(known, entry)
    elif entry.kind is EntryKind.PATCH:
        _refuse(provider_faults(patched(known.given(NodeKind.PROVIDER, entry.node), entry.body)))


def _check_user(known: Known, entry: Entry) -> None:
    demands: Mapping[str, Any] = entry.body.get("demands") or {}
    _require_known(known.rosters[NodeKind.PROVIDER], demands, "demands")
    if entry.kind is not EntryKind.PATCH:
        return
    if "reward_min" in entry.body or "reward_max" in entry.body:
        _refuse(user_faults(patched(known.given(NodeKind.USER, entry.node), entry.body)))
    faults: list[Fault] = []
    for provider, patch in demands.items():
        if patch is not None:
            wrong = demand_faults(patched(known.demand(entry.node, provider), patch))
            faults += [Fault(f"demands.{provider}.{item.where}", item.what) for item in wrong]
    _refuse(faults)


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise refused(faults)


def _require_active(roster: Roster, name: str) -> None:
    if roster.is_active(name):
        return
    owner = Owner(roster.kind, name)
    if name in roster.slots:
        raise Refused(
            ProblemKind.NOT_ACTIVE, f"The {owner} left or expired; it has to register anew."
        )
    raise Refused(ProblemKind.NOT_FOUND, f"No {owner} is registered.")


def _require_known(roster: Roster, names: Iterable[str], where: str) -> None:
    unknown = [name for name in names if name not in roster.slots]
    if not unknown:
        return
    if where == "user":
        places = [where]
    else:
        places = [f"{where}.{name}" if where else name for name in unknown[:LISTED]]
    faults = [Fault(place, f"No such {roster.kind.value} ever registered") for place in places]
    more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
    raise Refused(
        ProblemKind.UNKNOWN_NODE,
        f"No {Owner(roster.kind, unknown[0])} ever registered{more}.",
        faults,
    )


def _check_clock(roster: Roster, entry: Entry, max_clock_skew_s: float) -> None:
    text = entry.body.get("reported_at") if entry.kind is not EntryKind.LINKS else None
    if text is None:
        return
    reported = datetime.fromisoformat(text)
    if abs(reported - entry.received_at) > timedelta(seconds=max_clock_skew_s):
        ahead = (reported - entry.received_at).total_seconds()
        raise Refused(
            ProblemKind.CLOCK_SKEW,
            f"reported_at is {text}, {abs(ahead):.0f} s {'after' if ahead > 0 else 'before'} the "
            f"agent's clock; at most {max_clock_skew_s:g} s are allowed.",
            [Fault("reported_at", "It is too far from the agent's clock")],
        )
    last = roster.last_reported_at(entry.node)
    if last is not None and reported < last:
        raise Refused(
            ProblemKind.OUT_OF_ORDER,
            f"reported_at is {text}, before {last.isoformat(timespec='microseconds')}, that of "
            f"the last report of {Owner(roster.kind, entry.node)}.",
            [Fault("reported_at", "It lies before that of a report accepted already")],
        )
