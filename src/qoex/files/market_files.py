"""Markets and scenarios in files: what is read is checked, what is written is whole or not at all.

============  ==================================================================================
``.toml``     a scenario, as a person writes it (``tables``)
``.json``     a market's arrays, as a program writes them (``arrays_file``), or a scenario's tables
``.parquet``  a table of users, or a directory of such tables; for markets of any size (``large``)
============  ==================================================================================
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.arrays_json import json_text, market_from_arrays, parse_json
from qoex.model.market import Market

# qoex.scenario needs pydantic, and qoex.files.parquet polars, which take longer to import than most
# markets to solve; they are imported where such files are read or written.
if TYPE_CHECKING:
    from qoex.model.tokens import Tokens
    from qoex.scenario import Scenario

FilePath = str | os.PathLike[str]

_SCENARIO_KEYS = frozenset(("providers", "users", "demands"))


def read_market(path: FilePath) -> Market:
    """Read the market of a file: a scenario (.toml or .json), arrays (.json) or Parquet.

    Parquet is a .parquet file or a directory of them, and is read into memory whole.

    Raises:
        ScenarioError: it cannot be read as a market; the message names the file and the place.

    """
    found = _read(path)
    return found if isinstance(found, Market) else found.market()


def is_stored(path: FilePath) -> bool:
    """Return whether a path is of a market stored as Parquet: a .parquet file, or a directory."""
    suffix = Path(path).suffix.lower()
    return suffix == ".parquet" or (suffix not in (".toml", ".json") and Path(path).is_dir())


def read_scenario(path: FilePath) -> Scenario:
    """Read the scenario of a file; arrays are read as a scenario of direct work and traffic.

    Raises:
        ScenarioError: it cannot be read as a scenario; the message names the file and the place.

    """
    found = _read(path)
    if isinstance(found, Market):
        from qoex.scenario import Scenario

        return Scenario.from_market(found)
    return found


def read_market_and_tokens(path: FilePath) -> tuple[Market, Tokens | None]:
    """Read the market of a file, and its token counts (N×M) where every demand gives them.

    Raises:
        ScenarioError: it cannot be read as a market; the message names the file and the place.

    """
    found = _read(path)
    return (found, None) if isinstance(found, Market) else (found.market(), found.tokens())


def write_market(market: Market, path: FilePath) -> None:
    """Write a market as arrays (.json), as a scenario of direct work and traffic, or as Parquet.

    Reading the file gives the same market to the last bit.

    Raises:
        InvalidInputError: the name ends in something else, or the file cannot be written.

    """
    text: str | bytes
    suffix = _suffix(path, (".toml", ".json", ".parquet"))
    if suffix == ".json":
        text = json_text(market)
    elif suffix == ".parquet":
        from qoex.files.parquet import parquet_bytes

        text = parquet_bytes(market)
    else:
        from qoex.scenario import Scenario
        from qoex.scenario.toml_text import toml_text

        text = toml_text(Scenario.from_market(market))
    write_atomically(path, text)


def write_scenario(scenario: Scenario, path: FilePath) -> None:
    """Write a scenario as TOML; reading the file gives an equal scenario.

    Raises:
        InvalidInputError: the name does not end in .toml, or the file cannot be written.

    """
    from qoex.scenario.toml_text import toml_text

    _suffix(path, (".toml",))
    write_atomically(path, toml_text(scenario))


def write_atomically(path: FilePath, content: str | bytes) -> None:
    """Write a file so that, whatever happens, a reader sees the old or the new one.

    Text is written as UTF-8. The content goes to a temporary name in the same folder, onto the
    disk, and only then to the name.
    A file that is there keeps its permissions; a link keeps pointing where it does, and its target
    is made if there is none. A pipe or a character device is not replaced but written to, which
    waits for a reader of the pipe.

    Raises:
        InvalidInputError: the file cannot be written, or is neither of these; what was there is
            untouched.

    """
    try:
        data = content.encode("utf-8") if isinstance(content, str) else content
        if not os.fspath(path):
            raise InvalidInputError("the name of a file to write is empty")
        if _takes_bytes(path):
            _write_through(path, data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except UnicodeEncodeError as error:
        letter = error.object[error.start]
        raise InvalidInputError(
            f"{path}: cannot be written, for UTF-8 has no character {letter!r}"
        ) from None
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be written ({error.strerror})") from None


def require_no_input(outputs: Iterable[FilePath | None], inputs: Iterable[FilePath | int]) -> None:
    """Raise unless no file to be written is one that is read, whatever names they go by.

    Args:
        outputs: files that may exist or not; None and "-" (stdout) stand for none.
        inputs: files, directories of files, or open file descriptors.

    Raises:
        InvalidInputError: one is; names it.
    """
    read: set[tuple[int, int]] = set()
    for item in inputs:
        read.update(_identities(item))
    for output in outputs:
        if output is None or os.fspath(output) == "-":
            continue
        with contextlib.suppress(OSError):  # what is not there is no input
            found = Path(output).stat()
            if stat.S_ISCHR(found.st_mode):  # a terminal may be both
                continue
            if (found.st_dev, found.st_ino) in read:
                raise InvalidInputError(
                    f"{output}: it is read as input, and would be overwritten; write to another"
                )


def _identities(item: FilePath | int) -> Iterator[tuple[int, int]]:
    with contextlib.suppress(OSError):  # whoever reads it says what is wrong with it
        found = os.stat(item)  # noqa: PTH116  (of a descriptor, too)
        yield found.st_dev, found.st_ino
        if stat.S_ISDIR(found.st_mode) and not isinstance(item, int):
            for file in Path(item).iterdir():
                inner = file.stat()
                yield inner.st_dev, inner.st_ino


def _takes_bytes(path: FilePath) -> bool:
    """Return whether a path is of a pipe or a character device, and not of a regular file.

    Raises:
        InvalidInputError: it is something that takes no output.
        OSError: it is a directory, a loop of links, or cannot be looked at.
    """
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        raise InvalidInputError(f"{path}: cannot be written (it is neither a file nor a pipe)")
    return not stat.S_ISREG(mode)


def _write_through(path: FilePath, data: bytes) -> None:
    # Neither made nor cut: if a file has come into its place meanwhile, it stays as it is.
    descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    with open(descriptor, "wb", buffering=0) as stream:  # noqa: PTH123  (a descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInputError(f"{path}: cannot be written (it was replaced by a file)")
        rest = memoryview(data)
        while rest:
            rest = rest[stream.write(rest) :]


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".qoex-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):  # it was moved, or never made
            temporary.unlink()


def _read(path: FilePath) -> Market | Scenario:
    suffix = Path(path).suffix.lower()
    if is_stored(path):
        from qoex.files.parquet import market_of

        return market_of(path)
    if not suffix:
        raise ScenarioError(
            f"{path}: there is no such directory, and the name of a file must end in "
            ".toml, .json or .parquet"
        )
    suffix = _suffix(path, (".toml", ".json", ".parquet"))
    try:
        text = read_text(path)
        data = parse_toml(text) if suffix == ".toml" else parse_json(text)
        if suffix == ".json" and not (isinstance(data, dict) and _SCENARIO_KEYS & data.keys()):
            return market_from_arrays(data)
        from qoex.scenario import Scenario

        return Scenario.parse(data)  # type: ignore[arg-type]  # a dict: of TOML, or checked above
    except InvalidInputError as error:
        raise ScenarioError(f"{path}: {error}") from None


def _suffix(path: FilePath, known: tuple[str, ...]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        *others, last = known
        endings = f"{', '.join(others)} or {last}" if others else last
        raise ScenarioError(f"{path}: the name of the file must end in {endings}")
    return suffix


def read_text(path: FilePath) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        ScenarioError: the file is missing, unreadable or not UTF-8; says so without its name.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ScenarioError("there is no such file") from None
    except IsADirectoryError:
        raise ScenarioError("it is a directory, not a file") from None
    except OSError as error:
        raise ScenarioError(f"it cannot be read ({error.strerror})") from None
    try:
        return data.decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ScenarioError(f"not UTF-8 text (at line {line})") from None


def parse_toml(text: str) -> dict[str, object]:
    """Return the tables of a TOML text.

    Raises:
        ScenarioError: it is none; says where, without the name of the file.
    """
    try:
        # With a line end, a mistake in the last line is named by line, not "at end of document".
        return tomllib.loads(text + "\n")
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"not valid TOML: {error}") from None
