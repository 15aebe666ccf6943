"""The command line where something is wrong, and as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from commands import crowded_market, qoex_command, refusal, sampled, small_market
from qoex.equilibrium.solver import solve
from qoex.files.market_files import read_market, write_market
from qoex.model.market import Market

SHORTAGE = (
    "error: the market cannot be served: asp-1 is short of compute: it has 1.05 TFLOPS and needs "
    "{compute} with the 500 MHz of bandwidth that it has, and no amount of bandwidth alone would "
    "do; capacities {factor} times as large would do, or fewer demands"
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_market(tmp_path)


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    return crowded_market(tmp_path)


def rounded_up(value: float) -> str:
    """To six digits, of a number from 1 to 10."""
    return f"{np.ceil(value * 1e5) / 1e5:.6g}"


def test_a_market_that_cannot_be_served_is_told_in_one_line(crowded: Path) -> None:
    market = read_market(crowded)
    load = 4 * 200.0 / 600.0, 4 * 5.0 / 600.0
    cross = 4 * np.sqrt(200.0 * 5.0) / 600.0
    f, b = load[0] / market.compute_capacity[0], load[1] / market.bandwidth_capacity[0]
    mixed = cross**2 / (market.compute_capacity[0] * market.bandwidth_capacity[0])
    factor = 0.5 * (f + b + np.sqrt((f - b) ** 2 + 4.0 * mixed))
    shortage = SHORTAGE.format(
        compute=f"{rounded_up(load[0] + cross**2 / (500.0 - load[1]))}",
        factor=f"{rounded_up(factor)}",
    )
    hint = ": --admit count drops the fewest"
    assert f"error: {refusal('solve', crowded)}" == shortage + hint
    assert f"error: {refusal('explain', crowded, 'user-1')}" == f"{shortage} (admit)"
    assert f"error: {refusal('compare', crowded)}" == f"{shortage} (admit)"


def test_not_solved_is_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "market.json"
    write_market(sampled(5, 25), path)
    monkeypatch.setattr(
        import_module("qoex.equilibrium.solver"), "solve", partial(solve, max_sweeps=1)
    )
    sentence = "Not solved: the step limit was reached before the conditions held."
    for arguments in (["solve", path, "--json", "-"], ["explain", path, "mu-1"]):
        result = qoex_command(*arguments)
        assert (result.exit_code, result.stderr) == (1, f"{sentence}\n")
    assert json.loads(qoex_command("solve", path, "--json", "-").stdout)["status"] == "step_limit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "none.toml"], "none.toml: there is no such file"),
        (["solve", "."], ".: there is no providers.parquet in this directory"),
        (["solve", "folder.toml"], "folder.toml: it is a directory, not a file"),
        (["solve", "bad.toml"], "bad.toml: not valid TOML: Invalid value (at line 1, column 9)"),
        (["solve", "small.toml", "--json", "none/x.json"],
         "none/x.json: cannot be written (No such file or directory)"),
        (["solve", "small.toml", "--json", ""], "the name of a file to write is empty"),
        (["explain", "small.toml", "mu-9"],
         "there is no user named 'mu-9'; the users are mu-1, mu-2, mu-3"),
        (["verify", "small.toml", "none.json"], "none.json: there is no such file"),
        (["verify", "small.toml", "text.json"],
         "text.json: not valid JSON: Expecting value (at line 1, column 1)"),
        (["verify", "small.toml", "text.json", "--tolerance", "nan"],
         "tolerance is nan; it must be a number above zero"),
        (["verify", "small.toml", "text.json", "--tolerance", "0"],
         "tolerance is 0.0; it must be a number above zero"),
        (["compare", "none.json"], "none.json: there is no such file"),
        (["sample", "--providers", "2", "--users", "3", "-o", "x.yaml"],
         "x.yaml: the name of the file must end in .toml or .json, or in / for a directory"),
        (["sample", "--providers", "2", "--users", "3", "-o", "./"],
         "./: it exists already, and only a new or empty directory is written to"),
        (["sample", "--providers", "2", "--users", "3", "-o", "none/x"],
         "none/x: cannot be written (No such file or directory)"),
        (["sample", "--providers", "2", "--users", "3", "-o", "none/x.json"],
         "none/x.json: cannot be written (No such file or directory)"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_no_file(
    small: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    folder = small.parent
    monkeypatch.chdir(folder)
    (folder / "folder.toml").mkdir()
    (folder / "bad.toml").write_text("title = \n")
    (folder / "text.json").write_text("a solution\n")
    before = sorted(folder.rglob("*"))
    assert refusal(*arguments) == message
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["solve", "small.toml", "--method", "magic"], "'capacity-prices'"),
        (["solve", "small.toml", "--admit", "some"], "'count'"),
        (["verify", "small.toml", "x.json", "--tolerance", "small"], "--tolerance"),
        (["sample", "--providers", "0", "--users", "3", "-o", "x.toml"], "--providers"),
        (["sample", "--providers", "2", "--users", "3", "--seed", "-1", "-o", "x.toml"], "--seed"),
        (["sample", "--providers", "2", "-o", "x.toml"], "--users"),
        (["solve", "small.toml", "--fast"], "--fast"),
        (["solve"], "MARKET"),
        (["solv"], "solv"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_option(
    small: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], word: str
) -> None:
    monkeypatch.chdir(small.parent)
    assert word in refusal(*arguments)  # the rest of the wording is typer's
    assert not (small.parent / "x.toml").exists()


def test_a_failed_write_keeps_what_was_there(small: Path, tmp_path: Path) -> None:
    saved = tmp_path / "solution.json"
    saved.mkdir()
    assert refusal("solve", small, "--json", saved).endswith("cannot be written (Is a directory)")
    assert list(saved.iterdir()) == []


def test_an_interrupt_is_quiet(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(market: Market) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("qoex.equilibrium.solver"), "solve", interrupted)
    result = qoex_command("solve", small, "--json", small.parent / "x.json")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "")
    assert not (small.parent / "x.json").exists()


def started(*arguments: object, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "qoex", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"COLUMNS": "80"},
    )


def test_a_process_separates_results_errors_and_exit_codes(small: Path, tmp_path: Path) -> None:
    saved = tmp_path / "solution.json"
    solve = started("solve", small, "--json", "-")
    output, errors = solve.communicate()
    assert (solve.returncode, errors) == (0, "")
    data = json.loads(output)
    data["rewards"][0][0] *= 1.1
    saved.write_text(json.dumps(data))
    verify = started("verify", small, saved)
    output, errors = verify.communicate()
    assert (verify.returncode, errors) == (1, "")
    assert "FAILS" in output
    missing = started("solve", "none.toml")
    assert missing.communicate() == ("", "error: none.toml: there is no such file\n")
    assert missing.returncode == 2


def test_interpreted_kernels_give_the_same_answer(small: Path) -> None:
    here = json.loads(qoex_command("solve", small, "--json", "-").stdout)
    there = json.loads(started("solve", small, "--json", "-").communicate()[0])
    for key in ("rewards", "compute", "bandwidth", "qoe", "user_utility"):
        np.testing.assert_allclose(there[key], here[key], rtol=1e-9)


def test_a_small_market_is_solved_without_the_slow_imports(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    write_market(sampled(2, 3), path)
    program = (
        "import sys; from qoex.cli.commands import app; "
        f"app(['solve', {str(path)!r}], standalone_mode=False); "
        "print([name for name in ('numba', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def into(stdout: int, *arguments: object) -> tuple[int, str]:
    """Exit code and stderr of a process that writes its results to a file descriptor."""
    process = started(*arguments, stdout=stdout)
    errors = process.communicate()[1]
    return process.returncode, errors


@pytest.mark.parametrize("form", [[], ["--json", "-"]])
def test_a_reader_that_goes_away_is_no_error(small: Path, form: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert into(writing, "solve", small, *form) == (141, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("form", [[], ["--json", "-"]])
def test_a_full_disk_is_one_line(small: Path, form: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert into(full, "solve", small, *form) == (
            2,
            "error: the output cannot be written (No space left on device)\n",
        )
    finally:
        os.close(full)
