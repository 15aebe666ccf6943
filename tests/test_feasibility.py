from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from markets import random_market
from qoex.equilibrium.population import Population
from qoex.errors import InfeasibleMarketError
from qoex.model.admission import admit
from qoex.model.feasibility import (
    FloorLoad,
    capacity_factor,
    falls_short,
    floor_terms,
    require_feasible,
)
from qoex.model.market import FloatArray, Market


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_factor_is_where_a_ratio_of_prices_just_serves_everyone(seed: int) -> None:
    """With y/x = r the floors take Σ(a′ + g r) and Σ(b′ + g/r): scan r for the least factor."""
    market = random_market(np.random.default_rng(seed), 2, 5)
    terms = floor_terms(market)
    for n in range(2):
        a, b, g = (term[n].sum() for term in terms)
        capacity = market.compute_capacity[n], market.bandwidth_capacity[n]

        def needed(
            log_ratio: float,
            a: float = a,
            b: float = b,
            g: float = g,
            capacity: tuple[float, float] = capacity,
        ) -> float:
            ratio = np.exp(log_ratio)
            return float(max((a + g * ratio) / capacity[0], (b + g / ratio) / capacity[1]))

        best = minimize_scalar(needed, bounds=(-20, 20), method="bounded", options={"xatol": 1e-12})
        assert capacity_factor(market)[n] == pytest.approx(best.fun, rel=1e-7)


def scaled(
    market: Market, compute: FloatArray | float = 1.0, bandwidth: FloatArray | float = 1.0
) -> Market:
    return market.replace(
        compute_capacity=market.compute_capacity * compute,
        bandwidth_capacity=market.bandwidth_capacity * bandwidth,
    )


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 60))
def test_capacities_times_the_factor_are_enough_as_they_stand(
    seed: int, providers: int, users: int
) -> None:
    rng = np.random.default_rng(seed)
    market = random_market(rng, providers, users)
    market = scaled(
        market,
        10.0 ** rng.uniform(-9.0, 9.0, providers),
        10.0 ** rng.uniform(-9.0, 9.0, providers),
    )
    factor = capacity_factor(market)
    enough = scaled(market, factor, factor)
    stored = Population.of(enough)
    require_feasible(enough)
    require_feasible(enough, FloorLoad(*stored.floor_load()))  # added up in another order
    assert not falls_short(enough).any()
    assert admit(enough).dropped == ()
    less = factor * (1.0 - 1e-8)
    assert falls_short(scaled(market, less, less)).all()


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.floats(-3.0, 3.0))
def test_what_is_said_to_be_needed_is_enough_and_no_more(seed: int, skew: float) -> None:
    rng = np.random.default_rng(seed)
    market = random_market(rng, 1, 5)
    factor = capacity_factor(market) * rng.choice([0.3, 0.9, 0.999999, 1.0 - 1e-7])
    market = scaled(market, factor, factor)
    market = scaled(market, bandwidth=10.0**skew) if rng.random() < 0.7 else market
    if not falls_short(market).any():
        return
    with pytest.raises(InfeasibleMarketError) as caught:
        require_feasible(market)
    (shortfall,) = caught.value.shortfalls
    message = str(caught.value)
    needed = {"compute": shortfall.compute_needed, "bandwidth": shortfall.bandwidth_needed}
    share: dict[str, float] = {}
    for name, amount in needed.items():
        assert amount is not None
        share[name] = amount / float(getattr(market, f"{name}_capacity")[0])
        if np.isinf(amount):
            assert falls_short(scaled(market, **{name: 1e12})).all()
            continue
        assert not falls_short(scaled(market, **{name: share[name]})).any()
        # Just below it does not do, by more than the share of the room that is lost to rounding.
        assert falls_short(scaled(market, **{name: share[name] - (share[name] - 1) * 0.01})).all()
    # Of two resources either of which would do, the one is short that needs the smaller change.
    if not np.isinf(list(share.values())).all():
        assert shortfall.short == (min(share, key=lambda name: share[name]),)
    else:
        assert shortfall.short == ("compute", "bandwidth")
    # Numbers as they are printed are enough too, and the common factor comes last.
    printed = float(re.findall(r"capacities (\S+) times as large", message)[0])
    assert not falls_short(scaled(market, printed, printed)).any()
    assert message.index("times as large") > message.index(shortfall.sentence())
    (number, *_) = re.findall(r"needs (\S+) with", message) or [None]
    if number is not None:
        name = shortfall.short[0]
        have = float(getattr(market, f"{name}_capacity")[0])
        assert not falls_short(scaled(market, **{name: float(number) / have})).any()


def test_an_ample_resource_is_not_named_as_short() -> None:
    """Bandwidth that is six times what is needed: once 14.65 MHz of it were said to be short."""
    work = [90.049866230426, 12.142986429136375, 17.96922670027958]
    work += [29.183810819920755, 141.92718205830482, 123.94944500352155]
    traffic = [3.8175214807370166, 4.73629060298314, 5.65058574018821]
    traffic += [8.550307846413844, 5.543972507123263, 16.950221204439185]
    users = len(work)
    market = Market(
        work=[work],
        traffic=[traffic],
        latency_budget=[[800.0] * users],
        compute_cost=[18.0],
        bandwidth_cost=[0.15],
        compute_capacity=[0.3],
        bandwidth_capacity=[20.0],
        profit_factor=[370.0] * users,
        reward_min=[1e-4] * users,
        reward_max=[10.0] * users,
        provider_names=["jetson-orin"],
    )
    a, b = (sum(amount) / 800.0 for amount in (work, traffic))
    g = sum(np.sqrt(w * t) for w, t in zip(work, traffic, strict=True)) / 800.0
    with pytest.raises(InfeasibleMarketError) as caught:
        require_feasible(market)
    (shortfall,) = caught.value.shortfalls
    assert shortfall.short == ("compute",)
    assert shortfall.compute_needed == pytest.approx(a + g**2 / (20.0 - b), rel=1e-8)
    assert shortfall.bandwidth_needed == np.inf
    assert caught.value.capacity_factor == capacity_factor(market)[0]
    assert shortfall.sentence() == (
        "jetson-orin is short of compute: it has 0.3 TFLOPS and needs 0.52027 with the 20 MHz of "
        "bandwidth that it has, and no amount of bandwidth alone would do"
    )


def test_long_list_of_shortfalls_is_cut() -> None:
    market = random_market(np.random.default_rng(4), 5, 3)
    small = market.replace(compute_capacity=market.compute_capacity * 1e-3)
    with pytest.raises(InfeasibleMarketError, match="and 2 more providers"):
        require_feasible(small)
