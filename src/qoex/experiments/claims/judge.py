"""Judging claims by tables, and the result as a table of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from qoex.experiments.claims.claim import Claim, Judged, Outcome
from qoex.experiments.claims.readings import (
    COLUMNS,
    VARIANTS,
    Tables,
    difference,
    mean_of_points,
    number,
    over_seeds,
)
from qoex.experiments.claims.verdict import Finding, LackingError, Number, Verdict
from qoex.experiments.intervals import Estimate

# What stands beside every claim on costs: a scheme that pays less may also deliver less.
COMPANIONS = ("mean_qoe", "user_utility", "provider_utility", "welfare", "served_pairs")

_PROPOSED = "proposed"

_SCHEMA: dict[str, type[pl.DataType]] = {
    "claim": pl.String,
    "place": pl.String,
    "statement": pl.String,
    "paper": pl.String,
    "note": pl.String,
    "tables": pl.String,
    "main": pl.Boolean,
    "verdict": pl.String,
    "reason": pl.String,
    "why": pl.String,
    "role": pl.String,
    "label": pl.String,
    "unit": pl.String,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "count": pl.Int64,
}


def judge(claims: Iterable[Claim], tables: Mapping[str, pl.DataFrame]) -> tuple[Judged, ...]:
    """Return every claim with its verdict, in order.

    A table that is missing, or holds too little, leaves the claim undetermined, with the reason.

    Args:
        claims: for example ``CLAIMS``.
        tables: table name → its rows, as ``running.run_studies`` returns them.
    """
    main, variant = Tables(tables), Tables(tables, variant=True)
    return tuple(_judged(claim, main, variant) for claim in claims)


def judged_frame(judged: Iterable[Judged]) -> pl.DataFrame:
    """Return one row for every claim, set of tables and labelled number.

    ``main`` tells the paper's tables from their variants; ``role`` is "ours" for a number that the
    verdict rests on, and "companion" for one that stands beside it. A claim without any number has
    one row, whose ``label`` is null. Ends of intervals are null where there is no interval.
    """
    rows = [row for item in judged for row in _rows(item)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _judged(claim: Claim, main: Tables, variant: Tables) -> Judged:
    names = tuple(dict.fromkeys(table for table, _, _ in claim.rule.reads))
    judged = _outcome(claim, main, names, names)
    if not all(name in VARIANTS for name in names):
        return Judged(claim, judged)
    return Judged(claim, judged, _outcome(claim, variant, names, [VARIANTS[n] for n in names]))


def _outcome(claim: Claim, tables: Tables, names: Sequence[str], shown: Sequence[str]) -> Outcome:
    try:
        finding = claim.rule.judge(tables)
    except LackingError as error:
        finding = Finding(Verdict.UNDETERMINED, (), str(error))
    return Outcome(tuple(shown), finding, _companions(tables, names, claim.trade))


def _companions(tables: Tables, names: Sequence[str], schemes: Sequence[str]) -> tuple[Number, ...]:
    """Return proposed − other of all COMPANIONS, the mean over points and tables of each seed.

    One that the tables do not hold is there all the same, without a value.
    """
    numbers = []
    for scheme in schemes:
        for column in COMPANIONS:
            label = f"{COLUMNS[column][0]}, {_PROPOSED} less {scheme}"
            per_seed: dict[int, list[float]] = {}
            fixed = False
            try:
                for name in names:
                    own = tables.sheet(name, _PROPOSED, column)
                    other = tables.sheet(name, scheme, column)
                    fixed = own.fixed
                    means = mean_of_points(difference(own.values, other.values))
                    for seed, mean in zip(own.seeds, means.tolist(), strict=True):
                        per_seed.setdefault(seed, []).append(mean)
                shared = [values for values in per_seed.values() if len(values) == len(names)]
                means = np.array(shared).reshape(len(shared), len(names)).mean(axis=1)
                found = over_seeds(means, label, fixed=fixed)
            except LackingError:
                found = Estimate(math.nan, math.nan, math.nan, 0)
            numbers.append(number(label, found, column))
    return tuple(numbers)


def _rows(judged: Judged) -> list[dict[str, Any]]:
    claim = judged.claim
    rows = []
    for outcome in (judged.main, judged.variant):
        if outcome is None:
            continue
        head: dict[str, Any] = {
            "claim": claim.id,
            "place": claim.place,
            "statement": claim.statement,
            "paper": claim.paper,
            "note": claim.note,
            "tables": ", ".join(outcome.tables),
            "main": outcome is judged.main,
            "verdict": outcome.finding.verdict.label,
            "reason": outcome.finding.reason,
            "why": judged.why if outcome is judged.main else "",
        }
        labelled = [("ours", item) for item in outcome.finding.numbers]
        labelled += [("companion", item) for item in outcome.companions]
        rows += [head | {"role": role} | _of_number(item) for role, item in labelled]
        if not labelled:
            rows.append(head | dict.fromkeys(list(_SCHEMA)[len(head) :]))
    return rows


def _of_number(item: Number) -> dict[str, Any]:
    found = item.estimate
    ends = {"mean": found.mean, "low": found.low, "high": found.high}
    return {
        "label": item.label,
        "unit": item.unit,
        **{name: None if math.isnan(value) else value for name, value in ends.items()},
        "count": found.count,
    }
