"""What markets are drawn from, what the paper gives of it, and what it leaves open."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from qoex.experiments.report.folder import Folder
from qoex.experiments.report.numbers import ShownNumber, listed, number
from qoex.experiments.report.sources import SourceTable, lookup
from qoex.mechanisms import schemes


class Origin(StrEnum):
    """Where a parameter's value is from."""

    GIVEN = "given by the paper"
    INFERRED = "inferred from Table V"
    FITTED = "from the paper’s pairs of K and θ̂"
    CHOSEN = "chosen"


@dataclass(frozen=True)
class _Entry:
    """What is known of a field of ``sampling.Ranges``."""

    field: str
    symbol: str
    meaning: str
    unit: str
    origin: Origin


_ENTRIES = (
    _Entry("examples", "K", "examples in the prompt", "", Origin.GIVEN),
    _Entry("tokens", "x_in, x_out", "input and output tokens of a demand", "", Origin.GIVEN),
    _Entry("compute_capacity", "f_max", "compute of a provider", "TFLOPS", Origin.GIVEN),
    _Entry("bandwidth_capacity", "B_max", "bandwidth of a provider", "MHz", Origin.GIVEN),
    _Entry("latency_budget", "κ", "latency that users of a provider tolerate", "ms", Origin.GIVEN),
    _Entry("snr_db", "γ", "signal-to-noise ratio of a pair", "dB", Origin.GIVEN),
    _Entry("profit_factor", "μ", "profit factor of every user", "money", Origin.INFERRED),
    _Entry("compute_cost", "c", "unit cost of compute", "money/TFLOPS", Origin.INFERRED),
    _Entry("work_per_token_pair", "ξ", "work per pair of tokens", "TFLOPS·ms", Origin.INFERRED),
    _Entry("gap_scale", "β", "scale of the accuracy bound", "", Origin.FITTED),
    _Entry("example_ambiguity", "η", "ambiguity of an example", "", Origin.FITTED),
    _Entry("bandwidth_cost", "d", "unit cost of bandwidth", "money/MHz", Origin.CHOSEN),
    _Entry("reward_bounds", "R_min, R_max", "bounds of a reward", "money/ms", Origin.CHOSEN),
)

Shape = Literal["one", "interval", "set"]


@dataclass(frozen=True)
class Drawn:
    """What a parameter is drawn from.

    Attributes:
        shape: one value, an interval (drawn from uniformly) or a set (equal probabilities).
        numbers: the value, both ends, or the members.
    """

    shape: Shape
    numbers: tuple[ShownNumber, ...]


@dataclass(frozen=True)
class AssumedParameter:
    """One line of the table of parameters.

    Attributes:
        symbol: as in the paper.
        meaning: in words.
        unit: nothing where it has none.
        origin: where its value is from.
        values: by column of the table; None where it is as in the first one, and chosen otherwise.
    """

    symbol: str
    meaning: str
    unit: str
    origin: Origin
    values: tuple[Drawn | None, ...]


@dataclass(frozen=True)
class Choice:
    """Something that the paper leaves open.

    Attributes:
        question: what it does not say.
        numbers: what is taken here, each with its word before and after ("3", " providers").
        reason: why.
    """

    question: str
    numbers: tuple[tuple[ShownNumber, str], ...]
    reason: str


@dataclass(frozen=True)
class Parameters:
    """What the markets are.

    Attributes:
        columns: the tables that share a column of values, by column.
        rows: the parameters.
        choices: what the paper leaves open.
    """

    columns: tuple[tuple[str, ...], ...]
    rows: tuple[AssumedParameter, ...]
    choices: tuple[Choice, ...]


def parameters(folder: Folder) -> Parameters | None:
    """Return what markets are drawn from, or None if no table is of random markets."""
    ranges: dict[str, list[SourceTable]] = {}
    for table in folder.tables.values():
        found = lookup(table.manifest, "parameters/ranges")
        if found:
            ranges.setdefault(json.dumps(found, sort_keys=True), []).append(table)
    choices = tuple(_choices(folder.tables))
    if not ranges:
        return Parameters((), (), choices) if choices else None
    # The ranges of most tables are the paper's own, and the others are told by how they differ.
    groups = sorted(ranges.values(), key=lambda tables: (-len(tables), tables[0].name))
    return Parameters(
        tuple(tuple(table.name for table in tables) for tables in groups),
        tuple(_parameter(entry, [tables[0] for tables in groups]) for entry in _ENTRIES),
        choices,
    )


