"""The command line: what it prints, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

import qoex
from commands import crowded_market, qoex_command, sampled, small_market
from qoex.files.market_files import read_market, write_market
from qoex.files.solution_json import KEYS
from qoex.mechanisms.schemes import SCHEMES


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_market(tmp_path)


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    return crowded_market(tmp_path)


@pytest.fixture
def unusual(tmp_path: Path) -> Path:
    """Long, wide and hostile names."""
    path = tmp_path / "unusual.json"
    names = [f"tenant-{'abcdefgh' * 12}-{i}" for i in (1, 2)]
    write_market(
        sampled(2, 3).replace(
            provider_names=["東京リージョン" * 5, "[bold]a provider[/bold]"],
            user_names=[*names, "new\nline\x1b[31m"],
        ),
        path,
    )
    return path


def test_solve_prints_tables_and_a_certificate(small: Path) -> None:
    result = qoex_command("solve", small)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "2 providers, 3 users, capacity-prices, 1 step"
    assert lines[1].startswith("Converged: ")
    for header in ("reward", "compute, TFLOPS", "unit cost", "utility", "regret"):
        assert header in result.stdout
    assert "An equilibrium: " in result.stdout
    pair = next(line for line in lines if line.startswith("asp-1     mu-1"))
    numbers = [float(cell) for cell in pair.split()[2:]]
    market = read_market(small)
    reward, compute, bandwidth, qoe, budget, payment = numbers
    latency = market.work[0, 0] / compute + market.traffic[0, 0] / bandwidth
    assert qoe == pytest.approx(budget - latency, abs=0.5)
    assert payment == pytest.approx(reward * qoe, rel=1e-3)


@pytest.mark.parametrize("method", ["capacity-prices", "best-response"])
def test_what_solve_saves_verifies(small: Path, tmp_path: Path, method: str) -> None:
    saved = tmp_path / "solution.json"
    solved = qoex_command("solve", small, "--method", method, "--json", saved)
    assert (solved.exit_code, solved.stderr) == (0, f"wrote {saved}\n")
    verified = qoex_command("verify", small, saved)
    assert (verified.exit_code, verified.stderr) == (0, "")
    assert verified.stdout.count("holds") == 7
    assert "FAILS" not in verified.stdout
    assert "An equilibrium: " in verified.stdout
    assert re.search(r"Its index, .*, is \+1\.$", verified.stdout, re.MULTILINE)


@pytest.mark.parametrize("key", ["rewards", "compute", "bandwidth", "qoe", "user_utility"])
def test_a_perturbed_solution_does_not_verify(small: Path, tmp_path: Path, key: str) -> None:
    saved = tmp_path / "solution.json"
    qoex_command("solve", small, "--json", saved)
    data = json.loads(saved.read_text())
    data[key] = (np.array(data[key]) * 1.01).tolist()
    saved.write_text(json.dumps(data))
    result = qoex_command("verify", small, saved)
    assert (result.exit_code, result.stderr) == (1, "")
    assert "FAILS" in result.stdout
    assert "Not an equilibrium: " in result.stdout


def test_verify_does_not_trust_the_stored_certificate(small: Path, tmp_path: Path) -> None:
    saved = tmp_path / "solution.json"
    qoex_command("solve", small, "--method", "dual-perturbation", "--json", saved)
    data = json.loads(saved.read_text())
    data["certificate"] |= {"regret": 0.0, "kkt_residual": 0.0, "unique": True}
    saved.write_text(json.dumps(data))
    assert qoex_command("verify", small, saved, "--tolerance", "1e-9").exit_code == 1
    assert qoex_command("verify", small, saved, "--tolerance", "1e-2").exit_code == 0


def test_json_on_stdout_is_alone_and_has_the_promised_keys(small: Path) -> None:
    result = qoex_command("solve", small, "--json", "-")
    assert (result.exit_code, result.stderr) == (0, "")
    data = json.loads(result.stdout)
    assert tuple(data) == KEYS
    for key in ("rewards", "compute", "bandwidth", "qoe"):
        assert np.shape(data[key]) == (2, 3)
    assert (len(data["user_utility"]), len(data["provider_utility"])) == (3, 2)
    assert [(item["provider"], item["resource"]) for item in data["capacities"]] == [
        (name, resource) for name in ("asp-1", "asp-2") for resource in ("compute", "bandwidth")
    ]
    assert set(data["capacities"][0]) == {
        "provider", "resource", "use", "capacity", "price", "regime"
    }  # fmt: skip
    assert set(data["certificate"]) == {
        "regret", "regret_per_user", "kkt_residual", "unique", "index"
    }  # fmt: skip
    assert (data["certificate"]["unique"], data["certificate"]["index"]) == (True, 1)


@pytest.mark.parametrize("by", ["count", "value"])
def test_dropped_demands_are_named_everywhere(crowded: Path, tmp_path: Path, by: str) -> None:
    saved = tmp_path / "solution.json"
    told = "Dropped 1 demand: of user-1 at asp-1."
    result = qoex_command("solve", crowded, "--admit", by, "--json", saved)
    assert result.exit_code == 0
    assert told in result.stdout.splitlines()
    assert json.loads(saved.read_text())["dropped"] == [{"provider": "asp-1", "user": "user-1"}]
    verified = qoex_command("verify", crowded, saved)
    assert verified.exit_code == 0
    assert told in verified.stdout.splitlines()
    piped = qoex_command("solve", crowded, "--admit", by, "--json", "-")
    assert piped.stdout == saved.read_text()
    assert piped.stderr == f"{told}\n"


def test_a_market_that_can_be_served_drops_nothing(small: Path) -> None:
    result = qoex_command("solve", small, "--admit", "count", "--json", "-")
    assert (result.exit_code, result.stderr) == (0, "")
    assert tuple(json.loads(result.stdout)) == KEYS


def test_compare_has_a_row_for_every_scheme(small: Path) -> None:
    result = qoex_command("compare", small)
    assert (result.exit_code, result.stderr) == (0, "")
    names = {name for name in SCHEMES if name != "ratio"} | {"ratio 5", "ratio 1"}
    for name in names:
        rows = [line for line in result.stdout.splitlines() if line.startswith(f"{name} ")]
        assert len(rows) == 2, name
        assert "–" not in rows[0]
    assert "Price of anarchy 1." in result.stdout


def test_a_scheme_that_cannot_run_keeps_its_row_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "arrays.json"
    write_market(sampled(2, 3), path)
    result = qoex_command("compare", path)
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if line.startswith("token ")]
    assert [row.split()[1:] for row in rows] == [["–"] * 5, ["–"] * 5]
    assert "token: the token scheme needs input_tokens" in result.stdout

    data = json.loads(qoex_command("compare", path, "--json", "-").stdout)
    assert set(data) == {"schemes", "price_of_anarchy"}
    by_name = {item["scheme"]: item for item in data["schemes"]}
    assert by_name["token"]["status"] is None
    assert by_name["token"]["metrics"] is None
    assert by_name["token"]["remarks"][0].startswith("the token scheme needs input_tokens")
    anarchy = by_name["welfare"]["metrics"]["welfare"] / by_name["proposed"]["metrics"]["welfare"]
    assert data["price_of_anarchy"] == pytest.approx(anarchy, rel=1e-12)
    assert anarchy > 1


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_sample_writes_the_market_of_its_seed(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("first", "again", "other")]
    for path, seed in zip(paths, (4, 4, 5), strict=True):
        result = qoex_command(
            "sample", "--providers", 2, "--users", 3, "--seed", seed, "-o", path, "--feasible"
        )
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"wrote {path}: 2 providers, 3 users\n"
    first, again, other = (read_market(path) for path in paths)
    assert first == again == sampled(2, 3, seed=4)
    assert first != other


def test_sample_says_when_not_all_can_be_served(tmp_path: Path) -> None:
    path = tmp_path / "market.toml"
    result = qoex_command("sample", "--providers", 1, "--users", 60, "-o", path)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[1] == (
        "not all of its demands can be served; --feasible raises the capacities that are short"
    )


def test_explain_speaks_of_one_user(small: Path) -> None:
    result = qoex_command("explain", small, "mu-2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("mu-2 pays ")
    assert "It cannot gain by other rewards." in result.stdout


def test_demo_stays_within_the_promised_error() -> None:
    result = qoex_command("demo")
    assert (result.exit_code, result.stderr) == (0, "")
    errors = re.findall(r" [+-](\d+\.\d\d)\b", result.stdout)
    assert len(errors) == 24
    largest = max(map(float, errors))
    assert largest <= 1.5
    assert f"The largest of the 24 relative errors is {largest:.2f}%." in result.stdout
    assert "Inferred, for the paper does not print them: " in result.stdout
    assert "An equilibrium: " in result.stdout


def test_version_and_help() -> None:
    assert qoex_command("--version").stdout == f"qoex {qoex.__version__}\n"
    for arguments in ([], ["--help"], ["-h"]):
        result = qoex_command(*arguments)
        assert result.exit_code == 0
        for command in ("solve", "verify", "compare", "sample", "explain", "demo"):
            assert command in result.stdout


def test_no_line_is_wider_than_80_columns(small: Path, unusual: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    write_market(sampled(5, 25), large)
    saved = tmp_path / "solution.json"
    for path, user in ((small, "mu-1"), (large, "mu-25"), (unusual, "new\nline\x1b[31m")):
        qoex_command("solve", path, "--json", saved)
        for arguments in (
            ["solve", path],
            ["solve", path, "--all"],
            ["verify", path, saved],
            ["compare", path],
            ["explain", path, user],
        ):
            result = qoex_command(*arguments)
            assert result.exit_code == 0
            assert max(map(cell_len, result.stdout.split("\n"))) <= 80, arguments
            assert "\x1b" not in result.stdout
            assert all(line == line.rstrip() for line in result.stdout.split("\n"))
    assert max(map(cell_len, qoex_command("demo").stdout.split("\n"))) <= 80


def test_long_names_are_shortened_and_stay_apart(unusual: Path) -> None:
    output = qoex_command("solve", unusual).stdout
    assert re.search(r"tenan\S*…\S*-1 ", output)
    assert re.search(r"tenan\S*…\S*-2 ", output)


def test_numbers_too_long_for_the_terminal_are_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    market = sampled(1, 1)
    write_market(
        market.replace(
            work=market.work * 1e7,
            compute_capacity=market.compute_capacity * 1e10,
            compute_cost=market.compute_cost * 1e-7,
            bandwidth_capacity=market.bandwidth_capacity * 1e9,
            bandwidth_cost=market.bandwidth_cost * 1e-7,
            provider_names=["a provider of some length"],
        ),
        path,
    )
    output = qoex_command("solve", path).stdout
    assert max(map(cell_len, output.split("\n"))) > 80  # else this would show nothing
    row = next(line for line in output.splitlines() if "compute, TFLOPS" in line)
    assert row.endswith("slack")
    assert "…" not in row.partition("compute")[2]


def test_a_large_market_is_cut_short_unless_all_of_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    write_market(sampled(5, 25), path)
    short, whole = qoex_command("solve", path), qoex_command("solve", path, "--all")
    assert "… and 13 more users; --all shows them" in short.stdout.splitlines()
    assert "mu-25" not in short.stdout
    assert "more users" not in whole.stdout
    assert len(re.findall(r"\bmu-25\b", whole.stdout)) == 6  # five providers, and by itself


@pytest.mark.parametrize("command", ["solve", "compare"])
def test_the_same_input_gives_the_same_output(small: Path, command: str) -> None:
    for form in ([], ["--json", "-"]):
        first, again = (qoex_command(command, small, *form) for _ in range(2))
        assert first.stdout == again.stdout != ""
