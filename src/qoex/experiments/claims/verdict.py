"""The four verdicts, the tolerances behind them, and the rules for one change and one number.

All of it was fixed before any claim was judged. No rule knows which claim it judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from qoex.experiments.intervals import Estimate

# A number agrees where it is this close to the paper's, relative to the paper's. The paper prints
# most of them as "approximately" a whole percentage.
AGREEMENT = 0.05

# An interval whose half width is more than this share of the paper's number can hold nearly
# anything, so that holding the paper's number says nothing.
PRECISION = 0.10

# A difference is judged where at least this share of a table's seeds has both of its sides; with
# fewer it would speak of a selection.
PAIRED_SHARE = 0.5

# Differences below this, relative to what is compared, are rounding: equilibria are solved to
# regrets of about 1e-12.
ROUNDING = 1e-9

# A usage that the paper prints as 1.0, with one decimal, is at least this.
FULL_USE = 0.95


class ClaimVerdict(StrEnum):
    """How a statement of the paper stands beside the tables.

    Same direction: the sign or the side is the paper's, but the size, or some point, is not. It
    cannot be determined where the tables lack what is needed, or leave it open.
    """

    AGREES = "agrees"
    SAME_DIRECTION = "same direction"
    DIFFERS = "differs"
    UNDETERMINED = "cannot be determined"


@dataclass(frozen=True)
class JudgedNumber:
    """A number of ours with its interval over seeds.

    Attributes:
        label: what it is of, in a few words.
        estimate: its mean and interval; in a table of one fixed market, where nothing is random,
            both ends are the value itself.
        unit: nothing for a ratio.
        against: for what ``proposed`` delivers less what another scheme does, that scheme.
    """

    label: str
    estimate: Estimate
    unit: str = ""
    against: str | None = None


@dataclass(frozen=True)
class Finding:
    """What a rule finds in the tables.

    Attributes:
        verdict: by the rule.
        numbers: what it rests on.
        reason: a clause on what decided, computed with the verdict.
        telling: which of the numbers stand beside the paper's.
    """

    verdict: ClaimVerdict
    numbers: tuple[JudgedNumber, ...]
    reason: str
    telling: tuple[int, ...] = (0,)


class LackingError(Exception):
    """A table lacks what a rule needs; the message is a clause that says what."""


def side(estimate: Estimate, sign: int) -> int:
    """Return 1 if the whole interval has the sign, −1 if the whole has the other, else 0.

    Zero also where there is no interval, as with a single seed. A difference that is nothing in
    every seed is not on the side of the sign: −1.
    """
    if estimate.low == estimate.high == 0.0:
        return -1
    if not estimate.excludes(0.0):
        return 0
    return 1 if estimate.mean * sign > 0 else -1


def by_sides(sides: Sequence[int], overall: Sequence[int]) -> ClaimVerdict:
    """Return the verdict on a statement that should hold in every part and overall.

    Agrees where all parts are on the paper's side (1), has the same direction where they are so
    overall, differs where anything is on the other side (−1) overall.

    Args:
        sides: of every part (``side``).
        overall: of what sums the parts up.
    """
    if all(item == 1 for item in (*sides, *overall)):
        return ClaimVerdict.AGREES
    if all(item == 1 for item in overall):
        return ClaimVerdict.SAME_DIRECTION
    if any(item == -1 for item in overall):
        return ClaimVerdict.DIFFERS
    return ClaimVerdict.UNDETERMINED


def matches(estimate: Estimate, paper: float) -> bool | None:
    """Whether a number is the paper's; None where the interval is too wide to tell.

    It is where the paper's lies in the interval or within AGREEMENT of the mean, provided that the
    interval is as narrow as PRECISION asks; it is not where the paper's is neither.
    """
    if math.isnan(estimate.low):
        return None
    near = abs(estimate.mean - paper) <= AGREEMENT * abs(paper)
    if not near and estimate.excludes(paper):
        return False
    return True if (estimate.high - estimate.low) / 2 <= PRECISION * abs(paper) else None


def text(estimate: Estimate) -> str:
    """Return a number with its interval, for a sentence."""
    if math.isnan(estimate.low) or estimate.low == estimate.high:
        return f"{estimate.mean:.4g}"
    return f"{estimate.mean:.4g} ({estimate.low:.4g} to {estimate.high:.4g})"
