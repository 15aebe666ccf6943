"""The command ``qoex infer``: what it prints, writes and refuses."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from commands import qoex_command
from observed_tables import HEADER, ROWS, noisy, seeing, seen, shared_market, write_table
from qoex import kernels
from qoex.calibration import Inference, infer_parameters, table_v_observations
from qoex.cli import inference as command
from qoex.cli.inference import inference_data
from qoex.cli.inference_view import inference_view
from qoex.data.paper_case import TABLE_V
from qoex.files.market_files import read_market

SEARCH = import_module("qoex.calibration.search")
TABLE = Path(str(import_module("importlib.resources").files("qoex") / "data" / "table_v.csv"))


def shown(inference: Inference, *, everything: bool = False) -> list[str]:
    """The sentences of the view; tables left out."""
    view = inference_view(inference, 80, everything=everything)
    return [part for part in view if isinstance(part, str)]


def test_without_a_table_it_infers_table_v() -> None:
    result = qoex_command("infer")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == qoex_command("infer", TABLE).stdout
    lines = result.stdout.splitlines()
    assert lines[0] == "2 providers, 3 users, 24 observed numbers"
    assert lines[1].startswith("Converged: ")
    assert lines[2] == "Inferred given bandwidth cost 0.15 money/MHz."
    assert lines[-1] == (
        "The largest of the 24 relative errors is 1.17%, their root mean square 0.44%."
    )
    assert max(map(cell_len, lines)) <= 80
    words = [line.split() for line in lines]
    assert ["profit", "factor", "money", "370.4", "362.8", "378.2", "pinned", "down"] in words
    assert sum(line.rstrip().endswith("pinned down") for line in lines) == 15
    assert result.stdout.count("ruled out") == 6


def test_observed_and_fitted_numbers_stand_side_by_side() -> None:
    lines = qoex_command("infer").stdout.splitlines()
    rows = [line.split() for line in lines if re.match(r"asp-\d, mu-\d +\d", line)]
    assert len(rows) == 12
    for (first, second), part in (
        (("compute", "bandwidth"), rows[:6]),
        (("rewards", "qoe"), rows[6:]),
    ):
        numbers = np.array([row[2:] for row in part], dtype=float)
        for name, block in ((first, numbers[:, :3]), (second, numbers[:, 3:])):
            fitted, observed, error = block.T
            np.testing.assert_array_equal(observed, TABLE_V[name].ravel())
            np.testing.assert_allclose(100 * (fitted / observed - 1), error, atol=0.15)


def test_what_the_data_tell_least_is_said() -> None:
    result = qoex_command("infer", "--bandwidth-cost", "one")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "Inferred given" not in text
    assert "Of 16 parameters: 9 pinned down and 7 not pinned down" in text
    assert (
        "The data tell least of bandwidth cost and traffic of 6 pairs rising together: 10% more "
        "changes the numbers by 0.0301% (rms)." in text
    )
    assert text.count("possible") == 2


def test_open_combinations_are_said() -> None:
    observations = seen(shared_market(2, 5, seed=2))
    observations = seeing(observations, rewards=np.full((2, 5), np.nan))
    lines = shown(infer_parameters(observations, profile=False))
    assert (
        "Nothing tells 1 combination of them; one is profit factor, compute cost of 2 providers "
        "and bandwidth cost rising together." in lines
    )


@pytest.mark.parametrize(
    ("options", "count", "held"),
    [
        ([], 15, "bandwidth cost 0.15 money/MHz"),
        (["--bandwidth-cost", "0.3"], 15, "bandwidth cost 0.3 money/MHz"),
        (["--bandwidth-cost", "per-provider"], 17, None),
        (["--profit-factor", "per-user"], 17, "bandwidth cost 0.15 money/MHz"),
        (["--profit-factor", "per-user", "--bandwidth-cost", "one"], 18, None),
        (
            ["--profit-factor", "370"],
            14,
            "profit factor 370 money and bandwidth cost 0.15 money/MHz",
        ),
    ],
)
def test_options_say_what_is_inferred(options: list[str], count: int, held: str | None) -> None:
    result = qoex_command("infer", *options)
    assert result.exit_code == 0
    assert f"Of {count} parameters" in result.stdout
    given = [line for line in result.stdout.splitlines() if line.startswith("Inferred given ")]
    assert given == ([] if held is None else [f"Inferred given {held}."])


def test_the_market_inferred_can_be_solved(tmp_path: Path) -> None:
    path = tmp_path / "market.toml"
    result = qoex_command("infer", "--output", path)
    assert (result.exit_code, result.stderr) == (0, f"wrote {path}\n")
    market = read_market(path)
    assert market == infer_parameters(table_v_observations(), profile=False).market
    assert qoex_command("solve", path).exit_code == 0


def test_json_holds_the_whole_inference(tmp_path: Path) -> None:
    printed = qoex_command("infer", TABLE, "--json", "-")
    assert (printed.exit_code, printed.stderr) == (0, "")
    saved = tmp_path / "inference.json"
    told = qoex_command("infer", TABLE, "--json", saved)
    assert told.stderr == f"wrote {saved}\n"
    assert told.stdout == qoex_command("infer").stdout
    data = json.loads(printed.stdout)
    assert data == json.loads(saved.read_text(encoding="utf-8"))
    inference = infer_parameters(table_v_observations())
    assert (data["version"], data["status"], data["converged"]) == (2, "converged", True)
    assert (data["largest"], data["rms"]) == (inference.largest, inference.rms)
    assert data["parameters"][0]["value"] == inference.parameters[0].value
    assert data["parameters"][0]["verdict"] == "pinned down"
    assert data["errors"]["qoe"] == inference.errors["qoe"].tolist()
    assert data["market"]["profit_factor"] == inference.market.profit_factor.tolist()
    assert data["identifiability"]["rank"] == 15


def test_what_is_not_finite_becomes_null() -> None:
    observations = seen(shared_market(1, 4, seed=2))
    gone = np.array([[1.0, np.nan, 1.0, 1.0]])
    inference = infer_parameters(
        seeing(observations, qoe=observations.qoe * gone, bandwidth=np.full((1, 4), np.nan)),
        profile=False,
    )
    data = json.loads(json.dumps(inference_data(inference), allow_nan=False))
    assert data["errors"]["qoe"][0][1] is None
    assert data["identifiability"]["condition"] is None
    untold = [not np.isfinite(parameter.error) for parameter in inference.parameters]
    assert any(untold)
    assert [parameter["error"] is None for parameter in data["parameters"]] == untold


def test_a_search_that_does_not_converge_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SEARCH, "MAX_STEPS", 1)
    path = tmp_path / "market.json"
    result = qoex_command("infer", "--json", "-", "-o", path)
    sentence = "Not converged: the step limit was reached before the errors were least."
    assert (result.exit_code, result.stderr) == (1, f"{sentence}\n")
    assert json.loads(result.stdout)["converged"] is False
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: there is no such file"),
        (["market.toml"], "market.toml: the name of the file must end in .csv or .parquet"),
        (["-o", "market.csv"], "market.csv: the name of the file must end in .toml or .json"),
        (
            ["--bandwidth-cost", "per-user"],
            "--bandwidth-cost is 'per-user'; it must be one, per-provider or a number above zero",
        ),
        (
            ["--profit-factor", "-3"],
            "--profit-factor is '-3'; it must be one, per-user or a number above zero",
        ),
        (
            ["--profit-factor", "nan"],
            "--profit-factor is 'nan'; it must be one, per-user or a number above zero",
        ),
        (["--noise", "0"], "noise is 0.0; it must be greater than zero"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(arguments: list[str], message: str) -> None:
    result = qoex_command("infer", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {message}\n"


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path, *ROWS, "far,bob,1,1,many,1,1000")
    result = qoex_command("infer", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {path}: line 5 (far, bob): bandwidth is 'many'; it")


def test_too_few_numbers_are_refused(tmp_path: Path) -> None:
    result = qoex_command("infer", write_table(tmp_path, ROWS[0], header=HEADER))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: there are 5 unknowns but only 4 observed numbers; ")


def test_of_many_pairs_only_what_they_share_is_shown() -> None:
    observations = noisy(seen(shared_market(3, 11, seed=1)), 0.01, np.random.default_rng(0))
    inference = infer_parameters(observations, profile=False)
    short, long = shown(inference), shown(inference, everything=True)
    assert "… and the work and traffic of 33 pairs; --all shows them" in short
    assert not any(line.startswith("…") for line in long)
    rows = [
        sum(part.row_count for part in inference_view(inference, 80, everything=flag)
            if not isinstance(part, str))
        for flag in (False, True)
    ]  # fmt: skip
    assert rows == [5, 5 + 66 + 2 * 33]


@pytest.mark.parametrize(("pairs", "interpreted"), [(8, [True]), (9, [])])
def test_only_a_small_table_is_fitted_with_interpreted_kernels(
    pairs: int, interpreted: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    monkeypatch.setattr(kernels, "interpret", lambda: calls.append(True))
    monkeypatch.setattr(command, "INTERPRETED_PAIRS", 8)
    command._choose_kernels(seen(shared_market(1, pairs, seed=1)))
    assert calls == interpreted


def test_compiling_is_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "is_compiled", lambda kernel: False)
    command._choose_kernels(seen(shared_market(3, 5, seed=1)))
    assert capsys.readouterr().err == "compiling kernels, once per machine …\n"
