"""Where output goes: results to stdout, everything about them to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from qoex.errors import QoexError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


# A progress bar that comes at once would only flicker where the answer does, too.
_PATIENCE = 0.7  # seconds
_REFRESH = 0.1  # seconds

# A log wants to be short, and to tell a stuck run from a slow one all the same.
_LINE_INTERVAL = 10.0  # seconds

# Tables are made to fit into 80 columns; lines of prose longer than 100 are hard to read.
_NARROWEST, _WIDEST = 80, 100
_UNLIMITED = 10_000


def show(parts: Sequence[str | Table]) -> None:
    """Print text and tables on stdout, all at once.

    Raises:
        BrokenPipeError: nobody reads stdout any more.
    """
    console = _console(sys.stdout)
    usual = console.width
    with console.capture() as captured:
        for part in parts:
            if not isinstance(part, str):
                # Names have been shortened to fit; numbers too long even so are not cut off.
                console.width = _UNLIMITED
                console.width = max(console.measure(part).maximum, usual)
            console.print(part)
            console.width = usual
    # Trailing spaces fill up what tables are wide; nobody wants them in a file.
    text = "\n".join(line.rstrip() for line in captured.get().split("\n"))
    sys.stdout.write(text)
    sys.stdout.flush()


def width() -> int:
    """Return how many columns to print in: those of the terminal, but 80 to 100."""
    return _console(sys.stdout).width


def notice(text: str) -> None:
    """Print one line on stderr; whatever would break it or drive the terminal is escaped."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    print(line, file=sys.stderr, flush=True)


class Progress:
    """How far a computation has come; written by the computation, read by the bar."""

    def __init__(self) -> None:
        self.done: float | None = None
        self.detail = ""

    def share(self, done: float) -> None:
        """Say which share (0 to 1) is done."""
        self.done = done

    def say(self, detail: str) -> None:
        """Say in a few words what is being done."""
        self.detail = detail

    def step(self, number: int, change: float) -> None:
        """Say which step was made of a computation whose end cannot be foreseen."""
        self.detail = f"step {number}, change {change:.1e}"


@contextmanager
def busy(doing: str) -> Iterator[Progress]:
    """Show a progress bar on stderr while the block takes long, if that is a terminal."""
    progress = Progress()
    if not sys.stderr.isatty():
        yield progress
        return
    done = threading.Event()
    thread = threading.Thread(target=_draw, args=(doing, progress, done), daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        done.set()
        thread.join()


@contextmanager
def counting(doing: str, things: str) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how many things are done of how many, how fast, and how long it will take.

    A terminal gets a bar. Anything else (a log) gets a line now and then.

    Yields:
        What is to be told the number done and the total, whenever it changes.
    """
    if not sys.stderr.isatty():
        yield _LineNowAndThen(doing, things)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn(doing, markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(),
        TextColumn("left", markup=False),
    )
    with Bar(*columns, console=_console(sys.stderr), transient=True) as bar:
        task = bar.add_task(things, total=None)
        pace = _Pace()

        def show_done(done: int, total: int) -> None:
            description = f"{things}, {pace.rate(done):.3g}/s" if done else things
            bar.update(task, completed=done, total=total, description=description)

        yield show_done


class _Pace:
    """How fast things are done, from the first call on."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def rate(self, done: int) -> float:
        """Return how many were done per second so far."""
        return done / max(time.monotonic() - self._start, 1e-9)


class _LineNowAndThen:
    """Progress for a file: a line every few seconds, and none of what is over before."""

    def __init__(self, doing: str, things: str) -> None:
        self._doing, self._things = doing, things
        self._pace = _Pace()
        self._next = time.monotonic() + _LINE_INTERVAL

    def __call__(self, done: int, total: int) -> None:
        """Take how many are done, of how many."""
        if time.monotonic() < self._next or not done:
            return
        self._next = time.monotonic() + _LINE_INTERVAL
        rate = self._pace.rate(done)
        left = timedelta(seconds=round((total - done) / rate))
        notice(
            f"{self._doing}: {done} of {total} {self._things}, {rate:.3g} per second, {left} left"
        )


def _draw(doing: str, progress: Progress, done: threading.Event) -> None:
    if done.wait(_PATIENCE):
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn(doing, markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=_console(sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        while not done.wait(_REFRESH):
            total = None if progress.done is None else 1.0
            bar.update(task, description=progress.detail, completed=progress.done, total=total)


def _console(file: IO[str]) -> Console:
    from rich.console import Console

    console = Console(file=file, markup=False, highlight=False, emoji=False)
    console.width = min(max(console.width, _NARROWEST), _WIDEST)
    return console


NO = 1  # an answer, and it is no: not solved, not an equilibrium
UNUSABLE = 2  # input that cannot be used
INTERRUPTED = 130  # what a shell says of SIGINT
NO_READER = 141  # what a shell says of SIGPIPE


# Extra of the package → what is imported of it.
EXTRAS = {
    "agent": ("httpx", "prometheus_client", "sqlalchemy", "starlette", "structlog", "uvicorn"),
    "cluster": ("distributed",),
    "paper": ("jinja2", "joblib", "matplotlib"),
}


def require_extra(command: str, extra: str) -> None:
    """Raise unless an extra is installed.

    Args:
        command: that needs it.
        extra: a key of EXTRAS.

    Raises:
        QoexError: it is not; says what to do.
    """
    if any(find_spec(package) is None for package in EXTRAS[extra]):
        raise QoexError(f'qoex {command} needs the extra "{extra}": pip install "qoex[{extra}]"')


JsonPath = Annotated[
    str | None,
    typer.Option("--json", metavar="PATH", help="Write JSON to a file, or with - print it alone."),
]


def put_json(path: str, data: dict[str, Any]) -> bool:
    """Write JSON to a file, or alone to stdout for "-"; return whether stdout is left for people.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    from qoex.files.market_files import write_atomically
    from qoex.files.solution_json import json_text

    text = json_text(data)
    if path == "-":
        print(text, end="", flush=True)
        return False
    write_atomically(path, text)
    notice(f"wrote {path}")
    return True


class Group(TyperGroup):
    """Says every mistake in one line on stderr, and turns it into an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what cannot be written to stdout is told as such."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            # Files say what is wrong with them in our own errors, so this is stdout: whoever read
            # it is gone, or a disk is full. Python must not find that out again at its end.
            with contextlib.suppress(OSError):  # one that was closed from the beginning has none
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(NO_READER) from None
            raise QoexError(f"the output cannot be written ({error.strerror})") from None

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; return the exit code, or leave with it."""
        standalone = options.pop("standalone_mode", True)
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except QoexError as error:
            notice(f"error: {error}")
            code = UNUSABLE
        except MemoryError:
            notice("error: there is not enough memory for that")
            code = UNUSABLE
        except Exception as error:
            # What typer raises for wrong usage has no public base class, but this method.
            if not hasattr(error, "format_message"):
                raise
            notice(f"error: {error.format_message()}")
            code = UNUSABLE
        if standalone:
            sys.exit(code)
        return code
