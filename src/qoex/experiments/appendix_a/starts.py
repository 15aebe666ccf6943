"""Rewards that Algorithm 1 begins with, and how far rewards are from an equilibrium.

* ``middle``: every reward at the geometric middle of its user's box;
* ``random``: log-uniform in the box;
* ``near``: every user at a given distance from its rewards at the equilibrium R*.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from qoex.game.provider import answer_rewards
from qoex.game.solution import Solution
from qoex.model.market import FloatArray, Market

Start = Literal["middle", "random", "near"]


def near(
    market: Market, equilibrium: Solution, distance: float, rng: np.random.Generator
) -> FloatArray:
    """Return rewards (N×M, money per ms) in which every user is at a distance from its own at R*.

    The direction is drawn uniformly. Only rewards that buy QoE at R* are moved, for the others do
    not matter there. A reward that would leave the box is moved the other way, so the distance
    ‖R_m − R*_m‖₂ is exact unless the box is too small for both.

    Args:
        market: N providers × M users.
        equilibrium: R*.
        distance: of every user, money per ms.
        rng: draws the direction; what it draws does not depend on the distance.
    """
    draw = rng.normal(size=market.work.shape)
    draw = np.where(equilibrium.qoe > 0, draw, 0.0)
    length = np.sqrt((draw**2).sum(axis=0))
    move = distance * draw / np.where(length > 0, length, 1.0)
    low, high = market.reward_min, market.reward_max
    moved = equilibrium.rewards + move
    moved = np.where((moved < low) | (moved > high), equilibrium.rewards - move, moved)
    return np.where(market.present, np.clip(moved, low, high), 0.0)


def distance_to(market: Market, rewards: FloatArray, equilibrium: Solution) -> float:
    """Return the largest ‖R_m − R*_m‖₂ of a user, money per ms.

    A pair that buys no QoE at either counts as no distance: its reward has no effect.
    """
    bought = (answer_rewards(market, rewards).qoe > 0) | (equilibrium.qoe > 0)
    square = np.where(bought, (rewards - equilibrium.rewards) ** 2, 0.0).sum(axis=0)
    return float(np.sqrt(square.max()))
