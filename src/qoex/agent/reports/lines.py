"""From what a client sent to a new entry: one report by its path, or one line of a bulk request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import EntryKind, NewEntry, NodeKind
from qoex.wire.problems import Fault
from qoex.wire.reports import REPORTS, BulkLine, Form

FORMS: Mapping[tuple[NodeKind, EntryKind], Form] = {
    (NodeKind(side), EntryKind(kind)): form for (side, kind), form in REPORTS.items()
}

LINE = TypeAdapter(BulkLine)


def read_line(line: bytes | str) -> NewEntry:
    """Return the entry that a line of a bulk request stands for.

    Raises:
        Refused: malformed-json or invalid-report, with a fault for each place.
    """
    try:
        read = LINE.validate_json(line)
    except ValidationError as error:
        raise refused_form(error.errors(include_url=False)) from None
    node_kind, kind = NodeKind(read["node_kind"]), EntryKind(read["kind"])
    form = FORMS.get((node_kind, kind))
    if form is None:
        raise refused([Fault("kind", f"A {node_kind.value} cannot send it")])
    try:
        body = form.read(read.get("body", {}))
    except ValidationError as error:
        raise refused_form(error.errors(include_url=False), "body") from None
    return NewEntry(node_kind, read["node"], kind, read["key"], body)


def refused_form(errors: Iterable[Mapping[str, Any]], prefix: str = "") -> Refused:
    """Return the refusal of what does not have its form, from the errors that pydantic lists."""
    listed = list(errors)
    if any(error["type"] == "json_invalid" for error in listed):
        return Refused(ProblemKind.MALFORMED_JSON, f"The body is not JSON: {listed[0]['msg']}.")
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
    return Refused(ProblemKind.INVALID_REPORT, f"{place}{first.what}{more}.", faults)
