"""The table of a study on disk: Parquet with a manifest beside it, whole at every moment.

::

    NAME.parquet   the rows, by seed and in the order in which the study gives them
    NAME.json      the manifest: what the study is, and which runs made the rows
    NAME.parts/    rows of a run under way (or cut off) that are not in the table yet

Rows go to a part every few seconds, and parts into the table when the run ends, however it ends. A
process that is killed leaves parts, and the next run takes them up.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from qoex.errors import InvalidInputError
from qoex.experiments.lock import Lock
from qoex.experiments.provenance import provenance
from qoex.experiments.study import Row, Study, fingerprint
from qoex.files.market_files import write_atomically

_TYPES: dict[str, type[pl.DataType]] = {
    "text": pl.String,
    "whole": pl.Int64,
    "real": pl.Float64,
    "flag": pl.Boolean,
}

# Every table says in its own file whose it is, so that it cannot be taken for another's.
_MARK = "qoex_study"

# Seconds between parts: about what a killed process loses.
_PART_INTERVAL = 2.0


def read_table(folder: Path, name: str) -> pl.DataFrame:
    """Return the table of a study.

    Raises:
        InvalidInputError: there is none, or it is not a table.
    """
    path = folder / f"{name}.parquet"
    frame: pl.DataFrame = _read(path, pl.read_parquet)
    return frame


def read_manifest(folder: Path, name: str) -> dict[str, Any]:
    """Return the manifest of a study's table.

    Raises:
        InvalidInputError: there is none, or it is not a manifest.
    """
    path = folder / f"{name}.json"
    if _manifest_mark(path) is None:
        raise InvalidInputError(f"{path}: not the manifest of a table")
    manifest: dict[str, Any] = _read_json(path)
    return manifest


class StudyTable:
    """The table of one study while it is being filled, by one run at a time.

    Rows of the same study that the folder holds already are kept, and count as done.

    Args:
        folder: where tables are; made where it does not exist.
        study: whose rows these are.
        overwrite: whether to replace what the folder has under this name, if it is another
            study's table or no table at all.

    Raises:
        InvalidInputError: the folder cannot be used, has something else under this name, or
            another run is filling the table.
    """

    def __init__(self, folder: Path, study: Study, *, overwrite: bool = False) -> None:
        self.study = study
        self._path = folder / f"{study.name}.parquet"
        self._manifest_path = folder / f"{study.name}.json"
        self._parts = folder / f"{study.name}.parts"
        self._fingerprint = fingerprint(study)
        self._schema = {name: _TYPES[kind] for name, kind in study.columns.items()}
        self._pending: list[pl.DataFrame] = []
        self._began = datetime.now(UTC)
        self._start = self._written = time.monotonic()
        self._frame = pl.DataFrame(schema=self._schema)
        self._in_table: frozenset[int] = frozenset()
        self._manifest: dict[str, Any] = {}
        try:
            self._lock = Lock(self._parts / "lock")
        except BlockingIOError:
            raise InvalidInputError(f"{self._path} is being filled by another run") from None
        except OSError as error:
            raise InvalidInputError(f"{self._parts}: cannot be made ({error.strerror})") from None
        try:
            self._take_up(overwrite)
        except BaseException:
            self.close()
            raise

    def done(self) -> frozenset[int]:
        """Return the seeds whose rows are all there."""
        return _seeds(self._frame)

    def add(self, rows: Sequence[Row]) -> None:
        """Take the rows of one more seed; every few seconds, put what was taken onto the disk."""
        self._pending.append(pl.DataFrame(rows, schema=self._schema, orient="row"))
        if time.monotonic() - self._written > _PART_INTERVAL:
            self._flush()

    def finish(self, asked: Iterable[int], runner: Mapping[str, Any]) -> pl.DataFrame:
        """Put all rows into the table, write its manifest, and return the table.

        Args:
            asked: the seeds that were asked for.
            runner: how the rows were computed, for the manifest.
        """
        self._flush()
        self._frame = self._frame.sort("seed", maintain_order=True).rechunk()
        new = self.done() - self._in_table
        if new or not self._path.exists():
            write_atomically(self._path, self._bytes(self._frame))
        runs = list(self._manifest.get("runs", []))
        if new:
            runs.append(
                {
                    "began": self._began.isoformat(timespec="seconds"),
                    "seconds": round(time.monotonic() - self._start, 3),
                    "seeds": len(new),
                    **runner,
                    **provenance(),
                }
            )
        manifest = self._describe(frozenset(asked)) | {"runs": runs}
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        if json.loads(text) != self._manifest:
            write_atomically(self._manifest_path, text)
        for path in self._parts.glob("*.parquet"):
            path.unlink(missing_ok=True)
        self.close()
        return self._frame

    def close(self) -> None:
        """Let other runs fill the table; parts that are not in it stay for them."""
        self._lock.release()
        with contextlib.suppress(OSError):  # parts are left, or another run is there already
            self._parts.rmdir()

    def _take_up(self, overwrite: bool) -> None:
        """Read what there is of this table, once nothing there is of another one."""
        parts = sorted(self._parts.glob("*.parquet"))
        tables = [self._path, *parts] if self._path.exists() else parts
        marks: list[tuple[Path, Callable[[Path], str | None]]] = [(t, _mark) for t in tables]
        if self._manifest_path.exists():
            marks.append((self._manifest_path, _manifest_mark))
        others = [path for path, mark in marks if not self._is_mine(path, mark, overwrite)]
        for path in others:
            path.unlink()
        for path in tables:
            if path not in others:
                rows: pl.DataFrame = _read(path, pl.read_parquet)
                new = rows.filter(~pl.col("seed").is_in(list(self.done())))
                self._frame = self._frame.vstack(new)
            if path == self._path:
                self._in_table = self.done()
        if self._manifest_path.exists():
            self._manifest = read_manifest(self._manifest_path.parent, self.study.name)
        numbers = [int(path.stem) for path in parts if path.stem.isdecimal()]
        self._next_part = 1 + max(numbers, default=-1)

    def _is_mine(self, path: Path, mark_of: Callable[[Path], str | None], overwrite: bool) -> bool:
        """Whether a file is of this table; raises where it is not and must not be replaced."""
        try:
            mark = mark_of(path)
        except InvalidInputError as error:
            if overwrite:
                return False
            raise InvalidInputError(f"{error}; give another folder, or --overwrite") from None
        if mark is None:  # somebody's own file, which no option gives away
            raise InvalidInputError(f"{path} is no table of qoex; give another folder")
        if mark != self._fingerprint and not overwrite:
            raise InvalidInputError(
                f"{path} was made by other parameters or by other code; "
                "give another folder, or --overwrite"
            )
        return mark == self._fingerprint

    def _describe(self, asked: frozenset[int]) -> dict[str, Any]:
        """Return the manifest, but for the runs."""
        missing = sorted(asked - self.done())
        return {
            "name": self.study.name,
            "fingerprint": self._fingerprint,
            "parameters": self.study.parameters(),
            "columns": dict(self.study.columns),
            "rows": self._frame.height,
            "seeds": sorted(self.done()),
            "complete": not missing,
            "missing_seeds": missing,
            "outcomes": _counts(self._frame, "outcome"),
            "statuses": _counts(self._frame, "status"),
        }

    def _flush(self) -> None:
        self._written = time.monotonic()
        if not self._pending:
            return
        part = pl.concat(self._pending)
        self._frame, self._pending = self._frame.vstack(part), []
        path = self._parts / f"{self._next_part:06}.parquet"
        self._next_part += 1
        write_atomically(path, self._bytes(part))

    def _bytes(self, frame: pl.DataFrame) -> bytes:
        buffer = io.BytesIO()
        frame.write_parquet(buffer, metadata={_MARK: self._fingerprint})
        return buffer.getvalue()


def _seeds(frame: pl.DataFrame) -> frozenset[int]:
    return frozenset(frame["seed"].to_list())


def _mark(path: Path) -> str | None:
    metadata: dict[str, str] = _read(path, pl.read_parquet_metadata)
    return metadata.get(_MARK)


def _manifest_mark(path: Path) -> str | None:
    found = _read_json(path)
    mark = found.get("fingerprint") if isinstance(found, dict) else None
    return mark if isinstance(mark, str) else None


def _read_json(path: Path) -> Any:
    return _read(path, lambda file: json.loads(file.read_text(encoding="utf-8")))


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except FileNotFoundError:
        raise InvalidInputError(f"{path}: there is no such file") from None
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: cannot be read ({error})") from None


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Return value → how often it occurs, for a column that some tables lack."""
    if column not in frame.columns:
        return {}
    counts = frame[column].drop_nulls().value_counts().sort(column)
    return dict(counts.iter_rows())
