"""What lies in ``deploy/`` fits the package, as far as that can be told without installing it."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import agent_http
from commands import qoex_command
from qoex.agent.settings import PREFIX, Settings, load_settings, settings_text

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "qoex-agent.service"
PAGE = ROOT / "docs" / "how-to" / "run-the-agent.md"

DOCKER_PATIENCE_S = 10.0  # from docker stop to SIGKILL, unless told otherwise


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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


def copied() -> list[str]:
    """Paths of the repository that get into the image's build."""
    found: list[str] = []
    for word, rest in dockerfile():
        if word == "COPY" and not rest.startswith("--from"):
            found += rest.split()[:-1]
    return found


def variables() -> dict[str, str]:
    return dict(item.split("=", 1) for item in shlex.split(dict(dockerfile())["ENV"]))


def test_the_example_settings_are_all_settings_with_their_defaults() -> None:
    example = DEPLOY / "agent.toml"
    chosen = load_settings({}, example, {})
    assert chosen == Settings(database="/var/lib/qoex/agent.db")
    # A setting that has its default is commented out: an update may change it.
    usual = settings_text(Settings()).splitlines()
    wanted = [
        f"#{line}" if line == default and line and not line.startswith("#") else line
        for line, default in zip(settings_text(chosen).splitlines(), usual, strict=True)
    ]
    assert example.read_text(encoding="utf-8").splitlines() == wanted


def test_the_page_shows_settings_with_their_defaults() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) > 10
    defaults = Settings().model_dump(mode="json")
    shown = {name: tomllib.loads(f"value = {text}")["value"] for name, text in rows}
    assert shown == {name: defaults[name] for name in shown}


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
    settings = load_settings({}, DEPLOY / "agent.toml", {})
    assert Path(settings.database).parent == Path(service["WorkingDirectory"])
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


def test_the_page_installs_what_the_unit_starts() -> None:
    page = PAGE.read_text(encoding="utf-8")
    service = unit()["Service"]
    program, *_ = shlex.split(service["ExecStart"])
    assert f"python3 -m venv {Path(program).parents[1]}\n" in page
    home = service["WorkingDirectory"]
    assert f"useradd --system --home-dir {home} " in page
    assert f"runuser -u {service['User']} -- {program} token create --operator" in page


def test_the_image_copies_what_there_is_and_what_the_builder_gets() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    for source in copied():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


@pytest.mark.slow
def test_the_package_can_be_built_from_what_the_image_copies(tmp_path: Path) -> None:
    context = tmp_path / "context"
    for source in copied():
        target = context / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    (install,) = [rest for word, rest in dockerfile() if word == "RUN" and "--no-index" in rest]
    _, *options = shlex.split(install)
    options[0] = "wheel"
    subprocess.run(
        [sys.executable, "-m", "pip", *options, "--wheel-dir", str(tmp_path)],
        cwd=context,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    sources = ROOT / "src"
    wanted = {
        path.relative_to(sources).as_posix()
        for path in (sources / "qoex").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted
    assert wanted <= inside


def test_the_image_has_a_python_that_the_package_takes() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["requires-python"]
    bases = [rest.removesuffix(" AS build") for word, rest in dockerfile() if word == "FROM"]
    assert bases == [f"python:{wanted.removeprefix('>=')}-slim"] * 2


def test_the_image_starts_the_agent_as_nobody_in_particular() -> None:
    said = dict(dockerfile())
    assert said["USER"] == "qoex"
    assert qoex_command(*json.loads(said["CMD"]), "--print-config").exit_code == 0
    settings = {name: value for name, value in variables().items() if name.startswith(PREFIX)}
    chosen = load_settings(environment=settings)
    assert chosen.database == f"{said['VOLUME']}/agent.db"
    assert int(said["EXPOSE"]) == chosen.port
    assert chosen.shutdown_grace_s < DOCKER_PATIENCE_S
    assert {name.removeprefix(PREFIX).lower() for name in settings} <= Settings.model_fields.keys()


@pytest.mark.parametrize("is_compiled", [True, False])
def test_the_image_has_its_kernels_or_says_that_they_are_missing(
    is_compiled: bool, tmp_path: Path
) -> None:
    order = [f"{word} {rest}" for word, rest in dockerfile()]
    assert order.index("USER qoex") < order.index("RUN python -P -m qoex.equilibrium.warm_up")
    for name, code in (("python", 0 if is_compiled else 3), ("qoex", 0)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\nexit {code}\n', encoding="utf-8")
        program.chmod(0o755)
    done = subprocess.run(
        [*json.loads(dict(dockerfile())["ENTRYPOINT"]), "serve", "a b"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    checked = "python -P -m qoex.equilibrium.warm_up --check\n"
    assert done.stdout == checked + ("qoex serve a b\n" if is_compiled else "")
    assert done.returncode == (0 if is_compiled else 3)


class _Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *unused: object) -> None:
        pass


def test_the_image_tells_an_agent_that_answers_from_one_that_does_not() -> None:
    _, *arguments = json.loads(dict(dockerfile())["HEALTHCHECK"].partition("CMD ")[2])
    with HTTPServer(("127.0.0.1", 0), _Alive) as server:
        environment = {**os.environ, "QOEX_PORT": str(server.server_port)}

        def checked() -> int:
            return subprocess.run(
                [sys.executable, *arguments], env=environment, capture_output=True, check=False
            ).returncode

        answering = threading.Thread(target=server.handle_request)
        answering.start()
        assert checked() == 0
        answering.join()
        server.server_close()
        assert checked() == 1


def test_only_hashed_packages_get_into_the_image() -> None:
    installs = [rest for word, rest in dockerfile() if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert all("--require-hashes" in run or "--no-index" in run for run in installs)


@pytest.mark.anyio
async def test_page_and_alerts_name_metrics_that_there_are(tmp_path: Path) -> None:
    async with agent_http.running(tmp_path) as agent:
        await agent.populate()
        assert (await agent.ask("POST", "/v1/cycles")).status_code == 200
        text = (await agent.ask("GET", "/metrics")).text
    there = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    there |= set(re.findall(r"^(\w+)", text, re.MULTILINE))
    for path in (PAGE, DEPLOY / "alerts.yml"):
        named = set(re.findall(r"\bqoex_[a-z_]+[a-z]\b", path.read_text(encoding="utf-8")))
        assert len(named) > 5
        assert named <= there, path.name
