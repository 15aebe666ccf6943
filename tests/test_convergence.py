"""Appendix A measured: rows against independent runs, and what becomes of failures."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.experiments.appendix_a import rows as convergence_rows
from qoex.experiments.appendix_a.convergence import Convergence, appendix_studies
from qoex.experiments.appendix_a.rows import ALGORITHM_1, SOLVER
from qoex.experiments.paper import AMPLE, paper_sweeps
from qoex.experiments.study import Row
from qoex.game.solution import Solution, Status
from qoex.mechanisms.dual_perturbation import (
    Constant,
    Diminishing,
    Quantised,
    StepRule,
    dual_perturbation,
)
from qoex.model.market import Market

NEVER = -1.0  # a threshold that no change of utilities is below

SMALL = Convergence(
    "small", "a small one", 2, 3, scales=(0.03, 0.3), steps=(0.03,), levels=(100,), drawn=(2, 4)
)
TYPES = {"text": str, "whole": int, "real": float, "flag": bool}


def only(rows: Sequence[Row], line: str, value: float) -> Row:
    (found,) = (row for row in rows if row["line"] == line and row["value"] == value)
    return found


@pytest.mark.parametrize("study", [SMALL, *appendix_studies()], ids=lambda study: study.name)
def test_rows_are_what_the_study_says(study: Convergence) -> None:
    rows = study.rows(0)
    assert len(rows) == study.rows_per_seed
    for row in rows:
        assert list(row) == list(study.columns)
        for column, kind in study.columns.items():
            assert row[column] is None or type(row[column]) is TYPES[kind], column
    assert len({(row["point"], row["line"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "another"},
        {"providers": 1},
        {"users": 2},
        {"scales": (0.03,)},
        {"steps": ()},
        {"levels": (50,)},
        {"starts": ("middle",)},
        {"order": "jacobi"},
        {"max_iterations": 7},
        {"ranges": AMPLE},
        {"drawn": (3, 4)},
        {"scenario": appendix_studies()[2].scenario},
        {"root_seed": 1},
    ],
    ids=str,
)
def test_parameters_tell_studies_apart(change: dict[str, object]) -> None:
    other = replace(SMALL, **change)  # type: ignore[arg-type]
    assert json.dumps(other.parameters()) != json.dumps(SMALL.parameters())


def test_parameters_are_all_there_is() -> None:
    names = {field.name for field in fields(Convergence)} - {"name"}
    assert names <= set(SMALL.parameters())


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    assert SMALL.rows(3) == SMALL.rows(3)
    assert SMALL.rows(3) != SMALL.rows(4)
    assert SMALL.rows(3) != replace(SMALL, root_seed=1).rows(3)


def test_markets_are_those_of_section_vi() -> None:
    (users,) = (sweep for sweep in paper_sweeps() if sweep.name == "users")
    larger = appendix_studies()[1]
    drawn = users.replace(providers=3, values=(10,)).rows(2)[0]
    for row in larger.rows(2):
        for column in ("providers", "users", "dropped_pairs"):
            assert row[column] == drawn[column]
        if row["method"] == SOLVER:
            assert row["iterations"] == drawn["steps"]


def independent_gaps(study: Convergence, row: Row, rule: StepRule) -> list[float]:
    """D_t of a row of the fixed study, from one run of Algorithm 1 for every t."""
    assert study.scenario is not None
    market = study.scenario.market()
    best = solve(market).user_utility.sum()
    runs = (
        dual_perturbation(
            market,
            step=rule,
            rng=np.random.default_rng([0, 0, 1]) if row["start"] == "random" else None,
            max_iterations=t,
            threshold=NEVER,
        )
        for t in range(row["iterations"] + 1)
    )
    return [float(best - run.user_utility.sum()) for run in runs]


@pytest.mark.parametrize("start", ["middle", "random"])
@pytest.mark.parametrize("rule", [Diminishing(0.1), Constant(0.01), Quantised(1000)])
def test_gaps_are_those_of_one_run_for_every_iteration(rule: StepRule, start: str) -> None:
    study = appendix_studies()[2]
    name = type(rule).__name__.lower()
    step = (
        rule
        if not isinstance(rule, Quantised)
        else Constant(float(rule.size(study.scenario.market(), 1).max()))  # type: ignore[union-attr]
    )
    value = step.u if isinstance(step, Diminishing) else step.delta
    row = only(study.rows(0), f"{name} {start}", value)
    assert row["status"] == "OWN_RULE"
    *before, last = independent_gaps(study, row, rule)
    assert row["first_gap"] == pytest.approx(before[0], abs=1e-9)
    assert row["last_gap"] == pytest.approx(last, abs=1e-9)
    assert row["mean_gap"] == pytest.approx(statistics.fmean(before), abs=1e-9)
    least = [min(before[: t + 1]) for t in range(len(before))]
    mean_least = statistics.fmean(least)
    assert row["mean_least_gap"] == pytest.approx(mean_least, abs=1e-9)
    # The bounds once more, word for word: N = 2, M = 3 and R^max = 10 for every user.
    squares, iterations = 2 * 3 * 10.0**2, row["iterations"]
    if isinstance(rule, Diminishing):
        constant = squares / 0.1 + 6 * 0.1 * math.pi**2 / 6
        bound = constant / mean_least / math.log(10)
    else:
        constant = squares / value
        bound = math.log10(constant / (mean_least - 6 * value / 2))
        ceiling = squares / (value * (iterations + 1)) + 6 * value / 2
        assert row["gap_ceiling"] == pytest.approx(ceiling)
    assert row["bound_constant"] == pytest.approx(constant)
    assert row["bound_log10"] == pytest.approx(bound, rel=1e-6)
    assert row["within_bound"] is (iterations <= 10**bound if bound < 300 else True)
    assert row["below_ceiling"] is (mean_least <= row["gap_ceiling"])
    assert row["gap_log10"] == pytest.approx(math.log10(mean_least / row["gap_ceiling"]))


def test_rows_of_the_solver_stand_beside_every_step() -> None:
    rows = SMALL.rows(1)
    solver = [row for row in rows if row["method"] == SOLVER]
    assert [(row["rule"], row["value"]) for row in solver] == [
        ("diminishing", 0.03),
        ("diminishing", 0.3),
        ("constant", 0.03),
        ("quantised", pytest.approx(0.1, rel=1e-4)),
    ]
    for row in solver:
        assert row["outcome"] == "solved"
        assert row["regret_relative"] < 1e-12
        assert row["distance"] == 0.0
        assert row["start"] is row["bound_log10"] is row["mean_gap"] is None
    assert len({row["iterations"] for row in solver}) == 1


def test_a_run_to_the_limit_is_not_solved_but_keeps_its_numbers() -> None:
    rows = [row for row in replace(SMALL, max_iterations=2).rows(0) if row["method"] == ALGORITHM_1]
    cut = [row for row in rows if row["status"] == "STEP_LIMIT"]
    assert cut
    for row in cut:
        assert (row["outcome"], row["stopped"], row["iterations"]) == ("unsolved", False, 2)
        assert row["reason"] == Status.STEP_LIMIT.sentence
        assert row["regret"] > 0.0
        assert row["mean_gap"] is not None
    for row in SMALL.rows(0):
        ended = row["status"] in ("OWN_RULE", "CONVERGED")
        assert row["stopped"] is ended
        assert (row["outcome"] == "solved") is ended
        assert (row["reason"] is None) is ended


def test_a_start_near_the_equilibrium_is_at_the_distance_u() -> None:
    rows = [row for seed in range(5) for row in SMALL.rows(seed) if row["start"] == "near"]
    assert {row["rule"] for row in rows} == {"diminishing"}
    for row in rows:
        assert row["start_distance"] == pytest.approx(row["value"], rel=1e-12)


def test_an_equilibrium_that_was_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def stalled(market: Market) -> Solution:
        return replace(solve(market), status=Status.STALLED)

    monkeypatch.setattr(convergence_rows, "solve", stalled)
    rows = SMALL.rows(0)
    for row in rows:
        assert row["distance"] is row["regret_relative"] is row["mean_gap"] is None
        if row["start"] == "near":
            assert row["outcome"] == "unavailable"
            assert "not found" in row["reason"]
        elif row["method"] == SOLVER:
            assert (row["outcome"], row["status"]) == ("unsolved", "STALLED")
        else:
            assert row["regret"] >= 0.0
            assert row["bound_log10"] is row["within_bound"] is None
            assert "not known" in row["bound_reason"]


def test_an_error_of_ours_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> Solution:
        raise ZeroDivisionError("nought")

    monkeypatch.setattr(convergence_rows, "dual_perturbation", broken)
    rows = SMALL.rows(0)
    assert len(rows) == SMALL.rows_per_seed
    failed = [row for row in rows if row["method"] == ALGORITHM_1]
    assert {(row["outcome"], row["reason"]) for row in failed} == {
        ("failed", "ZeroDivisionError: nought")
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": ("far",)}, "starts has 'far'"),
        ({"order": "random"}, "order is 'random'"),
        ({"scales": (0.1, 0.1)}, "two scales are the same"),
        ({"scales": (), "steps": (), "levels": ()}, "are empty"),
        ({"scales": (-1.0,)}, "u is -1"),
        ({"levels": (0,)}, "levels is 0"),
        ({"max_iterations": 0}, "max_iterations is 0"),
        ({"users": 5}, "users is 5; it must be at least 1 and at most 4"),
        ({"providers": 0}, "providers is 0"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]
