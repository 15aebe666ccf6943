"""What tests of the agent's state share: reports, a log to send them to, a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import strategies as st

from qoex.agent.errors import Refused
from qoex.agent.reports.entries import (
    CycleRecord,
    CycleResult,
    Entry,
    EntryKind,
    NewEntry,
    NodeKind,
)
from qoex.agent.reports.kept import Cause
from qoex.agent.reports.lines import FORMS
from qoex.agent.state.checkpoint import Captured
from qoex.agent.state.ledger import Ledger
from qoex.agent.state.registry import Registry
from qoex.agent.storage import AlreadyStoredError
from qoex.model.market import FloatArray

START = datetime(2026, 1, 1, tzinfo=UTC)
PROVIDER, USER = NodeKind.PROVIDER, NodeKind.USER

PROVIDER_BODY: dict[str, Any] = {
    "compute_capacity": 50_000.0,
    "bandwidth_capacity": 20_000.0,
    "compute_cost": 0.1,
    "bandwidth_cost": 0.2,
    "latency_budget": 100.0,
    "work_per_token_pair": 0.01,
    "snr_db": 20.0,
}
DEMAND: dict[str, Any] = {"performance_gap": 0.1, "input_tokens": 30.0, "output_tokens": 20.0}
USER_BODY: dict[str, Any] = {"profit_factor": 10.0, "reward_min": 0.01, "reward_max": 5.0}


def user_body(*providers: str, **changes: Any) -> dict[str, Any]:
    """A user that demands the same of each provider."""
    return USER_BODY | {"demands": {name: dict(DEMAND) for name in providers}} | changes


def new_entry(
    owner: tuple[NodeKind, str], kind: EntryKind, body: Mapping[str, Any], key: str
) -> NewEntry:
    """A report, brought to its form."""
    form = FORMS[owner[0], kind]
    return NewEntry(owner[0], owner[1], kind, key, form.read(body))


@dataclass
class Log:
    """A registry, and the entries that it took in."""

    registry: Registry = field(default_factory=Registry)
    entries: list[Entry] = field(default_factory=list)
    now: datetime = START

    def send(
        self, kind: NodeKind, node: str, what: EntryKind, body: Mapping[str, Any] | None = None
    ) -> Entry:
        if what is EntryKind.EXPIRE:
            new = NewEntry(kind, node, what, f"expire-{len(self.entries) + 1}", {})
        else:
            new = new_entry((kind, node), what, body or {}, f"k{len(self.entries) + 1}")
        return self.take(new)

    def take(self, new: NewEntry) -> Entry:
        entry = self.entry(new)
        self.registry.check(entry)
        self.registry.apply(entry)
        self.entries.append(entry)
        return entry

    def entry(self, new: NewEntry) -> Entry:
        return Entry(
            self.registry.position + 1,
            self.now,
            new.content_hash(),
            new.node_kind,
            new.node,
            new.kind,
            new.key,
            new.body,
        )

    def provider(self, name: str, **changes: Any) -> Entry:
        return self.send(PROVIDER, name, EntryKind.PUT, PROVIDER_BODY | changes)

    def user(self, name: str, *providers: str, **changes: Any) -> Entry:
        return self.send(USER, name, EntryKind.PUT, user_body(*providers, **changes))


def state_bytes(registry: Registry, ledger: Ledger | None = None) -> bytes:
    """Everything that a registry and a ledger hold, to the last bit."""
    return Captured.of(registry, ledger or Ledger()).encoded()


def replayed(entries: Iterable[Entry], **settings: float) -> Registry:
    """The registry that entries make of nothing."""
    registry = Registry(**settings)
    for entry in entries:
        registry.apply(entry)
    return registry


# Few names, so that entries meet; numbers of every size that is allowed.
PROVIDER_NAMES = ("asp-0", "asp-1", "asp-2")
USER_NAMES = ("mu-0", "mu-1", "mu-2", "mu-3")
_positive = st.floats(1e-12, 1e12) | st.sampled_from([1.0, 2.0])
_not_negative = st.just(0.0) | _positive
_decibels = st.floats(-200, 200)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _some(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict(fields))


_capacities = dict.fromkeys(
    ("compute_capacity", "bandwidth_capacity", "compute_cost", "bandwidth_cost", "latency_budget"),
    _positive,
)
_provider_options = {
    "work_model": _maybe(st.sampled_from(["quadratic", "cached"])),
    "work_per_token_pair": _maybe(_not_negative),
    "work_per_request": _maybe(_not_negative),
    "work_per_input_token": _maybe(_not_negative),
    "work_per_output_token": _maybe(_not_negative),
    "gap_scale": _maybe(_positive),
    "example_ambiguity": _maybe(st.floats(0, 0.49)),
    "snr_db": _maybe(_decibels),
    "compute_load": _maybe(st.sampled_from([0.0, 0.5, 1.0])),
    "bandwidth_load": _maybe(st.floats(0, 1)),
    "lifetime_s": _maybe(st.floats(0.001, 1e6)),
}
_accuracies = st.fixed_dictionaries({"performance_gap": st.floats(1e-12, 0.999)}) | (
    st.fixed_dictionaries({"examples": st.floats(0, 50)})
)
_budgets = _some({"latency_budget": _maybe(_positive)})
_tokens = {"input_tokens": _positive, "output_tokens": _positive}
_demands = st.builds(
    lambda *parts: {name: value for part in parts for name, value in part.items()},
    _accuracies,
    _budgets,
    st.fixed_dictionaries(_tokens),
)
_demand_patches = _some(
    {
        **_tokens,
        "performance_gap": _maybe(st.floats(1e-12, 0.999)),
        "examples": _maybe(st.floats(0, 50)),
        "latency_budget": _maybe(_positive),
    }
)
_rewards = {"profit_factor": _positive, "reward_min": st.floats(0, 1), "reward_max": _positive}
_lifetimes = {"lifetime_s": _maybe(st.floats(0.001, 1e6))}

BODIES: dict[tuple[NodeKind, EntryKind], st.SearchStrategy[Any]] = {
    (PROVIDER, EntryKind.PUT): st.builds(
        lambda options, fixed: PROVIDER_BODY | fixed | options,
        _some(_provider_options),
        st.fixed_dictionaries(_capacities),
    ),
    (PROVIDER, EntryKind.PATCH): _some({**_capacities, **_provider_options}),
    (PROVIDER, EntryKind.LINKS): st.dictionaries(st.sampled_from(USER_NAMES), _maybe(_decibels)),
    (PROVIDER, EntryKind.SERVED): st.fixed_dictionaries(
        {"user": st.sampled_from(USER_NAMES), "requests": st.integers(1, 10**12)}
    ),
    (PROVIDER, EntryKind.LEAVE): st.just({}),
    (USER, EntryKind.PUT): st.builds(
        lambda fixed, options, demands: fixed | options | {"demands": demands},
        st.fixed_dictionaries(_rewards),
        _some(_lifetimes),
        st.dictionaries(st.sampled_from(PROVIDER_NAMES), _demands),
    ),
    (USER, EntryKind.PATCH): _some(
        {
            **_rewards,
            **_lifetimes,
            "demands": st.dictionaries(
                st.sampled_from(PROVIDER_NAMES), _maybe(_demand_patches | _demands)
            ),
        }
    ),
    (USER, EntryKind.LEAVE): st.just({}),
}


Report = tuple[NodeKind, str, EntryKind, dict[str, Any]]


_usual_options = ("gap_scale", "example_ambiguity", "snr_db", "compute_load", "lifetime_s")
_cached = {"work_model": "cached", "work_per_input_token": 0.5, "work_per_output_token": 2.0}


def _all_registered() -> st.SearchStrategy[list[Report]]:
    provider = st.builds(
        lambda model, options: PROVIDER_BODY | model | options,
        st.sampled_from([{}, {}, _cached]),
        _some({name: _provider_options[name] for name in _usual_options}),
    )
    user = st.builds(
        lambda reward, demands: user_body(reward_max=reward, demands=demands),
        st.floats(0.01, 100),
        st.fixed_dictionaries({PROVIDER_NAMES[0]: _demands, PROVIDER_NAMES[1]: _demands}),
    )
    put = st.just(EntryKind.PUT)
    providers = [st.tuples(st.just(PROVIDER), st.just(n), put, provider) for n in PROVIDER_NAMES]
    users = [st.tuples(st.just(USER), st.just(name), put, user) for name in USER_NAMES]
    return st.tuples(*providers, *users).map(list)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Any report of one of a few nodes; not all have their form, and not all make sense."""
    kind, what = draw(st.sampled_from(sorted(BODIES)))
    names = PROVIDER_NAMES if kind is PROVIDER else USER_NAMES
    return kind, draw(st.sampled_from(names)), what, draw(BODIES[kind, what])


