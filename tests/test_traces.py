"""``qoex import-trace``: markets out of the token columns of traces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commands import qoex_command, refusal
from qoex.files.market_files import read_market_and_tokens

PROVIDERS = """
[defaults]
profit_factor = 300
reward_min = 0.0001
reward_max = 10
performance_gap = 0.3
snr_db = 20
latency_budget = 60000
bandwidth_capacity = 20
bandwidth_cost = 0.1
compute_cost = 5

[[providers]]
name = "a"
compute_capacity = 1.0
work_model = "cached"
work_per_input_token = 0.3
work_per_output_token = 1.0

[[providers]]
name = "b"
compute_capacity = 2.0
work_model = "cached"
work_per_input_token = 0.5
work_per_output_token = 2.0
"""
# As Azure's traces are written: seven decimals, ends of lines of another system.
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:15:46.6805900,374,44\r\n"
    "2023-11-16 18:15:50.9951690,396,109\r\n"
    "2023-11-16 18:16:05.2224670,879,0\r\n"
    "2023-11-16 18:16:47.3910170,91,16\r\n"
)
MOONCAKE = (
    '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n'
    '{"timestamp": 27000, "input_length": 7322, "output_length": 490, "hash_ids": []}\n'
)


@pytest.fixture
def providers(tmp_path: Path) -> Path:
    path = tmp_path / "providers.toml"
    path.write_text(PROVIDERS, encoding="utf-8")
    return path


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("ending", [".toml", ".json"])
def test_every_request_is_a_user(tmp_path: Path, providers: Path, ending: str) -> None:
    trace, output = written(tmp_path, "azure.csv", AZURE), tmp_path / f"market{ending}"
    result = qoex_command("import-trace", trace, "--providers", providers, "-o", output)
    assert result.exit_code == 0
    assert f"wrote {output}: 3 requests in 1 market" in result.stderr
    assert "left out 1 request without input or output tokens" in result.stderr
    market, tokens = read_market_and_tokens(output)
    assert market.user_names == ("request-1", "request-2", "request-4")
    if tokens is not None:
        np.testing.assert_array_equal(tokens.input_tokens, [[374, 396, 91]] * 2)
        np.testing.assert_array_equal(tokens.output_tokens, [[44, 109, 16]] * 2)
    # ln(1/0.3) (0.3·374 + 44) of the first at a
    assert market.work[0, 0] == pytest.approx(np.log(1 / 0.3) * (0.3 * 374 + 44), rel=1e-12)
    assert qoex_command("solve", output).exit_code == 0


def test_a_market_for_each_stretch_of_time(tmp_path: Path, providers: Path) -> None:
    trace, output = written(tmp_path, "azure.csv", AZURE), tmp_path / "markets"
    arguments = ("import-trace", trace, "--providers", providers, "-o", output, "--every", 30)
    assert qoex_command(*arguments).exit_code == 0
    users = {path.name: read_market_and_tokens(path)[0].user_names for path in output.iterdir()}
    # The last one comes 60.7 s after the first; in the second half-minute nobody wants anything.
    assert users == {"0.toml": ("request-1", "request-2"), "2.toml": ("request-4",)}
    assert "there is something already" in refusal(*arguments)


def test_json_lines_and_the_first_requests(tmp_path: Path, providers: Path) -> None:
    trace, output = written(tmp_path, "mooncake.jsonl", MOONCAKE), tmp_path / "market.json"
    arguments = ("import-trace", trace, "--providers", providers, "-o", output, "--first", 1)
    assert qoex_command(*arguments).exit_code == 0
    assert read_market_and_tokens(output)[0].user_names == ("request-1",)


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("t.csv", "a,b\n1,2\n", (), "no column is named TIMESTAMP or timestamp"),
        ("t.csv", AZURE.replace("374", "many"), (), "ContextTokens of row 1 is many"),
        ("t.csv", AZURE.replace("2023-11-16 18:15:46", "noon"), (), "the time of row 1 is 'noon"),
        ("t.jsonl", "{\n", (), "line 1 is not JSON"),
        ("t.jsonl", "[1]\n", (), "line 1 must be an object"),
        ("t.csv", AZURE, ("--every", 0), "every is 0; it must be a number of seconds above zero"),
        ("t.csv", AZURE, ("--every", 1), "with --every it must be the name of a directory"),
        ("t.csv", AZURE.splitlines()[0] + "\n", (), "the table has no rows"),
    ],
)
def test_refusals(
    tmp_path: Path,
    providers: Path,
    name: str,
    text: str,
    options: tuple[object, ...],
    message: str,
) -> None:
    trace, output = written(tmp_path, name, text), tmp_path / "market.toml"
    arguments = ("import-trace", trace, "--providers", providers, "-o", output, *options)
    assert message in refusal(*arguments)
    assert not output.exists()


def test_a_file_of_providers_with_a_mistake_names_it(tmp_path: Path, providers: Path) -> None:
    providers.write_text(PROVIDERS.replace("compute_cost", "compute_cots"), encoding="utf-8")
    trace = written(tmp_path, "azure.csv", AZURE)
    said = refusal("import-trace", trace, "--providers", providers, "-o", tmp_path / "m.toml")
    assert said.startswith(f"{providers}: ")
    assert "did you mean compute_cost?" in said
