"""What an allocation is worth now, and how long each policy holds on to one.

Three policies are compared on the same true markets. All of them use decisions of the agent, read
back from it, and differ only in how long they keep one: ``every cycle`` takes each as it comes,
``hourly`` the one in force when an hour begins, ``never`` the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from qoex.fleet.settings import HOUR
from qoex.model import qoe
from qoex.model.market import FloatArray, Market
from qoex.wire.answers import PairAnswer

EVERY_CYCLE, HOURLY, NEVER = "every cycle", "hourly", "never"
POLICIES = (EVERY_CYCLE, HOURLY, NEVER)


@dataclass(frozen=True)
class Score:
    """What all users and providers together have of an allocation.

    Attributes:
        qoe: ΣQ, ms.
        payments: ΣR·Q, money.
        user_utility: Σ over users (eq. 9), money.
        provider_utility: Σ over providers (eq. 8), money.
        unserved: users who have no QoE at all.
    """

    qoe: float = 0.0
    payments: float = 0.0
    user_utility: float = 0.0
    provider_utility: float = 0.0
    unserved: int = 0


SCORES = tuple(item.name for item in fields(Score))


class PolicyAllocation:
    """What a decision fixed: rewards, compute and bandwidth of each of its pairs."""

    def __init__(self, pairs: Sequence[PairAnswer]) -> None:
        self._rows = {name: n for n, name in enumerate(dict.fromkeys(p.provider for p in pairs))}
        self._columns = {name: m for m, name in enumerate(dict.fromkeys(p.user for p in pairs))}
        rows = [self._rows[pair.provider] for pair in pairs]
        columns = [self._columns[pair.user] for pair in pairs]
        # One more row and column of zeros, for providers and users that the decision has not.
        self._given = np.zeros((3, len(self._rows) + 1, len(self._columns) + 1))
        for k, name in enumerate(("reward", "compute", "bandwidth")):
            self._given[k, rows, columns] = [getattr(pair, name) for pair in pairs]

    def at(self, market: Market) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return rewards, compute and bandwidth (N×M each) of a market's pairs.

        Zero for pairs that the decision has not, or the market.
        """
        rows = _indices(self._rows, market.provider_names)
        columns = _indices(self._columns, market.user_names)
        given = np.where(market.present, self._given[:, rows[:, None], columns], 0.0)
        return given[0], given[1], given[2]


def worth(market: Market | None, allocation: PolicyAllocation | None) -> Score:
    """Return what a fixed allocation is worth in a market.

    Compute and bandwidth stay as they were fixed, so that QoE is what eq. 7 gives with the work
    and traffic of the market, but at least zero; nobody pays for less. Users whom the allocation
    has not get nothing. Providers bear the cost of what is fixed for users who are there.

    Args:
        market: as it really is; None where there is nobody.
        allocation: None where nothing was decided yet.

    """
    if market is None:
        return Score()
    if allocation is None:
        return Score(unserved=market.users)
    rewards, compute, bandwidth = allocation.at(market)
    quality = np.maximum(
        0.0,
        qoe.quality_of_experience(
            market.latency_budget, market.work, market.traffic, compute, bandwidth
        ),
    )
    quality = np.where(market.present & (compute + bandwidth > 0), quality, 0.0)
    payments = rewards * quality
    per_user = quality.sum(axis=0)
    gain = market.profit_factor @ np.log1p(per_user)
    cost = market.compute_cost @ compute.sum(axis=1) + market.bandwidth_cost @ bandwidth.sum(axis=1)
    paid = float(payments.sum())
    return Score(
        qoe=float(quality.sum()),
        payments=paid,
        user_utility=float(gain) - paid,
        provider_utility=paid - float(cost),
        unserved=int(np.count_nonzero(per_user == 0)),
    )


class Holders:
    """The allocation that each policy has at the moment."""

    def __init__(self) -> None:
        self._held: dict[str, PolicyAllocation] = {}
        self._hour = -1

    def take(self, time: float, allocation: PolicyAllocation | None) -> None:
        """Let each policy take the agent's allocation in force, if it is time for it.

        Args:
            time: simulated seconds since the beginning.
            allocation: in force; None where there is none yet.
        """
        if allocation is None:
            return
        self._held[EVERY_CYCLE] = allocation
        self._held.setdefault(NEVER, allocation)
        hour = int(time // HOUR)
        if hour > self._hour:
            self._hour = hour
            self._held[HOURLY] = allocation

    def scores(self, market: Market | None) -> dict[str, Score]:
        """Return what each policy is worth in a market, by policy."""
        return {policy: worth(market, self._held.get(policy)) for policy in POLICIES}


def _indices(places: dict[str, int], names: Sequence[str]) -> NDArray[np.intp]:
    return np.fromiter((places.get(name, -1) for name in names), np.intp, len(names))
