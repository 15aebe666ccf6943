"""The documentation is true: its examples run, its links lead somewhere, no command is missing."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import docs_checker
from docs_checker import DocsError, Runner

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if path.exists()
)
PAGES = sorted({*DOCUMENTS, *ROOT.glob("*.md")})
EXAMPLE_FOLDERS = ("examples", "scenarios")  # copied next to the examples that use them
TOPS = {
    "src",
    "tests",
    "docs",
    "benchmarks",
    "requirements",
    "schemas",
    "deploy",
    ".ci",
    *EXAMPLE_FOLDERS,
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EXAMPLE_FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    runner = Runner(ROOT, tmp_path, relative(path))
    try:
        runner.run(path.read_text(encoding="utf-8"))
    except DocsError as error:
        pytest.fail(f"{relative(path)}, {error}", pytrace=False)
    finally:
        runner.stop()


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    assert docs_checker.broken_links(path, ROOT) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_paths_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    missing = [name for name in docs_checker.named_paths(text, TOPS) if not any(ROOT.glob(name))]
    assert missing == []


def command_names() -> Iterator[str]:
    """Every command of the command line, as a person types it."""
    import typer

    from qoex.cli.commands import app

    def walk(command: Any, words: str) -> Iterator[str]:
        if not hasattr(command, "list_commands"):
            yield words
            return
        for name in command.list_commands(None):
            child = command.get_command(None, name)
            if not child.hidden:
                yield from walk(child, f"{words} {name}")

    yield from walk(typer.main.get_command(app), "qoex")


def test_every_command_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    names = list(command_names())
    assert names
    missing = [name for name in names if not re.search(rf"\b{re.escape(name)}(?![\w-])", text)]
    assert missing == [], "say in README.md or docs/ what these do"


# The checker itself: it passes what is right and fails what is wrong.

FENCE = "```"


def fenced(info: str, *lines: str) -> str:
    return "\n".join([f"{FENCE}{info}", *lines, FENCE, ""])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository with a Makefile."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "Makefile").write_text(
        "X := 1\nall: a b  ## Do all\n\techo\na b: ; true\n", encoding="utf-8"
    )
    (folder / "README.md").write_text("# Title\n", encoding="utf-8")
    return folder


@pytest.fixture
def runner(root: Path, tmp_path: Path) -> Runner:
    folder = tmp_path / "work"
    folder.mkdir()
    return Runner(root, folder)


GOOD = {
    "python shares a namespace": fenced("python", "x = 1") + fenced("python", "assert x == 1"),
    "doctest": fenced("python", "x = 2") + fenced("python", ">>> x + 1", "3", ">>> 'abc'", "'a…'"),
    "doctest defines": fenced("python", ">>> y = 2") + fenced("python", "assert y == 2"),
    "exit codes": fenced("console", "$ true", "$ (exit 3)  # exit 3"),
    "output": fenced("console", "$ echo one; echo; echo two words", "one", "", "two …"),
    "output may be a part": fenced("console", "$ printf '1\\n2\\n3\\n'", "2", "…"),
    "errors are output": fenced("console", "$ echo oh >&2; exit 2  # exit 2", "oh"),
    "narrow and colourless": fenced("console", "$ echo $COLUMNS $NO_COLOR", "80 1"),
    "continued": fenced("console", "$ echo a \\", ">   b", "a b"),
    "own python first": fenced("console", "$ python -c 'import pytest'"),
    "venv": fenced("console", "$ . .venv/bin/activate", "$ .venv/bin/python -c 'import pytest'"),
    "bash without prompts": fenced("bash", "# a comment", "touch x", "", "test -f x"),
    "make and clone are not run": fenced(
        "bash", "git clone https://example.org/some/repo.git", "cd repo", "make all X=1 -j2"
    ),
    "chained": fenced("bash", "git clone https://example.org/r && cd r && make a && true"),
    "data": fenced("toml", "a = 1") + fenced("json", "[1]") + fenced("text", "free {"),
    "file": fenced("toml file=a/b.toml", "x = 1") + fenced("console", "$ cat a/b.toml", "x = 1"),
    "file for python": fenced("json file=a.json", "[7]")
    + fenced("python", "from pathlib import Path", "assert Path('a.json').read_text() == '[7]\\n'"),
    "indented": "1. A step\n\n   ```python\n   if True:\n       z = 1\n   ```\n",
    "longer fence": "````text\n```\nno language\n```\n````\n",
    "math": fenced("math", "a_{nm}"),
}

BAD = {
    "python raises": (fenced("python", "x = 1", "assert x == 2"), "line 3: AssertionError"),
    "python does not parse": (fenced("python", "x ="), "line 2: SyntaxError"),
    "python exits": (fenced("python", "raise SystemExit(0)"), "line 2: SystemExit"),
    "doctest is wrong": (fenced("python", ">>> 1 + 1", "3"), "Expected:\n    3\nGot:\n    2"),
    "exit code": (fenced("console", "$ false"), "line 2: `false` exited with 1, not 0"),
    "exit code missed": (fenced("console", "$ true  # exit 2"), "exited with 0, not 2"),
    "no such command": (fenced("console", "$ no-such-command"), "exited with 127"),
    "output is wrong": (fenced("console", "$ echo one", "two"), "did not print"),
    "output is a part of a line": (fenced("console", "$ echo one two", "one"), "did not print"),
    "output is out of order": (fenced("console", "$ echo a; echo b", "b", "a"), "did not print"),
    "output first": (fenced("console", "one", "$ echo one"), "line 2: output before any"),
    "no command": (fenced("bash", "# nothing"), "line 1: no command"),
    "no target": (fenced("bash", "make all nothing"), "the Makefile has no 'nothing'"),
    "no path": (fenced("bash", "make -C no/where"), "the Makefile has no 'no/where'"),
    "cd": (fenced("bash", "cd /"), "each command runs in its own shell"),
    "toml": (fenced("toml", "a ="), "line 1: no valid toml"),
    "json": (fenced("json", "{"), "line 1: no valid json"),
    "outside": (fenced("text file=../x", "x"), "outside the working directory"),
    "no language": (fenced("", "x"), "line 1: a block in ''"),
    "unknown language": (fenced("pyhton", "x"), "line 1: a block in 'pyhton'"),
    "unknown option": (fenced("toml skip", "a = 1"), "line 1: 'toml skip'"),
    "file of code": (fenced("python file=a.py", "a = 1"), "only data takes an option"),
    "unclosed": (f"text\n{FENCE}python\nx = 1\n", "line 2: the block is never closed"),
}


@pytest.mark.parametrize("name", GOOD)
def test_checker_passes_what_is_right(name: str, runner: Runner) -> None:
    assert runner.run(GOOD[name]) >= 1


@pytest.mark.parametrize("name", BAD)
def test_checker_fails_what_is_wrong(name: str, runner: Runner) -> None:
    before = Path.cwd()
    markdown, message = BAD[name]
    with pytest.raises(DocsError, match=re.escape(message)):
        runner.run(markdown)
    assert Path.cwd() == before


def test_checker_ends_a_command_that_hangs(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs_checker, "COMMAND_SECONDS", 0.2)
    with pytest.raises(DocsError, match="took too long"):
        runner.run(fenced("console", "$ exec sleep 20"))


def test_checker_ends_what_a_failing_page_left_running(runner: Runner) -> None:
    page = fenced("bash", "sleep 300 > /dev/null 2>&1 & echo $! > pid", "false")
    with pytest.raises(DocsError, match="exited with 1"):
        runner.run(page)
    running = Path(f"/proc/{int((runner.directory / 'pid').read_text())}")
    assert running.exists()
    runner.stop()
    until = time.monotonic() + 60
    while running.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not running.exists()


def test_checker_finds_broken_links(root: Path) -> None:
    page = root / "page.md"
    page.write_text(
        "# A *title*: `x`\n## Two words\n## Two words\n"
        "[ok](README.md) [ok](README.md#title) [ok](#two-words-1) [ok](#a-title-x)\n"
        "[ok](https://example.org/x) `[code](nowhere)` [ok][r] ![no](none.png)\n"
        "[no](README.md#none) [no](#none) [no](../../outside) [no](/README.md)\n"
        f"[r]: README.md\n[s]: gone.md\n{FENCE}text\n[code](nowhere)\n{FENCE}\n",
        encoding="utf-8",
    )
    assert docs_checker.broken_links(page, root) == [
        "none.png",
        "README.md#none",
        "#none",
        "../../outside",
        "/README.md",
        "gone.md",
    ]


def test_checker_reads_paths_in_backticks() -> None:
    text = "`src/a.py`, `a/b`, ``src/b``, `tests/*.py` and `src c/d`\n" + fenced("text", "`src/c`")
    assert list(docs_checker.named_paths(text, {"src", "tests"})) == ["src/a.py", "tests/*.py"]
