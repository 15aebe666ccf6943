"""Real processes: a fleet on a running agent, and the demo that starts both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from commands import qoex_command
from qoex.client import AgentError, AsyncClient, Client, Line, Retries
from qoex.equilibrium.solver import solve
from qoex.fleet import EVERY_CYCLE, HOURLY, NEVER, FleetSettings, Simulation
from qoex.fleet.policies import worth

pytestmark = pytest.mark.slow

# Everybody says all that happens, so that the agent knows the truth, and all can be served.
OPEN = FleetSettings(
    users=8,
    providers=2,
    seed=5,
    arrivals=30.0,
    failing=0.0,
    provider_failures=0.0,
    link_threshold=0.0,
    headroom=3.0,
    step=300.0,
)
LONGEST = 60.0  # seconds to wait for what takes a fraction of one


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address of an agent that runs cycles only when asked, and an operator's token."""
    import asyncio

    from qoex.cli import demo_live

    folder = tmp_path_factory.mktemp("agent")
    secret = asyncio.run(demo_live._operator_token(folder / "agent.db"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_live, "CYCLE_SECONDS", 3600.0)
        with demo_live._agent(folder) as (address, process):
            demo_live._wait_until_ready(address, secret, process, folder)
            yield address, secret


def test_the_agent_decides_what_the_true_market_asks_for(agent: tuple[str, str]) -> None:
    with Client(*agent) as client, Simulation(client, OPEN) as simulation:
        for step in simulation.steps(3 * 3600.0):
            market = simulation.world.market()
            assert market is not None
            solution = solve(market)
            score = step.scores[EVERY_CYCLE]
            assert step.cycle.result == "decided"
            assert step.cycle.users == step.users
            assert score.unserved == 0
            # Links are told to a thousandth of a dB.
            assert score.qoe == pytest.approx(solution.qoe.sum(), rel=1e-3)
            assert score.user_utility == pytest.approx(solution.user_utility.sum(), rel=1e-3)
            assert score.payments == pytest.approx(
                (solution.rewards * solution.qoe).sum(), rel=1e-2
            )
        assert step.scores[NEVER].qoe < step.scores[EVERY_CYCLE].qoe
        assert step.scores[HOURLY].qoe == step.scores[EVERY_CYCLE].qoe  # at a full hour


def test_an_hourly_decision_is_that_of_the_market_of_the_hour(agent: tuple[str, str]) -> None:
    with Client(*agent) as client, Simulation(client, replace(OPEN, seed=6)) as simulation:
        held = None
        for step in simulation.steps(1.6 * 3600.0):
            market = simulation.world.market()
            assert market is not None
            if step.time % 3600.0 == 0:
                held = simulation._allocation
            assert step.scores[HOURLY] == worth(market, held)


def test_the_clients_calls_against_the_agent(agent: tuple[str, str]) -> None:
    with Client(*agent) as client:
        client.put_provider(
            "edge",
            {
                "compute_capacity": 20.0,
                "bandwidth_capacity": 300.0,
                "compute_cost": 22.0,
                "bandwidth_cost": 0.15,
                "latency_budget": 900.0,
                "work_per_token_pair": 1.2e-5,
                "gap_scale": 0.1,
                "example_ambiguity": 0.09,
            },
        )
        client.patch_provider("edge", {"compute_load": 0.25})
        demand = {"examples": 4.0, "input_tokens": 800.0, "output_tokens": 300.0}
        user = {"profit_factor": 370.0, "reward_min": 1e-4, "reward_max": 10.0}
        lines = [
            Line("user", f"phone-{k}", "put", {**user, "demands": {"edge": demand}})
            for k in range(3)
        ]
        first, again = client.report_many(lines), client.report_many(lines)
        assert (first.accepted, first.replayed, again.replayed) == (3, 0, 3)
        assert again.last_seq == first.last_seq
        client.patch_links("edge", {f"phone-{k}": 20.0 + k for k in range(3)})
        client.patch_user("phone-0", {"demands": {"edge": {"examples": 2.0}}})
        receipt = client.report_served("edge", "phone-1", 3, key="served-1")
        assert client.report_served("edge", "phone-1", 3, key="served-1").seq == receipt.seq
        client.remove_user("phone-2")
        assert client.user("phone-0").report["demands"]["edge"]["examples"] == 2.0
        assert client.provider("edge").report["compute_load"] == 0.25
        assert client.links("edge").snr_db["phone-1"] == 21.0
        cycle = client.run_cycle()
        assert (cycle.result, cycle.users, cycle.providers, cycle.pairs) == ("decided", 2, 1, 2)
        for stored in (client.cycle(cycle.number), *client.cycles(limit=1).cycles):
            assert stored.number == cycle.number
            assert (stored.qoe, stored.capacity) == (cycle.qoe, cycle.capacity)
        assert cycle.capacity[0].compute.use <= cycle.capacity[0].compute.capacity
        decision = client.decision()
        assert {(p.provider, p.user) for p in decision.pairs} == {
            ("edge", "phone-0"),
            ("edge", "phone-1"),
        }
        for p in decision.pairs:
            (service,) = client.user_decision(p.user).services
            assert (service.provider, service.qoe, service.payment) == ("edge", p.qoe, p.payment)
            assert p.qoe > 0
        of_provider = client.provider_decision("edge", cycle=cycle.number)
        assert {s.user for s in of_provider.users} == {"phone-0", "phone-1"}
        assert of_provider.compute is not None
        for explanation in (
            client.user_explanation("phone-1"),
            client.provider_explanation("edge"),
        ):
            assert explanation.paragraphs
        ledger, of_edge = client.ledger(), client.provider_ledger("edge")
        assert ledger.total == sum(debt.amount for debt in ledger.entries)
        assert of_edge.entries == tuple(x for x in ledger.entries if x.provider == "edge")
        assert client.user_ledger("phone-1").total > 0
        page = client.nodes(kind="user", search="phone", limit=2)
        assert [node.name for node in page.nodes] == ["phone-0", "phone-1"]
        assert page.next is not None
        rest = client.nodes(kind="user", search="phone", after=page.next)
        assert [(node.name, node.active) for node in rest.nodes] == [("phone-2", False)]
        with pytest.raises(AgentError) as caught:
            client.patch_user("phone-1", {"profit_factor": -1.0})
        assert (caught.value.slug, caught.value.status) == ("invalid-report", 422)
        assert [fault.where for fault in caught.value.faults] == ["profit_factor"]
        client.report_many([Line("user", f"phone-{k}", "leave") for k in range(2)])
        client.remove_provider("edge")


def test_events_of_a_running_agent(agent: tuple[str, str]) -> None:
    import asyncio

    with Client(*agent) as client:
        last = client.run_cycle().number
        seen: list[int] = []
        heard = threading.Event()

        def follow() -> None:
            events = client.events(after=last - 1)
            for cycle in events:
                seen.append(cycle.number)
                heard.set()
                if len(seen) == 3:
                    break
            events.close()

        follower = threading.Thread(target=follow)
        follower.start()
        assert heard.wait(LONGEST)  # the one that is replayed
        client.run_cycle()
        client.run_cycle()
        follower.join(LONGEST)
        assert seen == [last, last + 1, last + 2]

    async def replayed() -> list[int]:
        async with AsyncClient(*agent) as client:
            events = client.events(after=last - 1)
            numbers = [(await anext(events)).number for _ in range(3)]
            await events.aclose()
            return numbers

    assert asyncio.run(replayed()) == seen


def test_the_command_against_a_running_agent(
    agent: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QOEX_TOKEN", agent[1])
    picture = tmp_path / "fleet.png"
    done = qoex_command(
        *("simulate", "--agent", agent[0], "--users", 6, "--providers", 2, "--duration", 1),
        *("--step", 600, "--speedup", 0, "--plot", picture),
    )
    assert done.exit_code == 0, done.output
    assert "7 cycles decided" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    with Client(*agent) as client:
        active = [node for node in client.nodes(search="asp-").nodes if node.active]
    assert active == []


def test_a_token_that_is_wrong_is_said_in_one_line(
    agent: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QOEX_TOKEN", "qoex_wrong")
    done = qoex_command("simulate", "--agent", agent[0], "--users", 2)
    assert done.exit_code == 2
    assert "[unauthenticated]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_agent_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    from qoex.cli import demo_live

    monkeypatch.setattr(demo_live, "CYCLE_SECONDS", -1.0)
    done = qoex_command("demo", "--live")
    assert done.exit_code == 2
    assert "the agent ended at once" in done.stderr
    assert "CYCLE_S" in done.stderr
    assert done.stdout == ""


def descendants(process: int) -> set[int]:
    """All processes below one, from /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    found: set[int] = set()
    todo = {process}
    while todo:
        todo = {child for child, parent in parents.items() if parent in todo}
        found |= todo
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_live_demo_leaves_nothing_behind(end: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "QOEX_PORT": "1", "COLUMNS": "80"}
    demo = subprocess.Popen(
        [sys.executable, "-m", "qoex", "demo", "--live"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        line = demo.stdout.readline()
        assert line.startswith("Dashboard: http://127.0.0.1:"), demo.communicate()
        page = urlsplit(line.split()[1])
        (token,) = parse_qs(page.fragment)["token"]
        address = f"http://{page.netloc}"
        assert httpx.get(address, trust_env=False).headers["content-type"].startswith("text/html")
        with Client(address, token) as client:
            events = client.events()
            cycle = next(cycle for cycle in events if cycle.result == "decided")
            events.close()
        assert cycle.users > 0
        below = descendants(demo.pid)
        assert below
        demo.send_signal(end)
        output, errors = demo.communicate(timeout=LONGEST)
    finally:
        demo.kill()
        demo.communicate()
    assert demo.returncode == 0, errors
    assert "ended" in errors
    assert "Traceback" not in output + errors
    assert list(tmp_path.iterdir()) == []
    until = time.monotonic() + LONGEST
    while any(Path(f"/proc/{child}").exists() for child in below) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}").exists() for child in below)
    with Client(address, token, retries=Retries(attempts=1)) as client:
        with pytest.raises(AgentError) as caught:
            client.ready()
        assert caught.value.slug == "unreachable"
