from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from markets import random_market
from qoex.errors import InfeasibleMarketError
from qoex.model.feasibility import capacity_factor, floor_terms, require_feasible


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


def test_infeasible_market_names_provider_shortfall_and_factor() -> None:
    market = random_market(np.random.default_rng(3), 3, 7, "slack")
    factor = capacity_factor(market)[1]
    compute, bandwidth = market.compute_capacity.copy(), market.bandwidth_capacity.copy()
    compute[1] *= factor / 1.25
    bandwidth[1] *= factor / 1.25
    short = market.replace(compute_capacity=compute, bandwidth_capacity=bandwidth)
    with pytest.raises(InfeasibleMarketError) as caught:
        require_feasible(short)
    (shortfall,) = caught.value.shortfalls
    assert shortfall.provider == "provider-2"
    assert shortfall.capacity_factor == pytest.approx(1.25, rel=1e-6)
    assert caught.value.capacity_factor == shortfall.capacity_factor
    assert shortfall.compute == pytest.approx(0.25 * compute[1], rel=1e-6)
    assert shortfall.bandwidth == pytest.approx(0.25 * bandwidth[1], rel=1e-6)
    message = str(caught.value)
    assert message.startswith("the market cannot be served: provider-2 is short of ")
    assert "1.25 times as large would do" in message
    enough = short.replace(
        compute_capacity=compute * shortfall.capacity_factor,
        bandwidth_capacity=bandwidth * shortfall.capacity_factor,
    )
    require_feasible(enough)


def test_long_list_of_shortfalls_is_cut() -> None:
    market = random_market(np.random.default_rng(4), 5, 3)
    small = market.replace(compute_capacity=market.compute_capacity * 1e-3)
    with pytest.raises(InfeasibleMarketError, match="and 2 more providers"):
        require_feasible(small)
