"""The array form of a market, for programs: one JSON object that holds a market's arrays.

Reading it imports nothing heavy: the market checks its own numbers, and this module only that
every key is known and that what should be a number is one.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from qoex.errors import ScenarioError
from qoex.model.market import ARRAY_FIELDS, PAIR_FIELDS, Market
from qoex.text.refusals import did_you_mean

NAME_FIELDS = ("provider_names", "user_names")


def parse_json(text: str) -> object:
    """Parse JSON strictly: no NaN or Infinity, no key twice.

    Raises:
        ScenarioError: it is not such JSON; the message names the line where it is known.

    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except ScenarioError:
        raise
    except json.JSONDecodeError as error:
        raise ScenarioError(
            f"not valid JSON: {error.msg} (at line {error.lineno}, column {error.colno})"
        ) from None
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, a thousand brackets
        raise ScenarioError(f"not valid JSON: {error}") from None


def market_from_arrays(data: object) -> Market:
    """Build a market from its array form, as a JSON parser gives it.

    Args:
        data: a dict with exactly the keys work, traffic, latency_budget (N lists of M numbers),
            compute_cost, bandwidth_cost, compute_capacity, bandwidth_capacity (N numbers),
            profit_factor, reward_min, reward_max (M numbers), and optionally provider_names and
            user_names; units as in ``Market``. A pair is absent where its three numbers are zero.

    Raises:
        ScenarioError: a key is unknown or missing, or something else stands where a number must.
        InvalidInputError: the numbers make no market.

    """
    if not isinstance(data, dict):
        raise ScenarioError("the array form of a market must be an object")
    known = (*ARRAY_FIELDS, *NAME_FIELDS)
    for key in data:
        if key not in known:
            raise ScenarioError(
                f"{key!r} is not a key of the array form" + did_you_mean(str(key), known)
            )
    missing = [name for name in ARRAY_FIELDS if name not in data]
    if missing:
        raise ScenarioError(f"the array form lacks {', '.join(missing)}")
    for name in ARRAY_FIELDS:
        _check_numbers(name, data[name])
    for name in NAME_FIELDS:
        if name in data and (not isinstance(data[name], list) or not data[name]):
            raise ScenarioError(f"{name} must be a list of names; leave it out for numbered ones")
    return Market(**data)


def arrays_from_market(market: Market) -> dict[str, Any]:
    """Return the array form of a market: what ``market_from_arrays`` gives back, bit for bit."""
    arrays: dict[str, Any] = {name: getattr(market, name).tolist() for name in ARRAY_FIELDS}
    return arrays | {name: list(getattr(market, name)) for name in NAME_FIELDS}


def json_text(market: Market) -> str:
    """Return the array form as JSON, one line to a provider's row."""
    lines = []
    for name, value in arrays_from_market(market).items():
        if name in PAIR_FIELDS:
            rows = ",\n".join(f"    {json.dumps(row)}" for row in value)
            lines.append(f'  "{name}": [\n{rows}\n  ]')
        else:
            lines.append(f'  "{name}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _check_numbers(name: str, value: object) -> None:
    if name not in PAIR_FIELDS:
        _check_row(name, value)
    elif isinstance(value, list):
        for n, row in enumerate(value):
            _check_row(f"{name}[{n}]", row)
    else:
        raise ScenarioError(f"{name} must be a list of lists of numbers")


def _check_row(place: str, row: object) -> None:
    if not isinstance(row, list):
        raise ScenarioError(f"{place} must be a list of numbers")
    # NumPy would take true and "1" for numbers. Types of a whole row are compared at once, for a
    # row may be a million long.
    if set(map(type, row)) <= {int, float}:
        return
    index = next(i for i, item in enumerate(row) if type(item) not in (int, float))
    raise ScenarioError(f"{place}[{index}] is {json.dumps(row[index])[:60]}; it must be a number")


def _refuse_constant(literal: str) -> NoReturn:
    raise ScenarioError(f"not valid JSON: it holds {literal}, and every number must be finite")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ScenarioError(f"not valid JSON: an object holds the key {twice!r} more than once")
    return result
