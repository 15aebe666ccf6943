"""How the command line starts: what it loads, what it lacks, and streams that are closed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import typer

from commands import qoex_command, small_market
from qoex.cli.commands import COMMANDS, app
from qoex.cli.terminal import EXTRAS
from test_imports import loaded_by

# What takes longer to import than the list of commands to print.
SLOW = {"numpy", "scipy", "numba", "polars", "pydantic", "rich", "qoex.game"}


def test_the_list_says_what_each_command_says_of_itself() -> None:
    group = typer.main.get_command(app)
    for name, line in COMMANDS.items():
        command = group.get_command(None, name)  # type: ignore[attr-defined]
        assert command.name == name
        assert (command.help or "").partition("\n")[0] == line


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [(["--version"], {*SLOW, "typer"}), (["--help"], SLOW), ([], SLOW)],
)
def test_the_list_of_commands_loads_nothing_slow(arguments: list[str], absent: set[str]) -> None:
    program = (
        f"import sys; sys.argv[1:] = {arguments!r}; import qoex.cli\n"
        "try:\n    qoex.cli.main()\nexcept SystemExit:\n    pass"
    )
    assert not absent & loaded_by(program)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("serve",), "agent"),
        (("token", "list"), "agent"),
        (("replay", "agent.db"), "agent"),
        (("simulate",), "agent"),
        (("demo", "--live"), "agent"),
        (("reproduce", "-o", "x"), "paper"),
        (("sweep", "x.toml", "-o", "x"), "paper"),
        (("simulate", "--plot", "x.svg"), "paper"),
    ],
)
def test_a_command_whose_extra_is_missing_says_which(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], extra: str
) -> None:
    monkeypatch.setattr(
        "qoex.cli.terminal.find_spec", lambda name: None if name in EXTRAS[extra] else True
    )
    done = qoex_command(*command)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f'needs the extra "{extra}": pip install "qoex[{extra}]"' in done.stderr


def test_the_extras_are_those_of_the_package() -> None:
    for packages in EXTRAS.values():
        for package in packages:
            import_module(package)


def shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run qoex in a shell, as "$QOEX" with the arguments as "$@"."""
    return subprocess.run(
        ["sh", "-c", f'qoex() {{ "{sys.executable}" -m qoex "$@"; }}; {line}', "sh",
         *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_closed_stdout_is_told_in_one_sentence(tmp_path: Path) -> None:
    market = small_market(tmp_path)
    done = shell('qoex solve "$1" >&-', market)
    assert done.returncode == 2
    assert done.stderr == "error: the output cannot be written (it is closed)\n"
    output = tmp_path / "solution.json"
    done = shell('qoex solve "$1" --json "$2" >&-', market, output)
    assert done.returncode == 2
    assert output.exists()


def test_a_closed_stderr_swallows_what_is_said(tmp_path: Path) -> None:
    done = shell('qoex solve "$1" 2>&-', small_market(tmp_path))
    assert done.returncode == 0
    assert "Converged" in done.stdout
    assert shell("qoex solve nothing.toml 2>&-").returncode == 2


def test_an_interruption_while_things_are_imported_leaves_no_traceback(tmp_path: Path) -> None:
    # A module that never ends being imported stands for one that takes long.
    (tmp_path / "typer.py").write_text("import time; print('now', flush=True); time.sleep(60)")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import qoex.cli; qoex.cli.main()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, "")
