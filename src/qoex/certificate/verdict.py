"""What two passes over all users say of a solution, whether they came in one piece or in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qoex.certificate.answers import IndexArray
from qoex.certificate.conditions import Conditions
from qoex.certificate.deviation import LEAST_SCALE
from qoex.certificate.lines import Prices
from qoex.certificate.passes import SecondPass, Totals
from qoex.certificate.totals import conditions_of, consistency_of, outside_bounds_of
from qoex.certificate.words import Findings, sentence
from qoex.model.market import FloatArray
from qoex.model.sides import ProviderSide

# Users who gain no more than this share of the utility are not doubtful: the accuracy of a search.
SURE = 1e-12
# Doubtful users that are told of a chunk: of a point that is no equilibrium it might be all.
_MOST_TOLD = 1000


class Verdict(NamedTuple):
    """What two passes say of a solution, whether its users came in one piece or in chunks.

    Attributes:
        settled: whether the prices are those at which providers answer the rewards. If not,
            regret is NaN: a first pass with these prices as its guess has to follow.
        regret: money; no user gains more by other rewards. NaN if that cannot be told.
        utility_scale: money; the largest |utility|, or a thousandth of the largest profit factor
            if that is more.
        worst_user: index of the user with the largest bound.
        doubtful: indices of users whose bounds are not as small as rounding; a search would
            tell what they gain. Of every chunk the most doubtful.
        conditions: residuals, prices and regimes that the allocation implies.
        consistency: largest relative difference of reported and recomputed QoE and utilities.
        outside_bounds: largest share of a bound by which a reward misses it.
    """

    settled: bool
    regret: float
    utility_scale: float
    worst_user: int
    doubtful: IndexArray
    conditions: Conditions
    consistency: float
    outside_bounds: float

    def holds(self, tolerance: float) -> bool:
        """Whether the solution is an equilibrium to this relative tolerance; never if NaN."""
        return bool(
            self.regret <= tolerance * self.utility_scale
            and self.conditions.residuals.largest <= tolerance
            and self.consistency <= tolerance
            and self.outside_bounds <= tolerance
        )

    def sentence(self, worst_user: str, tolerance: float) -> str:
        """Say in one sentence what was certified, or the first reason why it was not.

        Args:
            worst_user: the name of this user.
            tolerance: relative.

        """
        found = Findings(
            holds=self.holds(tolerance),
            regret=self.regret,
            relative_regret=self.regret / self.utility_scale,
            kkt_residual=self.conditions.residuals.largest,
            consistency=self.consistency,
            outside_bounds=self.outside_bounds,
            worst_user=worst_user,
            exact=False,
        )
        return sentence(found, tolerance)


class ChunkRegret(NamedTuple):
    """What remains of a second pass over a chunk once its users are forgotten.

    Attributes:
        bound: money, the largest of the chunk; NaN if any is.
        user: index in the market of the user it belongs to.
        doubtful: indices in the market of users whose bound is more than 1e-12 of their own
            |utility|, or of a thousandth of the largest profit factor; in order, and not more
            than the thousand most doubtful.
        scale: money, the largest |utility|.
        strays: N, pairs on the wrong side of the floor.
    """

    bound: float
    user: int
    doubtful: IndexArray
    scale: float
    strays: FloatArray


def summarise(second: SecondPass, totals: Totals, first: int = 0) -> ChunkRegret:
    """Return what :func:`conclude` needs of a second pass over a chunk.

    Args:
        second: the pass.
        totals: of the first pass over all users.
        first: index in the market of the chunk's first user.

    """
    least = SURE * LEAST_SCALE * totals.largest_factor
    doubtful = np.empty(0, dtype=np.int64)
    # Both conditions are true for NaN as well, which is the most doubtful.
    if not second.bound.max() <= least:
        limit = np.maximum(SURE * np.abs(second.utility), least)
        doubtful = np.flatnonzero(~(second.bound <= limit))
    # NumPy's own largest value and its place keep NaN.
    user = int(np.argmax(second.bound))
    return ChunkRegret(
        bound=float(second.bound[user]),
        user=first + user,
        doubtful=first + most_doubtful(second.bound, doubtful, _MOST_TOLD),
        scale=float(np.maximum(second.utility.max(), -second.utility.min())),
        strays=second.strays,
    )


def most_doubtful(bound: FloatArray, users: IndexArray, most: int) -> IndexArray:
    """Return those of some users with the largest bounds (M, money), at most so many, in order."""
    if users.size > most:
        worth = -np.nan_to_num(bound[users], nan=np.inf)
        users = np.sort(users[np.argpartition(worth, most)[:most]])
    return users


def conclude(
    totals: Totals,
    costs: ProviderSide,
    provider_utility: FloatArray,
    prices: Prices,
    parts: Sequence[ChunkRegret],
) -> Verdict:
    """Return what the two passes over all chunks say.

    Args:
        totals: of the first pass over all users.
        costs: of the providers.
        provider_utility: N, money, as reported.
        prices: from these totals.
        parts: what the second pass over each chunk found, in any order.

    """
    bounds = np.array([part.bound for part in parts])
    strays = np.sum([part.strays for part in parts], axis=0)
    settled = bool((strays == 0).all())
    usable = (totals.sum("unusable") == 0).all() and np.isfinite(prices.roots).all()
    worst = int(np.argmax(bounds))
    with np.errstate(all="ignore"):
        scale = np.max([part.scale for part in parts])
        return Verdict(
            settled=settled,
            regret=float(bounds[worst]) if settled and usable else np.nan,
            utility_scale=float(np.maximum(scale, LEAST_SCALE * totals.largest_factor)),
            worst_user=parts[worst].user,
            doubtful=np.concatenate([part.doubtful for part in parts]),
            conditions=conditions_of(totals, costs),
            consistency=consistency_of(totals, costs, provider_utility),
            outside_bounds=outside_bounds_of(totals),
        )
