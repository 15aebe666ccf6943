"""Where compiled kernels are kept: a folder that holds them already, or can take them.

numba knows a kernel's own source and no other, so it would go on with a kernel whose helpers have
changed since. Kernels are therefore kept in a folder named after the text of everything that they
can call: what is in their own package, and in this one.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"

# More than all kernels take. A folder on a full disk can be written to, by name only.
_ROOM = b"\0" * 4_000_000
_PREFIX = "qoex-kernels-"
# A file for this Python that tells that nothing is left to be compiled.
_COMPLETE = f"complete.{sys.implementation.cache_tag}"
_DAY_S = 86_400.0
_KEPT_DAYS = 30  # how long kernels of another version stay beside those of this one

_state = {"told": False}
_log = logging.getLogger("qoex.kernels")


@cache
def folder_for(package: Path) -> Path | None:
    """Return where compiled kernels of a package are kept; nothing is compiled for it.

    The folder is one that holds them already, even if it cannot be written to, or else the first
    that can take them: the one that NUMBA_CACHE_DIR names or, where it names none, the package's
    own ``__pycache__`` and the user's cache; at last a folder of the user among temporary files.
    What cannot be kept where it should be is told once, through the logger ``qoex.kernels``.

    Returns:
        None if there is no such folder, so that every process has to compile for itself.
    """
    name = f"{_PREFIX}{_digest(package)}"
    usual = [base / name for base in _usual(package)]
    for folder in usual:
        if holds_kernels(folder) or _can_take(folder):
            return folder
    tried = " or ".join(str(folder.parent) for folder in usual)
    last = _own_temporary_folder()
    if last is not None and (holds_kernels(last / name) or _can_take(last / name)):
        _tell(f"compiled kernels cannot be kept in {tried}, so they are kept in {last}", "another")
        return last / name
    _tell(f"compiled kernels cannot be kept in {tried}, so every process compiles its own", "a")
    return None


def holds_kernels(folder: Path) -> bool:
    """Return whether a folder holds compiled kernels."""
    try:
        return any(path.name.endswith(".nbi") for path in folder.iterdir())
    except OSError:
        return False


def is_complete(package: Path) -> bool:
    """Return whether a folder of a package's kernels was found to hold all that are usual."""
    name = f"{_PREFIX}{_digest(package)}"
    if any((base / name / _COMPLETE).exists() for base in _usual(package)):
        return True
    last = _own_temporary_folder(make=False)
    return last is not None and (last / name / _COMPLETE).exists()


def mark_complete(package: Path) -> None:
    """Note that the folder of a package's kernels holds all that are usual."""
    folder = folder_for(package)
    if folder is not None and holds_kernels(folder):
        with contextlib.suppress(OSError):
            (folder / _COMPLETE).touch()


def compiling_is_told() -> None:
    """Note that whoever waits for the compiler has been told already."""
    _state["told"] = True


def tell_compiling() -> None:
    """Say that the caller has to wait for the compiler; once per process."""
    if not _state["told"]:
        compiling_is_told()
        _log.warning("compiling kernels, once per machine; this takes about half a minute …")


def tell_not_kept(folder: str, error: OSError) -> None:
    """Say that a kernel was compiled but could not be kept; once per process and reason."""
    why = error.strerror or type(error).__name__
    _tell(f"compiled kernels cannot be kept in {folder} ({why})", "another")


@cache
def _tell(what: str, article: str) -> None:
    _log.warning("%s; %s can name %s folder that can be written to", what, VARIABLE, article)


def _usual(package: Path) -> Iterator[Path]:
    named = os.environ.get(VARIABLE)
    if named:
        yield Path(named).absolute()
        return
    yield package / "__pycache__"
    with contextlib.suppress(RuntimeError):  # a user may have no home
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        yield home.absolute() / "qoex"


def _digest(package: Path) -> str:
    """Return a name for the text of all that a kernel of a package can call."""
    text = hashlib.sha256()
    for folder in (Path(__file__).parent, package):
        for path in sorted(folder.glob("*.py")):
            text.update(hashlib.sha256(path.read_bytes()).digest())
    return text.hexdigest()[:16]


def _can_take(folder: Path) -> bool:
    import tempfile

    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            if file.write(_ROOM) < len(_ROOM):
                return False
    except OSError:
        return False
    if is_new:
        _forget_others(folder)
    return True


def _forget_others(folder: Path) -> None:
    """Remove what versions that nobody used lately have left beside a folder."""
    import shutil

    for other in folder.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if other.lstat().st_mtime < time.time() - _KEPT_DAYS * _DAY_S:
                shutil.rmtree(other, ignore_errors=True)


def _own_temporary_folder(*, make: bool = True) -> Path | None:
    """Return a folder among temporary files that nobody else can write to: what it holds is run."""
    import tempfile

    if not hasattr(os, "geteuid"):
        return None
    try:
        folder = Path(tempfile.gettempdir()) / f"qoex-{os.geteuid()}"
        if make:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    return folder if private and found.st_uid == os.geteuid() else None
