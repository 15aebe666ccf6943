from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from qoex.game.metrics import Metrics, price_of_anarchy, score, welfare_of
from qoex.game.outcome import provider_utility, user_utility
from qoex.game.solution import CapacityState, Regime, Solution, Status
from qoex.model.market import FloatArray, Market


def small_market() -> Market:
    """Two providers and three users; provider-2 has no demand of user-1."""
    return Market(
        work=[[10.0, 20.0, 30.0], [0.0, 40.0, 50.0]],
        traffic=[[1.0, 2.0, 3.0], [0.0, 4.0, 5.0]],
        latency_budget=[[100.0, 100.0, 100.0], [0.0, 200.0, 200.0]],
        compute_cost=[2.0, 3.0],
        bandwidth_cost=[0.5, 0.25],
        compute_capacity=[10.0, 20.0],
        bandwidth_capacity=[4.0, 8.0],
        profit_factor=[10.0, 20.0, 30.0],
        reward_min=[0.0] * 3,
        reward_max=[10.0] * 3,
    )


def solution_of(
    market: Market, rewards: FloatArray, compute: FloatArray, bandwidth: FloatArray, qoe: FloatArray
) -> Solution:
    def state(use: FloatArray, price: FloatArray) -> CapacityState:
        return CapacityState(use=use, price=price, regime=(Regime.SLACK,) * market.providers)

    return Solution(
        status=Status.EXACT,
        method="by hand",
        steps=0,
        rewards=rewards,
        compute=compute,
        bandwidth=bandwidth,
        qoe=qoe,
        user_utility=user_utility(market, rewards, qoe),
        provider_utility=provider_utility(market, rewards, qoe, compute, bandwidth),
        compute_state=state(compute.sum(axis=1), market.compute_cost),
        bandwidth_state=state(bandwidth.sum(axis=1), market.bandwidth_cost),
    )


def by_hand() -> Solution:
    """User-3 has a demand at provider-1 that is not served."""
    return solution_of(
        small_market(),
        rewards=np.array([[0.5, 0.25, 0.0], [0.0, 0.125, 1.0]]),
        compute=np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 4.0]]),
        bandwidth=np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 1.0]]),
        qoe=np.array([[20.0, 40.0, 0.0], [0.0, 80.0, 10.0]]),
    )


def test_every_metric_of_a_case_worked_out_by_hand() -> None:
    # Payments: 10; 10 + 10; 10. Costs: 2·3 + 0.5·1 = 6.5; 3·5 + 0.25·2 = 15.5.
    gain = 10 * math.log(21) + 20 * math.log(121) + 30 * math.log(11)
    expected = Metrics(
        compute_usage=(3 / 10 + 5 / 20) / 2,
        bandwidth_usage=(1 / 4 + 2 / 8) / 2,
        user_cost=40 / 3,
        provider_cost=11.0,
        mean_qoe=50.0,
        user_utility=(gain - 40) / 3,
        provider_utility=(40 - 22) / 2,
        welfare=gain - 22,
        served_pairs=4,
        demanded_pairs=5,
    )
    assert asdict(score(small_market(), by_hand())) == pytest.approx(asdict(expected), rel=1e-12)


def test_welfare_is_the_sum_of_all_utilities() -> None:
    market, solution = small_market(), by_hand()
    total = solution.user_utility.sum() + solution.provider_utility.sum()
    assert welfare_of(market, solution) == pytest.approx(total)


def test_price_of_anarchy_is_the_ratio_of_the_welfares() -> None:
    market, better = small_market(), by_hand()
    worse = solution_of(market, better.rewards, better.compute, better.bandwidth, 0.5 * better.qoe)
    expected = welfare_of(market, better) / welfare_of(market, worse)
    assert expected > 1
    assert price_of_anarchy(market, worse, better) == pytest.approx(expected)
    assert price_of_anarchy(market, better, better) == 1.0


def test_price_of_anarchy_of_a_loss_is_not_a_number() -> None:
    market, better = small_market(), by_hand()
    loss = solution_of(market, better.rewards, 100 * better.compute, better.bandwidth, better.qoe)
    assert welfare_of(market, loss) < 0
    assert math.isnan(price_of_anarchy(market, loss, better))
    assert math.isnan(price_of_anarchy(market, loss, loss))
