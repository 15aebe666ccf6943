"""What every peer takes and returns, and where all of them begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qoex.model.market import FloatArray, Market


@dataclass(frozen=True)
class Outcome:
    """What one solve of a peer ended with.

    Attributes:
        rewards: R, N×M, money per ms, as the peer left them.
        steps: iterations or rounds of the peer.
        failure: why its own criterion does not hold; empty where it does.
        compute: f, N×M, TFLOPS, where the peer has an allocation of its own.
        bandwidth: B, N×M, MHz, likewise.
        compiling: s of the call that went into compiling and count as set-up.
    """

    rewards: FloatArray
    steps: int
    failure: str = ""
    compute: FloatArray | None = None
    bandwidth: FloatArray | None = None
    compiling: float = 0.0


@dataclass(frozen=True)
class Prepared:
    """A peer that is ready for one market.

    Attributes:
        solve: solves it from the common start, the same way every time.
        compiling: s that each call is expected to spend on compiling; the limit is on the rest.
    """

    solve: Callable[[], Outcome]
    compiling: float = 0.0


Prepare = Callable[[Market], Prepared]


def initial_rewards(market: Market) -> FloatArray:
    """Return the rewards that every peer begins with, N×M, money per ms.

    Half of what a ms more is worth to a user that is served at no latency at all: the right order
    of magnitude in every market, and no more than can be told without solving anything.
    """
    worth = market.profit_factor / (1.0 + market.latency_budget.sum(axis=0))
    start = np.clip(0.5 * worth, market.reward_min, market.reward_max)
    return np.where(market.present, start, 0.0)
