from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from qoex.data.paper_case import TABLE_V, compare_with_table_v, table_iv_market
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.files.market_files import read_scenario
from qoex.game.solution import Regime
from qoex.scenario import Scenario

# The fit leaves 1.17 %; the paper's rewards are multiples of 0.002 (up to 3.6 % of a reward), so
# nothing closer can be asked of an equilibrium that its steps only come near to.
LARGEST_ERROR = 0.015


def scenario() -> Scenario:
    return read_scenario(Path(str(files("qoex") / "data" / "table_iv.toml")))


def test_the_equilibrium_is_table_v() -> None:
    solution = solve(table_iv_market())
    assert solution.status.ok
    assert set(solution.compute_state.regime + solution.bandwidth_state.regime) == {Regime.SLACK}
    # Table V of the paper, read again: f (TFLOPS), B (MHz), R and Q (ms) of users 1 to 3.
    printed = [
        [(0.4, 1.58, 0.06, 353), (0.93, 2.13, 0.1, 298), (1.44, 2.82, 0.126, 255)],
        [(0.62, 1.73, 0.056, 730), (1.23, 2.71, 0.086, 643), (0.99, 2.26, 0.076, 674)],
    ]
    for n, row in enumerate(printed):
        for m, (compute, bandwidth, reward, qoe) in enumerate(row):
            assert solution.compute[n, m] == pytest.approx(compute, rel=LARGEST_ERROR)
            assert solution.bandwidth[n, m] == pytest.approx(bandwidth, rel=LARGEST_ERROR)
            assert solution.rewards[n, m] == pytest.approx(reward, rel=LARGEST_ERROR)
            assert solution.qoe[n, m] == pytest.approx(qoe, rel=LARGEST_ERROR)


def test_errors_are_relative_to_the_printed_numbers() -> None:
    solution = solve(table_iv_market())
    errors = compare_with_table_v(solution)
    assert sum(error.size for error in errors.values()) == 24
    assert max(np.abs(error).max() for error in errors.values()) <= LARGEST_ERROR
    doubled = compare_with_table_v(replace(solution, qoe=2 * TABLE_V["qoe"]))
    assert (doubled["qoe"] == 1.0).all()
    assert (doubled["rewards"] == errors["rewards"]).all()


def test_another_shape_is_refused() -> None:
    solution = solve(table_iv_market().select(users=[0, 1]))
    with pytest.raises(InvalidInputError, match=r"\(2, 2\)"):
        compare_with_table_v(solution)


def test_the_scenario_has_table_iv_and_stays_within_table_iii() -> None:
    demands = {(item.provider, item.user): item for item in scenario().demands}
    table_iv = {
        ("asp-1", "mu-1"): (1e-7, 200),
        ("asp-1", "mu-2"): (1e-9, 500),
        ("asp-1", "mu-3"): (1e-8, 800),
        ("asp-2", "mu-1"): (1e-5, 1400),
        ("asp-2", "mu-2"): (1e-7, 1200),
        ("asp-2", "mu-3"): (1e-8, 1000),
    }
    assert demands.keys() == table_iv.keys()
    for pair, item in demands.items():
        assert (item.performance_gap, item.output_tokens) == table_iv[pair]
        assert item.input_tokens is not None
        assert 100 <= item.input_tokens <= 2000
        assert item.snr_db is not None
        assert 10 <= item.snr_db <= 30
    market = table_iv_market()
    assert (market.latency_budget == [[500.0] * 3, [1000.0] * 3]).all()
    assert (market.compute_capacity <= 30).all()
    assert (market.bandwidth_capacity <= 500).all()
