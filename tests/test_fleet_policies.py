"""What an allocation that was fixed is worth later, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from qoex.equilibrium.solver import solve
from qoex.fleet import EVERY_CYCLE, HOURLY, NEVER, FleetSettings, Score, World
from qoex.fleet.policies import Holders, PolicyAllocation, worth
from qoex.game.solution import Solution
from qoex.model.market import Market
from qoex.wire.answers import PairAnswer


def pair(provider: str, user: str, reward: float, compute: float, bandwidth: float) -> PairAnswer:
    return PairAnswer(
        provider=provider,
        user=user,
        reward=reward,
        compute=compute,
        bandwidth=bandwidth,
        qoe=0.0,
        payment=0.0,
    )


def market(**changes: object) -> Market:
    fields: dict[str, object] = {
        "work": [[100.0, 200.0]],
        "traffic": [[10.0, 20.0]],
        "latency_budget": [[500.0, 500.0]],
        "compute_cost": [2.0],
        "bandwidth_cost": [0.1],
        "compute_capacity": [10.0],
        "bandwidth_capacity": [10.0],
        "profit_factor": [50.0, 50.0],
        "reward_min": [0.0, 0.0],
        "reward_max": [1.0, 1.0],
        "provider_names": ["p"],
        "user_names": ["u", "v"],
    }
    return Market(**{**fields, **changes})  # type: ignore[arg-type]


FIXED = PolicyAllocation([pair("p", "u", 0.5, 1.0, 0.1), pair("p", "v", 0.25, 2.0, 0.2)])


def test_fixed_resources_give_what_eq_7_says() -> None:
    score = worth(market(), FIXED)
    quality = np.array([500 - 100 / 1 - 10 / 0.1, 500 - 200 / 2 - 20 / 0.2])
    payments = 0.5 * quality[0] + 0.25 * quality[1]
    assert score.qoe == pytest.approx(quality.sum())
    assert score.payments == pytest.approx(payments)
    assert score.user_utility == pytest.approx(50 * np.log1p(quality).sum() - payments)
    assert score.provider_utility == pytest.approx(payments - 2.0 * 3.0 - 0.1 * 0.3)
    assert score.unserved == 0


def test_a_link_that_got_too_bad_is_worth_nothing_and_costs_nothing() -> None:
    score = worth(market(traffic=[[50.0, 20.0]]), FIXED)  # u: 500 − 100 − 500 < 0
    assert score.qoe == pytest.approx(300.0)
    assert score.payments == pytest.approx(75.0)
    assert score.provider_utility == pytest.approx(75.0 - 2.0 * 3.0 - 0.1 * 0.3)
    assert score.unserved == 1


def test_users_and_providers_that_came_later_have_nothing() -> None:
    later = market(
        work=[[100.0, 200.0], [1.0, 1.0]],
        traffic=[[10.0, 20.0], [1.0, 1.0]],
        latency_budget=[[500.0, 500.0], [500.0, 500.0]],
        compute_cost=[2.0, 2.0],
        bandwidth_cost=[0.1, 0.1],
        compute_capacity=[10.0, 10.0],
        bandwidth_capacity=[10.0, 10.0],
        provider_names=["p", "q"],
        user_names=["new", "v"],
    )
    score = worth(later, FIXED)
    assert score.qoe == pytest.approx(300.0)
    assert score.unserved == 1
    assert score.provider_utility == pytest.approx(75.0 - 2.0 * 2.0 - 0.1 * 0.2)


def test_a_provider_that_failed_gives_nothing_and_has_no_cost() -> None:
    zeros = [[0.0, 0.0]]
    score = worth(market(work=zeros, traffic=zeros, latency_budget=zeros), FIXED)
    assert score == Score(unserved=2)


def test_nobody_there_and_nothing_decided() -> None:
    assert worth(None, FIXED) == Score()
    assert worth(market(), None) == Score(unserved=2)
    assert worth(market(), PolicyAllocation([])) == Score(unserved=2)


def decided(market: Market, solution: Solution) -> PolicyAllocation:
    return PolicyAllocation(
        [
            pair(
                market.provider_names[n],
                market.user_names[m],
                solution.rewards[n, m],
                solution.compute[n, m],
                solution.bandwidth[n, m],
            )
            for m in reversed(range(market.users))  # the order of pairs does not matter
            for n in range(market.providers)
        ]
    )


def test_an_equilibrium_is_worth_what_its_solution_says() -> None:
    world = World(FleetSettings(users=7, providers=2, seed=3))
    now = world.market()
    assert now is not None
    solution = solve(now)
    score = worth(now, decided(now, solution))
    assert score.qoe == pytest.approx(solution.qoe.sum())
    assert score.user_utility == pytest.approx(solution.user_utility.sum())
    assert score.provider_utility == pytest.approx(solution.provider_utility.sum())
    assert score.payments == pytest.approx((solution.rewards * solution.qoe).sum())


def test_each_policy_renews_its_allocation_when_it_is_time() -> None:
    def one(compute: float) -> PolicyAllocation:
        return PolicyAllocation([pair("p", "u", 0.0, compute, 1.0)])

    def held(holders: Holders) -> list[float]:
        scores = holders.scores(market())
        # u alone is served: 500 − 100/f − 10
        return [
            round(100 / (490 - scores[policy].qoe), 6) for policy in (EVERY_CYCLE, HOURLY, NEVER)
        ]

    holders = Holders()
    holders.take(0.0, None)
    assert all(score.unserved == 2 for score in holders.scores(market()).values())
    holders.take(60.0, one(1.0))
    assert held(holders) == [1, 1, 1]
    holders.take(3540.0, one(2.0))
    assert held(holders) == [2, 1, 1]
    holders.take(3600.0, one(3.0))
    assert held(holders) == [3, 3, 1]
    holders.take(7140.0, one(4.0))
    assert held(holders) == [4, 3, 1]
    holders.take(7300.0, one(5.0))  # the step at 7,200 s was skipped
    assert held(holders) == [5, 5, 1]
