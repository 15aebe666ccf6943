"""How kernels are chosen, and what is shown while they run."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from commands import sampled
from qoex import kernels
from qoex.cli import running, terminal
from qoex.cli.running import Method, choose_kernels, is_compiled, solve_by
from qoex.equilibrium import warm_up
from qoex.equilibrium.solver import solve
from qoex.kernels.sweep import sweep


def kernel_with_cache(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(py_func=sampled, stats=SimpleNamespace(cache_path=str(folder)))


def test_a_kernel_is_compiled_if_its_cache_is_newer_than_its_source(tmp_path: Path) -> None:
    kernel = kernel_with_cache(tmp_path)
    assert not is_compiled(kernel)  # type: ignore[arg-type]
    code = sampled.__code__
    index = tmp_path / f"commands.sampled-{code.co_firstlineno}.py311.nbi"
    index.touch()
    assert is_compiled(kernel)  # type: ignore[arg-type]
    changed = Path(code.co_filename).stat().st_mtime
    os.utime(index, (changed - 1, changed - 1))
    assert not is_compiled(kernel)  # type: ignore[arg-type]


def test_numba_keeps_its_cache_where_it_is_looked_for() -> None:
    solve(sampled(1, 2))
    assert is_compiled(sweep)


def test_an_interpreted_kernel_needs_no_compiling() -> None:
    assert is_compiled(sampled)


@pytest.mark.parametrize("method", list(Method))
def test_only_a_large_market_is_worth_compiling_for(
    method: Method, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interpreted: list[bool] = []
    beside: list[bool] = []
    monkeypatch.setattr(warm_up, "warm_up_beside", lambda: beside.append(True))
    monkeypatch.setattr(kernels, "interpret", lambda: interpreted.append(True))
    monkeypatch.setattr(running, "is_compiled", lambda kernel: False)
    choose_kernels(sampled(2, 3), method)
    assert interpreted == beside == [True]
    assert capsys.readouterr() == ("", "")
    choose_kernels(sampled(4, 40), method)
    assert interpreted == beside == [True]
    assert capsys.readouterr() == ("", "compiling kernels, once per machine …\n")
    monkeypatch.setattr(running, "is_compiled", lambda kernel: True)
    choose_kernels(sampled(4, 40), method)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("method", list(Method))
def test_every_method_finds_the_equilibrium(method: Method) -> None:
    market = sampled(2, 3)
    solution = solve_by(method, market)
    assert solution.method == method
    tolerance = 2e-2 if method is Method.DUAL_PERTURBATION else 1e-9
    np.testing.assert_allclose(solution.qoe, solve(market).qoe, rtol=tolerance)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_while_work_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "_PATIENCE", 0.0)
    with terminal.busy("counting [all]") as progress:
        progress.step(7, 0.25)
        progress.share(0.5)
        deadline = time.monotonic() + 30.0
        while "step 7, change 2.5e-01" not in screen.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "counting [all]" in screen.getvalue()
    assert "step 7, change 2.5e-01" in screen.getvalue()


def test_nothing_is_drawn_for_short_work_or_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for screen in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", screen)
        with terminal.busy("counting"):
            pass
        assert screen.getvalue() == ""
