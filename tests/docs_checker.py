"""Run what the documentation shows: the fenced code blocks of a Markdown file, top to bottom.

All blocks of one file share a working directory, and its Python blocks share a namespace.

``python``
    executed; one in ``>>>`` form is a doctest, in which ``…`` matches anything.
``console``
    every line ``$ command`` is run by bash; the lines below it, if any, must occur in its output,
    in that order, where ``…`` matches anything. The command must exit with 0, or with N where
    ``# exit N`` ends its line. A trailing backslash continues a command on the next line.
``bash``
    the same when it has ``$ `` lines; otherwise each line is a command.
``toml``, ``json``, ``csv``, ``text``
    toml and json must parse; with ``file=NAME`` after the language the block is also written to
    the working directory, for the blocks that follow.
``math``, ``mermaid``
    drawn by the reader's browser; left alone.

``make`` and ``git clone`` are not run: their targets and paths must exist in the repository. Nor
are ``cd`` into the clone and the activation of ``.venv``; ``.venv/bin/`` is taken off a command,
whose PATH begins with the running Python's own directory.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = {"toml", "json", "csv", "text"}
LANGUAGES = DATA | {"python", "console", "bash", "math", "mermaid"}
COMMAND_SECONDS = 300  # far above what any example should take; a hang fails, not blocks
NOT_RUN = re.compile(r"(git clone|make)(?!\S)")
ACTIVATIONS = {". .venv/bin/activate", "source .venv/bin/activate"}
FORCES_COLOUR = {"FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS"}

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_EXIT = re.compile(r"\s+# exit (\d+)$")


class DocsError(Exception):
    """What is wrong with a block, and in which line."""


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is the number of its opening fence."""

    line: int
    language: str
    options: dict[str, str]
    lines: list[str]

    @property
    def text(self) -> str:
        """The block's text as a file would hold it."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass
class Command:
    """A command of a console block, the exit code it must have and the output it must show."""

    line: int
    text: str
    code: int = 0
    output: list[str] = field(default_factory=list)


def blocks(markdown: str) -> list[Block]:
    """Split out the fenced blocks of a Markdown text."""
    found: list[Block] = []
    current: Block | None = None
    fence = ""
    indent = 0
    for number, line in enumerate(markdown.splitlines(), start=1):
        match = _FENCE.match(line)
        if current is None:
            if match:
                fence, indent = match["fence"], len(match["indent"])
                current = _opened(number, match["info"])
        elif match and match["fence"].startswith(fence) and not match["info"].strip():
            found.append(current)
            current = None
        else:
            margin = len(line) - len(line.lstrip(" "))
            current.lines.append(line[min(margin, indent) :])
    if current is not None:
        raise DocsError(f"line {current.line}: the block is never closed")
    return found


def _opened(line: int, info: str) -> Block:
    language, *words = info.split() or [""]
    if language not in LANGUAGES:
        known = ", ".join(sorted(LANGUAGES))
        raise DocsError(f"line {line}: a block in {language!r}; known are {known}")
    options = {key: value for key, _, value in (word.partition("=") for word in words)}
    if set(options) - {"file"} or ("file" in options and language not in DATA):
        raise DocsError(f"line {line}: {info.strip()!r}: only data takes an option, file=NAME")
    return Block(line, language, options, [])


def commands(block: Block) -> list[Command]:
    """Read the commands of a console or bash block, with the output shown below each."""
    prompted = block.language == "console" or any(line.startswith("$ ") for line in block.lines)
    found: list[Command] = []
    continued = False
    for number, line in enumerate(block.lines, start=block.line + 1):
        if continued:
            found[-1].text += "\n" + line.removeprefix("> ")
        elif prompted and not line.startswith("$ "):
            if found:
                found[-1].output.append(line.rstrip())
            elif line.strip():
                raise DocsError(f"line {number}: output before any `$ ` command")
            continue
        elif not line.strip() or line.startswith("#"):
            continue
        else:
            found.append(Command(number, line.removeprefix("$ ")))
        continued = line.endswith("\\")
    if not found:
        raise DocsError(f"line {block.line}: no command in this block")
    for command in found:
        if match := _EXIT.search(command.text):
            command.code = int(match[1])
            command.text = command.text[: match.start()]
    return found


def missing_output(shown: list[str], output: str) -> str | None:
    """Return the first line shown that the output lacks (in order), or None."""
    lines = iter(line.rstrip() for line in output.splitlines())
    for wanted in shown:
        if not wanted.strip("… "):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("…")))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None


def make_targets(makefile: str) -> set[str]:
    """The targets that a Makefile defines by name."""
    heads = re.findall(r"^([a-z][\w \t.-]*):(?!=)", makefile, flags=re.MULTILINE)
    return {name for head in heads for name in head.split()}


def environment() -> dict[str, str]:
    """The environment in which commands run: narrow, colourless, this Python's programs first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    changed = {"PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    kept = {name: value for name, value in os.environ.items() if name not in FORCES_COLOUR}
    return {**kept, **changed}


