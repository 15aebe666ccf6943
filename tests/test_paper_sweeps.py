"""The sweeps of section VI are what the paper says, as far as it says it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from qoex.data.paper_case import table_iv_market
from qoex.experiments.paper import AMPLE, SCHEME_CASES, paper_sweeps
from qoex.experiments.sweep import Sweep
from qoex.mechanisms.schemes import TOTAL_REWARD
from qoex.model.feasibility import frontier_factor
from qoex.scenario.sampling import TABLE_III, sample_scenario

SWEEPS = {sweep.name: sweep for sweep in paper_sweeps()}


def test_there_is_a_sweep_for_each_figure_and_its_variants() -> None:
    figures = ["accuracy", "output-tokens", "latency-budget", "users", "providers"]
    variants = [f"{name}-ample" for name in figures[3:]] + [f"{n}-table-iv" for n in figures[:3]]
    assert list(SWEEPS) == figures + variants


@pytest.mark.parametrize(
    ("name", "vary", "values"),
    [
        ("accuracy", "performance_gap", (1e-11, 1e-9, 1e-7, 1e-5, 1e-3)),
        ("output-tokens", "output_tokens", (300, 600, 900, 1200, 1500)),
        ("latency-budget", "latency_budget", (300, 600, 900, 1200, 1500)),
        ("users", "users", (5, 10, 15, 20, 25)),
        ("providers", "providers", (1, 2, 3, 4, 5)),
    ],
)
def test_values_are_those_of_the_paper(name: str, vary: str, values: tuple[float, ...]) -> None:
    for sweep in SWEEPS.values():
        if sweep.name.startswith(name):
            assert (sweep.vary, sweep.values) == (vary, values)


def test_schemes_are_those_of_section_vi_c_and_the_optimum() -> None:
    assert [case.label for case in SCHEME_CASES] == [
        "proposed", "ratio-5", "ratio-1", "token", "only-f", "only-b", "welfare"
    ]  # fmt: skip
    totals = [case.options.get("total") for case in SCHEME_CASES if case.scheme == "ratio"]
    assert totals == [TOTAL_REWARD, 1.0] == [5.0, 1.0]
    for name, sweep in SWEEPS.items():
        compared = name.startswith(("users", "providers"))
        assert sweep.schemes == (SCHEME_CASES if compared else SCHEME_CASES[:1])


def test_random_sweeps_draw_the_same_markets() -> None:
    random = [sweep for sweep in SWEEPS.values() if not sweep.fixed]
    assert {sweep.drawn for sweep in random} == {(5, 25)}
    assert {sweep.root_seed for sweep in random} == {0}
    users, providers = SWEEPS["users"], SWEEPS["providers"]
    assert (users.providers, providers.users) == (3, 15)
    at_fifteen = users._point_rows(users._world(2), 2, users.values.index(15))
    at_three = providers._point_rows(providers._world(2), 2, providers.values.index(3))
    for one, other in zip(at_fifteen, at_three, strict=True):
        assert one | {"point": 0, "value": 0.0} == other | {"point": 0, "value": 0.0}


def test_ample_ranges_differ_from_table_iii_in_two_ends_only() -> None:
    before, after = asdict(TABLE_III), asdict(AMPLE)
    assert {key for key in before if before[key] != after[key]} == {
        "compute_capacity",
        "latency_budget",
    }
    for key in ("compute_capacity", "latency_budget"):
        assert (after[key][1], after[key][0] > before[key][0]) == (before[key][1], True)


def test_every_ample_draw_of_a_hundred_seeds_can_be_served() -> None:
    factors = np.concatenate(
        [
            frontier_factor(
                sample_scenario(5, 25, np.random.default_rng([0, seed]), ranges=AMPLE).market()
            )
            for seed in range(100)
        ]
    )
    assert factors.max() < 1.0
    assert SWEEPS["users-ample"].overload == SWEEPS["providers-ample"].overload == "refuse"


def test_variants_of_table_iv_start_from_its_market() -> None:
    for name in ("accuracy", "output-tokens", "latency-budget"):
        sweep = SWEEPS[f"{name}-table-iv"]
        assert sweep.fixed
        assert sweep.scenario is not None
        assert sweep.scenario.market() == table_iv_market()
        assert (sweep.providers, sweep.users) == (2, 3)


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_the_first_seed_is_solved_by_the_mechanism(sweep: Sweep) -> None:
    # The largest point, which is the hardest.
    rows = sweep._point_rows(sweep._world(0), 0, len(sweep.values) - 1)
    assert rows[0]["scheme"] == "proposed"
    assert (rows[0]["outcome"], rows[0]["certified"]) == ("solved", True)
    assert {row["outcome"] for row in rows} <= {"solved", "infeasible"}
