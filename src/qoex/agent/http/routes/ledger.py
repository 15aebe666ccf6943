"""What users owe providers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.bodies import JSON
from qoex.agent.http.describe import WITH_PARAMETERS, WITH_TOKEN, described
from qoex.agent.http.operations import Operations
from qoex.agent.http.parts import parts_of
from qoex.agent.http.security import require_operator, require_owner
from qoex.agent.reports.entries import NodeKind
from qoex.agent.reports.nodes import Owner
from qoex.agent.state.ledger import Ledger, LedgerContents, Owed
from qoex.wire.answers import LedgerAnswer
from qoex.wire.names import NodeName

router = Operations()


@router.get(
    "/v1/users/{name}/ledger",
    **described(
        "getUserLedger",
        "What a user owes",
        "ledger",
        refusals=(*WITH_PARAMETERS, ProblemKind.NOT_FOUND),
        answer=LedgerAnswer,
    ),
)
async def get_user_ledger(name: NodeName, request: Request) -> Response:
    """By provider, also of a user that left."""
    require_owner(request, NodeKind.USER, name)
    owed = parts_of(request).intake.ledger.owed(user=name)
    return _of_node(request, NodeKind.USER, name, owed)


@router.get(
    "/v1/providers/{name}/ledger",
    **described(
        "getProviderLedger",
        "What a provider is owed",
        "ledger",
        refusals=(*WITH_PARAMETERS, ProblemKind.NOT_FOUND),
        answer=LedgerAnswer,
    ),
)
async def get_provider_ledger(name: NodeName, request: Request) -> Response:
    """By user, also of a provider that left."""
    require_owner(request, NodeKind.PROVIDER, name)
    owed = parts_of(request).intake.ledger.owed(provider=name)
    return _of_node(request, NodeKind.PROVIDER, name, owed)


@router.get(
    "/v1/ledger",
    **described(
        "getLedger",
        "What every user owes every provider",
        "ledger",
        refusals=WITH_TOKEN,
        answer=LedgerAnswer,
    ),
)
async def get_ledger(request: Request) -> Response:
    """For operators."""
    require_operator(request)
    # A copy is quick; the sums and texts of a hundred thousand pairs are not.
    contents = parts_of(request).intake.ledger.contents()
    return Response(await asyncio.to_thread(_whole, contents), media_type=JSON)


def _whole(contents: LedgerContents) -> bytes:
    ledger = Ledger()
    ledger.fill(contents)
    return _answer(ledger.owed())


def _of_node(request: Request, kind: NodeKind, name: str, owed: Sequence[Owed]) -> Response:
    if not owed and parts_of(request).intake.registry.node(kind, name) is None:
        raise Refused(ProblemKind.NOT_FOUND, f"No {Owner(kind, name)} is registered.")
    return Response(_answer(owed), media_type=JSON)


def _answer(owed: Sequence[Owed]) -> bytes:
    entries = [
        {"user": item.user, "provider": item.provider, "amount": f"{item.amount:f}"}
        for item in owed
    ]
    total = sum((item.amount for item in owed), Decimal("0.000000"))
    return to_json({"unit": "money", "total": f"{total:f}", "entries": entries})
