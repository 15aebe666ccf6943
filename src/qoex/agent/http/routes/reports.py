"""What a node says, report by report, and what the agent knows of it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.bodies import (
    JSON,
    MERGE_PATCH,
    json_answer,
    read_body,
    require_media_type,
    strict_object,
)
from qoex.agent.http.describe import (
    KEY_PARAMETER,
    REPORT,
    WITH_PARAMETERS,
    content,
    described,
    reference,
)
from qoex.agent.http.operations import Operations
from qoex.agent.http.parts import parts_of
from qoex.agent.http.security import require_owner
from qoex.agent.http.views import state_view
from qoex.agent.reports.entries import EntryKind, NewEntry, NodeKind, Receipt
from qoex.agent.reports.lines import FORMS, refused_form
from qoex.wire.answers import (
    LinksAnswer,
    ProviderDocument,
    ReceiptAnswer,
    UserDocument,
)
from qoex.wire.names import IDEMPOTENCY_KEY, NodeName

# The users' first, for there are most of them.
router = Operations()

_KEY = re.compile(IDEMPOTENCY_KEY)

PROVIDER, USER = NodeKind.PROVIDER, NodeKind.USER
_ABSENT = (ProblemKind.NOT_FOUND,)
_CHANGE = (*REPORT, ProblemKind.NOT_FOUND, ProblemKind.NOT_ACTIVE, ProblemKind.UNKNOWN_NODE)
_LEAVE = (*REPORT, ProblemKind.NOT_FOUND, ProblemKind.NOT_ACTIVE)

_USER_EXAMPLE = {
    "profit_factor": 40.0,
    "reward_min": 0.0,
    "reward_max": 0.5,
    "demands": {
        "asp-1": {"performance_gap": 0.2, "input_tokens": 200, "output_tokens": 150},
    },
}
_PROVIDER_EXAMPLE = {
    "compute_capacity": 60.0,
    "bandwidth_capacity": 40.0,
    "compute_cost": 0.5,
    "bandwidth_cost": 0.4,
    "latency_budget": 1500.0,
    "work_per_token_pair": 0.002,
    "snr_db": 20.0,
}


def _sent(form: str, example: Any, *media_types: str) -> dict[str, Any]:
    return {"body": content(reference(form), *media_types, examples={"usual": example})}


_KEYED: dict[str, Any] = {"answer": ReceiptAnswer, "parameters": [KEY_PARAMETER]}
_LEAVING: dict[str, Any] = {
    "body": content(reference("LeaveReport"), JSON, examples={"usual": {}}),
    "body_required": False,
}


@router.put(
    "/v1/users/{name}",
    **described(
        "putUser",
        "Register a user, or replace what it said",
        "reports",
        refusals=(*REPORT, ProblemKind.UNKNOWN_NODE),
        **_KEYED,
        **_sent("UserReport", _USER_EXAMPLE, JSON),
    ),
)
async def put_user(name: NodeName, request: Request) -> Response:
    """All of its report, with everything that it demands."""
    return await _report(request, USER, name, EntryKind.PUT)


@router.patch(
    "/v1/users/{name}",
    **described(
        "patchUser",
        "Change some of what a user said or demands",
        "reports",
        refusals=_CHANGE,
        **_KEYED,
        **_sent("UserPatch", {"demands": {"asp-1": {"output_tokens": 300}}}, JSON, MERGE_PATCH),
    ),
)
async def patch_user(name: NodeName, request: Request) -> Response:
    """Apply a JSON merge patch (RFC 7396): null ends a demand; an empty one says: still there."""
    return await _report(request, USER, name, EntryKind.PATCH)


@router.get(
    "/v1/users/{name}",
    **described(
        "getUser",
        "What a user said and demands, and where it stands",
        "reports",
        refusals=(*WITH_PARAMETERS, *_ABSENT),
        answer=UserDocument,
    ),
)
async def get_user(name: NodeName, request: Request) -> Response:
    """Also of one that left, until it is forgotten."""
    return _document(request, USER, name)


@router.delete(
    "/v1/users/{name}",
    **described("deleteUser", "Let a user leave", "reports", refusals=_LEAVE, **_KEYED, **_LEAVING),
)
async def delete_user(name: NodeName, request: Request) -> Response:
    """Take note that it leaves; it may register again at any time."""
    return await _report(request, USER, name, EntryKind.LEAVE)


@router.put(
    "/v1/providers/{name}",
    **described(
        "putProvider",
        "Register a provider, or replace what it said",
        "reports",
        refusals=REPORT,
        **_KEYED,
        **_sent("ProviderReport", _PROVIDER_EXAMPLE, JSON),
    ),
)
async def put_provider(name: NodeName, request: Request) -> Response:
    """All of its report; links stay as they are while it is active."""
    return await _report(request, PROVIDER, name, EntryKind.PUT)


@router.patch(
    "/v1/providers/{name}",
    **described(
        "patchProvider",
        "Change some of what a provider said",
        "reports",
        refusals=_CHANGE,
        **_KEYED,
        **_sent("ProviderPatch", {"compute_load": 0.25}, JSON, MERGE_PATCH),
    ),
)
async def patch_provider(name: NodeName, request: Request) -> Response:
    """Apply a JSON merge patch (RFC 7396); an empty one says that the provider is still there."""
    return await _report(request, PROVIDER, name, EntryKind.PATCH)


@router.get(
    "/v1/providers/{name}",
    **described(
        "getProvider",
        "What a provider said, and where it stands",
        "reports",
        refusals=(*WITH_PARAMETERS, *_ABSENT),
        answer=ProviderDocument,
    ),
)
async def get_provider(name: NodeName, request: Request) -> Response:
    """Also of one that left, until it is forgotten."""
    return _document(request, PROVIDER, name)


@router.delete(
    "/v1/providers/{name}",
    **described(
        "deleteProvider",
        "Let a provider leave",
        "reports",
        refusals=_LEAVE,
        **_KEYED,
        **_LEAVING,
    ),
)
async def delete_provider(name: NodeName, request: Request) -> Response:
    """Take note that it leaves; it may register again at any time."""
    return await _report(request, PROVIDER, name, EntryKind.LEAVE)


@router.get(
    "/v1/providers/{name}/links",
    **described(
        "getLinks",
        "The links that a provider reported",
        "reports",
        refusals=(*WITH_PARAMETERS, *_ABSENT),
        answer=LinksAnswer,
    ),
)
async def get_links(name: NodeName, request: Request) -> Response:
    """Links that are not listed have the signal-to-noise ratio of the provider's report."""
    require_owner(request, PROVIDER, name)
    return json_answer({"snr_db": parts_of(request).intake.registry.links(name)})


