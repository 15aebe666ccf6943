"""The benchmark of growth: its fits, and that it runs at sizes that take no time."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

import qoex.experiments.speed.measure as bench

# The benchmark is no part of the package; it lies beside the others.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from growth import measure
from growth.__main__ import main
from growth.fit import fit, fits
from growth.measure import Row, Size
from growth.page import page


def row(axis: str, size: int, cost: float, *, ok: bool = True) -> Row:
    providers, users = (10, size) if axis == "users" else (size, 1000)
    return Row(
        axis=axis, providers=providers, users=users, solves=3, seconds=cost / 1e9, cost=cost,
        passes=cost / (24.0 * (providers + 1) * users), processor_cost=1.5 * cost,
        certificate_cost=0.1 * cost,
        sweep_cost=0.2 * cost, settle_cost=0.3 * cost, sweeps=5.0, cores_used=1.5, ok=ok,
    )  # fmt: skip


ROWS = [row("users", m, 500.0 * m) for m in (100, 10_000, 100_000, 1_000_000)]
ROWS += [row("providers", n, 3.0 * n**1.5) for n in (2, 8, 64)]


def test_exponents_are_found() -> None:
    users, providers = fit(ROWS, "users"), fit(ROWS, "providers")
    assert users is not None
    assert providers is not None
    assert users.exponent == pytest.approx(1.0)
    assert users.factor == pytest.approx(500.0)
    assert users.error == pytest.approx(0.0, abs=1e-7)
    assert (users.low, users.high, users.met) == (100, 1_000_000, True)
    assert providers.exponent == pytest.approx(1.5)
    assert not providers.met
    part = fit(ROWS, "users", 100_000)
    assert part is not None
    assert part.low == 100_000
    assert math.isnan(part.error)  # two points tell nothing of it
    assert fit(ROWS, "users", 1_000_000) is None


def test_the_page_says_what_is_missed_and_left_out() -> None:
    text = page(ROWS, fits(ROWS), [Size("users", 10, 10**7, (0,), 3)], cores=2)
    assert "| users | 10000 to 1000000 | 1.000 | 0.000 | 1.00 ± 0.05, met |" in text
    assert "| providers | 2 to 64 | 1.500 | 0.000 | ≤ 1.3, missed |" in text
    assert "* 10 providers × 10000000 users did not fit" in text
    assert "(failed)" not in text
    assert "(failed)" in page([row("users", 5, 1.0, ok=False)], [], [], cores=2)


def test_it_measures_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "_USERS_FIRST", 30)
    monkeypatch.setattr(measure, "_STREAMED", 1000)
    small = ["--users", "20", "40", "--providers", "1", "2", "--fixed-users", "30"]
    assert main([*small, "--output", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "growth.md", "growth.json", "growth.svg", "growth.png"
    }  # fmt: skip
    data = json.loads((tmp_path / "growth.json").read_text())
    sizes = [(item["providers"], item["users"]) for item in data["rows"]]
    assert sizes == [(10, 20), (10, 40), (1, 30), (2, 30)]
    assert all(item["ok"] and item["cost"] > 0 for item in data["rows"])
    assert {item["axis"] for item in data["fits"]} == {"users", "providers"}
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_what_does_not_fit_into_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    size = Size("users", 10, 1_000_000, (0,), 3)
    assert size.bytes == 264_000_000
    monkeypatch.setattr(measure, "free_memory", lambda: 1e9)
    assert not size.fits
    assert list(measure.measure([size], print)) == []
