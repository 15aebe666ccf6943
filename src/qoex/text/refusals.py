"""What is wrong with a file, in one sentence that names the place as its author would."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST_VALUE = 60
_KINDS = {"providers": "provider", "users": "user", "demands": "demand"}


def sentence(error: ValidationError, data: object, fields: Mapping[str, Iterable[str]]) -> str:
    """Say what pydantic found wrong with a scenario's data: the first problem, named by place.

    An unknown key comes first, for it is most often why another one is missing.

    Args:
        error: what pydantic raised.
        data: what it was given.
        fields: known fields by table ("providers", …), and of the scenario itself under "".

    """
    problems = error.errors(include_url=False)
    problem = min(problems, key=lambda item: item["type"] != "extra_forbidden")
    kind, location = problem["type"], problem["loc"]
    context = problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown_key(location, data, fields)
    if len(location) < 2 or (location[0] in _KINDS and len(location) == 2):
        return _whole(kind, location, problem["input"])
    field = f"{location[-1]} of {_place(location, data)}"
    if kind == "missing":
        return f"{field} is missing"
    if kind == "float_type" and type(problem["input"]) is int:
        kind = "finite_number"  # an integer is a number, but this one is beyond all doubles
    return f"{field} is {_shown(problem['input'])}; it must be {_rule(kind, context)}"


def sentence_by_path(
    error: ValidationError, whole: str, fields: Mapping[str, Iterable[str]]
) -> str:
    """Say what pydantic found wrong with a file whose tables have no names to go by.

    The first problem, an unknown key before all others, with its place as TOML writes it:
    ``ranges.tokens[0]``.

    Args:
        error: what pydantic raised.
        whole: what the file holds ("a sweep").
        fields: known keys by the name of their table, and of the file itself under "".

    """
    problems = error.errors(include_url=False)
    problem = min(problems, key=lambda item: item["type"] != "extra_forbidden")
    kind, location = problem["type"], problem["loc"]
    context = problem.get("ctx", {})
    if kind == "extra_forbidden":
        table = str(location[0]) if len(location) > 1 else ""
        place = _path(location[:-1])
        nearest = did_you_mean(str(location[-1]), fields[table])
        return f"{location[-1]!r} is not a key of {place or whole}{nearest}"
    if kind == "missing":
        return f"{_path(location)} is missing"
    if kind == "too_short":
        return f"{_path(location)} is empty; it must hold at least one"
    if kind == "too_long":
        held, most = context["actual_length"], context["max_length"]
        return f"{_path(location)} holds {held}; it must hold {most}"
    return f"{_path(location)} is {_shown(problem['input'])}; it must be {_rule(kind, context)}"


def shown_name(name: str) -> str:
    """Return a name as it stands in a sentence; quoted where it would break the line."""
    return name if name.isprintable() and name.strip() == name else repr(name)


def demand_place(user: str, provider: str) -> str:
    """Return how a sentence names the demand of a user at a provider."""
    return f"the demand of user {shown_name(user)} at provider {shown_name(provider)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the nearest known word, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {shown_name(near[0])}?" if near else ""


def _unknown_key(
    location: tuple[int | str, ...], data: object, fields: Mapping[str, Iterable[str]]
) -> str:
    key = str(location[-1])
    if len(location) == 1:
        return f"{key!r} is not a key of a scenario" + did_you_mean(key, fields[""])
    table = str(location[0])
    owner = f"a field of a {_KINDS[table]}" if table in _KINDS else "a field"
    nearest = did_you_mean(key, fields[table])
    return f"{key!r} in {_place(location, data)} is not {owner}{nearest}"


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _whole(kind: str, location: tuple[int | str, ...], value: object) -> str:
    """Say what is wrong with a table, or with a key of the top level."""
    if not location:
        return "a scenario must be a table"
    place = str(location[0]) if len(location) == 1 else f"{location[0]}[{location[1]}]"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "too_short":
        return f"{place} is empty; it must hold at least one"
    wanted = {"tuple_type": "a list of tables", "model_type": "a table"}.get(kind, "a string")
    return f"{place} is {_shown(value)}; it must be {wanted}"


def _place(location: tuple[int | str, ...], data: object) -> str:
    """Name the table that a location lies in, by name where it has one."""
    table = str(location[0])
    if len(location) == 2:
        return table
    entry: Any = data
    for step in location[:2]:
        entry = entry[step]
    # Tables that are Python objects already have passed their own checks.
    fields = entry if isinstance(entry, Mapping) else vars(entry)
    keys = ("user", "provider") if table == "demands" else ("name",)
    names = [name for key in keys if isinstance(name := fields.get(key), str) and name.strip()]
    if len(names) < len(keys):
        return f"{table}[{location[1]}]"
    return demand_place(*names) if table == "demands" else f"{_KINDS[table]} {shown_name(names[0])}"


def _rule(kind: str, context: Mapping[str, Any]) -> str:
    bounds = {"greater_than": "gt", "less_than": "lt", "less_than_equal": "le"}
    words = {"greater_than": "greater than", "less_than": "less than", "less_than_equal": "at most"}
    if kind in bounds:
        return f"{words[kind]} {_number(context[bounds[kind]])}"
    if kind == "greater_than_equal":
        return f"{_number(context['ge'])} or more"
    rules = {
        "float_type": "a number",
        "int_type": "a whole number",
        "tuple_type": "a list",
        "dict_type": "a table",
        "model_type": "a table",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "literal_error": str(context.get("expected", "")),
        "string_pattern_mismatch": "a string that is not empty",
    }
    return rules.get(kind, "a string of valid text")


def _number(value: float) -> str:
    return "zero" if value == 0 else f"{value:g}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
