"""A fleet against an agent, and the command that runs it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import qoex.cli.terminal
import qoex.client
import qoex.fleet.simulation
from commands import qoex_command
from fleet_support import FakeAgent
from qoex.client import AgentError, Client, Retries
from qoex.errors import InvalidInputError, QoexError
from qoex.fleet import POLICIES, Cycles, FleetSettings, FleetStep, Record, Simulation
from qoex.fleet.plot import picture
from qoex.fleet.policies import EVERY_CYCLE, HOURLY, NEVER, Score
from qoex.wire.answers import CycleAnswer

SMALL = FleetSettings(
    users=6,
    providers=2,
    seed=3,
    arrivals=20.0,
    failing=0.0,
    step=600.0,
    lifetime=6000.0,
    provider_failures=0.0,
)


def simulated(
    agent: FakeAgent, settings: FleetSettings = SMALL, hours: float = 2.0, **options: Any
) -> list[FleetStep]:
    with agent.client() as client, Simulation(client, settings, **options) as simulation:
        return list(simulation.steps(hours * 3600.0))


def test_policies_agree_until_they_renew_and_nobody_stays_behind() -> None:
    agent = FakeAgent()
    steps = simulated(agent)
    assert [step.number for step in steps] == list(range(13))
    assert [step.time for step in steps] == [600.0 * k for k in range(13)]
    first = steps[0].scores
    assert first[EVERY_CYCLE] == first[HOURLY] == first[NEVER]
    assert first[EVERY_CYCLE].unserved == 0
    for k, step in enumerate(steps):
        if k < 6:
            assert step.scores[HOURLY] == step.scores[NEVER]
        if k % 6 == 0:
            assert step.scores[HOURLY] == step.scores[EVERY_CYCLE]
    assert steps[5].scores[EVERY_CYCLE] != steps[5].scores[NEVER]
    assert steps[-1].scores[NEVER].unserved > steps[-1].scores[EVERY_CYCLE].unserved
    assert agent.users == {}
    assert agent.providers == {}


def test_the_same_seed_gives_the_same_scores() -> None:
    one, same = simulated(FakeAgent()), simulated(FakeAgent())
    assert [step.scores for step in one] == [step.scores for step in same]
    other = simulated(FakeAgent(), replace(SMALL, seed=4))
    assert [step.scores for step in one] != [step.scores for step in other]


def test_a_kept_cycle_leaves_every_policy_with_what_it_has() -> None:
    agent = FakeAgent()
    with agent.client() as client, Simulation(client, SMALL) as simulation:
        steps = simulation.steps(7200.0)
        next(steps)
        agent.keep = ["deadline: it took too long"]
        kept = next(steps)
        renewed = next(steps)
    assert kept.cycle.result == "kept"
    assert kept.scores[EVERY_CYCLE] == kept.scores[NEVER]
    assert renewed.scores[EVERY_CYCLE] != renewed.scores[NEVER]
    record = Record()
    for step in (kept, renewed):
        record.add(step)
    assert record.kept == {"deadline": 1}


def test_the_agents_own_schedule() -> None:
    agent = FakeAgent()
    with agent.client() as client, Simulation(client, SMALL, cycles=Cycles.OWN) as simulation:
        steps = simulation.steps(3600.0)
        answer = agent.answer

        def with_cycles(request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and request.url.path == "/v1/cycles" and agent.users:
                agent.run_cycle()
            return answer(request)

        agent.answer = with_cycles  # type: ignore[method-assign]
        client._http._transport.handler = with_cycles  # type: ignore[attr-defined]
        numbers = [step.cycle.number for step in steps]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]


def test_nodes_that_expired_though_they_are_there_register_again() -> None:
    agent = FakeAgent()
    settings = replace(SMALL, arrivals=0.001, lifetime=600.0)  # everybody reports in every step
    with agent.client() as client, Simulation(client, settings) as simulation:
        steps = simulation.steps(7200.0)
        next(steps)
        agent.expire = ["mu-2", "asp-1"]
        after = next(steps)
        assert set(agent.users) == set(simulation.world.user_names)
        assert set(agent.providers) == set(simulation.world.provider_names)
    assert after.scores[EVERY_CYCLE].unserved == 0


def test_other_problems_end_the_simulation() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(
            403,
            headers={"content-type": "application/problem+json"},
            content=json.dumps({"type": "urn:qoex:problem:forbidden", "detail": "Operators only."}),
        )

    requests: list[httpx.Request] = []
    with (
        Client("http://agent.test", transport=httpx.MockTransport(refuse)) as client,
        pytest.raises(AgentError, match="Operators only"),
        Simulation(client, SMALL) as simulation,
    ):
        next(simulation.steps())


def test_an_agent_that_is_gone_is_not_told_that_all_leave() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ConnectError("refused")

    requests: list[httpx.Request] = []
    with (
        Client(
            "http://agent.test", retries=Retries(attempts=1), transport=httpx.MockTransport(gone)
        ) as client,
        pytest.raises(AgentError, match="gave no answer"),
        Simulation(client, SMALL) as simulation,
    ):
        next(simulation.steps())
    assert len(requests) == 1


def test_an_agent_that_never_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qoex.fleet.simulation, "_FIRST_DECISION", 0.05)
    monkeypatch.setattr(qoex.fleet.simulation, "_POLL", 0.0)
    agent = FakeAgent()
    agent.keep = ["not-certified: no"] * 100_000
    with pytest.raises(QoexError, match=r"no decision within .* seconds: not-certified: no"):
        simulated(agent)


@pytest.mark.parametrize(("speedup", "seconds"), [(60.0, 10.0), (6000.0, 2.0), (0.0, 2.0)])
def test_lifetimes_are_in_the_agents_seconds(
    speedup: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qoex.fleet.simulation.time.sleep", lambda seconds: None)
    agent = FakeAgent()
    settings = replace(SMALL, step=60.0, lifetime=600.0)

    def declared() -> set[float]:
        return {body["lifetime_s"] for body in (agent.users | agent.providers).values()}

    with agent.client() as client, Simulation(client, settings, speedup=speedup) as simulation:
        steps = simulation.steps()
        next(steps)
        assert declared() == {60.0}  # an agent that is starting has time
        simulation._slowest = 1e-9  # no step was slow
        next(steps)
        assert declared() == {seconds}
        simulation._slowest = 5.0
        next(steps)
        assert declared() == {90.0}  # ten steps, each of which may take twice 0.9 · 5 s


@pytest.mark.parametrize("speedup", [-1.0, math.inf, math.nan])
def test_speeds_that_cannot_be(speedup: float) -> None:
    with pytest.raises(InvalidInputError, match="speedup"):
        Simulation(FakeAgent().client(), SMALL, speedup=speedup)


# What it came to


def step_of(number: int, users: int, qoe: float) -> FleetStep:
    cycle = CycleAnswer.model_validate(
        {
            "number": number,
            "result": "decided",
            "in_force": number,
            "position": 1,
            "snapshot_at": "2031-05-01T10:00:00Z",
            "committed_at": "2031-05-01T10:00:00Z",
            "duration_ms": {"total": 10.0 * number},
        }
    )
    score = Score(qoe=qoe, payments=qoe / 10, user_utility=qoe, provider_utility=5.0, unserved=1)
    scores = dict.fromkeys(POLICIES, score)
    return FleetStep(number, 60.0 * number, users, 2, 3, cycle, scores, 0.5, 0.0)


def test_totals_weigh_every_user_alike() -> None:
    record = Record()
    for step in (step_of(1, 2, 100.0), step_of(2, 8, 1000.0), step_of(3, 0, 0.0)):
        record.add(step)
    totals = record.totals(HOURLY)
    assert totals.qoe_sum == pytest.approx(1100 / 3)
    assert totals.qoe_mean == pytest.approx(110.0)
    assert totals.payments == pytest.approx(110.0)
    assert totals.user_utility == pytest.approx(110.0)
    assert totals.provider_utility == pytest.approx(5.0)
    assert totals.unserved == pytest.approx(0.3)
    assert record.qoe_means(NEVER)[:2].tolist() == [50.0, 125.0]
    assert math.isnan(record.qoe_means(NEVER)[2])
    assert record.cycle_ms(0.5) == 20.0
    data = record.data()
    assert (data["steps"], data["lines"], data["seconds"]) == (3, 9, 1.5)
    assert data["cycles"]["decided"] == 3
    assert data["series"][NEVER]["qoe"] == [100.0, 1000.0, 0.0]


# The command


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> FakeAgent:
    """An agent that every client reaches."""
    fake = FakeAgent()
    monkeypatch.setattr(qoex.client, "Client", lambda address: fake.client())
    return fake


QUICK = ("--users", 6, "--providers", 2, "--seed", 3, "--step", 600, "--speedup", 0)


def test_the_summary_is_a_table(agent: FakeAgent) -> None:
    done = qoex_command("simulate", *QUICK, "--duration", 1)
    assert done.exit_code == 0, done.output
    assert "2 providers, " in done.stdout
    assert "7 cycles decided" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    for policy in POLICIES:
        words = policy.split()
        (row,) = [row for row in rows if row[: len(words)] == words and len(row) > 4]
        assert float(row[len(words)]) > 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert agent.kinds[-1] == "leave"


def test_json_and_plot(agent: FakeAgent, tmp_path: Path) -> None:
    plot = tmp_path / "fleet.svg"
    done = qoex_command("simulate", *QUICK, "--duration", 2, "--plot", plot, "--json", "-")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["steps"] == 13
    assert len(data["series"]["every cycle"]["qoe"]) == 13
    assert plot.read_text(encoding="utf-8").startswith("<?xml")


def test_the_same_record_gives_the_same_picture() -> None:
    record = Record()
    for step in (step_of(1, 2, 100.0), step_of(2, 8, 1000.0)):
        record.add(step)
    assert picture(record, "a.svg") == picture(record, "b.svg")
    assert picture(record, "a.png").startswith(b"\x89PNG")


def test_an_interruption_lets_all_leave_and_sums_up(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_cycle = agent.run_cycle

    def interrupted() -> dict[str, Any]:
        summary = run_cycle()
        if summary["number"] == 3:
            raise KeyboardInterrupt
        return summary

    monkeypatch.setattr(agent, "run_cycle", interrupted)
    done = qoex_command("simulate", *QUICK, "--duration", 50)
    assert done.exit_code == 130
    assert "2 cycles decided" in done.stdout
    assert agent.kinds[-1] == "leave"
    assert agent.providers == {}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--plot", "fleet.pdf"), "fleet.pdf"),
        (("--rate", "0"), "arrivals"),
        (("--speedup", "-1"), "speedup"),
        (("--step", "nan"), "step"),
        (("--duration", "-1"), "duration"),
    ],
)
def test_options_that_cannot_be(agent: FakeAgent, arguments: tuple[str, ...], word: str) -> None:
    done = qoex_command("simulate", *arguments)
    assert done.exit_code == 2
    assert word in done.stderr
    assert agent.kinds == []


@pytest.mark.parametrize("command", ["simulate", "demo --live"])
def test_without_the_extra_it_says_what_to_install(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qoex.cli.terminal, "find_spec", lambda name: None)
    done = qoex_command(*command.split())
    assert done.exit_code == 2
    assert f'qoex {command} needs the extra "agent": pip install "qoex[agent]"' in done.stderr


def test_the_demo_opens_only_a_live_page() -> None:
    done = qoex_command("demo", "--open")
    assert done.exit_code == 2
    assert "--open is of no use without --live" in done.stderr
