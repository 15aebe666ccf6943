"""Progress of many things: a bar for a terminal, a line now and then for a log."""

from __future__ import annotations

import io
import re
import time

import pytest

from qoex.cli import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_points_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with terminal.counting("solving", "points") as progress:
        progress(0, 40)
        for done in range(1, 31):
            progress(done, 40)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"solving .* 30/40 points, \S+/s [0-9-]+:[0-9:-]+ left", shown)
    assert screen.getvalue().rstrip("\r\n").endswith("\x1b[2K")  # nothing of it stays


def test_a_log_sees_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(float(second) for second in range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    with terminal.counting("solving", "points") as progress:
        for done in range(0, 60, 10):
            progress(done, 100)
    lines = log.getvalue().splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(
            r"solving: \d+ of 100 points, [\d.]+ per second, 0:\d\d:\d\d left", line
        )
    assert len(lines) < 6


def test_short_work_leaves_a_log_alone() -> None:
    log = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", log)
        with terminal.counting("solving", "points") as progress:
            progress(0, 2)
            progress(2, 2)
    assert log.getvalue() == ""
