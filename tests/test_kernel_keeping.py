"""Compiled kernels: the same bits in every process, and kept wherever there is a place for them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import qoex.kernels
from agent_cycles import small_snapshot
from commands import sampled
from qoex.agent.solving.task import Task
from qoex.agent.solving.worker import Worker
from qoex.equilibrium import warm_up
from qoex.equilibrium.solver import solve
from qoex.kernels import keeping

HERE = Path(__file__).parent
PACKAGE = Path(qoex.kernels.__file__).parent
LONG = 300.0  # seconds that no test waits for, even on a machine that has to compile

SOLVE = """
from commands import sampled
from qoex.equilibrium.solver import solve

solution = solve(sampled(5, 400))
print(solution.rewards.tobytes().hex(), solution.qoe.tobytes().hex())
"""

ONE_KERNEL = """
import resource
import numpy as np
from qoex.kernels import kernel

@kernel
def doubled(numbers):
    return 2.0 * numbers.sum()

AT_ONCE
print(doubled(np.ones(3)))
"""
NO_MORE = "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))"


def python(program: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(HERE), *sys.path])
    what = ["-c", program] if isinstance(program, str) else [str(program)]
    return subprocess.run(
        [sys.executable, *what],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def nowhere(folder: Path) -> dict[str, str]:
    """An environment in which nothing can be kept."""
    (folder / "file").touch()
    (folder / f"qoex-{os.geteuid()}").touch()
    return {"NUMBA_CACHE_DIR": str(folder / "file" / "cache"), "TMPDIR": str(folder)}


async def decision() -> bytes | None:
    """The allocation that a worker finds, which must get there without being started again."""
    worker = Worker()
    worker.start()
    try:
        outcome = await worker.run(Task(small_snapshot(200, 3)), LONG)
    finally:
        await worker.stop()
    assert worker.restarts == 0
    return outcome.payload


@dataclass
class Compiled:
    """A folder that a worker has compiled all kernels into, and what it decided after that."""

    folder: Path
    payload: bytes | None


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(folder))
        assert not keeping.is_complete(PACKAGE)
        payload = asyncio.run(decision())
        assert keeping.is_complete(PACKAGE)
    return Compiled(folder, payload)


@pytest.mark.slow
def test_a_worker_that_loads_its_kernels_decides_as_the_one_that_compiled_them(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(compiled.folder))
    assert compiled.payload is not None
    assert asyncio.run(decision()) == compiled.payload


@pytest.mark.slow
def test_bits_are_the_same_where_kernels_are_compiled_and_can_be_kept_nowhere(
    compiled: Compiled, tmp_path: Path
) -> None:
    loads = python(SOLVE, NUMBA_CACHE_DIR=str(compiled.folder))
    compiles = python(SOLVE, **nowhere(tmp_path))
    assert loads.stdout == compiles.stdout != ""
    assert loads.stderr == ""
    told, waits = compiles.stderr.splitlines()  # each said once
    assert "NUMBA_CACHE_DIR" in told
    assert str(tmp_path / "file" / "cache") in told
    assert "compiling" in waits


def test_kernels_are_kept_among_temporary_files_where_nothing_else_will_do(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(ONE_KERNEL.replace("AT_ONCE", ""), encoding="utf-8")
    (tmp_path / "file").touch()
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    first, second = python(program, **environment), python(program, **environment)
    assert first.stdout == second.stdout == "6.0\n"
    (kept,) = tmp_path.glob("qoex-*")
    assert kept.stat().st_mode & 0o777 == 0o700
    assert list(kept.rglob("program.doubled-*.nbc"))
    for done, waits in ((first, 1), (second, 0)):
        told, *rest = done.stderr.splitlines()
        assert str(kept) in told
        assert "NUMBA_CACHE_DIR" in told
        assert len(rest) == waits
    kept.chmod(0o777)  # what lies there might be anybody's
    assert str(kept) not in python(program, **environment).stderr


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_full_disk_is_told_and_not_raised(moment: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    text = ONE_KERNEL.replace("AT_ONCE", NO_MORE if moment == "after" else "")
    if moment == "before":
        text = f"import resource\n{NO_MORE}\n{text}"
    program.write_text(text, encoding="utf-8")
    cache = tmp_path / "cache"
    done = python(program, NUMBA_CACHE_DIR=str(cache), TMPDIR=str(tmp_path))
    assert done.stdout == "6.0\n", done.stderr
    (told,) = [line for line in done.stderr.splitlines() if "NUMBA_CACHE_DIR" in line]
    assert str(cache) in told
    assert not list(tmp_path.rglob("*.nbc"))


def test_kernels_are_not_those_of_other_sources(tmp_path: Path) -> None:
    helper = "from qoex.kernels import kernel\n\n@kernel\ndef helped(x):\n    return x + {}\n"
    (tmp_path / "program.py").write_text(
        "from qoex.kernels import kernel\nfrom helper import helped\n\n"
        "@kernel\ndef outer(x):\n    return helped(x)\n\nprint(outer(1.0))\n",
        encoding="utf-8",
    )
    answers = []
    for added in (1.0, 2.0):
        (tmp_path / "helper.py").write_text(helper.format(added), encoding="utf-8")
        answers.append(python(tmp_path / "program.py", NUMBA_CACHE_DIR=str(tmp_path / "c")).stdout)
    assert answers == ["2.0\n", "3.0\n"]


def test_what_other_versions_left_is_removed_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    old, recent, other = (
        tmp_path / "cache" / name for name in ("qoex-kernels-1", "qoex-kernels-2", "other")
    )
    for folder in (old, recent, other):
        folder.mkdir(parents=True)
        (folder / "f").touch()
    for folder in (old, other):
        os.utime(folder, (0, 0))
    found = keeping.folder_for(tmp_path)
    assert found is not None
    assert sorted(found.parent.iterdir()) == sorted([recent, other, found])


def test_kernels_that_are_there_need_no_folder_that_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(keeping, "_can_take", lambda folder: False)
    monkeypatch.setattr(keeping, "_own_temporary_folder", lambda: None)
    package = tmp_path / "package"
    assert keeping.folder_for(package) is None
    assert [record.name for record in caplog.records] == ["qoex.kernels"]
    keeping.folder_for.cache_clear()
    there = tmp_path / "cache" / f"qoex-kernels-{keeping._digest(package)}"
    there.mkdir(parents=True)
    (there / "some.nbi").touch()
    assert keeping.folder_for(package) == there
    keeping.folder_for.cache_clear()


def test_a_check_tells_whether_kernels_were_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    solve(sampled(1, 2))
    keeping.mark_complete(PACKAGE)
    assert warm_up.main(["--check"]) == 0
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert warm_up.main(["--check"]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "empty") in told
    assert not list(tmp_path.iterdir())  # looking leaves nothing


OTHER = """
from qoex.equilibrium import warm_up

warm_up.warm_up = lambda: print("compiles")
print(warm_up.main(["--alone"]))
"""


def test_only_one_process_compiles_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    keeping.folder_for.cache_clear()
    with warm_up._only_one() as is_mine:
        assert is_mine
        assert python(OTHER).stdout == "0\n"
    keeping.folder_for.cache_clear()
    assert python(OTHER).stdout == "compiles\n0\n"


FORKED = """
import multiprocessing
from commands import sampled
from qoex.equilibrium.solver import solve
from qoex.kernels import threads

threads.cores = lambda: 2
market = sampled(1, 20_000)

def qoe(_):
    return solve(market).qoe.tobytes()

here = qoe(0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map_async(qoe, [0]).get(timeout=60.0) == [here])
"""


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork"
)
def test_a_forked_process_solves_with_threads_of_its_own() -> None:
    done = python(FORKED)
    assert done.stdout == "True\n", done.stderr
