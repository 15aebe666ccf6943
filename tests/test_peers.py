"""The comparison with other ways to the equilibrium, without what the extra "peers" brings."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from qoex.equilibrium.solver import solve
from qoex.model.market import Market

# The comparison is no part of the package; it lies beside the other benchmarks.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

# Children import this module anew, so what loads CVXPY or Matplotlib is imported where it is used.
from peers.families import FAMILIES, SIZES, draw
from peers.measure import Measurement, measure
from peers.outcome import Outcome, Prepare, Prepared, initial_rewards
from peers.page import page, table
from peers.registry import PEERS
from peers.rows import BROKEN, FAILED, INEXACT, LATE, SOLVED, UNTRIED, Row, judge, row_of
from qoex.game.provider import answer_rewards

BINDING = next(family for family in FAMILIES if family.name == "binding")


@pytest.fixture(scope="module")
def market() -> Market:
    return draw(BINDING, 2, 3)


def quick(market: Market) -> Prepared:
    return Prepared(lambda: Outcome(initial_rewards(market), 1))


def slow_to_prepare(market: Market) -> Prepared:
    time.sleep(60.0)
    return quick(market)


def never_ends(market: Market) -> Prepared:
    return Prepared(lambda: time.sleep(60.0))  # type: ignore[arg-type, return-value]


def breaks(market: Market) -> Prepared:
    raise ArithmeticError("no\nanswer")


def dies(market: Market) -> Prepared:
    sys.exit(3)


def compiles(market: Market) -> Prepared:
    def run() -> Outcome:
        time.sleep(1.0)
        return Outcome(initial_rewards(market), 1, compiling=1.0)

    return Prepared(run, compiling=1.0)


def test_families_are_feasible_and_of_two_kinds() -> None:
    binding = {
        family.name: [
            str(regime) == "binding"
            for size in SIZES[:4]
            for regime in solve(draw(family, *size)).compute_state.regime
        ]
        for family in FAMILIES
    }
    assert not any(binding["slack"])
    assert any(binding["binding"])
    assert [n * m for n, m in SIZES] == sorted({n * m for n, m in SIZES})


@pytest.mark.parametrize("prepare", ["prepare_closed_form", "prepare_conic"])
def test_best_responses_by_scipy_end_at_our_equilibrium(prepare: str, market: Market) -> None:
    from peers import best_responses

    prepared: Prepared = getattr(best_responses, prepare)(market)
    outcome = prepared.solve()
    assert outcome.failure == ""
    np.testing.assert_allclose(outcome.rewards, solve(market).rewards, rtol=1e-4)
    regret, violation = judge(market, outcome)
    assert regret < 1e-8
    assert violation < 1e-6


def test_a_conic_provider_answers_like_the_closed_form(market: Market) -> None:
    from peers.convex_provider import ConvexProvider

    rewards = initial_rewards(market) * np.array([[0.5, 1.0, 3.0], [2.0, 0.1, 1.0]])
    answer = answer_rewards(market, rewards)
    for n in range(market.providers):
        provider = ConvexProvider(market, n)
        provider.answer(rewards[n])
        np.testing.assert_allclose(provider.compute, answer.compute[n], rtol=1e-4)
        np.testing.assert_allclose(provider.qoe, answer.qoe[n], atol=1e-4 * 1500.0)
        assert provider.prices[0] == pytest.approx(answer.compute_price[n], rel=1e-4)


def test_algorithm_1_is_the_same_with_either_answer() -> None:
    from peers import algorithm_1

    market = draw(FAMILIES[0], 2, 3)
    closed, conic = (
        prepare(market).solve()
        for prepare in (algorithm_1.prepare_closed_form, algorithm_1.prepare_convex)
    )
    assert conic.steps == closed.steps
    np.testing.assert_allclose(conic.rewards, closed.rewards, rtol=1e-6)


def test_judge_sees_a_violation_of_the_peers_own_allocation(market: Market) -> None:
    ours = solve(market)
    outcome = Outcome(ours.rewards, 1, compute=1.1 * ours.compute, bandwidth=ours.bandwidth)
    assert judge(market, outcome)[1] == pytest.approx(0.1)
    outside = Outcome(2.0 * market.reward_max + 0.0 * ours.rewards, 1)
    assert judge(market, outside)[1] == pytest.approx(1.0)


def test_a_peer_is_repeated_and_its_compiling_not_counted(market: Market) -> None:
    fast = measure(quick, market, 5.0)
    assert fast.stopped == ""
    assert len(fast.seconds) >= 5
    compiled = measure(compiles, market, 0.8, repetitions=1)
    assert not compiled.timed_out
    assert compiled.median is not None
    assert compiled.median < 0.8


@pytest.mark.parametrize(
    ("prepare", "status", "reason"),
    [
        (never_ends, LATE, "solve not done in 0.5 s"),
        (slow_to_prepare, LATE, "set-up not done in 1 s"),
        (breaks, BROKEN, "ArithmeticError: no answer"),
        (dies, BROKEN, "the process ended with code 3"),
    ],
)
def test_a_peer_that_ends_without_a_result_says_why(
    prepare: Prepare, status: str, reason: str, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    if prepare is slow_to_prepare:
        monkeypatch.setattr("peers.measure.set_up_limit", lambda limit: 1.0)
    began = time.perf_counter()
    row = row_of("binding", market, "x", measure(prepare, market, 0.5), 0.5)
    assert time.perf_counter() - began < 30.0
    assert (row.status, row.reason) == (status, reason)
    assert row.seconds is None


def test_what_a_row_is_called(market: Market) -> None:
    start, best = initial_rewards(market), solve(market).rewards
    for outcome, status in (
        (Outcome(best, 1), SOLVED),
        (Outcome(start, 1), INEXACT),
        (Outcome(best, 1, "too many rounds"), FAILED),
        (Outcome(np.nan * start, 1), FAILED),
    ):
        measured = Measurement(outcome, (1.0, 3.0, 2.0), 0.5)
        row = row_of("binding", market, "x", measured, 5.0)
        assert row.status == status
        assert (row.seconds, row.fastest, row.slowest, row.set_up) == (2.0, 1.0, 3.0, 0.5)
    late = row_of("binding", market, "x", Measurement(Outcome(best, 1), (1.0,), 0.5, "", True), 5.0)
    assert (late.status, late.reason) == (SOLVED, "a later repetition took over 5 s")


def test_page_and_figure_show_every_row(tmp_path: Path) -> None:
    from peers.figure import draw_figure

    first, second = PEERS[-1].name, PEERS[0].name
    rows = [
        Row(
            "slack", 2, 3, first, SOLVED, "", False, 5, 0.00123456, 0.001, 0.002, 1.0, 7, 1e-16, 0.0
        ),
        Row("slack", 2, 3, second, LATE, "solve not done in 20 s", True, set_up=0.25),
        Row(
            "slack",
            2,
            6,
            first,
            INEXACT,
            "a | b",
            False,
            5,
            123.4,
            120.0,
            125.0,
            1.0,
            7,
            3e-3,
            2e-9,
        ),
        Row("slack", 2, 6, second, UNTRIED, "ran out of time at 2×3"),
    ]
    lines = table(rows).splitlines()
    assert len(lines) == 2 + 3
    assert {line.count("|") for line in lines} == {10}
    assert lines[2] == "| 2×3 | qoex | 1.23 | 5 | 1 | 7 | 1e-16 | 0 | solved |"
    assert "| time limit: solve not done in 20 s |" in lines[3]
    assert "| 2×6 | qoex | 123400 | 5 | 1 | 7 | 3e-03 | 2e-09 | inexact: a / b |" in lines[4]
    facts = {"cores": 2, "processor": "p", "versions": {"numpy": "2"}}
    text = page(rows, 20.0, facts)
    assert "solved at 1 of 2 sizes tried, up to 2×3 (1.23 ms)" in text
    assert "out of time at 2×3" in text
    draw_figure(rows, 20.0, tmp_path)
    svg = (tmp_path / "peers.svg").read_text(encoding="utf-8")
    assert first in svg
    assert second in svg
    assert (tmp_path / "peers.png").stat().st_size > 0


def test_the_page_that_is_kept_is_what_its_rows_give(tmp_path: Path) -> None:
    from peers.command import write

    folder = Path(__file__).parents[1] / "docs" / "benchmarks"
    shutil.copy(folder / "peers.json", tmp_path)
    write(tmp_path / "peers.json")
    assert (tmp_path / "peers.md").read_bytes() == (folder / "peers.md").read_bytes()
