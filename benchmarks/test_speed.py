"""How fast the pieces are at the paper's largest size, 5 providers × 25 users, warm in process.

Run with ``make bench``. The first call compiles and is not counted. Machines are shared and noisy:
compare within one run only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qoex.certificate import certify
from qoex.equilibrium.solver import solve
from qoex.game.best_response import best_response_equilibrium
from qoex.game.provider import answer_rewards, root_demand, supply_of
from qoex.kernels.arguments import Provider, RootDemand
from qoex.kernels.provider import answer
from qoex.model.market import Market
from qoex.scenario.sampling import sample_scenario

Benchmark = Callable[..., Any]


def table_iii(providers: int = 5, users: int = 25) -> Market:
    """Return a market drawn from the paper's Table III, with enough capacity to serve everyone."""
    rng = np.random.default_rng(2026)
    return sample_scenario(providers, users, rng, feasible=True).market()


def test_one_providers_answer_kernel(benchmark: Benchmark) -> None:
    market = table_iii()
    floor = np.zeros(market.users, dtype=bool)
    arguments = (
        np.full(market.users, 0.3),
        RootDemand(*(values[0] for values in root_demand(market))),
        Provider(*(float(values[0]) for values in supply_of(market))),
        floor,
    )
    benchmark(answer, *arguments)


def test_all_providers_answers(benchmark: Benchmark) -> None:
    market = table_iii()
    benchmark(answer_rewards, market, np.full(market.work.shape, 0.1))


@pytest.mark.parametrize("load", [1.0, 0.3])
def test_equilibrium_cold(benchmark: Benchmark, load: float) -> None:
    """Capacities as drawn, and so much profit that they bind."""
    market = table_iii()
    market = market.replace(profit_factor=market.profit_factor / load)
    solution = benchmark(solve, market)
    assert solution.status.ok


def test_equilibrium_warm_after_a_change_of_one_per_cent(benchmark: Benchmark) -> None:
    market = table_iii()
    before = solve(market)
    rng = np.random.default_rng(1)
    changed = market.replace(profit_factor=market.profit_factor * rng.uniform(0.99, 1.01, 25))
    solution = benchmark(solve, changed, start=before)
    assert solution.status.ok


def test_equilibrium_by_best_responses(benchmark: Benchmark) -> None:
    solution = benchmark(best_response_equilibrium, table_iii())
    assert solution.status.ok


def test_certificate(benchmark: Benchmark) -> None:
    market = table_iii()
    solution = solve(market)
    assert benchmark(certify, market, solution).holds()
