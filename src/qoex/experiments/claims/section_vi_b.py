"""What section VI-B states of two providers and three users (Tables IV and V)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from qoex.experiments.claims.claim import Claim
from qoex.experiments.claims.readings import Tables
from qoex.experiments.claims.verdict import (
    AGREEMENT,
    ROUNDING,
    ClaimVerdict,
    Finding,
    JudgedNumber,
    LackingError,
)
from qoex.experiments.intervals import Estimate

TABLE = "table-v"

_COLUMNS = ("provider", "user", "quantity", "printed", "computed", "unit", "outcome")


@dataclass(frozen=True)
class Printed:
    """All numbers that a table of the paper prints.

    Agrees: every one is met within AGREEMENT. Same direction: at every provider the users come in
    the printed order in every quantity. Differs otherwise.
    """

    table: str = TABLE

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return ((self.table, "proposed", "computed"),)

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where the table lacks something."""
        rows = _rows(tables, self.table)
        errors = {key: row.computed / row.printed - 1.0 for key, row in rows.items()}
        worst = max(errors, key=lambda key: abs(errors[key]))
        if abs(errors[worst]) <= AGREEMENT:
            verdict = ClaimVerdict.AGREES
        elif _same_order(rows):
            verdict = ClaimVerdict.SAME_DIRECTION
        else:
            verdict = ClaimVerdict.DIFFERS
        rms = math.sqrt(sum(error**2 for error in errors.values()) / len(errors))
        name = " ".join((worst[2], "of", worst[1], "at", worst[0]))
        return Finding(
            verdict,
            (
                JudgedNumber(f"largest error: {name}", _certain(100.0 * errors[worst]), "%"),
                JudgedNumber("root mean square of the errors", _certain(100.0 * rms), "%"),
            ),
            f"the largest of the {len(rows)} errors is {100.0 * abs(errors[worst]):.3g} %, "
            f"for the {name}",
        )


@dataclass(frozen=True)
class Extreme:
    """A user whose quantity at a provider is the greatest (or the least) of all users' there.

    Agrees: it is. Differs: it is not, or not alone.
    """

    provider: str
    user: str
    quantity: str
    greatest: bool = True
    table: str = TABLE

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of what is read."""
        return ((self.table, "proposed", "computed"),)

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where the table lacks something."""
        found = {
            user: row
            for (provider, user, quantity), row in _rows(tables, self.table).items()
            if (provider, quantity) == (self.provider, self.quantity)
        }
        if self.user not in found or len(found) < 2:
            raise LackingError(
                f"the table {self.table} does not compare the {self.quantity} of {self.user} "
                f"at {self.provider} with anybody's"
            )
        own = found.pop(self.user)
        sign = 1 if self.greatest else -1
        rival = max(found, key=lambda user: sign * found[user].computed)
        next_to = found[rival]
        lead = sign * (own.computed - next_to.computed)
        return Finding(
            ClaimVerdict.AGREES if lead > ROUNDING * abs(own.computed) else ClaimVerdict.DIFFERS,
            (
                JudgedNumber(self.user, _certain(own.computed), own.unit),
                JudgedNumber(f"next: {rival}", _certain(next_to.computed), next_to.unit),
            ),
            f"{self.user} has {own.computed:.4g}, and {rival} {next_to.computed:.4g}",
        )


_Key = tuple[str, str, str]  # provider, user, quantity


class _Row(NamedTuple):
    printed: float
    computed: float
    unit: str


def _rows(tables: Tables, table: str) -> dict[_Key, _Row]:
    """Return (provider, user, quantity) → printed and computed number."""
    frame, name = tables.frame(table)
    if missing := [column for column in _COLUMNS if column not in frame.columns]:
        raise LackingError(f"the table {name} has no column {missing[0]}")
    usable = frame.filter(
        pl.col("outcome") == "solved", pl.col("printed") != 0, pl.col("computed").is_finite()
    )
    if usable.height < frame.height:
        raise LackingError(
            f"{frame.height - usable.height} of {frame.height} numbers of the table {name} "
            "were not computed"
        )
    return {
        (provider, user, quantity): _Row(*rest)
        for provider, user, quantity, *rest in usable.select(_COLUMNS[:-1]).iter_rows()
    }


def _same_order(rows: dict[_Key, _Row]) -> bool:
    """Whether computed numbers order the users of every provider and quantity as printed ones."""
    groups: dict[tuple[str, str], list[_Row]] = {}
    for (provider, _, quantity), row in rows.items():
        groups.setdefault((provider, quantity), []).append(row)
    return all(
        (left.printed - right.printed) * (left.computed - right.computed) > 0
        for group in groups.values()
        for place, left in enumerate(group)
        for right in group[:place]
    )


def _certain(value: float) -> Estimate:
    return Estimate(value, value, value, 1)


_USER, _PROVIDER = "mu-3", "asp-1"

SECTION_VI_B = (
    Claim(
        "VI-B.table-v",
        "VI-B, Table V",
        "Rewards, allocations and QoE of two providers and three users are the 24 of the table.",
        "24 numbers",
        Printed(),
        note="Parameters that the paper leaves out were inferred from these very numbers, so that "
        "this tells whether an equilibrium can be like that, and is no prediction.",
    ),
    *(
        Claim(
            f"VI-B.user-3-{quantity}",
            "VI-B, second paragraph; Table V",
            f"Of all users at provider 1, user 3 has the {extreme} {what}.",
            extreme,
            Extreme(_PROVIDER, _USER, quantity, greatest=extreme == "highest"),
        )
        for quantity, what, extreme in (
            ("reward", "reward", "highest"),
            ("compute", "compute", "highest"),
            ("bandwidth", "bandwidth", "highest"),
            ("qoe", "QoE", "lowest"),
        )
    ),
)