def _parameter(entry: _Entry, tables: list[SourceTable]) -> AssumedParameter:
    path = f"parameters/ranges/{entry.field}"
    first = lookup(tables[0].manifest, path)
    values = [_drawn(tables[0], path)]
    values += [
        None if lookup(table.manifest, path) == first else _drawn(table, path)
        for table in tables[1:]
    ]
    return AssumedParameter(entry.symbol, entry.meaning, entry.unit, entry.origin, tuple(values))


def _drawn(table: SourceTable, path: str) -> Drawn | None:
    value = lookup(table.manifest, path)
    if not isinstance(value, list):
        return Drawn("one", listed([table.stated(path)]))
    numbers = listed(table.stated(f"{path}/{place}") for place in range(len(value)))
    return Drawn("interval" if len(value) == 2 else "set", numbers)


def _choices(tables: Mapping[str, SourceTable]) -> Iterator[Choice]:
    if users := tables.get("users"):
        yield Choice(
            "How many providers there are while the number of users varies",
            _with_words(users, ("parameters/providers", "providers")),
            "the middle of the list in Table III",
        )
    if providers := tables.get("providers"):
        yield Choice(
            "How many users there are while the number of providers varies",
            _with_words(providers, ("parameters/users", "users")),
            "the middle of the list in Table III",
        )
    demands = [
        tables[name] for name in ("accuracy", "output-tokens", "latency-budget") if name in tables
    ]
    if demands:
        yield Choice(
            "In what market a single demand varies",
            _with_words(
                demands[0], ("parameters/providers", "providers"), ("parameters/users", "users")
            ),
            "the size of the case of section VI-B; markets are drawn at random, and the market of "
            "Table IV stands beside them",
        )
    compared = tables.get("users") or tables.get("providers")
    if compared is None:
        return
    yield Choice(
        "How markets of different sizes hang together",
        _with_words(compared, ("parameters/drawn/0", "providers"), ("parameters/drawn/1", "users")),
        "so many are drawn for a seed and the first ones taken, so that adding a user or a "
        "provider changes nothing else",
    )
    cases: list[Any] = lookup(compared.manifest, "parameters/schemes") or []
    totals = [
        (total, f"for {case['label']}")
        for place, case in enumerate(cases)
        if (total := compared.stated(f"parameters/schemes/{place}/options/total")) is not None
    ]
    if totals:
        yield Choice(
            "What a fixed total reward (money/ms) is split in proportion to",
            tuple(totals),
            "to the work that a demand asks for; the paper says “proportionally” only",
        )
    if any(case["scheme"] == "token" for case in cases):
        yield Choice(
            "What a token costs (money/ms of QoE)",
            tuple(
                (found, f"for an {kind} token")
                for kind, name in (("input", "INPUT_PRICE"), ("output", "OUTPUT_PRICE"))
                if (
                    found := number(
                        getattr(schemes, name), f"constant:qoex.mechanisms.schemes:{name}"
                    )
                )
            ),
            "output tokens are commonly listed at four times the price of input tokens; the level "
            "makes a thousand of each as dear as half of the smaller fixed total",
        )
    yield Choice(
        "What becomes of demands that cannot all be served",
        (),
        "as few demands as possible are dropped until the rest can be served; the section on "
        "overload counts them",
    )
    yield Choice(
        "Among whom OnlyF and OnlyB split a resource equally",
        (),
        "among the users who have a demand at the provider; a demand whose latency budget the "
        "split alone uses up gets nothing and pays nothing",
    )


def _with_words(table: SourceTable, *items: tuple[str, str]) -> tuple[tuple[ShownNumber, str], ...]:
    found = ((table.stated(path), word) for path, word in items)
    return tuple((value, word) for value, word in found if value is not None)
