"""What the log holds: entries in, cycles out. Both are only ever appended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from qoex.agent.reports.kept import CycleEnding, Kept


class NodeKind(StrEnum):
    """The two sides of the market; each has its own names."""

    PROVIDER = "provider"
    USER = "user"


class EntryKind(StrEnum):
    """What an entry does to its node."""

    PUT = "put"  # registers it, or replaces all that it said
    PATCH = "patch"  # changes some of what it said (JSON merge patch, RFC 7396)
    LEAVE = "leave"
    EXPIRE = "expire"  # by the agent: its lifetime passed without a report
    LINKS = "links"  # of a provider: signal-to-noise ratios to users
    SERVED = "served"  # of a provider: requests served to a user


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that has no place in the log yet.

    Attributes:
        node_kind: side of the market.
        node: name of the node.
        kind: what it does.
        key: chosen by the client, distinct among the entries of its node.
        body: JSON object, already of the right form for its kind.
    """

    node_kind: NodeKind
    node: str
    kind: EntryKind
    key: str
    body: Mapping[str, Any]

    def content_hash(self) -> str:
        """Return the SHA-256 of what it does and says, in hexadecimal, 64 characters."""
        text = json.dumps(self.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(f"{self.kind.value}\n{text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log.

    Attributes:
        seq: its place: 1, 2, 3, … without gaps.
        received_at: when the agent took it in, UTC.
        content_hash: of kind and body as they were sent.
        node_kind: side of the market.
        node: name of the node.
        kind: what it does.
        key: distinct among the entries of its node.
        body: JSON object, with what the agent added to it.
    """

    seq: int
    received_at: datetime
    content_hash: str
    node_kind: NodeKind
    node: str
    kind: EntryKind
    key: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a node gets for a report that will never be lost.

    Attributes:
        seq: place of the entry in the log.
        received_at: when it was first taken in, UTC.
        replayed: whether the key had been used before with the same content.
    """

    seq: int
    received_at: datetime
    replayed: bool


class CycleResult(StrEnum):
    """Whether a cycle brought a new decision or kept the last good one in force."""

    DECIDED = "decided"
    KEPT = "kept"


@dataclass(frozen=True)
class CycleRecord:
    """One update cycle: what it stood on, and what came of it.

    Attributes:
        number: 1, 2, 3, … without gaps.
        position: seq of the last entry in its snapshot.
        snapshot_at: when the snapshot was taken, UTC.
        committed_at: when the result was ready to be stored, UTC.
        result: decided or kept.
        kept: why the last decision was kept; None if decided.
        in_force: number of the cycle whose decision is in force from now on; None while there is
            none.
        start_cycle: number of the decision that the solver started from; None for a cold start.
        membership: digest that names the lists of providers and users; None if kept.
        payload: name of the blob that holds the allocation; None if kept.
        digest: SHA-256 of the allocation to the last bit, in hexadecimal; None if kept.
        dropped: (provider, user) of each demand that admission turned away.
        summary: JSON object, as it is published.
        version: of qoex.
    """

    number: int
    position: int
    snapshot_at: datetime
    committed_at: datetime
    result: CycleResult
    kept: Kept | None
    in_force: int | None
    start_cycle: int | None
    membership: str | None
    payload: str | None
    digest: str | None
    dropped: tuple[tuple[str, str], ...]
    summary: Mapping[str, Any]
    version: str

    @property
    def ending(self) -> CycleEnding:
        """How it ended."""
        return CycleEnding.DECIDED if self.kept is None else self.kept.ending

    @property
    def reason(self) -> str:
        """Why the last decision was kept, in words; "" if decided."""
        return "" if self.kept is None else str(self.kept)
