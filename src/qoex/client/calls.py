"""Every call of the agent, described once; ``Client`` and ``AsyncClient`` inherit them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from qoex.client.exchange import Call, CallBatch, call, nothing, path_of
from qoex.client.following import Stream, stream
from qoex.client.reports import Line, encoded, new_key
from qoex.wire.answers import (
    BulkAnswer,
    CycleAnswer,
    CyclePage,
    ExplanationAnswer,
    LedgerAnswer,
    LinksAnswer,
    NodeDocument,
    NodePage,
    PairAnswer,
    ProviderDecisionAnswer,
    ReceiptAnswer,
    UserDecisionAnswer,
)
from qoex.wire.names import Side
from qoex.wire.reports import ProviderPatch, ProviderReport, UserPatch, UserReport

MOST_LINES = 10_000  # of a bulk request; the agent refuses more
MOST_BYTES = 15 << 20  # the agent takes 16 MiB
CYCLE_TIMEOUT = 60.0  # seconds; a cycle of a large market may take its whole deadline

ModelT = TypeVar("ModelT", bound=BaseModel)

_PAIRS = TypeAdapter(tuple[PairAnswer, ...])


@dataclass(frozen=True)
class WholeDecision:
    """Every pair of a decision, and the cycle after which it was in force."""

    cycle: CycleAnswer
    pairs: tuple[PairAnswer, ...]


class Calls:
    """The calls; each says what it sends and how the answer is read."""

    # Providers

    @call
    def put_provider(
        self, name: str, report: ProviderReport, *, key: str | None = None
    ) -> Call[ReceiptAnswer]:
        """Register a provider, or replace all that it said.

        Args:
            name: of the provider.
            report: all that it has.
            key: idempotency key; a fresh one unless given. The same key with the same report
                counts once, however often and by whomever it is sent.

        Raises:
            AgentError: the agent refuses it, or gives no answer.
        """
        return _report("PUT", path_of("providers", name), report, key)

    @call
    def patch_provider(
        self, name: str, patch: ProviderPatch, *, key: str | None = None
    ) -> Call[ReceiptAnswer]:
        """Change some of what a provider said; {} only says that it is there."""
        return _report("PATCH", path_of("providers", name), patch, key)

    @call
    def provider(self, name: str) -> Call[NodeDocument]:
        """Return what a provider said last."""
        return _get(_model(NodeDocument), "providers", name)

    @call
    def remove_provider(self, name: str, *, key: str | None = None) -> Call[ReceiptAnswer]:
        """Let a provider leave."""
        return _report("DELETE", path_of("providers", name), None, key)

    @call
    def patch_links(
        self, provider: str, links: Mapping[str, float | None], *, key: str | None = None
    ) -> Call[ReceiptAnswer]:
        """Report signal-to-noise ratios.

        Args:
            provider: whose links they are.
            links: dB by name of the user; None forgets a link. At most 10,000.
            key: idempotency key.
        """
        return _report("PATCH", path_of("providers", provider, "links"), links, key)

    @call
    def links(self, provider: str) -> Call[LinksAnswer]:
        """Return the signal-to-noise ratios that a provider reported."""
        return _get(_model(LinksAnswer), "providers", provider, "links")

    @call
    def report_served(
        self, provider: str, user: str, requests: int = 1, *, key: str | None = None
    ) -> Call[ReceiptAnswer]:
        """Report requests that a provider served to a user."""
        body = {"user": user, "requests": requests}
        return _report("POST", path_of("providers", provider, "served"), body, key)

    @call
    def provider_decision(
        self, name: str, *, cycle: int | None = None
    ) -> Call[ProviderDecisionAnswer]:
        """Return what the decision in force, or that of a cycle, means to a provider."""
        return _get(_model(ProviderDecisionAnswer), "providers", name, "decision", cycle=cycle)

    @call
    def provider_explanation(
        self, name: str, *, cycle: int | None = None
    ) -> Call[ExplanationAnswer]:
        """Return a provider's decision in plain sentences."""
        return _get(_model(ExplanationAnswer), "providers", name, "explanation", cycle=cycle)

    @call
    def provider_ledger(self, name: str) -> Call[LedgerAnswer]:
        """Return what users owe a provider."""
        return _get(_model(LedgerAnswer), "providers", name, "ledger")

    # Users

    @call
    def put_user(
        self, name: str, report: UserReport, *, key: str | None = None
    ) -> Call[ReceiptAnswer]:
        """Register a user, or replace all that it said."""
        return _report("PUT", path_of("users", name), report, key)

    @call
    def patch_user(
        self, name: str, patch: UserPatch, *, key: str | None = None
    ) -> Call[ReceiptAnswer]:
        """Change some of what a user said; {} only says that it is there."""
        return _report("PATCH", path_of("users", name), patch, key)

    @call
    def user(self, name: str) -> Call[NodeDocument]:
        """Return what a user said last."""
        return _get(_model(NodeDocument), "users", name)

    @call
    def remove_user(self, name: str, *, key: str | None = None) -> Call[ReceiptAnswer]:
        """Let a user leave."""
        return _report("DELETE", path_of("users", name), None, key)

    @call
    def user_decision(self, name: str, *, cycle: int | None = None) -> Call[UserDecisionAnswer]:
        """Return what the decision in force, or that of a cycle, means to a user."""
        return _get(_model(UserDecisionAnswer), "users", name, "decision", cycle=cycle)

    @call
    def user_explanation(self, name: str, *, cycle: int | None = None) -> Call[ExplanationAnswer]:
        """Return a user's decision in plain sentences."""
        return _get(_model(ExplanationAnswer), "users", name, "explanation", cycle=cycle)

    @call
    def user_ledger(self, name: str) -> Call[LedgerAnswer]:
        """Return what a user owes."""
        return _get(_model(LedgerAnswer), "users", name, "ledger")

    # All nodes; these need an operator's token, but for lines of one's own

    @call
    def report_many(self, lines: Iterable[Line]) -> CallBatch[BulkAnswer]:
        """Report for many nodes at once, in requests of at most 10,000 lines.

        Each request is taken whole or not at all. Where one is refused, those before it stand,
        and the lines can be sent again as they are: their keys make each count once.

        Args:
            lines: in the order in which they are to count.

        """
        calls = [
            Call(
                "POST",
                path_of("reports"),
                _model(BulkAnswer),
                headers={"content-type": "application/x-ndjson"},
                content=content,
            )
            for content in requests_of(lines)
        ]
        return CallBatch(calls, _all_receipts)

    @call
    def nodes(
        self,
        *,
        kind: Side | None = None,
        search: str | None = None,
        active: bool | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Call[NodePage]:
        """Return a page of the nodes, by name; give its ``next`` as ``after`` for the one after."""
        return _get(
            _model(NodePage),
            "nodes",
            kind=kind,
            search=search,
            active=active,
            after=after,
            limit=limit,
        )

    @call
    def ledger(self) -> Call[LedgerAnswer]:
        """Return what every user owes every provider."""
        return _get(_model(LedgerAnswer), "ledger")

    # Cycles

    @call
    def run_cycle(self) -> Call[CycleAnswer]:
        """Run an update cycle now and return how it ended."""
        return Call(
            "POST",
            path_of("cycles"),
            _model(CycleAnswer),
            repeatable=False,
            timeout=CYCLE_TIMEOUT,
        )

    @call
    def cycles(self, *, before: int | None = None, limit: int | None = None) -> Call[CyclePage]:
        """Return a page of the cycles, newest first."""
        return _get(_model(CyclePage), "cycles", before=before, limit=limit)

    @call
    def cycle(self, number: int) -> Call[CycleAnswer]:
        """Return how a cycle ended."""
        return _get(_model(CycleAnswer), "cycles", number)

    @call
    def decision(self, cycle: int | None = None) -> Call[WholeDecision]:
        """Return every pair of the decision in force, or of that of a cycle."""
        return _get(_decision, "decisions", "latest" if cycle is None else cycle)

    # Events

    @stream
    def events(self, *, after: int | None = None) -> Stream[CycleAnswer]:
        """Yield every cycle as it ends, for as long as somebody listens.

        Where the connection ends, it is made anew, and nothing is missed that the agent still has.

        Args:
            after: number of a cycle; those after it come first. None: only what comes from now on.

        Raises:
            AgentError: the agent refuses, or cannot be reached any more.
        """
        return Stream(path_of("events"), _model(CycleAnswer), _id(after))

    @stream
    def user_events(self, name: str, *, after: int | None = None) -> Stream[UserDecisionAnswer]:
        """Yield what each cycle means to a user, as it ends."""
        return Stream(path_of("users", name, "events"), _model(UserDecisionAnswer), _id(after))

    @stream
    def provider_events(
        self, name: str, *, after: int | None = None
    ) -> Stream[ProviderDecisionAnswer]:
        """Yield what each cycle means to a provider, as it ends."""
        return Stream(
            path_of("providers", name, "events"), _model(ProviderDecisionAnswer), _id(after)
        )

    @call
    def ready(self) -> Call[None]:
        """Raise unless the agent is ready for reports and cycles.

        Raises:
            AgentError: it is not, yet.
        """
        return Call("GET", "/readyz", nothing)


def requests_of(
    lines: Iterable[Line], *, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES
) -> Iterator[bytes]:
    """Yield the bodies of as few bulk requests as the limits allow, lines in their order."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        encoded = line.encoded()
        if held and (len(held) == most_lines or size + len(encoded) > most_bytes):
            yield b"".join(held)
            held, size = [], 0
        held.append(encoded)
        size += len(encoded)
    if held:
        yield b"".join(held)


def _report(
    method: str, path: str, body: Mapping[str, Any] | None, key: str | None
) -> Call[ReceiptAnswer]:
    headers = {"idempotency-key": new_key() if key is None else key}
    content = None
    if body is not None:
        headers["content-type"] = "application/json"
        content = encoded(body, f"the report to {path}")
    return Call(method, path, _model(ReceiptAnswer), headers=headers, content=content)


def _get(
    read: Callable[[bytes], Any], *parts: str | int, **parameters: str | int | bool | None
) -> Call[Any]:
    return Call("GET", path_of(*parts), read, parameters=parameters)


def _model(model: type[ModelT]) -> Callable[[bytes], ModelT]:
    return model.model_validate_json


def _id(after: int | None) -> str | None:
    return None if after is None else str(after)


def _decision(content: bytes) -> WholeDecision:
    first, _, rest = content.partition(b"\n")
    pairs = _PAIRS.validate_json(b"[" + b",".join(filter(None, rest.split(b"\n"))) + b"]")
    return WholeDecision(cycle=CycleAnswer.model_validate_json(first), pairs=pairs)


def _all_receipts(receipts: Sequence[BulkAnswer]) -> BulkAnswer:
    firsts = [item.first_seq for item in receipts if item.first_seq is not None]
    lasts = [item.last_seq for item in receipts if item.last_seq is not None]
    return BulkAnswer(
        accepted=sum(item.accepted for item in receipts),
        replayed=sum(item.replayed for item in receipts),
        first_seq=min(firsts, default=None),
        last_seq=max(lasts, default=None),
    )
