"""What each scheme does on its own: its rules, its corners, and what it refuses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from markets import random_market
from qoex.errors import InfeasibleMarketError, InvalidInputError, UnavailableSchemeError
from qoex.game.solution import Regime, Solution, Status
from qoex.mechanisms.schemes import (
    INPUT_PRICE,
    OUTPUT_PRICE,
    only_b,
    only_f,
    price_taking,
    proposed,
    ratio,
    run,
    token,
)
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, FloatArray, Market
from qoex.model.tokens import Tokens
from test_schemes import REWARDS, check_numbers, market_and_tokens


@pytest.mark.parametrize("binding", [False, True])
def test_only_f_is_the_equilibrium_that_best_responses_reach(binding: bool) -> None:
    rng = np.random.default_rng(4)
    market = random_market(rng, 2, 3, "slack").replace(bandwidth_capacity=[200.0, 300.0])
    if binding:
        use = only_f(market).compute_state.use
        market = market.replace(compute_capacity=use * [0.85, 10.0])
    solution = only_f(market)
    wanted = Regime.BINDING if binding else Regime.SLACK
    assert solution.compute_state.regime == (wanted, Regime.SLACK)
    rewards = np.full(market.work.shape, 0.01)
    for _ in range(25):
        before = rewards.copy()
        for m in range(market.users):
            rewards[:, m] = best_response(market, rewards, m)
        if np.abs(rewards / before - 1).max() < 1e-6:
            break
    # Nelder–Mead finds a smooth maximum only to the root of its tolerance on the utility.
    assert solution.rewards == pytest.approx(rewards, rel=1e-4)
    assert solution.bandwidth == pytest.approx(
        np.repeat(market.bandwidth_capacity[:, None] / 3, 3, axis=1)
    )


def best_response(market: Market, rewards: FloatArray, m: int) -> FloatArray:
    def loss(logarithms: FloatArray) -> float:
        trial = rewards.copy()
        trial[:, m] = np.exp(logarithms)
        qoe = np.array([compute_answer(market, trial[n], n)[m] for n in range(market.providers)])
        return float(trial[:, m] @ qoe - market.profit_factor[m] * np.log(1 + qoe.sum()))

    grid = np.log(np.geomspace(1e-4, 10.0, 12))
    start = min(itertools.product(grid, repeat=market.providers), key=lambda at: loss(np.array(at)))
    found = minimize(
        loss,
        np.array(start),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000},
    )
    result: FloatArray = np.exp(found.x)
    return result


def compute_answer(market: Market, rewards: FloatArray, n: int) -> FloatArray:
    """QoE at one provider that splits bandwidth equally: its compute price by bisection."""
    left = (
        market.latency_budget[n] - market.traffic[n] * market.users / market.bandwidth_capacity[n]
    )
    work = market.work[n]

    def shares(price: float) -> FloatArray:
        result: FloatArray = np.maximum(np.sqrt(rewards * work / price), work / left)
        return result

    low, high = market.compute_cost[n], market.compute_cost[n]
    while shares(high).sum() > market.compute_capacity[n]:
        low, high = high, 2 * high
    for _ in range(60 if high > low else 0):
        middle = 0.5 * (low + high)
        over = shares(middle).sum() > market.compute_capacity[n]
        low, high = (middle, high) if over else (low, middle)
    qoe: FloatArray = left - work / shares(high)
    return qoe


def plain_market(**changes: Any) -> Market:
    """Two providers, three users; user-3 demands nothing of provider-2."""
    fields: dict[str, Any] = {
        "work": [[100.0, 300.0, 200.0], [300.0, 100.0, 0.0]],
        "traffic": [[5.0, 6.0, 7.0], [8.0, 9.0, 0.0]],
        "latency_budget": [[500.0, 500.0, 500.0], [1000.0, 1000.0, 0.0]],
        "compute_cost": [20.0, 25.0],
        "bandwidth_cost": [0.15, 0.2],
        "compute_capacity": [30.0, 20.0],
        "bandwidth_capacity": [300.0, 200.0],
        "profit_factor": [370.0] * 3,
        "reward_min": [1e-3] * 3,
        "reward_max": [10.0] * 3,
    }
    return Market(**(fields | changes))


def test_ratio_splits_the_total_by_work() -> None:
    solution = ratio(plain_market(), total=2.0)
    assert solution.status is Status.EXACT
    assert solution.rewards == pytest.approx(np.array([[0.5, 1.5, 2.0], [1.5, 0.5, 0.0]]))
    assert run("ratio", plain_market()).rewards.sum(axis=0) == pytest.approx([5.0] * 3)


def test_ratio_goes_beyond_the_box_of_the_game() -> None:
    market = plain_market(reward_max=[0.1] * 3)
    assert ratio(market).rewards == pytest.approx(ratio(plain_market()).rewards)


def test_ratio_of_no_work_or_no_demand() -> None:
    market = plain_market(
        work=[[0.0, 0.0, 0.0], [0.0, 100.0, 0.0]],
        traffic=[[5.0, 6.0, 0.0], [8.0, 9.0, 0.0]],
        latency_budget=[[500.0, 500.0, 0.0], [1000.0, 1000.0, 0.0]],
    )
    solution = ratio(market, total=2.0)
    # Without any work the split is equal; without any demand there is none; work of one pair
    # alone leaves nothing for the other, which providers then serve at a QoE of zero.
    assert solution.rewards == pytest.approx(np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 0.0]]))
    assert solution.qoe[0, 1] == 0
    assert solution.bandwidth[0, 1] == pytest.approx(6.0 / 500.0)
    assert (solution.qoe[:, 0] > 0).all()


@pytest.mark.parametrize("total", [-1.0, float("nan"), float("inf")])
def test_bad_prices_are_refused(total: float) -> None:
    tokens = Tokens(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(InvalidInputError, match="total is"):
        ratio(plain_market(), total=total)
    with pytest.raises(InvalidInputError, match="input_price is"):
        token(plain_market(), tokens, input_price=total)
    with pytest.raises(InvalidInputError, match="output_price is"):
        token(plain_market(), tokens, output_price=total)


def test_token_prices_input_and_output() -> None:
    market = plain_market()
    tokens = Tokens(np.full((2, 3), 1000.0), np.array([[1000.0, 0.0, 500.0], [250.0, 0.0, 9.0]]))
    solution = token(market, tokens, input_price=1e-3, output_price=2e-3)
    assert solution.status is Status.EXACT
    assert solution.rewards == pytest.approx(np.array([[3.0, 1.0, 2.0], [1.5, 1.0, 0.0]]))
    default = run("token", market, tokens).rewards
    assert default[0, 0] == pytest.approx(1000.0 * (INPUT_PRICE + OUTPUT_PRICE))


def test_token_needs_token_counts_of_the_right_shape() -> None:
    with pytest.raises(UnavailableSchemeError, match="carries no token counts"):
        run("token", plain_market())
    narrow, wide = np.ones((1, 3)), np.ones((2, 3))
    with pytest.raises(InvalidInputError, match=r"input_tokens has shape \(1, 3\)"):
        token(plain_market(), Tokens(narrow, wide))
    with pytest.raises(InvalidInputError, match=r"output_tokens has shape \(1, 3\)"):
        token(plain_market(), Tokens(wide.copy(), narrow.copy()))


def test_an_unknown_scheme_is_named_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"named 'rato'; .* proposed, ratio"):
        run("rato", plain_market())


@pytest.mark.parametrize("name", ["proposed", "ratio", "welfare", "price_taking"])
def test_joint_schemes_refuse_what_cannot_be_served(name: str) -> None:
    with pytest.raises(InfeasibleMarketError):
        run(name, plain_market(compute_capacity=[0.1, 20.0]))


def test_an_equal_split_counts_the_users_with_a_demand_there() -> None:
    market = plain_market()
    for solution, split, capacity in (
        (only_f(market), "bandwidth", market.bandwidth_capacity),
        (only_b(market), "compute", market.compute_capacity),
    ):
        third, half = capacity[0] / 3, capacity[1] / 2
        expected = np.array([[third] * 3, [half, half, 0.0]])
        assert getattr(solution, split) == pytest.approx(expected)
        state = getattr(solution, f"{split}_state")
        assert state.use == pytest.approx(capacity)
        assert state.regime == (Regime.PINNED, Regime.PINNED)
        assert (state.price == getattr(market, f"{split}_cost")).all()
        assert solution.notes == ()


@pytest.mark.parametrize("name", ["only_f", "only_b"])
def test_a_demand_that_the_split_uses_up_is_not_served(name: str) -> None:
    split, share = ("traffic", 300.0 / 3) if name == "only_f" else ("work", 30.0 / 3)
    resource = "bandwidth" if name == "only_f" else "compute"
    # Exactly the whole budget: nothing remains.
    demand = np.array(getattr(plain_market(), split))
    demand[0, 1] = share * 500.0
    market = plain_market(**{split: demand})
    solution = run(name, market)
    assert solution.status.ok
    assert solution.rewards[0, 1] == solution.qoe[0, 1] == 0
    assert solution.compute[0, 1] == solution.bandwidth[0, 1] == 0
    assert getattr(solution, resource)[0] == pytest.approx([share, 0.0, share])
    state = getattr(solution, f"{resource}_state")
    assert state.use[0] == pytest.approx(2 * share)
    assert state.regime == (Regime.SLACK, Regime.PINNED)
    assert solution.notes == (
        f"provider-1 does not serve user-2: an equal share of its {resource} "
        "uses up the whole latency budget",
    )
    check_numbers(market, solution)


@pytest.mark.parametrize(
    ("scheme", "field"), [(only_f, "work"), (only_b, "traffic")], ids=["only_f", "only_b"]
)
@pytest.mark.parametrize("least", [0.0, 1e-3])
def test_a_demand_for_the_split_resource_alone_pays_the_least(
    scheme: Callable[[Market], Solution], field: str, least: float
) -> None:
    demand = np.array(getattr(plain_market(), field))
    demand[0, 1] = 0.0
    market = plain_market(**{field: demand, "reward_min": [least] * 3})
    solution = scheme(market)
    assert solution.status.ok
    assert solution.rewards[0, 1] == least
    check_numbers(market, solution)
    # The user's other reward is the best one given the QoE that it has here for (next to) nothing.
    p = market.profit_factor[1] / (1 + solution.qoe[:, 1].sum())
    assert least < solution.rewards[1, 1] < p


def test_without_traffic_only_f_is_the_proposed_mechanism() -> None:
    market = plain_market(traffic=np.zeros((2, 3)))
    joint, split = proposed(market), only_f(market)
    assert split.rewards == pytest.approx(joint.rewards, rel=REWARDS)
    assert split.compute == pytest.approx(joint.compute, rel=REWARDS)
    assert split.bandwidth.sum() == pytest.approx(500.0)


def test_only_f_says_what_the_split_leaves_too_little_of() -> None:
    # After an equal share of bandwidth 1 ms of 500 is left, so 300/1 TFLOPS are needed, not 0.6.
    traffic = np.array(plain_market().traffic)
    traffic[0, 1] = 100.0 * 499.0
    with pytest.raises(InfeasibleMarketError) as caught:
        only_f(plain_market(traffic=traffic, bandwidth_capacity=[300.0, 200.0]))
    (shortfall,) = caught.value.shortfalls
    assert shortfall.provider == "provider-1"
    assert shortfall.short == ("compute",)
    assert shortfall.bandwidth_needed is None
    needed = 300.0 + 100.0 / (500 - 0.05) + 200.0 / (500 - 0.07)
    assert shortfall.compute_needed == pytest.approx(needed)
    message = str(caught.value)
    assert message.startswith("the market cannot be served: provider-1 is short of compute: ")
    # More bandwidth would not help by itself, and might bring in users that are left out now.
    assert "MHz" not in message
    assert "; compute capacities " in message


def test_price_taking_is_the_game_where_no_price_can_move() -> None:
    market, _ = market_and_tokens("slack", 1)
    assert price_taking(market).rewards == pytest.approx(proposed(market).rewards, rel=REWARDS)


def test_price_taking_is_the_limit_of_a_large_market() -> None:
    market, _ = market_and_tokens("binding", 0)
    distances = []
    for copies in (1, 4, 16):
        columns = np.tile(np.arange(market.users), copies)
        names = [f"user-{m}" for m in range(columns.size)]
        fields = {
            name: getattr(market, name)[..., columns] for name in (*PAIR_FIELDS, *USER_FIELDS)
        }
        large = market.replace(
            **fields,
            user_names=names,
            compute_capacity=copies * market.compute_capacity,
            bandwidth_capacity=copies * market.bandwidth_capacity,
        )
        game, limit = proposed(large), price_taking(large)
        distances.append(np.abs(np.log(game.rewards / limit.rewards)).max())
    assert distances[0] > 1e-3
    # A user's impact goes with its share of the market.
    assert distances[1] < 0.5 * distances[0]
    assert distances[2] < 0.5 * distances[1]
