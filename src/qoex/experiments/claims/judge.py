"""Judging claims by tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from qoex.experiments.claims.claim import Claim, ClaimOutcome, Judged
from qoex.experiments.claims.readings import (
    COLUMNS,
    VARIANTS,
    Tables,
    difference,
    mean_of_points,
    over_seeds,
)
from qoex.experiments.claims.verdict import ClaimVerdict, Finding, JudgedNumber, LackingError
from qoex.experiments.intervals import Estimate

# What stands beside every claim on costs: a scheme that pays less may also deliver less.
COMPANIONS = ("mean_qoe", "user_utility", "provider_utility", "welfare", "served_pairs")

_PROPOSED = "proposed"


def judge(claims: Iterable[Claim], tables: Mapping[str, pl.DataFrame]) -> tuple[Judged, ...]:
    """Return every claim with its verdict, in order.

    A table that is missing, or holds too little, leaves the claim undetermined, with the reason.

    Args:
        claims: for example ``CLAIMS``.
        tables: table name → its rows, as ``running.run_studies`` returns them.
    """
    main, variant = Tables(tables), Tables(tables, variant=True)
    return tuple(_judged(claim, main, variant) for claim in claims)


def _judged(claim: Claim, main: Tables, variant: Tables) -> Judged:
    names = tuple(dict.fromkeys(table for table, _, _ in claim.rule.reads))
    judged = _outcome(claim, main, names, names)
    if not all(name in VARIANTS for name in names):
        return Judged(claim, judged)
    return Judged(claim, judged, _outcome(claim, variant, names, [VARIANTS[n] for n in names]))


def _outcome(
    claim: Claim, tables: Tables, names: Sequence[str], shown: Sequence[str]
) -> ClaimOutcome:
    try:
        finding = claim.rule.judge(tables)
    except LackingError as error:
        finding = Finding(ClaimVerdict.UNDETERMINED, (), str(error))
    return ClaimOutcome(tuple(shown), finding, _companions(tables, names, claim.trade))


def _companions(
    tables: Tables, names: Sequence[str], schemes: Sequence[str]
) -> tuple[JudgedNumber, ...]:
    """Return proposed − other of all COMPANIONS, the mean over points and tables of each seed.

    One that the tables do not hold is there all the same, without a value.
    """
    numbers = []
    for scheme in schemes:
        for column in COMPANIONS:
            label, unit = COLUMNS[column]
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
            numbers.append(JudgedNumber(label, found, unit, against=scheme))
    return tuple(numbers)
