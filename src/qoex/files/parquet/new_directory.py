"""A directory of Parquet that is there when all of it is written, and not before."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import polars as pl

from qoex.errors import InvalidInputError
from qoex.files.parquet.opening import FilePath

# Rows that a reader can skip without decoding them.
_GROUP_ROWS = 1 << 16


class NewDirectory:
    """Files go into ``temporary``, which ``finish`` moves to its place.

    A block that is left without it leaves nothing behind.

    Args:
        path: the directory to make; it may exist if it is empty.

    Attributes:
        path: as it was given.
        temporary: beside it, absolute.

    Raises:
        InvalidInputError: the directory is not empty or cannot be made.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = path
        self._target = Path(os.path.realpath(path))
        self._finished = False
        if self._target.exists() and not (self._target.is_dir() and _is_empty(self._target)):
            raise InvalidInputError(
                f"{path}: it exists already, and only a new or empty directory is written to"
            )
        self.temporary = self._target.with_name(f".qoex-{secrets.token_hex(8)}.tmp")
        with write_errors(path):
            self.temporary.mkdir()

    def __enter__(self) -> NewDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._finished:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def finish(self) -> None:
        """Put the directory into its place.

        Raises:
            InvalidInputError: that cannot be done.

        """
        with write_errors(self.path):
            self.temporary.replace(self._target)
        self._finished = True


def write_file(folder: Path, name: str, content: pl.DataFrame | bytes, shown: FilePath) -> None:
    """Write a file onto the disk, in place of one of its name.

    Args:
        folder: where to.
        name: of the file.
        content: a table, or what is in the file.
        shown: the directory as messages give it.

    Raises:
        InvalidInputError: it cannot be written.

    """
    with write_errors(shown), (folder / name).open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            write_parquet(content, file)
        file.flush()
        os.fsync(file.fileno())


def write_parquet(
    frame: pl.DataFrame, file: IO[bytes], metadata: dict[str, str] | None = None
) -> None:
    """Write a table of users as qoex does."""
    # lz4 costs no time, and makes nothing of columns that are one number; others hardly compress,
    # and statistics would find nothing in them.
    frame.write_parquet(
        file,
        compression="lz4",
        statistics=False,
        row_group_size=_GROUP_ROWS,
        metadata=metadata,
    )


@contextmanager
def write_errors(path: FilePath) -> Iterator[None]:
    """Turn what goes wrong while a directory is written into one sentence that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"{path}: cannot be written ({reason})") from None
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"{path}: cannot be written ({error})") from None


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
