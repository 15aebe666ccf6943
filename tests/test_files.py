from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from any_market import markets
from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.arrays_json import arrays_from_market, json_text, market_from_arrays, parse_json
from qoex.files.market_files import (
    read_market,
    read_market_and_tokens,
    read_scenario,
    write_atomically,
    write_market,
    write_scenario,
)
from qoex.model.market import Market
from qoex.scenario import Defaults, Demand, Provider, Scenario, User

in_a_folder = settings(
    derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def market() -> Market:
    """One provider and two users, the second absent."""
    return Market(
        work=[[10.0, 0.0]],
        traffic=[[0.1, 0.0]],
        latency_budget=[[500.0, 0.0]],
        compute_cost=[21.0],
        bandwidth_cost=[0.15],
        compute_capacity=[20.0],
        bandwidth_capacity=[300.0],
        profit_factor=[370.4, 1e-5],
        reward_min=[0.0, 0.0],
        reward_max=[10.0, 1.0],
        provider_names=['the "east"\n\x7f\\'],
        user_names=["Ωμέγα", "mu\t2"],
    )


@pytest.fixture
def scenario() -> Scenario:
    return Scenario(
        title="A title\r\nof two lines",
        defaults=Defaults(snr_db=-3.5, missing_demands="absent", work_model="quadratic"),
        providers=(
            Provider(
                name="asp",
                compute_capacity=20,
                bandwidth_capacity=300,
                compute_cost=21,
                bandwidth_cost=0.1 + 0.2,
                latency_budget=500,
                work_per_token_pair=1e-5,
            ),
        ),
        users=(
            User(name="mu-1", profit_factor=370, reward_min=0, reward_max=1e22),
            User(name="mu-2", profit_factor=370, reward_min=0, reward_max=1),
        ),
        demands=(
            Demand(user="mu-2", provider="asp", absent=True),
            Demand(
                user="mu-1", provider="asp", performance_gap=1e-5, input_tokens=1, output_tokens=2.5
            ),
        ),
    )


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(market=markets())
@in_a_folder
@pytest.mark.parametrize("suffix", [".json", ".toml", ".TOML", ".parquet"])
def test_a_market_is_read_as_it_was_written(tmp_path: Path, suffix: str, market: Market) -> None:
    path = tmp_path / f"market{suffix}"
    write_market(market, path)
    assert read_market(path) == market
    assert entries(tmp_path) == [path.name]


@given(title=st.none() | st.text(st.characters(exclude_categories=["Cs"])), market=markets())
@in_a_folder
def test_a_scenario_is_read_as_it_was_written(
    tmp_path: Path, title: str | None, market: Market
) -> None:
    written = Scenario.from_market(market).model_copy(update={"title": title})
    write_scenario(written, tmp_path / "scenario.toml")
    assert read_scenario(tmp_path / "scenario.toml") == written


def test_the_text_of_a_scenario(tmp_path: Path, scenario: Scenario) -> None:
    write_scenario(scenario, tmp_path / "s.toml")
    assert (tmp_path / "s.toml").read_bytes().decode() == (
        r"""title = "A title\r\nof two lines"

[defaults]
work_model = "quadratic"
snr_db = -3.5
missing_demands = "absent"

[[providers]]
name = "asp"
compute_capacity = 20
bandwidth_capacity = 300
compute_cost = 21
bandwidth_cost = 0.30000000000000004
latency_budget = 500
work_per_token_pair = 1e-05

[[users]]
name = "mu-1"
profit_factor = 370
reward_min = 0.0
reward_max = 1e+22

[[users]]
name = "mu-2"
profit_factor = 370
reward_min = 0.0
reward_max = 1

[[demands]]
user = "mu-2"
provider = "asp"
absent = true

[[demands]]
user = "mu-1"
provider = "asp"
performance_gap = 1e-05
input_tokens = 1
output_tokens = 2.5
"""
    )
    assert read_scenario(tmp_path / "s.toml") == scenario


def test_the_text_of_a_market(tmp_path: Path, market: Market) -> None:
    write_market(market, tmp_path / "m.json")
    assert (tmp_path / "m.json").read_bytes().decode() == (
        r"""{
  "work": [
    [10.0, 0.0]
  ],
  "traffic": [
    [0.1, 0.0]
  ],
  "latency_budget": [
    [500.0, 0.0]
  ],
  "compute_cost": [21.0],
  "bandwidth_cost": [0.15],
  "compute_capacity": [20.0],
  "bandwidth_capacity": [300.0],
  "profit_factor": [370.4, 1e-05],
  "reward_min": [0.0, 0.0],
  "reward_max": [10.0, 1.0],
  "provider_names": ["the \"east\"\n"""
        + "\x7f"
        + r"""\\"],
  "user_names": ["Ωμέγα", "mu\t2"]
}
"""
    )


def test_tokens_come_along_where_demands_give_them(
    tmp_path: Path, scenario: Scenario, market: Market
) -> None:
    write_scenario(scenario, tmp_path / "s.toml")
    read, tokens = read_market_and_tokens(tmp_path / "s.toml")
    assert read == scenario.market()
    assert tokens is not None
    np.testing.assert_array_equal(tokens.input_tokens, [[1.0, 0.0]])
    np.testing.assert_array_equal(tokens.output_tokens, [[2.5, 0.0]])
    write_market(market, tmp_path / "m.json")
    assert read_market_and_tokens(tmp_path / "m.json") == (market, None)


def test_json_may_hold_a_scenario_and_toml_may_start_with_a_byte_order_mark(
    tmp_path: Path, scenario: Scenario
) -> None:
    (tmp_path / "s.json").write_text(scenario.model_dump_json(), encoding="utf-8")
    assert read_scenario(tmp_path / "s.json") == scenario
    write_scenario(scenario, tmp_path / "s.toml")
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "s.toml").read_bytes())
    assert read_scenario(str(tmp_path / "s.toml")) == scenario


