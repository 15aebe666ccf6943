"""From what a client sent to a new entry: one report by its path, or one line of a bulk request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qoex.agent.errors import Fault, Problem, Refused
from qoex.agent.reports.entries import EntryKind, NewEntry, NodeKind
from qoex.agent.reports.forms import (
    LeaveReport,
    LinksReport,
    ProviderPatch,
    ProviderReport,
    Report,
    ServedReport,
    UserPatch,
    UserReport,
)
from qoex.agent.reports.nodes import IdempotencyKey, NodeName

# Which report a node of a kind may send, and its form.
FORMS: Mapping[tuple[NodeKind, EntryKind], type[Report] | type[LinksReport]] = {
    (NodeKind.PROVIDER, EntryKind.PUT): ProviderReport,
    (NodeKind.PROVIDER, EntryKind.PATCH): ProviderPatch,
    (NodeKind.PROVIDER, EntryKind.LEAVE): LeaveReport,
    (NodeKind.PROVIDER, EntryKind.LINKS): LinksReport,
    (NodeKind.PROVIDER, EntryKind.SERVED): ServedReport,
    (NodeKind.USER, EntryKind.PUT): UserReport,
    (NodeKind.USER, EntryKind.PATCH): UserPatch,
    (NodeKind.USER, EntryKind.LEAVE): LeaveReport,
}


class BulkLine(BaseModel):
    """One line of a bulk request: a report, with the node it belongs to and its key."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    key: IdempotencyKey
    node_kind: NodeKind
    """Side of the market the node is on."""
    node: NodeName
    kind: Literal["put", "patch", "leave", "links", "served"]
    """What the report does; links and served are reports of providers."""
    body: dict[str, Any] = Field(default={})
    """The report, of the same form as in a request of its own; {} to leave."""


def read_line(line: bytes | str) -> NewEntry:
    """Return the entry that a line of a bulk request stands for.

    Raises:
        Refused: malformed-json or invalid-report, with a fault for each place.
    """
    try:
        read = BulkLine.model_validate_json(line)
        kind = EntryKind(read.kind)
        if (read.node_kind, kind) not in FORMS:
            what = f"A {read.node_kind.value} cannot send it"
            raise refused([Fault("kind", what)])
        body = FORMS[read.node_kind, kind].model_validate(read.body).body()
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        prefix = "" if error.title == BulkLine.__name__ else "body"
        raise refused_form(wrong, prefix) from None
    return NewEntry(read.node_kind, read.node, kind, read.key, body)


def refused_form(errors: Iterable[Mapping[str, Any]], prefix: str = "") -> Refused:
    """Return the refusal of what does not have its form, from the errors that pydantic lists."""
    listed = list(errors)
    if any(error["type"] == "json_invalid" for error in listed):
        return Refused(Problem.MALFORMED_JSON, f"The body is not JSON: {listed[0]['msg']}.")
    faults: list[Fault] = []
    for error in listed:
        path = [str(part) for part in error["loc"] if part != "[key]"]
        where = ".".join([prefix, *path] if prefix else path)
        inner = error.get("ctx", {}).get("faults") if error["type"] == "report" else None
        if inner is None:
            faults.append(Fault(where, error["msg"]))
        else:
            faults += [
                Fault(f"{where}.{fault.where}" if where else fault.where, fault.what)
                for fault in inner
            ]
    return refused(faults)


def refused(faults: list[Fault]) -> Refused:
    """Return the refusal of a report for its faults, of which there is at least one."""
    first = faults[0]
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    place = f"{first.where}: " if first.where else ""
    return Refused(Problem.INVALID_REPORT, f"{place}{first.what}{more}.", faults)
