"""What is turned away: enough that the rest fits, and hardly more than must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoex.agent.solving import turning_away
from qoex.agent.solving.task import AdmissionObjective, AdmissionRule
from qoex.agent.solving.turning_away import SEARCHED, turned_away
from qoex.model.admission import admit
from qoex.model.feasibility import frontier_factor
from qoex.model.market import Market


def crowded(seed: int, providers: int, users: int, load: float, absent: float = 0.2) -> Market:
    """A market of which each provider can serve about 1/load of its demands."""
    rng = np.random.default_rng(seed)
    shape = providers, users
    present = rng.uniform(size=shape) >= absent
    present[:, 0] = True
    work = np.where(present, rng.uniform(1, 20, shape), 0.0)
    traffic = np.where(present, rng.uniform(1, 20, shape), 0.0)
    budget = np.where(present, rng.uniform(50, 200, shape), 0.0)
    market = Market(
        work=work,
        traffic=traffic,
        latency_budget=budget,
        compute_cost=[1.0] * providers,
        bandwidth_cost=[1.0] * providers,
        compute_capacity=rng.uniform(0.5, 2, providers),
        bandwidth_capacity=rng.uniform(0.5, 2, providers),
        profit_factor=rng.uniform(1, 50, users),
        reward_min=[0.01] * users,
        reward_max=[10.0] * users,
    )
    factor = frontier_factor(market) / load
    return market.replace(
        compute_capacity=market.compute_capacity * factor,
        bandwidth_capacity=market.bandwidth_capacity * factor,
    )


BY = st.sampled_from([AdmissionObjective.COUNT, AdmissionObjective.VALUE])


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 40), st.floats(0.5, 30), BY)
@settings(deadline=None, max_examples=40)
def test_the_rest_always_fits(
    seed: int, providers: int, users: int, load: float, by: AdmissionObjective
) -> None:
    market = crowded(seed, providers, users, load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turning_away, "SEARCHED", 0)
        away = turned_away(market, AdmissionRule(by=by))
    assert not (away & ~market.present).any()
    assert (frontier_factor(market.without(away)) < 1.0 - 1e-9).all()
    short = frontier_factor(market) >= 1.0 - 1e-9
    assert not away[~short].any()
    assert away[short].any(axis=1).all()


@given(st.integers(0, 2**32), st.floats(1.1, 4.0))
@settings(deadline=None, max_examples=10)
def test_it_is_nearly_the_best_choice(seed: int, load: float) -> None:
    market = crowded(seed, 1, 120, load)
    value = market.profit_factor * np.log1p(market.latency_budget[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turning_away, "SEARCHED", 0)
        fewest = turned_away(market, AdmissionRule(by=AdmissionObjective.COUNT))
        cheapest = turned_away(market, AdmissionRule(by=AdmissionObjective.VALUE))
    best_count = len(admit(market, by="count").dropped)
    assert fewest.sum() <= best_count + 1
    best_value = admit(market, by="value").dropped_value
    assert value[cheapest[0]].sum() <= best_value + 0.02 * value[market.present[0]].sum()


def test_few_demands_are_searched_for_the_best_choice() -> None:
    market = crowded(5, 2, 30, 2.0)
    assert market.present.sum(axis=1).max() <= SEARCHED
    for by in (AdmissionObjective.COUNT, AdmissionObjective.VALUE):
        away = turned_away(market, AdmissionRule(by=by))
        found = admit(market, by=by.value)  # type: ignore[arg-type]
        names = [
            (market.provider_names[n], market.user_names[m]) for n, m in np.argwhere(away).tolist()
        ]
        assert tuple(names) == found.dropped


def test_thousands_of_demands_need_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turning_away, "admit", None)
    market = crowded(1, 3, 5000, 1.5)
    away = turned_away(market, AdmissionRule(by=AdmissionObjective.VALUE))
    rest = frontier_factor(market.without(away))
    assert (rest < 1.0 - 1e-9).all()
    assert (rest > 0.999).all()  # nothing that fits is left over
    np.testing.assert_array_equal(
        away, turned_away(market, AdmissionRule(by=AdmissionObjective.VALUE))
    )
