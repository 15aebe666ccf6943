"""``qoex replay``: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_cycles import PATCH, InProcessWorker, running
from agent_state import USER
from commands import qoex_command
from qoex.agent.reports.kept import Cause
from qoex.agent.solving import decide as decide_module
from qoex.agent.solving import worker as worker_module
from qoex.agent.solving.task import CycleOutcome, Task
from qoex.equilibrium.solver import solve
from qoex.game.solution import Solution
from qoex.model.market import Market


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cycles that decided, then one that was given up at its deadline."""
    path = tmp_path_factory.mktemp("replay") / "agent.db"

    class Unlucky(InProcessWorker):
        async def run(self, task: Task, seconds: float) -> CycleOutcome:
            if len(self.tasks) < 3:
                return await super().run(task, seconds)
            return CycleOutcome(Cause.TOO_LATE.kept(seconds=1.0))

    async def run() -> None:
        async with running(path, Unlucky()) as agent:
            await agent.providers("asp-0", "asp-1", compute_capacity=3.0)
            await agent.users([f"mu-{m}" for m in range(4)], "asp-0", "asp-1")
            for _ in range(4):
                await agent.engine.run_cycle()
                await agent.send((USER, "mu-1", PATCH, {"profit_factor": 11.0 + agent.keys}))

    asyncio.run(run())
    return path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other process compute."""

    class Quick(InProcessWorker):
        def __init__(self, **options: Any) -> None:
            super().__init__()

    monkeypatch.setattr(worker_module, "Worker", Quick)


def test_cycles_are_the_same_in_the_process_that_solves(database: Path) -> None:
    done = qoex_command("replay", database)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "cycles 1 to 3: the same to the last bit"
    assert lines[1].startswith("cycle 4: not computed again: it was kept for a reason that the log")
    assert lines[-1] == "4 cycles: 3 the same, 0 different, 1 not computed again"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--cycle", "2"], "cycle 2: the same"),
        (["--from", "2", "--to", "3"], "cycles 2 to 3: the same"),
        (["--to", "1"], "cycle 1: the same"),
        (["--from", "3"], "cycle 3: the same"),
    ],
)
def test_some_cycles_can_be_asked_for(database: Path, options: list[str], expected: str) -> None:
    done = qoex_command("replay", database, *options)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(expected)


@pytest.mark.usefixtures("here")
def test_json_says_it_of_each_cycle(database: Path, tmp_path: Path) -> None:
    done = qoex_command("replay", database, "--json", "-")
    data = json.loads(done.stdout)
    assert data["database"] == str(database)
    assert (data["same"], data["different"], data["not_recomputed"]) == (3, 0, 1)
    assert data["cycles"][1] == {"cycle": 2, "result": "decided", "same": True, "detail": ""}
    assert data["cycles"][3]["same"] is None
    assert "deadline: no decision was found within 30 s" in data["cycles"][3]["detail"]
    done = qoex_command("replay", database, "--json", tmp_path / "replay.json")
    assert json.loads((tmp_path / "replay.json").read_text()) == data
    assert "3 the same" in done.stdout


@pytest.mark.usefixtures("here")
def test_a_cycle_that_is_not_the_same_ends_in_1(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(market: Market, start: Solution | None = None) -> Solution:
        found = solve(market, start=start)
        return found if start is None else replace(found, rewards=found.rewards * (1 + 2**-52))

    monkeypatch.setattr(decide_module, "solve", elsewhere)
    done = qoex_command("replay", database)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "cycle 1: the same to the last bit"
    assert lines[1].startswith("cycle 2: DIFFERENT: rewards or allocations differ by up to")
    assert "2 different" in lines[-1]
    assert "a cycle is not what it was" in done.stderr
    done = qoex_command("replay", database, "--json", "-")
    assert done.exit_code == 1
    assert [item["same"] for item in json.loads(done.stdout)["cycles"]] == [
        True,
        False,
        False,
        None,
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cycle", "9"], "holds 1 to 4"),
        (["--from", "3", "--to", "2"], "there are no cycles 3 to 2"),
        (["--cycle", "0"], "--cycle"),
        (["--cycle", "1", "--to", "2"], "cannot go with --from or --to"),
    ],
)
def test_cycles_that_do_not_exist_are_unusable(
    database: Path, options: list[str], sentence: str
) -> None:
    done = qoex_command("replay", database, *options)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""


@pytest.mark.usefixtures("here")
def test_what_is_no_database_is_unusable(tmp_path: Path) -> None:
    missing = qoex_command("replay", tmp_path / "nothing.db")
    assert missing.exit_code == 2
    assert "nothing.db" in missing.stderr
    assert not (tmp_path / "nothing.db").exists()
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 20)
    wrong = qoex_command("replay", tmp_path / "text.db")
    assert wrong.exit_code == 2
    assert "is not an SQLite database" in wrong.stderr


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoex.cli.terminal.find_spec", lambda name: None)
    done = qoex_command("replay", "agent.db")
    assert done.exit_code == 2
    assert 'qoex replay needs the extra "agent": pip install "qoex[agent]"' in done.stderr
