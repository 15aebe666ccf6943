"""Arrays by slot, which double when they are full."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoex.agent.reports.entries import NodeKind
from qoex.agent.solving.snapshot import WORK_MODEL_NAMES


class Journal:
    """Steps that undo changes; kept only within ``all_or_nothing``."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] | None = None

    @property
    def kept(self) -> bool:
        """Whether changes have to be noted now."""
        return self._steps is not None

    def note(self, step: Callable[[], object]) -> None:
        """Remember how to undo a change, if steps are kept."""
        if self._steps is not None:
            self._steps.append(step)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Take back every change made within, if an exception leaves it; may be nested."""
        outer, steps = self._steps, list[Callable[[], object]]()
        self._steps = steps
        try:
            yield
        except BaseException:
            self._steps = None
            for step in reversed(steps):
                step()
            raise
        else:
            if outer is not None:
                outer += steps
        finally:
            self._steps = outer


Array = NDArray[Any]

LEAST_SLOTS = 16


@dataclass(frozen=True)
class NodeColumn:
    """The form of an array: which sides its first axes run over, and what a new slot holds.

    Attributes:
        sides: one or two sides of the market.
        fill: value of what nobody wrote yet.
        dtype: of its values.
        width: length of one more axis, or 0 for none.
    """

    sides: tuple[NodeKind, ...]
    fill: float | int | bool
    dtype: type[np.generic] = np.float64
    width: int = 0


class Columns:
    """Arrays by name whose first axes run over the slots of providers, users, or both."""

    def __init__(self, columns: Mapping[str, NodeColumn], journal: Journal) -> None:
        self._columns = dict(columns)
        self._journal = journal
        self._slots = dict.fromkeys(NodeKind, LEAST_SLOTS)
        self._arrays = {name: self._new(column) for name, column in self._columns.items()}

    def __getitem__(self, name: str) -> Array:
        """Return an array; only ``write`` may change it."""
        return self._arrays[name]

    def write(self, name: str, index: Any, value: Any) -> None:
        """Set a part of an array."""
        array = self._arrays[name]
        if self._journal.kept:
            old = array[index]
            old = old.copy() if isinstance(old, np.ndarray) else old
            self._journal.note(partial(self._put_back, name, index, old))
        array[index] = value

    def reserve(self, kind: NodeKind, slots: int) -> None:
        """Make room for so many slots of one side."""
        if slots <= self._slots[kind]:
            return
        self._journal.note(partial(self._restore, self._slots.copy(), self._arrays.copy()))
        while self._slots[kind] < slots:
            self._slots[kind] *= 2
        for name, column in self._columns.items():
            if kind in column.sides:
                old = self._arrays[name]
                self._arrays[name] = self._new(column)
                self._arrays[name][tuple(map(slice, old.shape))] = old

    def used(self, slots: Mapping[NodeKind, int]) -> dict[str, Array]:
        """Return copies of the arrays' first so many slots."""
        return {
            name: self._arrays[name][tuple(slice(slots[kind]) for kind in column.sides)].copy()
            for name, column in self._columns.items()
        }

    def fill(self, slots: Mapping[NodeKind, int], arrays: Mapping[str, Array]) -> None:
        """Take over what ``used`` gave.

        Raises:
            ValueError: arrays of other names, shapes or types.
        """
        if set(arrays) != set(self._columns):
            raise ValueError(f"the arrays are {sorted(arrays)}, not {sorted(self._columns)}")
        for kind in NodeKind:
            self.reserve(kind, slots[kind])
        for name, column in self._columns.items():
            part = self._arrays[name][tuple(slice(slots[kind]) for kind in column.sides)]
            given = arrays[name]
            if given.shape != part.shape or given.dtype != part.dtype:
                raise ValueError(f"{name} has the wrong shape or type: {given.shape} {given.dtype}")
            part[...] = given

    def _new(self, column: NodeColumn) -> Array:
        shape = [self._slots[kind] for kind in column.sides]
        if column.width:
            shape.append(column.width)
        return np.full(shape, column.fill, dtype=column.dtype)

    def _put_back(self, name: str, index: Any, old: Any) -> None:
        self._arrays[name][index] = old

    def _restore(self, slots: dict[NodeKind, int], arrays: dict[str, Array]) -> None:
        self._slots, self._arrays = slots, arrays


_CODES = {name: float(code) for code, name in enumerate(WORK_MODEL_NAMES)}


def given_in(columns: Sequence[str], row: NDArray[Any]) -> dict[str, Any]:
    """Return what a row gives, by the names of its columns."""
    given: dict[str, Any] = {
        name: value
        for name, value in zip(columns, row.tolist(), strict=True)
        if not math.isnan(value)
    }
    if "work_model" in given:
        given["work_model"] = WORK_MODEL_NAMES[int(given["work_model"])]
    return given


def patched(given: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same dict with a merge patch applied (RFC 7396)."""
    for name, value in patch.items():
        if value is None:
            given.pop(name, None)
        else:
            given[name] = value
    return given


def row_of(columns: Sequence[str], given: Mapping[str, Any]) -> list[float]:
    """Return the row of what is given; names that are no columns are left aside."""
    row = [given.get(name, math.nan) for name in columns]
    if "work_model" in given:
        row[columns.index("work_model")] = _CODES[given["work_model"]]
    return row
