"""What lies in ``deploy/`` fits the package, as far as that can be told without installing it."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from commands import qoex_command
from qoex.agent.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "qoex-agent.service"


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(UNIT, encoding="utf-8")
    return found


def dockerfile() -> list[tuple[str, str]]:
    """Instructions and what they say, in order."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_example_settings_are_settings() -> None:
    settings = load_settings({}, DEPLOY / "agent.toml", {})
    assert settings.on_loopback
    assert Path(settings.database).is_relative_to("/var/lib/qoex")


def test_the_unit_starts_the_agent_with_these_settings() -> None:
    service = unit()["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == "qoex"
    assert "/etc/qoex/agent.toml" in arguments
    here = [a.replace("/etc/qoex/agent.toml", str(DEPLOY / "agent.toml")) for a in arguments]
    assert qoex_command(*here, "--print-config").exit_code == 0


def test_the_unit_gives_the_agent_the_time_and_the_place_that_it_needs() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"  # qoex.agent.systemd
    assert float(service["TimeoutStopSec"]) > Settings().shutdown_grace_s
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert service["Environment"] == f"NUMBA_CACHE_DIR=/var/cache/{service['CacheDirectory']}"
    assert "MemoryDenyWriteExecute" not in service  # kernels are compiled


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    # What is to be started need not be installed here.
    text = UNIT.read_text(encoding="utf-8").replace("/opt/qoex/bin/qoex", "/bin/true")
    copy = tmp_path / UNIT.name
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    mine = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert mine == []


def test_the_image_copies_what_there_is() -> None:
    for word, rest in dockerfile():
        if word != "COPY" or rest.startswith("--from"):
            continue
        *sources, _ = rest.split()
        for source in sources:
            assert (ROOT / source).exists(), source


def test_the_image_has_a_python_that_the_package_takes() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["requires-python"]
    least = tuple(map(int, wanted.removeprefix(">=").split(".")))
    versions = [
        re.match(r"python:(\d+)\.(\d+)-slim", rest) for word, rest in dockerfile() if word == "FROM"
    ]
    assert len(versions) == 2
    for found in versions:
        assert found is not None
        assert tuple(map(int, found.groups())) >= least


def test_the_image_starts_the_agent_as_nobody_in_particular() -> None:
    said = dict(dockerfile())
    assert said["USER"] == "qoex"
    assert json.loads(said["ENTRYPOINT"]) == ["qoex"]
    assert qoex_command(*json.loads(said["CMD"]), "--print-config").exit_code == 0
    variables = dict(item.split("=", 1) for item in shlex.split(said["ENV"]))
    settings = {name: value for name, value in variables.items() if name.startswith(PREFIX)}
    chosen = load_settings(environment=settings)
    assert chosen.database == f"{said['VOLUME']}/agent.db"
    assert int(said["EXPOSE"]) == chosen.port
    assert {name.removeprefix(PREFIX).lower() for name in settings} <= Settings.model_fields.keys()
    check = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "HEALTHCHECK", "exec")
    assert f":{chosen.port}/healthz" in check[2]


def test_only_hashed_packages_get_into_the_image() -> None:
    installs = [rest for word, rest in dockerfile() if word == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in run or "--no-index" in run for run in installs)
