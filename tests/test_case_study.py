from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qoex.data.paper_case import table_iv_market
from qoex.experiments import case_study
from qoex.experiments.case_study import CaseStudy
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies
from qoex.experiments.tables import read_manifest, read_table

# Table V of the paper, read again: f (TFLOPS), B (MHz), R and Q (ms) by provider and user.
PRINTED = {
    ("asp-1", "mu-1"): (0.4, 1.58, 0.06, 353),
    ("asp-1", "mu-2"): (0.93, 2.13, 0.1, 298),
    ("asp-1", "mu-3"): (1.44, 2.82, 0.126, 255),
    ("asp-2", "mu-1"): (0.62, 1.73, 0.056, 730),
    ("asp-2", "mu-2"): (1.23, 2.71, 0.086, 643),
    ("asp-2", "mu-3"): (0.99, 2.26, 0.076, 674),
}
QUANTITIES = ("compute", "bandwidth", "reward", "qoe")


def test_there_is_a_row_for_every_number_of_table_v() -> None:
    rows = CaseStudy().rows(0)
    assert len(rows) == CaseStudy().rows_per_seed == 24
    found = {(row["provider"], row["user"], row["quantity"]): row["printed"] for row in rows}
    assert found == {
        (*pair, quantity): value
        for pair, values in PRINTED.items()
        for quantity, value in zip(QUANTITIES, values, strict=True)
    }


def test_computed_numbers_are_those_of_a_certified_equilibrium() -> None:
    rows = CaseStudy().rows(0)
    for row in rows:
        assert row["computed"] == pytest.approx(row["printed"], rel=0.012)
        error = (row["computed"] - row["printed"]) / row["printed"]
        assert row["relative_error"] == pytest.approx(error, abs=1e-12)
        assert (row["outcome"], row["status"], row["certified"]) == ("solved", "CONVERGED", True)
        assert row["regret_relative"] < 1e-9
        assert row["reason"] is None
    # Q = κ − a/f − b/B, from the allocations in the rows.
    market = table_iv_market()
    computed = {(row["provider"], row["user"], row["quantity"]): row["computed"] for row in rows}
    for n, provider in enumerate(market.provider_names):
        for m, user in enumerate(market.user_names):
            latency = market.work[n, m] / computed[provider, user, "compute"]
            latency += market.traffic[n, m] / computed[provider, user, "bandwidth"]
            qoe = market.latency_budget[n, m] - latency
            assert computed[provider, user, "qoe"] == pytest.approx(qoe, rel=1e-9)


def test_a_market_that_cannot_be_served_is_rows_that_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = table_iv_market()
    starved = market.replace(compute_capacity=np.full(2, 1e-6))
    monkeypatch.setattr(case_study, "table_iv_market", lambda: starved)
    rows = CaseStudy().rows(0)
    assert len(rows) == 24
    for row in rows:
        assert row["outcome"] == "infeasible"
        assert "asp-1 is short of" in row["reason"]
        assert row["computed"] is None
        assert row["relative_error"] is None
        assert row["regret_relative"] is None


def test_its_table_holds_its_rows(tmp_path: Path) -> None:
    study = CaseStudy()
    run_studies([study], tmp_path, range(3), LocalRunner(1))
    frame = read_table(tmp_path, "table-v")
    assert frame.columns == list(study.columns)
    assert frame.to_dicts() == list(study.rows(0))
    manifest = read_manifest(tmp_path, "table-v")
    assert manifest["outcomes"] == {"solved": 24}
    assert manifest["parameters"] == study.parameters()


def test_parameters_hold_the_market_and_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = CaseStudy().parameters()
    assert json.loads(json.dumps(before)) == before
    market = table_iv_market()
    changed = market.replace(profit_factor=2 * market.profit_factor)
    monkeypatch.setattr(case_study, "table_iv_market", lambda: changed)
    assert CaseStudy().parameters() != before
    assert replace(CaseStudy(), name="other").parameters() == CaseStudy().parameters()
