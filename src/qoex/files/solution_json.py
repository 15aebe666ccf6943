"""Solutions in files: what ``qoex solve --json`` writes and ``qoex verify`` reads.

The JSON object has the keys ``version``, ``status`` (a value of ``Status``), ``method``, ``steps``,
``rewards``, ``compute``, ``bandwidth``, ``qoe`` (N lists of M numbers), ``user_utility`` (M),
``provider_utility`` (N), ``capacities`` (an object for each resource of each provider) and
``certificate`` (``unique`` and ``index`` of it are null where they are not determined); ``notes``
and ``dropped`` (demands turned away) only where there are any. Units are those of ``Solution``. A
number that is not finite is written as null and cannot be read back. A file without
``version`` is of the first form, in which ``status`` was a sentence; it is read, too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoex.certificate import Certificate
from qoex.errors import InvalidInputError
from qoex.files.arrays_json import parse_json
from qoex.files.market_files import FilePath, read_text, write_atomically
from qoex.game.solution import CapacityState, Regime, Solution, Status
from qoex.model.market import FloatArray, Market
from qoex.text.refusals import shown_name

PAIR_KEYS = ("rewards", "compute", "bandwidth", "qoe")
RESOURCES = ("compute", "bandwidth")
KEYS = (
    "version",
    "status",
    "method",
    "steps",
    *PAIR_KEYS,
    "user_utility",
    "provider_utility",
    "capacities",
    "certificate",
)

VERSION = 2
# The status of the first form, by its first words, which no later wording changed.
_FIRST_FORM = {
    "Converged:": Status.CONVERGED,
    "Exact:": Status.EXACT,
    "Stopped by its own rule:": Status.OWN_RULE,
    "Not solved: the step limit": Status.STEP_LIMIT,
    "Not solved: no step": Status.STALLED,
    "Not solved: a number": Status.NOT_FINITE,
}

Demands = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class SavedSolution:
    """A solution read from a file, and the market that it settles.

    Attributes:
        market: the market it was read for, without the dropped demands.
        solution: what the file says; nothing of it is recomputed.
        dropped: (provider name, user name) of each demand that was turned away.
    """

    market: Market
    solution: Solution
    dropped: tuple[tuple[str, str], ...]


def solution_data(
    market: Market, solution: Solution, certificate: Certificate, dropped: Demands = ()
) -> dict[str, Any]:
    """Return the JSON object of a solution, as plain Python data.

    Args:
        market: the market settled, N providers × M users.
        solution: how it was settled.
        certificate: what it is worth.
        dropped: (provider name, user name) of each demand turned away beforehand.
    """
    data: dict[str, Any] = {
        "version": VERSION,
        "status": str(solution.status),
        "method": solution.method,
        "steps": solution.steps,
        **{key: plain(getattr(solution, key)) for key in PAIR_KEYS},
        "user_utility": plain(solution.user_utility),
        "provider_utility": plain(solution.provider_utility),
        "capacities": [
            {
                "provider": name,
                "resource": resource,
                "use": plain(state.use[n]),
                "capacity": plain(getattr(market, f"{resource}_capacity")[n]),
                "price": plain(state.price[n]),
                "regime": str(state.regime[n]),
            }
            for n, name in enumerate(market.provider_names)
            for resource, state in zip(
                RESOURCES, (solution.compute_state, solution.bandwidth_state), strict=True
            )
        ],
        "certificate": {
            "regret": plain(certificate.regret),
            "regret_per_user": plain(certificate.regret_per_user),
            "kkt_residual": plain(certificate.kkt_residual),
            "unique": certificate.unique,
            "index": certificate.index,
        },
    }
    if solution.notes:
        data["notes"] = list(solution.notes)
    if dropped:
        data["dropped"] = [{"provider": provider, "user": user} for provider, user in dropped]
    return data


def json_text(data: dict[str, Any]) -> str:
    """Return a JSON object as text: a line to a key, and lists of lists or objects a line each."""
    lines = []
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], list | dict):
            items = ",\n".join(f"    {_dumped(item)}" for item in value)
            lines.append(f"  {_dumped(key)}: [\n{items}\n  ]")
        else:
            lines.append(f"  {_dumped(key)}: {_dumped(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_solution(
    path: FilePath,
    market: Market,
    solution: Solution,
    certificate: Certificate,
    dropped: Demands = (),
) -> None:
    """Write a solution as JSON; see :func:`solution_data`.

    Raises:
        InvalidInputError: the file cannot be written; what was there is untouched.
    """
    write_atomically(path, json_text(solution_data(market, solution, certificate, dropped)))


def read_solution(path: FilePath, market: Market) -> SavedSolution:
    """Read a solution of a market; what the file says of its certificate is not looked at.

    Raises:
        InvalidInputError: it cannot be read, is not such an object, or is of another market; the
            message names the file and the place.
    """
    try:
        return _saved(parse_json(read_text(path)), market)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from None


def _saved(data: object, market: Market) -> SavedSolution:
    if not isinstance(data, dict):
        raise InvalidInputError("a solution must be an object")
    missing = [key for key in KEYS if key not in data and key not in ("version", "certificate")]
    if missing:
        raise InvalidInputError(f"the solution lacks {', '.join(missing)}")
    version = data.get("version", 1)
    if version not in (1, VERSION) or type(version) is not int:
        raise InvalidInputError(f"version is {_shown(version)}; this qoex reads 1 and {VERSION}")
    compute_state, bandwidth_state = _states(data["capacities"], market)
    dropped = _dropped(data.get("dropped", []), market)
    without = np.zeros(market.work.shape, dtype=np.bool_)
    for provider, user in dropped:
        without[market.provider_names.index(provider), market.user_names.index(user)] = True
    solution = Solution(
        status=_status(data["status"], version),
        method=_text("method", data["method"]),
        steps=_count("steps", data["steps"]),
        rewards=_matrix("rewards", data["rewards"], market),
        compute=_matrix("compute", data["compute"], market),
        bandwidth=_matrix("bandwidth", data["bandwidth"], market),
        qoe=_matrix("qoe", data["qoe"], market),
        user_utility=_row("user_utility", data["user_utility"], market.users, "users"),
        provider_utility=_row(
            "provider_utility", data["provider_utility"], market.providers, "providers"
        ),
        compute_state=compute_state,
        bandwidth_state=bandwidth_state,
        notes=tuple(_text("notes", note) for note in _items("notes", data.get("notes", []))),
    )
    return SavedSolution(market.without(without) if dropped else market, solution, dropped)


def _states(entries: object, market: Market) -> tuple[CapacityState, CapacityState]:
    """Return the states of compute and bandwidth, whose entries may come in any order."""
    found: dict[tuple[str, str], tuple[float, float, Regime]] = {}
    for position, entry in enumerate(_items("capacities", entries)):
        place = f"capacities[{position}]"
        given = _object(place, entry, ("provider", "resource", "use", "price", "regime"))
        provider = _one_of(f"provider of {place}", given["provider"], market.provider_names)
        resource = _one_of(f"resource of {place}", given["resource"], RESOURCES)
        if (provider, resource) in found:
            raise InvalidInputError(f"{place} is {resource} of {shown_name(provider)} once more")
        found[provider, resource] = (
            _number(f"use of {place}", given["use"]),
            _number(f"price of {place}", given["price"]),
            Regime(_one_of(f"regime of {place}", given["regime"], [str(item) for item in Regime])),
        )
    for provider in market.provider_names:
        for resource in RESOURCES:
            if (provider, resource) not in found:
                raise InvalidInputError(f"capacities lack {resource} of {shown_name(provider)}")
    compute, bandwidth = (
        CapacityState(
            use=np.array([found[name, resource][0] for name in market.provider_names]),
            price=np.array([found[name, resource][1] for name in market.provider_names]),
            regime=tuple(found[name, resource][2] for name in market.provider_names),
        )
        for resource in RESOURCES
    )
    return compute, bandwidth


def _dropped(entries: object, market: Market) -> tuple[tuple[str, str], ...]:
    dropped = []
    for position, entry in enumerate(_items("dropped", entries)):
        place = f"dropped[{position}]"
        given = _object(place, entry, ("provider", "user"))
        dropped.append(
            (
                _one_of(f"provider of {place}", given["provider"], market.provider_names),
                _one_of(f"user of {place}", given["user"], market.user_names),
            )
        )
    return tuple(dropped)


def _matrix(key: str, value: object, market: Market) -> FloatArray:
    rows = _items(key, value)
    _check_length(key, rows, market.providers, "providers")
    return np.array([_row(f"{key}[{n}]", row, market.users, "users") for n, row in enumerate(rows)])


def _row(place: str, value: object, count: int, of: str) -> FloatArray:
    row = _items(place, value)
    _check_length(place, row, count, of)
    return np.array([_number(f"{place}[{i}]", item) for i, item in enumerate(row)])


def _number(place: str, value: object) -> float:
    # Neither true, nor 1e999, which a JSON parser takes for infinity.
    if type(value) in (int, float) and abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    raise InvalidInputError(f"{place} is {_shown(value)}; it must be a finite number")


def _check_length(place: str, items: list[object], count: int, of: str) -> None:
    if len(items) != count:
        raise InvalidInputError(f"{place} has {len(items)} entries; the market has {count} {of}")


def _items(place: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise InvalidInputError(f"{place} is {_shown(value)}; it must be a list")
    return value


def _object(place: str, value: object, keys: Sequence[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidInputError(f"{place} is {_shown(value)}; it must be an object")
    for key in keys:
        if key not in value:
            raise InvalidInputError(f"{place} lacks {key}")
    return value


def _one_of(place: str, value: object, known: Sequence[str]) -> str:
    if isinstance(value, str) and value in known:
        return value
    shown = ", ".join(map(shown_name, known[:8])) + (", …" if len(known) > 8 else "")
    raise InvalidInputError(f"{place} is {_shown(value)}; it must be one of {shown}")


def _status(value: object, version: int) -> Status:
    if isinstance(value, str):
        if version == VERSION and value in list(Status):
            return Status(value)
        for words, status in _FIRST_FORM.items():
            if version == 1 and value.startswith(words):
                return status
    raise InvalidInputError(f"status is {_shown(value)}; no computation of qoex ends like that")


def _text(place: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{place} is {_shown(value)}; it must be a string")
    return value


def _count(place: str, value: object) -> int:
    if type(value) is not int or value < 0:
        raise InvalidInputError(f"{place} is {_shown(value)}; it must be a whole number, 0 or more")
    return value


def plain(values: FloatArray | float) -> Any:
    """Return numbers as Python data, null where they are not finite."""
    array = np.asarray(values, dtype=np.float64)
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()


def _dumped(value: object) -> str:
    # ASCII alone: whatever a name holds, any terminal and any file can take it.
    return json.dumps(value, allow_nan=False)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