class Runner:
    """Runs the blocks of one file in a directory of its own; stop it afterwards."""

    def __init__(self, root: Path, directory: Path, name: str = "document") -> None:
        self.root = root
        self.directory = directory
        self.name = name
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self._clone = ""
        self._groups: list[int] = []

    def stop(self) -> None:
        """End what commands started and the file did not end, such as a server."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)
        self._groups.clear()

    def run(self, markdown: str) -> int:
        """Run every block; return how many there were.

        Raises:
            DocsError: the first thing that is wrong, with its line.
        """
        found = blocks(markdown)
        for block in found:
            if block.language in DATA:
                self._data(block)
            elif block.language == "python":
                self._python(block)
            elif block.language in {"console", "bash"}:
                for command in commands(block):
                    self._command(command)
        return len(found)

    def _data(self, block: Block) -> None:
        try:
            if block.language == "toml":
                tomllib.loads(block.text)
            elif block.language == "json":
                json.loads(block.text)
        except ValueError as error:
            raise DocsError(f"line {block.line}: no valid {block.language}: {error}") from error
        if "file" in block.options:
            path = (self.directory / block.options["file"]).resolve()
            if not path.is_relative_to(self.directory.resolve()):
                raise DocsError(f"line {block.line}: {path} is outside the working directory")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")

    def _python(self, block: Block) -> None:
        before = Path.cwd()
        os.chdir(self.directory)
        try:
            if block.text.lstrip().startswith(">>>"):
                self._doctest(block)
            else:
                # Blank lines in front, so that a traceback counts lines as the document does.
                source = "\n" * block.line + block.text
                exec(compile(source, self.name, "exec"), self.namespace)
        except DocsError:
            raise
        except (Exception, SystemExit) as error:
            # Only the innermost frame in the document tells the reader where to look.
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == self.name]
            where = lines[-1] if lines else getattr(error, "lineno", None) or block.line
            raise DocsError(f"line {where}: {type(error).__name__}: {error}") from error
        finally:
            os.chdir(before)

    def _doctest(self, block: Block) -> None:
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.text, self.namespace, self.name, self.name, block.line)
        for example in test.examples:
            example.want = example.want.replace("…", "...")
        report: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(
            test, out=report.append, clear_globs=False
        )
        self.namespace.update(test.globs)
        if report:
            raise DocsError(f"line {block.line}: {''.join(report)}")

    def _command(self, command: Command) -> None:
        parts = re.split(r"\s*&&\s*", command.text)
        if not any(NOT_RUN.match(part) for part in parts):
            parts = [command.text]
        for part in parts:
            if part.startswith("git clone"):
                self._clone = Path(shlex.split(part)[-1]).stem
            elif part.split()[0] == "make":
                self._check_make(command.line, part)
            elif part != f"cd {self._clone}" and part not in ACTIVATIONS:
                self._execute(command, part)

    def _check_make(self, line: int, text: str) -> None:
        targets = make_targets((self.root / "Makefile").read_text(encoding="utf-8"))
        words = shlex.split(text, comments=True)[1:]
        for word in words:
            if word.startswith("-") or "=" in word:
                continue
            exists = (self.root / word).exists() if "/" in word else word in targets
            if not exists:
                raise DocsError(f"line {line}: `{text}`: the Makefile has no {word!r}")

    def _execute(self, command: Command, text: str) -> None:
        if text.startswith("cd "):
            raise DocsError(f"line {command.line}: `{text}`: each command runs in its own shell")
        local = re.sub(r"(?<!\S)(\./)?\.venv/bin/", "", text)
        with subprocess.Popen(
            ["bash", "-c", local],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,  # what it leaves running can be found by its group
        ) as process:
            try:
                output, _ = process.communicate(timeout=COMMAND_SECONDS)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                raise DocsError(f"line {command.line}: `{text}` took too long") from error
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 0)
            self._groups.append(process.pid)
        if process.returncode != command.code:
            raise DocsError(
                f"line {command.line}: `{text}` exited with {process.returncode}, "
                f"not {command.code}:\n{output}"
            )
        wanted = missing_output(command.output, output)
        if wanted is not None:
            raise DocsError(
                f"line {command.line}: `{text}` did not print (in this place)\n{wanted}\n"
                f"but\n{output}"
            )


def prose(markdown: str) -> str:
    """The text outside fenced blocks, line for line."""
    kept = []
    fence = ""
    for line in markdown.splitlines():
        match = _FENCE.match(line)
        if not fence and match:
            fence = match["fence"]
            kept.append("")
        elif fence:
            if match and match["fence"].startswith(fence) and not match["info"].strip():
                fence = ""
            kept.append("")
        else:
            kept.append(line)
    return "\n".join(kept)


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a file."""
    seen: dict[str, int] = {}
    found = set()
    for title in re.findall(r"^#{1,6} +(.+?)[ #]*$", prose(markdown), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def links(markdown: str) -> Iterator[str]:
    """Every link target outside code: inline links, images and reference definitions."""
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", prose(markdown), flags=re.DOTALL)
    yield from re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", text)
    yield from re.findall(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", text, flags=re.MULTILINE)


def broken_links(path: Path, root: Path) -> list[str]:
    """The relative links of a Markdown file that lead nowhere."""
    broken = []
    for target in links(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        inside = not name.startswith("/") and goal.is_relative_to(root.resolve())
        if not (inside and goal.exists()) or (
            anchor
            and goal.suffix == ".md"
            and anchor not in anchors(goal.read_text(encoding="utf-8"))
        ):
            broken.append(target)
    return broken


def named_paths(markdown: str, tops: set[str]) -> Iterator[str]:
    """Paths of the repository named in backticks: those that begin with one of its folders."""
    for text in re.findall(r"(?<!`)`([^`\s]+)`(?!`)", prose(markdown)):
        if "/" in text and text.split("/")[0] in tops:
            yield text