@router.patch(
    "/v1/providers/{name}/links",
    **described(
        "patchLinks",
        "Report links of a provider, as far as they changed",
        "reports",
        refusals=_CHANGE,
        **_KEYED,
        **_sent("LinksReport", {"mu-1": 18.5, "mu-2": None}, JSON, MERGE_PATCH),
    ),
)
async def patch_links(name: NodeName, request: Request) -> Response:
    """Signal-to-noise ratios in dB by the name of the user; null removes one."""
    return await _report(request, PROVIDER, name, EntryKind.LINKS)


@router.post(
    "/v1/providers/{name}/served",
    **described(
        "postServed",
        "Report requests that a provider served to a user",
        "reports",
        refusals=_CHANGE,
        **_KEYED,
        **_sent("ServedReport", {"user": "mu-1", "requests": 3}, JSON),
    ),
)
async def post_served(name: NodeName, request: Request) -> Response:
    """Where requests are billed, the user owes R·Q of the decision in force for each of them."""
    return await _report(request, PROVIDER, name, EntryKind.SERVED)


async def _report(request: Request, node_kind: NodeKind, node: str, kind: EntryKind) -> Response:
    """Take one report in; this is what the agent does most, so it does nothing twice."""
    require_owner(request, node_kind, node)
    parts = parts_of(request)
    settings = parts.settings
    try:
        key = _key(request)
        raw = await read_body(request, settings.max_body_bytes, settings.body_timeout_s)
        if raw or kind is not EntryKind.LEAVE:
            patch = kind in (EntryKind.PATCH, EntryKind.LINKS)
            require_media_type(request, *((JSON, MERGE_PATCH) if patch else (JSON,)))
            said = strict_object(raw)
        else:  # who leaves need not say more, whatever media type a client gives by habit
            said = {}
        try:
            body = FORMS[node_kind, kind].read(said)
        except ValidationError as error:
            raise refused_form(error.errors(include_url=False)) from None
        receipts = await parts.intake.submit([NewEntry(node_kind, node, kind, key, body)])
    except Refused:
        parts.instruments.reported(node_kind, kind, "refused")
        raise
    receipt = receipts[0]
    parts.instruments.reported(node_kind, kind, "replayed" if receipt.replayed else "accepted")
    return Response(_receipt(receipt), media_type=JSON)


def _key(request: Request) -> str:
    given = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if len(given) != 1:
        many = "several" if given else "no"
        raise Refused(ProblemKind.KEY_MISSING, f"The request has {many} headers Idempotency-Key.")
    key: str = given[0].decode("latin-1")
    if not _KEY.fullmatch(key):
        raise Refused(
            ProblemKind.KEY_MISSING, "Idempotency-Key must be 1 to 128 printable ASCII characters."
        )
    return key


def _receipt(receipt: Receipt) -> bytes:
    moment = receipt.received_at.isoformat(timespec="microseconds")
    replayed = "true" if receipt.replayed else "false"
    return f'{{"seq":{receipt.seq},"received_at":"{moment}","replayed":{replayed}}}'.encode()


def _document(request: Request, kind: NodeKind, name: str) -> Response:
    require_owner(request, kind, name)
    registry = parts_of(request).intake.registry
    report = registry.document(kind, name)
    state = registry.node(kind, name)
    assert state is not None  # or there would be no document
    return json_answer({**state_view(state), "report": report})
