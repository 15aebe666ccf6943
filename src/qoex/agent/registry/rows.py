"""Between what a report says and a row of numbers, in which NaN stands for not given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from qoex.agent.snapshot import WORK_MODEL_NAMES

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
