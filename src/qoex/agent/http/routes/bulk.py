"""Many reports in one request, all of them or none: what fleets send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.bodies import (
    NDJSON,
    body_parts,
    json_answer,
    require_media_type,
    strict_json,
)
from qoex.agent.http.describe import WITH_BODY, described
from qoex.agent.http.operations import Operations
from qoex.agent.http.parts import AgentParts, parts_of
from qoex.agent.http.security import token_of
from qoex.agent.reports.entries import EntryKind, NewEntry, NodeKind
from qoex.agent.reports.lines import read_line
from qoex.agent.reports.nodes import Owner
from qoex.wire.answers import BulkAnswer

router = Operations()

_LINES_AT_A_TIME = 50  # about 2 ms, between two breaks for others who wait for the event loop


@router.post(
    "/v1/reports",
    **described(
        "postReports",
        "Many reports in one request, all of them or none",
        "reports",
        refusals=(
            *WITH_BODY,
            ProblemKind.TOO_MANY_LINES,
            ProblemKind.NOT_FOUND,
            ProblemKind.NOT_ACTIVE,
            ProblemKind.KEY_REUSED,
            ProblemKind.OUT_OF_ORDER,
            ProblemKind.UNKNOWN_NODE,
            ProblemKind.CLOCK_SKEW,
            ProblemKind.STORAGE_FAILED,
        ),
        answer=BulkAnswer,
        body={
            NDJSON: {
                "schema": {
                    "type": "string",
                    "description": "One BulkLine (see components) in every line, UTF-8.",
                },
                "examples": {
                    "usual": {
                        "value": '{"key":"7f-1","node_kind":"user","node":"mu-1","kind":"patch",'
                        '"body":{"reward_max":0.6}}\n'
                        '{"key":"7f-2","node_kind":"user","node":"mu-2","kind":"leave","body":{}}\n'
                    }
                },
            }
        },
    ),
)
async def post_reports(request: Request) -> Response:
    """NDJSON: one report in each line. A line of another node than the token's is refused."""
    require_media_type(request, NDJSON)
    parts = parts_of(request)
    entries = await _lines(request, parts)
    if not entries:
        return json_answer({"accepted": 0, "replayed": 0, "first_seq": None, "last_seq": None})
    try:
        receipts = await parts.intake.submit(entries)
    except Refused:
        _count(parts, entries, "refused")
        raise
    replayed = [entry for entry, receipt in zip(entries, receipts, strict=True) if receipt.replayed]
    taken = [entry for entry, item in zip(entries, receipts, strict=True) if not item.replayed]
    _count(parts, taken, "accepted")
    _count(parts, replayed, "replayed")
    places = [receipt.seq for receipt in receipts]
    return json_answer(
        {
            "accepted": len(entries),
            "replayed": len(replayed),
            "first_seq": min(places),
            "last_seq": max(places),
        }
    )


async def _lines(request: Request, parts: AgentParts) -> list[NewEntry]:
    settings = parts.settings
    token = token_of(request)
    entries: list[NewEntry] = []
    chunks = body_parts(request, settings.max_bulk_bytes, settings.body_timeout_s)
    number = 0
    async for line in _split(chunks):
        number += 1
        if len(entries) == settings.max_bulk_lines:
            raise Refused(
                ProblemKind.TOO_MANY_LINES, f"The request has more than {len(entries)} lines."
            )
        try:
            strict_json(line)
            entry = read_line(line)
        except Refused as error:
            raise error.within(f"line {number}") from None
        if not token.owns(entry.node_kind, entry.node):
            owner = Owner(entry.node_kind, entry.node)
            raise Refused(
                ProblemKind.FORBIDDEN, f"Line {number} is of {owner}, not of the token's."
            )
        entries.append(entry)
        if len(entries) % _LINES_AT_A_TIME == 0:
            await asyncio.sleep(0)
    return entries


async def _split(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a body, the last with or without its end."""
    rest: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if others:
            yield b"".join(rest)
            for line in others[:-1]:
                yield line
            rest = [others[-1]]
    last = b"".join(rest)
    if last:
        yield last


def _count(parts: AgentParts, entries: list[NewEntry], result: str) -> None:
    for node_kind, kind, count in _tally(entries):
        parts.instruments.reported(node_kind, kind, result, count)


def _tally(entries: list[NewEntry]) -> Iterator[tuple[NodeKind, EntryKind, int]]:
    counted: dict[tuple[NodeKind, EntryKind], int] = {}
    for entry in entries:
        counted[entry.node_kind, entry.kind] = counted.get((entry.node_kind, entry.kind), 0) + 1
    for (node_kind, kind), count in counted.items():
        yield node_kind, kind, count
