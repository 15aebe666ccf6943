"""Where to begin in a market of many users: at the equilibrium of some of them."""

from __future__ import annotations

import numpy as np

from qoex.capacity_prices import PriceSystem
from qoex.evaluation import Point
from qoex.sample import Sample
from qoex.search import Search
from qoex.solution import Step

# Prices of the sample need not be better known than they are those of the market.
_TOLERANCE = 1e-4
_MOST_SWEEPS = 60


def sampled_start(system: PriceSystem, sample: Sample, trace: list[Step]) -> Point | None:
    """Return the point that the equilibrium of a sample of the users suggests, if there is one.

    Args:
        system: of the whole market.
        sample: of its users.
        trace: gets a step that says what was done.

    """
    search = Search(sample.system, _TOLERANCE, _MOST_SWEEPS)
    search.exact = False
    status, point, at = search.run(sample.system.origin())
    sample.forget_marginal_pairs()
    if not status.ok:
        return None
    sweeps = sample.system.sweeps
    note = f"every {sample.stride}th user solved first, in {sweeps} sweeps of theirs"
    trace.append(Step(0, at.error, note))
    system.note_plenty(point, at.slack[: point.z.size])
    return Point(z=point.z, alpha=np.zeros(0), floors=point.floors / sample.share)