def histories(most: int = 30) -> st.SearchStrategy[list[Report]]:
    """Any reports of a few nodes, mostly after all of them registered."""
    later = st.lists(reports(), max_size=most)
    return st.builds(
        list.__add__, st.one_of(_all_registered(), _all_registered(), st.just([])), later
    )


def formed(report: Report, key: str) -> NewEntry | None:
    """The report as a new entry, or None if it does not have its form."""
    kind, name, what, body = report
    try:
        return new_entry((kind, name), what, body, key)
    except ValueError:
        return None


def accepted(log: Log, new: NewEntry) -> bool:
    """Whether a log took an entry in."""
    try:
        log.take(new)
    except Refused:
        return False
    return True


@dataclass(frozen=True, eq=False)
class Decided:
    """The part of an allocation that is charged."""

    provider_names: tuple[str, ...]
    user_names: tuple[str, ...]
    rewards: FloatArray
    qoe: FloatArray

    def micro(self, provider: str, user: str) -> int:
        """What a pair pays, in millionths."""
        pair = self.provider_names.index(provider), self.user_names.index(user)
        return round(float(self.rewards[pair]) * float(self.qoe[pair]) * 1e6)


def decided(seed: int) -> Decided:
    """A decision on all of the few nodes, of any amounts and in an order of its own."""
    rng = np.random.default_rng(seed)
    shape = len(PROVIDER_NAMES), len(USER_NAMES)
    rewards, qoe = rng.uniform(0, 5, shape), rng.uniform(0, 100, shape)
    return Decided(PROVIDER_NAMES, USER_NAMES[:: 1 if seed % 2 else -1], rewards, qoe)


