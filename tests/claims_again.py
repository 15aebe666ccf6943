"""A second implementation of the numbers behind claims: one seed and one point at a time.

Only the claims themselves are taken from the package: what each is about, and its labels' words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from claim_reader_again import Ends, Floats, Reader, Values, less
from qoex.experiments.claims import Claim
from qoex.experiments.claims.readings import COLUMNS

_TRADED = ("mean_qoe", "user_utility", "provider_utility", "welfare", "served_pairs")


def claim_numbers(claim: Claim, reader: Reader) -> dict[str, Ends]:
    """Return label → mean and interval of all numbers of a claim, those of its trade too."""
    numbers = _RULES[type(claim.rule).__name__](claim.rule, reader)
    tables = dict.fromkeys(table for table, _, _ in claim.rule.reads)
    for scheme, column in product(claim.trade, _TRADED):
        label = f"{COLUMNS[column][0]}, proposed less {scheme}"
        numbers[label] = _traded(reader, list(tables), scheme, column)
    return numbers


def _traded(reader: Reader, tables: list[str], scheme: str, column: str) -> Ends:
    per_seed = []
    for seed in set.intersection(*(set(reader.seeds(table)) for table in tables)):
        means = [
            np.nanmean([gaps.get((seed, point), math.nan) for point in range(count)])
            for table in tables
            if (gaps := _gaps(reader, table, "proposed", scheme, column))
            for count in [len(reader.points(table))]
        ]
        per_seed.append(float(np.mean(means)))
    return reader.mean(per_seed)


def _gaps(reader: Reader, table: str, left: str, right: str, column: str) -> Values:
    """Return left − right wherever both are; what is within rounding is zero."""
    first, second = reader.values(table, left, column), reader.values(table, right, column)
    return {place: less(first[place], second[place]) for place in first if place in second}


def _at(values: Values, point: int) -> list[float]:
    return [value for (_, at), value in sorted(values.items()) if at == point]


def _change(values: Values, before: int, after: int) -> list[float]:
    return [
        less(values[seed, after], value)
        for (seed, point), value in values.items()
        if point == before and (seed, after) in values
    ]


def _step(points: list[str], before: int, after: int) -> str:
    return f"{points[before]} → {points[after].split('= ')[1]}"


def _trend(rule: Any, reader: Reader) -> dict[str, Ends]:
    values = reader.values(rule.table, rule.scheme, rule.column)
    points = reader.points(rule.table)
    last = len(points) - 1
    steps = [reader.mean(_change(values, k, k + 1)) for k in range(last)]
    sign = -1 if rule.direction.value == "falls" else 1
    weakest = int(np.argmin([sign * step[0] for step in steps]))
    return {
        f"change, {_step(points, 0, last)}": reader.mean(_change(values, 0, last)),
        f"at {points[0]}": reader.mean(_at(values, 0)),
        f"at {points[last]}": reader.mean(_at(values, last)),
        f"weakest step, {_step(points, weakest, weakest + 1)}": steps[weakest],
    }


def _order(rule: Any, reader: Reader) -> dict[str, Ends]:
    numbers = {}
    points = reader.points(rule.table)
    for other in rule.others:
        high, low = (other, rule.scheme) if rule.lowest else (rule.scheme, other)
        gaps = _gaps(reader, rule.table, high, low, rule.column)
        means = [
            float(np.mean([gap for (at, _), gap in gaps.items() if at == seed]))
            for seed in dict.fromkeys(seed for seed, _ in gaps)
        ]
        each = [reader.mean(_at(gaps, point)) for point in range(len(points))]
        least = int(np.argmin([item[0] for item in each]))
        numbers[f"{high} less {low}, mean over points"] = reader.mean(means)
        numbers[f"{high} less {low}, least at {points[least]}"] = each[least]
    return numbers


def _matrix(reader: Reader, table: str, values: Values) -> Floats:
    points = range(len(reader.points(table)))
    seeds = reader.seeds(table)
    return np.array([[values.get((seed, k), math.nan) for k in points] for seed in seeds])


def _spread(means: Floats) -> float:
    return float(100 * np.ptp(means) / np.mean(means))


def _steadier(rule: Any, reader: Reader) -> dict[str, Ends]:
    def matrix(scheme: str) -> Floats:
        return _matrix(reader, rule.table, reader.values(rule.table, scheme, rule.column))

    own = matrix(rule.scheme)
    numbers = {f"spread of {rule.scheme}": reader.jackknife(own, _spread)}
    count = own.shape[1]
    for other in rule.others:
        theirs = matrix(other)
        numbers[f"spread of {other}"] = reader.jackknife(theirs, _spread)
        numbers[f"spread of {other} less that of {rule.scheme}"] = reader.jackknife(
            np.hstack([own, theirs]), lambda m: _spread(m[count:]) - _spread(m[:count])
        )
    return numbers


def _greatest_change(rule: Any, reader: Reader) -> dict[str, Ends]:
    def sizes(table: str) -> dict[int, float]:
        values = reader.values(table, rule.scheme, rule.column)
        last = len(reader.points(table)) - 1
        return {
            seed: abs(less(values[seed, last], values[seed, 0])) for seed in reader.seeds(table)
        }

    own = sizes(rule.table)
    numbers = {f"size of the change, {rule.table}": reader.mean(list(own.values()))}
    for other in rule.others:
        theirs = sizes(other)
        numbers[f"the same less that of {other}"] = reader.mean(
            [own[seed] - theirs[seed] for seed in own if seed in theirs]
        )
    return numbers


def _range(rule: Any, reader: Reader) -> dict[str, Ends]:
    values, points = reader.values(rule.table, rule.scheme, rule.column), reader.points(rule.table)
    means = [reader.mean(_at(values, k)) for k in range(len(points))]
    least, most = (int(pick([item[0] for item in means])) for pick in (np.argmin, np.argmax))
    return {
        f"least, at {points[least]}": means[least],
        f"greatest, at {points[most]}": means[most],
    }


def _endpoints(rule: Any, reader: Reader) -> dict[str, Ends]:
    values, points = reader.values(rule.table, rule.scheme, rule.column), reader.points(rule.table)
    last = len(points) - 1
    return {
        f"at {points[0]}": reader.mean(_at(values, 0)),
        f"at {points[last]}": reader.mean(_at(values, last)),
        f"change, {_step(points, 0, last)}": reader.mean(_change(values, 0, last)),
    }


def _peak(rule: Any, reader: Reader) -> dict[str, Ends]:
    values, points = reader.values(rule.table, rule.scheme, rule.column), reader.points(rule.table)
    means = [reader.mean(_at(values, k)) for k in range(len(points))]
    most = int(np.argmax([item[0] for item in means]))
    gaps = _gaps(reader, rule.table, rule.scheme, rule.above, rule.column)
    return {
        f"greatest, at {points[most]}": means[most],
        f"{rule.scheme} less {rule.above} at {points[most]}": reader.mean(_at(gaps, most)),
    }


def _full_use(rule: Any, reader: Reader) -> dict[str, Ends]:
    values, points = reader.values(rule.table, rule.scheme, rule.column), reader.points(rule.table)
    return {f"at {name}": reader.mean(_at(values, k)) for k, name in enumerate(points)}


def _within(rule: Any, reader: Reader) -> dict[str, Ends]:
    values = reader.values(rule.table, rule.scheme, rule.column)
    spread = reader.jackknife(_matrix(reader, rule.table, values), _spread)
    return {"spread of the means": spread, **_full_use(rule, reader)}


def _reduction(rule: Any, reader: Reader) -> dict[str, Ends]:
    shared = set.intersection(*(set(reader.seeds(table)) for table in rule.tables))
    cells = []  # table, point, column, other; and by seed own, other's and saved percent
    for table, column, other in product(rule.tables, rule.columns, rule.others):
        own = reader.values(table, rule.scheme, column)
        theirs = reader.values(table, other, column)
        for k, point in enumerate(reader.points(table)):
            pairs = {
                seed: (own[seed, k], theirs[seed, k])
                for seed in shared
                if (seed, k) in own and theirs.get((seed, k), 0.0) > 0
            }
            cells.append(((table, point, column, other), pairs))

    def saved(pair: tuple[float, float]) -> float:
        return 100 * (1 - pair[0] / pair[1])

    def mean(wanted: Callable[[tuple[str, str, str, str]], bool]) -> Ends:
        chosen = [pairs for key, pairs in cells if wanted(key)]
        each = [[saved(pairs[seed]) for pairs in chosen if seed in pairs] for seed in shared]
        return reader.mean([float(np.mean(items)) for items in each if items])

    numbers = {"mean reduction": mean(lambda key: True)}
    if rule.part:
        numbers[f"against {', '.join(rule.part)} alone"] = mean(lambda key: key[3] in rule.part)
    names = [
        *((2, column, COLUMNS[column][0]) for column in rule.columns if len(rule.columns) > 1),
        *((3, other, f"against {other}") for other in rule.others if len(rule.others) > 1),
        *((0, table, f"table {table}") for table in rule.tables if len(rule.tables) > 1),
    ]
    for place, item, name in names:
        numbers[f"{name} alone"] = mean(
            lambda key, place=place, item=item: key[place] == item  # type: ignore[misc]
        )
    columns = []
    for column, place in product(rule.columns, (0, 1)):
        chosen = [pairs for key, pairs in cells if key[2] == column]
        columns.append(
            [
                float(np.mean([p[seed][place] for p in chosen if seed in p] or [math.nan]))
                for seed in shared
            ]
        )
    numbers["of the means"] = reader.jackknife(
        np.array(columns).T, lambda m: float(100 * np.mean(1 - m[0::2] / m[1::2]))
    )
    singles = [(reader.mean([saved(pair) for pair in pairs.values()]), key) for key, pairs in cells]
    # Several may be alike to the last digits, so each is there under the name it could have.
    for found, (_, point, column, other) in singles:
        for extreme in ("least", "greatest"):
            numbers[f"{extreme}: {other}, {COLUMNS[column][0]}, {point}"] = found
    return numbers


def _printed(rule: Any, reader: Reader) -> dict[str, Ends]:
    rows = reader.frame(rule.table).to_dicts()
    errors = {
        f"{row['quantity']} of {row['user']} at {row['provider']}": 100
        * (row["computed"] - row["printed"])
        / row["printed"]
        for row in rows
    }
    worst = max(errors, key=lambda name: abs(errors[name]))
    rms = math.sqrt(float(np.mean(np.square(list(errors.values())))))
    return {
        f"largest error: {worst}": (errors[worst],) * 3,
        "root mean square of the errors": (rms,) * 3,
    }


def _extreme(rule: Any, reader: Reader) -> dict[str, Ends]:
    found = {
        row["user"]: (float(row["computed"]),) * 3
        for row in reader.frame(rule.table).iter_rows(named=True)
        if (row["provider"], row["quantity"]) == (rule.provider, rule.quantity)
    }
    return found | {f"next: {user}": ends for user, ends in found.items()}


_RULES: dict[str, Callable[[Any, Reader], dict[str, Ends]]] = {
    "Trend": _trend,
    "Order": _order,
    "Steadier": _steadier,
    "GreatestChange": _greatest_change,
    "Range": _range,
    "Endpoints": _endpoints,
    "Peak": _peak,
    "FullUse": _full_use,
    "Within": _within,
    "Reduction": _reduction,
    "Printed": _printed,
    "Extreme": _extreme,
}
