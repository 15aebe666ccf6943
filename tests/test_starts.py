"""Where Algorithm 1 begins, and distances from an equilibrium."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from markets import Family, random_market
from qoex.equilibrium.solver import solve
from qoex.experiments.appendix_a.starts import distance_to, near


@pytest.mark.parametrize("family", ["any", "binding", "absent", "bounds"])
def test_near(family: Family) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        market = random_market(rng, 3, 4, family)
        best = solve(market)
        bought = best.qoe > 0
        distance = 0.3 * float(best.rewards[bought].min())
        start = near(market, best, distance, np.random.default_rng(1))
        assert (start[~bought] == best.rewards[~bought]).all()
        assert (start <= market.reward_max).all()
        assert (
            start[market.present] >= np.broadcast_to(market.reward_min, start.shape)[market.present]
        ).all()
        if family != "bounds":  # there a box may be a single point
            moved = np.sqrt(((start - best.rewards) ** 2).sum(axis=0))
            np.testing.assert_allclose(moved[bought.any(axis=0)], distance)


def test_a_pair_without_qoe_is_at_no_distance() -> None:
    market = random_market(np.random.default_rng(78), 1, 3, "slack")
    best = solve(market)
    idle = np.full((1, 3), 2e-6)
    assert distance_to(market, best.rewards, best) == 0.0
    assert distance_to(market, idle, best) == pytest.approx(np.abs(best.rewards - idle).max())
    nobody = replace(best, rewards=np.full((1, 3), 1e-6), qoe=np.zeros((1, 3)))
    assert distance_to(market, idle, nobody) == 0.0
