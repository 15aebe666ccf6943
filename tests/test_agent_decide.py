"""From a snapshot to an outcome: every way it can end, and the same bits every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_cycles import small_snapshot
from agent_state import Log
from qoex.agent.reports.kept import CycleEnding
from qoex.agent.solving import decide as decide_module
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.decide import decide
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.solving.task import AdmissionObjective, AdmissionRule, CycleOutcome, Start, Task
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.game.solution import Solution, Status
from qoex.model.market import Market


def allocation_of(snapshot: Snapshot, outcome: CycleOutcome) -> CertifiedAllocation:
    assert outcome.ending is CycleEnding.DECIDED, outcome.kept
    assert outcome.payload is not None
    return CertifiedAllocation.decoded(
        outcome.payload, snapshot.provider_names, snapshot.user_names
    )


def start_of(snapshot: Snapshot) -> Start:
    outcome = decide(Task(snapshot))
    assert outcome.payload is not None
    return Start(outcome.payload, snapshot.provider_names, snapshot.user_names)


def test_a_decision_comes_with_its_numbers() -> None:
    snapshot = small_snapshot(6, compute_capacity=3.0)
    outcome = decide(Task(snapshot))
    allocation = allocation_of(snapshot, outcome)
    assert outcome.kept is None
    assert outcome.dropped == ()
    assert not outcome.warm
    assert set(outcome.timings) == {"market", "admit", "solve", "certify", "encode"}
    numbers = outcome.summary
    assert (numbers["providers"], numbers["users"], numbers["pairs"]) == (2, 6, 12)
    assert numbers["left_out"] == 0
    assert numbers["payments_total"] == pytest.approx(float(allocation.payments.sum()))
    qoe = allocation.qoe.sum(axis=0)
    assert numbers["qoe"]["mean"] == pytest.approx(float(qoe.mean()))
    assert numbers["qoe"]["quantiles"][0] == qoe.min()
    assert numbers["qoe"]["quantiles"][-1] == qoe.max()
    histogram = numbers["qoe"]["histogram"]
    assert sum(histogram["counts"]) == 6
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    first = numbers["capacity"][0]
    assert first["provider"] == "asp-0"
    assert first["compute"]["regime"] == "binding"
    assert first["compute"]["use"] == pytest.approx(3.0)
    assert first["compute"]["price"] > first["compute"]["unit_cost"]


@given(st.integers(1, 12), st.floats(2.0, 1e4))
@settings(max_examples=15, deadline=None)
def test_the_same_task_gives_the_same_bits(users: int, capacity: float) -> None:
    snapshot = small_snapshot(users, compute_capacity=capacity)
    one, other = decide(Task(snapshot)), decide(Task(snapshot))
    assert one.payload == other.payload
    assert one.digest == other.digest
    start = start_of(small_snapshot(max(users - 1, 1), compute_capacity=capacity))
    one, other = decide(Task(snapshot, start)), decide(Task(snapshot, start))
    assert one.payload == other.payload
    assert one.warm == other.warm


def test_a_warm_start_leads_to_the_same_equilibrium() -> None:
    snapshot = small_snapshot(8, compute_capacity=3.0)
    cold = allocation_of(snapshot, decide(Task(snapshot)))
    for earlier in (snapshot, small_snapshot(6, compute_capacity=2.5), small_snapshot(12)):
        outcome = decide(Task(snapshot, start_of(earlier)))
        assert outcome.warm
        warm = allocation_of(snapshot, outcome)
        np.testing.assert_allclose(warm.rewards, cold.rewards, rtol=1e-8)
        np.testing.assert_allclose(warm.qoe, cold.qoe, rtol=1e-8)


def test_a_start_from_the_same_market_takes_fewer_sweeps() -> None:
    snapshot = small_snapshot(8, compute_capacity=3.0)
    cold = decide(Task(snapshot))
    warm = decide(Task(snapshot, start_of(snapshot)))
    assert warm.summary["sweeps"] < cold.summary["sweeps"]


@pytest.mark.parametrize(
    "earlier",
    [small_snapshot(6, providers=1), small_snapshot(2)],
    ids=["a provider is new", "most users are new"],
)
def test_a_start_that_says_too_little_is_passed_over(earlier: Snapshot) -> None:
    snapshot = small_snapshot(6, compute_capacity=3.0)
    outcome = decide(Task(snapshot, start_of(earlier)))
    assert not outcome.warm
    assert outcome.payload == decide(Task(snapshot)).payload


def test_a_start_with_a_provider_who_left_is_used() -> None:
    snapshot = small_snapshot(6, providers=2, compute_capacity=3.0)
    outcome = decide(Task(snapshot, start_of(small_snapshot(6, providers=3))))
    assert outcome.warm
    assert outcome.ending is CycleEnding.DECIDED


@pytest.mark.parametrize("broken", ["not solved", "no equilibrium"])
def test_a_warm_start_that_fails_is_followed_by_a_cold_one(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    snapshot = small_snapshot(6, compute_capacity=3.0)
    start = start_of(small_snapshot(5, compute_capacity=3.0))

    def failing(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market)
        if start is None:
            return found
        if broken == "not solved":
            return replace(found, status=Status.STALLED)
        return replace(found, rewards=1.5 * found.rewards)

    monkeypatch.setattr(decide_module, "solve", failing)
    outcome = decide(Task(snapshot, start))
    assert outcome.ending is CycleEnding.DECIDED
    assert not outcome.warm
    assert outcome.payload == decide(Task(snapshot)).payload


def test_what_is_not_solved_is_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(market: Market, start: Solution | None = None) -> Solution:
        return solve(market, start=start, max_sweeps=1)

    monkeypatch.setattr(decide_module, "solve", impatient)
    outcome = decide(Task(small_snapshot(6, compute_capacity=3.0)))
    assert outcome.ending is CycleEnding.NOT_SOLVED
    assert outcome.sentence == Status.STEP_LIMIT.sentence
    assert outcome.payload is None
    assert outcome.digest is None
    assert outcome.summary["pairs"] == 12


def test_what_the_certificate_refuses_is_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market, start=start)
        return replace(found, compute=found.compute * (1 + 1e-6))

    monkeypatch.setattr(decide_module, "solve", careless)
    outcome = decide(Task(small_snapshot(6, compute_capacity=3.0)))
    assert outcome.ending is CycleEnding.NOT_CERTIFIED
    assert outcome.payload is None
    assert outcome.sentence


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ({"providers": 0, "users": 0}, "no provider is active"),
        ({"providers": 1, "users": 0}, "no user is active"),
        ({"providers": 1, "users": 1, "demands": {}}, "no active user demands anything"),
        ({"providers": 1, "users": 1, "snr_db": None}, "each lacks something"),
    ],
)
def test_a_market_without_pairs_is_empty(nodes: dict[str, Any], reason: str) -> None:
    log = Log()
    for n in range(nodes["providers"]):
        log.provider(f"asp-{n}", **({"snr_db": None} if "snr_db" in nodes else {}))
    for m in range(nodes["users"]):
        log.user(f"mu-{m}", *([] if "demands" in nodes else ["asp-0"]))
    outcome = decide(Task(log.registry.snapshot(log.now)))
    assert outcome.ending is CycleEnding.EMPTY
    assert reason in outcome.sentence


def test_nodes_without_a_pair_stand_beside_the_market() -> None:
    log = Log()
    for name in ("asp-0", "asp-1"):
        log.provider(name)
    log.user("mu-0", "asp-0")
    log.user("mu-1")
    snapshot = log.registry.snapshot(log.now)
    outcome = decide(Task(snapshot))
    allocation = allocation_of(snapshot, outcome)
    assert allocation.present.tolist() == [[True, False], [False, False]]
    assert allocation.user_utility[1] == 0.0
    assert outcome.summary["users"] == 2
    assert sum(outcome.summary["qoe"]["histogram"]["counts"]) == 1


# Three equal users of two providers, each of whom can serve two of them.
CROWDED: dict[str, Any] = {"compute_capacity": 0.5, "bandwidth_capacity": 0.5}


def test_demands_beyond_the_capacities_are_infeasible() -> None:
    outcome = decide(Task(small_snapshot(3, **CROWDED)))
    assert outcome.ending is CycleEnding.INFEASIBLE
    assert "asp-0 is short of" in outcome.sentence
    assert outcome.payload is None


@pytest.mark.parametrize("by", [AdmissionObjective.COUNT, AdmissionObjective.VALUE])
def test_admission_turns_away_what_cannot_be_served(by: AdmissionObjective) -> None:
    snapshot = small_snapshot(3, **CROWDED)
    outcome = decide(Task(snapshot, admission=AdmissionRule(by=by)))
    allocation = allocation_of(snapshot, outcome)
    assert len(outcome.dropped) == 2
    for provider, user in outcome.dropped:
        n, m = snapshot.provider_names.index(provider), snapshot.user_names.index(user)
        assert not allocation.present[n, m]
        assert allocation.rewards[n, m] == allocation.compute[n, m] == 0.0
    assert int(allocation.present.sum()) == 4


def test_admission_stops_where_too_much_would_be_turned_away() -> None:
    snapshot = small_snapshot(3, **CROWDED)
    enough = AdmissionRule(by=AdmissionObjective.COUNT, most=2 / 6)
    assert decide(Task(snapshot, admission=enough)).ending is CycleEnding.DECIDED
    outcome = decide(Task(snapshot, admission=replace(enough, most=0.3)))
    assert outcome.ending is CycleEnding.INFEASIBLE
    assert "33.3% of the demands would have to be turned away; 30% may be" in outcome.sentence
    assert outcome.dropped == ()


def test_what_serves_nobody_at_all_is_infeasible() -> None:
    tiny: dict[str, Any] = {"compute_capacity": 1e-3, "bandwidth_capacity": 1e-3}
    generous = AdmissionRule(by=AdmissionObjective.COUNT, most=1.0)
    outcome = decide(Task(small_snapshot(3, **tiny), admission=generous))
    assert outcome.ending is CycleEnding.INFEASIBLE
    assert outcome.sentence == "the capacities serve none of the demands"


def test_demands_that_a_record_names_are_turned_away_without_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = small_snapshot(3, **CROWDED)
    searched = decide(Task(snapshot, admission=AdmissionRule(by=AdmissionObjective.VALUE)))
    monkeypatch.setattr(decide_module, "turned_away", None)
    again = decide(Task(snapshot, dropped=searched.dropped))
    assert again.payload == searched.payload
    assert again.dropped == searched.dropped
    with pytest.raises(InvalidInputError, match="the market does not have both"):
        decide(Task(snapshot, dropped=(("asp-0", "nobody"),)))


def test_where_everything_fits_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoex.agent.solving.turning_away.admit", None)
    outcome = decide(Task(small_snapshot(3), admission=AdmissionRule(by=AdmissionObjective.VALUE)))
    assert outcome.ending is CycleEnding.DECIDED
    assert outcome.dropped == ()
