"""Whose reports they are."""

from __future__ import annotations

from typing import NamedTuple

from qoex.agent.reports.entries import NodeKind


class Owner(NamedTuple):
    """A node, by its kind and name; tokens and reports belong to one."""

    kind: NodeKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name!r}"
