"""Table V as input: all 24 numbers come back, and the shipped defaults are what was inferred."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from qoex.calibration import (
    FitStatus,
    Inference,
    ParameterVerdict,
    infer_parameters,
    table_v_observations,
)
from qoex.certificate import certify
from qoex.data.paper_case import compare_with_table_v
from qoex.files.market_files import read_scenario
from qoex.game.solution import Regime
from qoex.model.qoe import BITS_PER_MHZ_MS, BITS_PER_TOKEN, accuracy_cost, to_decibels
from qoex.scenario import Scenario
from qoex.scenario.sampling import TABLE_III

FORGOTTEN = np.nan


@cache
def inferred() -> Inference:
    return infer_parameters(table_v_observations())


def scenario() -> Scenario:
    return read_scenario(Path(str(files("qoex") / "data" / "table_iv.toml")))


def test_all_24_numbers_come_back_with_one_profit_factor() -> None:
    inference = inferred()
    assert inference.status is FitStatus.CONVERGED
    assert np.ptp(inference.market.profit_factor) == 0.0
    errors = compare_with_table_v(inference.solution)
    for name, ours in inference.errors.items():
        np.testing.assert_allclose(ours, errors[name], rtol=1e-9)
    row = np.concatenate([error.ravel() for error in errors.values()])
    assert row.size == 24
    assert inference.largest == pytest.approx(np.abs(row).max())
    assert inference.largest <= 0.012
    assert inference.rms == pytest.approx(np.sqrt(np.mean(row**2)))
    assert inference.rms <= 0.0044


def test_what_comes_back_is_an_equilibrium_without_scarcity() -> None:
    inference = inferred()
    assert certify(inference.market, inference.solution).holds()
    regimes = inference.solution.compute_state.regime + inference.solution.bandwidth_state.regime
    assert set(regimes) == {Regime.SLACK}


def test_given_d_everything_is_pinned_down() -> None:
    inference = inferred()
    assert len(inference.parameters) == 1 + 2 + 6 + 6
    assert {item.verdict for item in inference.parameters} == {ParameterVerdict.PINNED}
    for field, place in (
        ("profit_factor", ""),
        ("compute_cost", "asp-1"),
        ("compute_cost", "asp-2"),
    ):
        item = inference.parameter(field, place)
        assert item.high / item.value < 1.025
        assert item.half is not None
        assert item.twice is not None
        assert item.half.rms > 20 * inference.rms
        assert item.twice.rms > 20 * inference.rms


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_search_ends_there_from_elsewhere(factor: float) -> None:
    market = inferred().market
    fields = ("profit_factor", "compute_cost", "work", "traffic")
    start = market.replace(**{name: factor * getattr(market, name) for name in fields})
    again = infer_parameters(table_v_observations(), start=start, profile=False)
    assert again.status is FitStatus.CONVERGED
    for name in fields:
        np.testing.assert_allclose(
            getattr(again.market, name), getattr(market, name), rtol=1e-5, err_msg=name
        )


def test_the_shipped_scenario_is_what_was_inferred() -> None:
    inference, shipped = inferred(), scenario()
    market, tokens = shipped.market(), shipped.tokens()
    assert tokens is not None
    # The file rounds to these many digits.
    assert market.profit_factor == pytest.approx(inference.market.profit_factor, abs=0.05)
    assert market.compute_cost == pytest.approx(inference.market.compute_cost, abs=0.005)
    np.testing.assert_array_equal(market.bandwidth_cost, inference.market.bandwidth_cost)
    # x_in by a = ξ ln(1/θ̂) (x_out x_in + x_out(x_out−1)/2), γ by b = 32(x_in + x_out)/log₂(1+γ).
    demands = {(item.provider, item.user): item for item in shipped.demands}
    names = [[(n, m) for m in market.user_names] for n in market.provider_names]
    gaps = np.array([[demands[pair].performance_gap for pair in row] for row in names])
    pair_work = np.array([[item.work_per_token_pair] for item in shipped.providers], dtype=float)
    pairs = inference.market.work / pair_work / accuracy_cost(gaps.astype(float))
    input_tokens = pairs / tokens.output_tokens - 0.5 * (tokens.output_tokens - 1.0)
    assert tokens.input_tokens == pytest.approx(input_tokens, abs=0.5)
    bits = BITS_PER_TOKEN * (tokens.input_tokens + tokens.output_tokens) / BITS_PER_MHZ_MS
    snr_db = to_decibels(2.0 ** (bits / inference.market.traffic) - 1.0)
    rounded = np.array([[demands[pair].snr_db for pair in row] for row in names], dtype=float)
    assert rounded == pytest.approx(snr_db, abs=0.005001)


def test_the_ranges_of_random_markets_are_what_was_inferred() -> None:
    market = inferred().market
    assert TABLE_III.profit_factor == pytest.approx(market.profit_factor[0], abs=0.05)
    assert TABLE_III.compute_cost == pytest.approx(market.compute_cost, abs=0.005)
    assert TABLE_III.bandwidth_cost == market.bandwidth_cost[0] == market.bandwidth_cost[1]


def test_table_v_does_not_tell_the_cost_of_bandwidth() -> None:
    observations = table_v_observations().knowing(bandwidth_cost=FORGOTTEN)
    inference = infer_parameters(observations)
    assert inference.status.ok
    cost = inference.parameter("bandwidth_cost")
    assert cost.value == pytest.approx(0.389, abs=0.001)
    assert cost.verdict is ParameterVerdict.FREE
    assert cost.low < 0.15 < cost.high
    for refit in (cost.half, cost.twice):
        assert refit is not None
        assert refit.ruled_out is False
        assert refit.rms < 1.3 * inference.rms
    # Traffic goes with it; all else is pinned down.
    open_ones = {
        item.field for item in inference.parameters if item.verdict is not ParameterVerdict.PINNED
    }
    assert open_ones == {"bandwidth_cost", "traffic"}
    weakest = inference.identifiability.weakest
    assert {field for field, _, _ in weakest.parts} == {"bandwidth_cost", "traffic"}
    assert [share for _, _, share in weakest.parts] == pytest.approx([1.0] * 7, abs=0.03)
    assert inference.rms < inferred().rms
    # The convention of 0.15 costs less than a tenth of a per cent of error.
    assert inferred().rms - inference.rms < 1e-3


def test_profit_factors_of_their_own_fit_better_still() -> None:
    inference = infer_parameters(table_v_observations(), profit_factor_per_user=True, profile=False)
    assert inference.status.ok
    assert inference.largest == pytest.approx(0.0075, abs=5e-5)
    assert inference.rms == pytest.approx(0.0021, abs=5e-5)
    assert (np.diff(inference.market.profit_factor) < 0).all()
