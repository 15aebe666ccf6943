"""Decisions as answers: what a cycle means to everybody, to one user, to one provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from qoex.agent.cycle.history import Decided
from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.parts import AgentParts
from qoex.agent.reports.entries import CycleRecord, NodeKind
from qoex.agent.reports.nodes import Owner
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.summary import resource_numbers
from qoex.agent.state.registry import NodeState

# Pairs of a whole decision that are written between two breaks for others: about 2 ms.
PAIRS_AT_A_TIME = 500

_Places = Mapping[str, int]
_places: WeakKeyDictionary[CertifiedAllocation, dict[NodeKind, _Places]] = WeakKeyDictionary()


def place_of(allocation: CertifiedAllocation, kind: NodeKind, name: str) -> int | None:
    """Return where a node stands in an allocation; None if it is not in it."""
    known = _places.get(allocation)
    if known is None:
        names = {
            NodeKind.PROVIDER: allocation.provider_names,
            NodeKind.USER: allocation.user_names,
        }
        known = {side: {name: k for k, name in enumerate(of)} for side, of in names.items()}
        _places[allocation] = known
    return known[kind].get(name)


def require_known(parts: AgentParts, kind: NodeKind, name: str, decided: Decided | None) -> None:
    """Let pass who is registered, or has a part in a decision.

    Raises:
        Refused: nobody knows the node.
    """
    if parts.intake.registry.node(kind, name) is not None:
        return
    if decided is None or place_of(decided.allocation, kind, name) is None:
        raise Refused(ProblemKind.NOT_FOUND, f"No {Owner(kind, name)} is registered.")


def node_view(
    kind: NodeKind, name: str, record: CycleRecord | None, decided: Decided | None
) -> dict[str, Any]:
    """Return what the decision in force after a cycle means to a node.

    Args:
        kind: side of the node.
        name: of the node.
        record: of the cycle; None if there was none yet.
        decided: in force after it; None if there was none.
    """
    head = {
        "cycle": None if record is None else record.number,
        "in_force": None if decided is None else decided.record.number,
        "result": None if record is None else record.result,
        "reason": "" if record is None else record.reason,
        "decided_at": None if decided is None else decided.record.committed_at,
    }
    allocation = None if decided is None else decided.allocation
    place = None if allocation is None else place_of(allocation, kind, name)
    if allocation is None or place is None:
        return head | _nothing(kind)
    if kind is NodeKind.USER:
        return head | _user(allocation, place)
    return head | _provider(allocation, place)


def state_view(state: NodeState) -> dict[str, Any]:
    """Return where a node stands."""
    return {
        "kind": state.kind,
        "name": state.name,
        "active": state.active,
        "received_at": state.received_at,
        "reported_at": state.reported_at,
        "expires_at": state.expires_at,
    }


def short_numbers(
    kind: NodeKind, name: str, decided: Decided | None
) -> dict[str, float | int | None]:
    """Return a node's part in a decision as few numbers; all are None if it has none."""
    numbers: dict[str, float | int | None] = dict.fromkeys(
        (
            "cycle",
            "qoe",
            "payment",
            "utility",
            "compute_use",
            "compute_price",
            "bandwidth_use",
            "bandwidth_price",
        )
    )
    place = None if decided is None else place_of(decided.allocation, kind, name)
    if decided is None or place is None:
        return numbers
    allocation = decided.allocation
    pairs = np.s_[:, place] if kind is NodeKind.USER else np.s_[place]
    qoe, rewards = allocation.qoe[pairs], allocation.rewards[pairs]
    utility = allocation.user_utility if kind is NodeKind.USER else allocation.provider_utility
    numbers |= {
        "cycle": decided.record.number,
        "qoe": float(qoe.sum()),
        "payment": float(rewards @ qoe),
        "utility": float(utility[place]),
    }
    if kind is NodeKind.PROVIDER:
        for word, resource in (
            ("compute", allocation.compute_resource),
            ("bandwidth", allocation.bandwidth_resource),
        ):
            numbers[f"{word}_use"] = float(resource.use[place])
            numbers[f"{word}_price"] = float(resource.price[place])
    return numbers


def pair_lines(allocation: CertifiedAllocation) -> Iterator[bytes]:
    """Yield all pairs of an allocation as NDJSON, some lines at a time."""
    n, m = np.nonzero(allocation.present)
    columns = (
        allocation.rewards,
        allocation.compute,
        allocation.bandwidth,
        allocation.qoe,
        allocation.payments,
    )
    users, providers = allocation.user_names, allocation.provider_names
    for start in range(0, n.size, PAIRS_AT_A_TIME):
        some = slice(start, start + PAIRS_AT_A_TIME)
        values = zip(*(column[n[some], m[some]].tolist() for column in columns), strict=True)
        places = zip(n[some].tolist(), m[some].tolist(), strict=True)
        # Names need no escapes, and the repr of a finite double is its JSON.
        yield "".join(
            f'{{"provider":"{providers[row]}","user":"{users[column]}","reward":{reward!r},'
            f'"compute":{compute!r},"bandwidth":{bandwidth!r},"qoe":{qoe!r},'
            f'"payment":{payment!r}}}\n'
            for (row, column), (reward, compute, bandwidth, qoe, payment) in zip(
                places, values, strict=True
            )
        ).encode("ascii")


def _nothing(kind: NodeKind) -> dict[str, Any]:
    if kind is NodeKind.USER:
        return {"services": [], "utility": None, "regret": None}
    return {"compute": None, "bandwidth": None, "utility": None, "users": []}


def _user(allocation: CertifiedAllocation, m: int) -> dict[str, Any]:
    services = [
        {
            "provider": allocation.provider_names[n],
            **_pair(allocation, n, m),
            "latency_ms": float(allocation.latency_budget[n, m] - allocation.qoe[n, m]),
        }
        for n in np.flatnonzero(allocation.present[:, m]).tolist()
    ]
    return {
        "services": services,
        "utility": float(allocation.user_utility[m]),
        "regret": float(allocation.regret_per_user[m]),
    }


def _provider(allocation: CertifiedAllocation, n: int) -> dict[str, Any]:
    users = [
        {"user": allocation.user_names[m], **_pair(allocation, n, m)}
        for m in np.flatnonzero(allocation.present[n]).tolist()
    ]
    return {
        "compute": resource_numbers(allocation.compute_resource, n),
        "bandwidth": resource_numbers(allocation.bandwidth_resource, n),
        "utility": float(allocation.provider_utility[n]),
        "users": users,
    }


def _pair(allocation: CertifiedAllocation, n: int, m: int) -> dict[str, float]:
    reward, qoe = float(allocation.rewards[n, m]), float(allocation.qoe[n, m])
    return {
        "reward": reward,
        "compute": float(allocation.compute[n, m]),
        "bandwidth": float(allocation.bandwidth[n, m]),
        "qoe": qoe,
        "payment": reward * qoe,
    }