def cycle_record(number: int, position: int, in_force: int | None, at: datetime) -> CycleRecord:
    """The record of a cycle: decided if its own decision is in force, kept otherwise."""
    own = in_force == number
    return CycleRecord(
        number=number,
        position=position,
        snapshot_at=at,
        committed_at=at,
        result=CycleResult.DECIDED if own else CycleResult.KEPT,
        kept=None if own else Cause.TOO_LATE.kept(seconds=30.0),
        in_force=in_force,
        start_cycle=None,
        membership="few" if own else None,
        payload=f"cycle-{number}" if own else None,
        digest="0" * 64 if own else None,
        dropped=(),
        summary={"number": number},
        version="0",
    )


@dataclass(frozen=True)
class Checkpoint:
    position: int
    cycle: int
    blob: str


class Broken(Exception):  # noqa: N818
    """What a store in memory raises when it is told to."""


@dataclass
class MemoryStore:
    """A store that forgets everything with the process, and fails when told to.

    Attributes:
        fail: names of methods whose next call fails before it did anything.
        fail_late: names of those whose next call fails after it was done.
        appended: sizes of the transactions.
    """

    log: list[Entry] = field(default_factory=list)
    records: list[CycleRecord] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    fail: list[str] = field(default_factory=list)
    fail_late: list[str] = field(default_factory=list)
    appended: list[int] = field(default_factory=list)

    def _break(self, name: str, names: list[str]) -> None:
        if name in names:
            names.remove(name)
            raise Broken(name)

    async def append(self, entries: Sequence[Entry]) -> None:
        self._break("append", self.fail)
        assert [entry.seq for entry in entries] == [
            len(self.log) + 1 + k for k in range(len(entries))
        ]
        used = {(entry.node_kind, entry.node, entry.key) for entry in self.log}
        for entry in entries:
            if (entry.node_kind, entry.node, entry.key) in used:
                raise AlreadyStoredError(entry.key)
            used.add((entry.node_kind, entry.node, entry.key))
        self.log.extend(entries)
        self.appended.append(len(entries))
        self._break("append", self.fail_late)

    async def entries(self, after: int = 0, up_to: int | None = None) -> AsyncIterator[Entry]:
        self._break("entries", self.fail)
        for entry in self.log[after:up_to]:
            yield entry

    async def find_keys(
        self, keys: Iterable[tuple[NodeKind, str, str]]
    ) -> dict[tuple[NodeKind, str, str], Entry]:
        self._break("find_keys", self.fail)
        wanted = set(keys)
        stored = {(entry.node_kind, entry.node, entry.key): entry for entry in self.log}
        return {key: stored[key] for key in wanted & stored.keys()}

    async def put_blob(self, name: str, data: bytes) -> None:
        self._break("put_blob", self.fail)
        self.blobs[name] = data

    async def get_blob(self, name: str) -> bytes | None:
        return self.blobs.get(name)

    async def put_membership(
        self, digest: str, provider_names: Sequence[str], user_names: Sequence[str]
    ) -> None:
        pass

    async def commit_cycle(self, record: CycleRecord) -> None:
        self._break("commit_cycle", self.fail)
        assert record.number == len(self.records) + 1
        assert record.position <= len(self.log)
        self.records.append(record)
        self._break("commit_cycle", self.fail_late)

    async def cycles(self, *, after: int = 0, limit: int = 100) -> list[CycleRecord]:
        return self.records[after : after + limit]

    async def commit_checkpoint(self, position: int, cycle: int, blob_name: str) -> None:
        self._break("commit_checkpoint", self.fail)
        assert (position, cycle) not in {(c.position, c.cycle) for c in self.checkpoints}
        self.checkpoints.append(Checkpoint(position, cycle, blob_name))

    async def newest_checkpoint(
        self, *, up_to_cycle: int | None = None, up_to_position: int | None = None
    ) -> Checkpoint | None:
        fit = [
            c for c in self.checkpoints if up_to_position is None or c.position <= up_to_position
        ]
        return max(fit, key=lambda c: (c.position, c.cycle), default=None)


@dataclass
class Clock:
    """A clock that moves when told to."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
