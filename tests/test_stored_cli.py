"""``qoex solve`` for stored markets: how they are solved, what is shown, and what is refused."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from commands import crowded_market, qoex_command, small_market
from market_files import stored
from qoex.cli import stored as module
from qoex.equilibrium.solver import solve
from qoex.files.market_files import read_market
from stored_markets import check_written, many_users


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(many_users(3, 9000), tmp_path_factory.mktemp("cli"))


def test_a_small_one_is_shown_as_any_other(market: Path) -> None:
    result = qoex_command("solve", market)
    assert result.exit_code == 0
    assert "more users; --all shows them" in result.stdout
    assert "passes over the users" not in result.stdout


def test_a_large_one_is_shown_by_its_providers(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_PAIRS", 26_999)
    result = qoex_command("solve", market)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("3 providers, 9000 users, capacity-prices, ")
    assert lines[1].startswith("Converged: ")
    assert max(len(line) for line in lines) <= 80
    assert "compute, TFLOPS" in result.stdout
    assert "users with QoE" in result.stdout
    assert "median" in result.stdout
    assert "An equilibrium: by other rewards no user gains more than " in result.stdout
    assert " passes over the users in " in lines[-1]


def test_a_long_table_is_cut_short(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY_PAIRS", 0)
    monkeypatch.setattr(module, "_MOST_ROWS", 2)
    result = qoex_command("solve", market)
    assert "… and 4 more capacities; --json has them" in result.stdout
    assert "… and 1 more providers; --json has them" in result.stdout


def test_json_alone_and_a_directory(market: Path, tmp_path: Path) -> None:
    result = qoex_command("solve", market, "--json", "-", "--out", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (0, f"wrote {tmp_path / 'out'}\n")
    data = json.loads(result.stdout)
    assert data == json.loads((tmp_path / "out" / "solution.json").read_text())
    assert data["users"] == 9000
    assert len(data["capacities"]) == 6
    whole = read_market(market)
    check_written(tmp_path / "out", whole, solve(whole))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["providers.parquet", "solution.json", "users-00000.parquet"]


def test_a_file_is_stored_too(tmp_path: Path) -> None:
    from qoex.files.market_files import write_market

    path = tmp_path / "market.parquet"
    write_market(read_market(small_market(tmp_path)), path)
    result = qoex_command("solve", path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout.startswith("2 providers, 3 users, capacity-prices, ")


def refusal(*arguments: object) -> str:
    result = qoex_command("solve", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize("option", [["--out", "mine"], ["--cluster", "tcp://127.0.0.1:1"]])
def test_what_is_not_stored_has_none_of_it(option: list[str], tmp_path: Path) -> None:
    assert refusal(small_market(tmp_path), *option) == (
        f"{option[0]} is for markets stored as Parquet: a directory, or a .parquet file"
    )


@pytest.mark.parametrize("option", [["--method", "best-response"], ["--admit", "count"], ["--all"]])
def test_what_needs_a_market_in_memory(
    option: list[str], market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = (
        f"{option[0]} is for markets in memory: of up to 2000000 pairs, and without --cluster and "
        "--out"
    )
    assert refusal(market, *option, "--out", tmp_path / "out") == sentence
    monkeypatch.setattr(module, "IN_MEMORY_PAIRS", 0)
    assert refusal(market, *option) == sentence.replace("2000000", "0")
    assert not (tmp_path / "out").exists()


def test_other_refusals(market: Path, tmp_path: Path) -> None:
    assert refusal(market, "--out", market).endswith(
        "it exists already, and only a new or empty directory is written to"
    )
    assert refusal(market, "--cluster", "here") == (
        "'here' is not the address of a Dask scheduler, such as tcp://host:8786"
    )
    crowded = stored(read_market(crowded_market(tmp_path)), tmp_path)
    sentence = refusal(crowded, "--out", tmp_path / "out")
    assert sentence.startswith("the market cannot be served: asp-1 is short of ")
    assert sentence.endswith(" times as large would do, or fewer demands")
    assert not (tmp_path / "out").exists()


def test_what_is_not_solved_says_so(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qoex import out_of_core as package

    few = functools.partial(package.solve_stored, max_sweeps=1)
    monkeypatch.setattr(module, "IN_MEMORY_PAIRS", 0)
    monkeypatch.setattr(package, "solve_stored", few)
    result = qoex_command("solve", market)
    assert result.exit_code == 1
    assert "Not an equilibrium: " in result.stdout
    assert result.stderr.startswith("Not solved: the step limit was reached")
