"""Ctrl-C and SIGKILL, done to real processes: valid tables, no process left, the same rows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import small_studies
from commands import qoex_command
from qoex.experiments.running import run_studies
from qoex.experiments.sweep_file import read_sweep
from qoex.experiments.tables import read_manifest, read_table
from small_studies import Digits, Recorder

posix_only = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)


def session_members(session: int) -> list[int]:
    """Living processes of a session (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # gone meanwhile
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def wait_until(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@contextmanager
def started(arguments: Sequence[str], errors: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own; nothing of it is left afterwards."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_"))}
    folder = str(Path(small_studies.__file__).parent)
    environment["PYTHONPATH"] = os.pathsep.join([folder, environment.get("PYTHONPATH", "")])
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for member in session_members(process.pid):
            os.kill(member, signal.SIGKILL)
        process.communicate()


SWEEP = """
vary = "users"
values = [2, 3]
schemes = ["token"]
providers = 2
"""

INTERRUPTED = """
from qoex.cli import main
from qoex.experiments import tables

tables._PART_INTERVAL = 0.1
main()
"""


@posix_only
@pytest.mark.parametrize("whom", ["group", "process"])
def test_ctrl_c_leaves_valid_tables_and_no_process(tmp_path: Path, whom: str) -> None:
    """A terminal sends it to the whole group; ``kill -INT`` to the process alone."""
    file, folder, errors = tmp_path / "long.toml", tmp_path / "out", tmp_path / "errors"
    file.write_text(SWEEP, encoding="utf-8")
    arguments = ["sweep", str(file), "-o", str(folder), "--jobs", "2", "--seeds", "200000"]
    with started(["-c", INTERRUPTED, *arguments], errors) as process:
        # Rows are there, and two processes that compute, with the helpers that joblib starts first.
        wait_until(lambda: any(folder.glob("long.parts/*.parquet")))
        wait_until(lambda: len(session_members(process.pid)) >= 4)
        kill = os.killpg if whom == "group" else os.kill
        kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert (process.returncode, output) == (130, "")
        wait_until(lambda: not session_members(process.pid), 10.0)
    frame = read_table(folder, "long")
    told = re.fullmatch(
        rf"interrupted: (\d+) of 400000 points are in {folder}; run again to go on\n",
        errors.read_text(),
    )
    assert told, errors.read_text()
    assert 0 < int(told[1]) == frame.height
    assert sorted(path.name for path in folder.iterdir()) == ["long.json", "long.parquet"]
    manifest = read_manifest(folder, "long")
    assert not manifest["complete"]
    done = set(frame["seed"])
    wanted = next(count for count in range(1, 200000) if len(done - {*range(count)}) <= 3) + 3
    result = qoex_command("sweep", file, "-o", folder, "--seeds", wanted, "--jobs", 1)
    assert result.exit_code == 0
    whole = read_table(folder, "long")
    sweep = read_sweep(file).sweep
    assert whole["seed"].unique().sort().to_list() == sorted({*range(wanted)} | done)
    sample = [0, wanted // 2, wanted - 1, max(done)]
    assert whole.filter(pl.col("seed").is_in(sample)).to_dicts() == [
        row for seed in sorted({*sample}) for row in sweep.rows(seed)
    ]


KILLED = """
from pathlib import Path
from qoex.experiments import tables
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies
from small_studies import Digits

tables._PART_INTERVAL = 0.05
runner = LocalRunner({jobs}, patience=0)
run_studies([Digits(seconds=0.002)], Path({folder!r}), range(100000), runner)
"""


@posix_only
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_leaves_parts_that_the_next_one_takes_up(tmp_path: Path, jobs: int) -> None:
    folder = tmp_path / "out"
    parts = folder / "digits.parts"
    program = KILLED.format(folder=str(folder), jobs=jobs)
    with started(["-c", program], tmp_path / "errors") as process:
        wait_until(lambda: len(list(parts.glob("*.parquet"))) >= 3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    recorder = Recorder()
    study = Digits(seconds=0.002)
    there = set(pl.read_parquet(parts / "*.parquet")["seed"])
    assert len(there) > 3
    wanted = range(max(there) + 2)
    frame = run_studies([study], folder, wanted, recorder)["digits"]
    assert {seed for _, seed in recorder.tasks} == {*wanted} - there
    assert frame.to_dicts() == [row for seed in wanted for row in Digits().rows(seed)]
    assert sorted(path.name for path in folder.iterdir()) == ["digits.json", "digits.parquet"]