def test_arrays_are_read_as_a_scenario_too(tmp_path: Path, market: Market) -> None:
    write_market(market, tmp_path / "m.json")
    assert read_scenario(tmp_path / "m.json") == Scenario.from_market(market)


GOOD_ARRAYS = {
    "work": [[10, 0.5]],
    "traffic": [[0.1, 1]],
    "latency_budget": [[500, 400]],
    "compute_cost": [21],
    "bandwidth_cost": [0.15],
    "compute_capacity": [20],
    "bandwidth_capacity": [300],
    "profit_factor": [370.4, 1e-5],
    "reward_min": [0, 0],
    "reward_max": [10, 1],
}


def arrays(**changes: Any) -> str:
    return json.dumps(GOOD_ARRAYS | changes)


NESTED = "[" * 100_000
UNREADABLE: list[tuple[str, str | bytes, str]] = [
    ("m.json", "{", "not valid JSON: Expecting property name enclosed in double quotes (at line 1"),
    ("m.json", '{\n"work": [1,\n}', "not valid JSON: Expecting value (at line 3, column 1)"),
    ("m.json", '{"a": 1, "a": 2}', "not valid JSON: an object holds the key 'a' more than once"),
    (
        "m.json",
        arrays(work=[[float("nan"), 1]]),
        "not valid JSON: it holds NaN, and every number must be finite",
    ),
    (
        "m.json",
        arrays(work=[[-float("inf"), 1]]),
        "not valid JSON: it holds -Infinity, and every number must be finite",
    ),
    ("m.json", NESTED, "not valid JSON: "),
    ("m.json", "1" * 5000, "not valid JSON: "),
    ("m.json", b"{}\n\xff", "not UTF-8 text (at line 2)"),
    ("m.json", "[]", "the array form of a market must be an object"),
    (
        "m.json",
        "{}",
        "the array form lacks work, traffic, latency_budget, compute_cost, bandwidth_cost, "
        "compute_capacity, bandwidth_capacity, profit_factor, reward_min, reward_max",
    ),
    ("m.json", arrays(wrok=1), "'wrok' is not a key of the array form; did you mean work?"),
    ("m.json", arrays(work=3), "work must be a list of lists of numbers"),
    ("m.json", arrays(work=[3]), "work[0] must be a list of numbers"),
    ("m.json", arrays(work=[[3, True]]), "work[0][1] is true; it must be a number"),
    ("m.json", arrays(profit_factor=[3, "4"]), 'profit_factor[1] is "4"; it must be a number'),
    ("m.json", arrays(profit_factor=[None, 4]), "profit_factor[0] is null; it must be a number"),
    ("m.json", arrays(profit_factor=3), "profit_factor must be a list of numbers"),
    (
        "m.json",
        arrays(work=[[1, 2], [3]]),
        "work must be an array of numbers, all rows equally long",
    ),
    (
        "m.json",
        arrays(work=[[1e308 * 10, 2]]).replace("Infinity", "1e999"),
        "work of provider-1, user-1 is inf; it must be a finite number",
    ),
    ("m.json", arrays(user_names="ab"), "user_names must be a list of names; leave it out for"),
    ("m.json", arrays(user_names=[]), "user_names must be a list of names; leave it out for"),
    ("m.json", arrays(user_names=["a", "a"]), "user_names holds 'a' more than once"),
    (
        "m.json",
        arrays(compute_cost=[-1], provider_names=["asp"]),
        "compute_cost of asp is -1.0; it must not be negative",
    ),
    ("m.json", '{"providers": [], "users": []}', "providers is empty; it must hold at least one"),
    ("m.toml", "a = ", "not valid TOML: Invalid value (at line 1"),
    ("m.toml", "a = 1\na = 2", "not valid TOML: Cannot overwrite a value (at line 2"),
    ("m.toml", b"\n\na = '\xe9'", "not UTF-8 text (at line 3)"),
    ("m.toml", "", "providers is missing"),
    (
        "m.toml",
        "providers = [{name = 'asp'}]\nusers = nan",
        "users is nan; it must be a list of tables",
    ),
    (
        "m.toml",
        '[[users]]\nname = "mu-2"\nprofit_factor = -3.0\n[[providers]]\nname = "asp"',
        "profit_factor of user mu-2 is -3.0; it must be greater than zero",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    UNREADABLE,
    ids=[f"{name}: {message[:40]}" for name, _, message in UNREADABLE],
)
@pytest.mark.parametrize("read", [read_market, read_scenario, read_market_and_tokens])
def test_unreadable_files_are_named(
    tmp_path: Path,
    read: Callable[[Path], object],
    name: str,
    content: str | bytes,
    message: str,
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: {message}")
    assert "\n" not in sentence
    assert len(sentence) < len(str(path)) + 250


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path, message in [
        (tmp_path / "none.toml", "there is no such file"),
        (tmp_path / "folder.toml", "it is a directory, not a file"),
        (tmp_path / "file" / "x.json", "it cannot be read (Not a directory)"),
        (tmp_path / "none.parquet", "there is no such file"),
        (tmp_path / "m.yaml", "the name of the file must end in .toml, .json or .parquet"),
        (
            tmp_path / "json",
            "there is no such directory, and the name of a file must end in .toml, .json "
            "or .parquet",
        ),
    ]:
        with pytest.raises(ScenarioError) as caught:
            read_market(path)
        assert str(caught.value) == f"{path}: {message}"


def test_names_of_files_to_write(tmp_path: Path, market: Market, scenario: Scenario) -> None:
    with pytest.raises(InvalidInputError) as caught:
        write_market(market, tmp_path / "m.csv")
    assert str(caught.value) == (
        f"{tmp_path / 'm.csv'}: the name of the file must end in .toml, .json or .parquet"
    )
    with pytest.raises(InvalidInputError) as caught:
        write_scenario(scenario, tmp_path / "s.json")
    assert str(caught.value) == f"{tmp_path / 's.json'}: the name of the file must end in .toml"
    assert entries(tmp_path) == []


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for path, reason in [
        (tmp_path / "none" / "x", "No such file or directory"),
        (tmp_path / "file" / "x", "Not a directory"),
        (tmp_path / "folder", "Is a directory"),
    ]:
        with pytest.raises(InvalidInputError) as caught:
            write_atomically(path, "new")
        assert str(caught.value) == f"{path}: cannot be written ({reason})"
    assert entries(tmp_path) == ["file", "folder"]
    assert entries(tmp_path / "folder") == []


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_a_name_that_is_no_text_leaves_the_old_file(
    tmp_path: Path, market: Market, suffix: str
) -> None:
    path = tmp_path / f"m{suffix}"
    write_market(market, path)
    with pytest.raises(InvalidInputError):
        write_market(market.replace(user_names=["a", "\ud800"]), path)
    assert read_market(path) == market
    assert entries(tmp_path) == [path.name]


def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_atomically(path, "old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InvalidInputError) as caught:
        write_atomically(path, "new")
    assert str(caught.value) == f"{path}: cannot be written (No space left on device)"
    assert path.read_text(encoding="utf-8") == "old"
    assert entries(tmp_path) == ["x"]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_atomically(path, "old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert entries(tmp_path) == ["x"]


def test_writing_keeps_permissions_links_and_line_ends(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    write_atomically(target, "old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_atomically(link, "new\r\nλ\n")
    assert link.is_symlink()
    assert target.read_bytes() == "new\r\nλ\n".encode()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    content = "λ\n" * 100_000  # more than a pipe holds at a time
    for name in (pipe, link):
        with ThreadPoolExecutor() as pool:
            received = pool.submit(pipe.read_bytes)
            write_atomically(name, content)
        assert received.result() == content.encode()
        assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert entries(tmp_path) == ["link", "pipe"]


def test_links_lead_to_what_is_written(tmp_path: Path) -> None:
    dangling, loop = tmp_path / "dangling", tmp_path / "loop"
    dangling.symlink_to("target")
    loop.symlink_to("loop")
    write_atomically(dangling, "new")
    assert dangling.is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        for name in (loop, tmp_path / "socket"):
            before = name.lstat().st_ino
            with pytest.raises(InvalidInputError, match=f"^{name}: cannot be written"):
                write_atomically(name, "new")
            assert name.lstat().st_ino == before
    assert entries(tmp_path) == ["dangling", "loop", "socket", "target"]


def test_arrays_and_their_text_give_the_market_back(market: Market) -> None:
    assert market_from_arrays(arrays_from_market(market)) == market
    assert market_from_arrays(parse_json(json_text(market))) == market


def test_reading_arrays_does_not_import_pydantic(tmp_path: Path, market: Market) -> None:
    path = tmp_path / "m.json"
    write_market(market, path)
    program = (
        "import sys, qoex.files.market_files as files\n"
        f"files.write_market(files.read_market({str(path)!r}), {str(path)!r})\n"
        "sys.exit('pydantic' in sys.modules or 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
