"""Reading a market stored as Parquet: its users a chunk at a time, or all of it into memory."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.parquet.chunk import Chunk
from qoex.files.parquet.columns import NAME, copy_users, names_in, parquet_errors, user_columns
from qoex.files.parquet.opening import open_market
from qoex.kernels import BLOCK
from qoex.model.market import (
    PAIR_FIELDS,
    PROVIDER_FIELDS,
    USER_FIELDS,
    FloatArray,
    Market,
    require_values,
)
from qoex.text.refusals import shown_name

FilePath = str | os.PathLike[str]

# What polars decodes at a time on the way into a chunk. Less costs speed, for each read opens the
# file anew and decodes whole pages; more costs memory.
_READ_BYTES = 1 << 26

# A market in memory takes its arrays twice while it is checked, and names of some 100 bytes.
_COPIES, _NAME_BYTES = 3, 100


class MarketDirectory:
    """A market stored as Parquet, opened: headers and providers are read and checked, users not.

    Users are checked when they are first read, by the rules of ``Market``, and not again by the
    same object. It can be pickled, and then takes along what was checked.

    Args:
        path: a directory with ``providers.parquet`` and one or more files of users, or one file of
            users that has the providers in its metadata.

    Attributes:
        path: as it was given.
        provider_table: the providers and their costs and capacities.

    Raises:
        ScenarioError: it holds no such market; names the file and what is wrong with it.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = Path(path)
        self.provider_table, self._files = open_market(self.path)
        self._columns = user_columns(self.provider_table.names)
        self._starts = [0, *np.cumsum([file.rows for file in self._files]).tolist()]
        self._checked = np.zeros(-(-self.users // BLOCK), dtype=np.bool_)

    @property
    def providers(self) -> int:
        """Number of providers, N."""
        return len(self.provider_table.names)

    @property
    def users(self) -> int:
        """Number of users, M."""
        return int(self._starts[-1])

    @property
    def provider_names(self) -> tuple[str, ...]:
        """N distinct names."""
        return self.provider_table.names

    @property
    def compute_cost(self) -> FloatArray:
        """c^f, N, money per TFLOPS."""
        return self.provider_table.compute_cost

    @property
    def bandwidth_cost(self) -> FloatArray:
        """c^B, N, money per MHz."""
        return self.provider_table.bandwidth_cost

    @property
    def compute_capacity(self) -> FloatArray:
        """f^max, N, TFLOPS."""
        return self.provider_table.compute_capacity

    @property
    def bandwidth_capacity(self) -> FloatArray:
        """B^max, N, MHz."""
        return self.provider_table.bandwidth_capacity

    @property
    def checked(self) -> bool:
        """Whether every user has been read, and so checked, by this object."""
        return bool(self._checked.all())

    @property
    def content(self) -> str:
        """What tells it from another market without a look at its users, wherever it is stored.

        A digest of the providers, and of the names, sizes and numbers of rows of its files.
        """
        table = self.provider_table
        digest = hashlib.sha256(repr(table.names).encode())
        for field in PROVIDER_FIELDS:
            digest.update(getattr(table, field).tobytes())
        digest.update(repr([(f.path.name, f.size, f.rows) for f in self._files]).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        size = f"{self.providers} providers × {self.users} users"
        return f"MarketDirectory({str(self.path)!r}: {size})"

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield the users in order, ``size`` at a time; the last chunk may be smaller.

        While a chunk is read, the one before stays in memory for as long as the caller keeps it.

        Args:
            size: a multiple of ``BLOCK``.

        Raises:
            InvalidInputError: the size is no such multiple.
            ScenarioError: as ``read`` does.

        """
        if size < BLOCK or size % BLOCK:
            raise InvalidInputError(f"size is {size!r}; it must be a multiple of {BLOCK}")
        return self._chunks(size)

    def read(self, first: int, last: int) -> Chunk:
        """Return the users from index ``first`` up to, not including, ``last``.

        Raises:
            InvalidInputError: there are no such users.
            ScenarioError: a value cannot be, or a file is not what it was when the market was
                opened; names the file, and the column, user and row.

        """
        self._require_range(first, last)
        count = last - first
        out: dict[str, FloatArray] = {
            name: np.empty((self.providers, count)) for name in PAIR_FIELDS
        }
        out |= {name: np.empty(count) for name in USER_FIELDS}
        check = not self._checked[first // BLOCK : -(-last // BLOCK)].all()
        for number, start, stop in self._pieces(first, last):
            file = self._files[number]
            offset = self._starts[number]
            columns = slice(offset + start - first, offset + stop - first)
            part = {name: array[..., columns] for name, array in out.items()}
            frame = file.frame(self._columns, start, stop)

            def place(
                name: str, index: tuple[int, ...], number: int = number, start: int = start
            ) -> str:
                return self._place(name, index, number, start)

            with parquet_errors(file.shown):
                copy_users(frame, self.provider_names, part, place)
                if check:
                    try:
                        require_values(part, place)
                    except InvalidInputError as error:
                        raise ScenarioError(str(error)) from None
        # A block read in part stays unchecked, unless it is the last one.
        whole = last // BLOCK if last < self.users else len(self._checked)
        self._checked[-(-first // BLOCK) : whole] = True
        return Chunk(first, **out)

    def user_names(self, first: int, last: int) -> list[str]:
        """Return the names of some users; "user-1", … where the files give none.

        That they are distinct is checked only where the whole market is read into memory.

        Raises:
            InvalidInputError: there are no such users.
            ScenarioError: a name is missing, or a file has changed.

        """
        self._require_range(first, last)
        if not self._files[0].named:
            return [f"user-{m + 1}" for m in range(first, last)]
        names: list[str] = []
        for number, start, stop in self._pieces(first, last):
            file = self._files[number]
            with parquet_errors(file.shown):
                names += names_in(file.frame([NAME], start, stop)[NAME], start)
        return names

    def _chunks(self, size: int) -> Iterator[Chunk]:
        # A small chunk is cut from a larger read, for each read decodes whole pages.
        window = max(size, self._rows_at_once() // size * size)
        for start in range(0, self.users, window):
            stop = min(start + window, self.users)
            whole = self.read(start, stop)
            if stop - start <= size:
                yield whole
            else:
                for first in range(start, stop, size):
                    yield whole.part(first, min(first + size, stop))
            del whole  # before the next is read

    def _rows_at_once(self) -> int:
        return max(_READ_BYTES // (8 * len(self._columns)) // BLOCK, 1) * BLOCK

    def _require_range(self, first: int, last: int) -> None:
        if not 0 <= first < last <= self.users:
            raise InvalidInputError(
                f"users {first!r} to {last!r} are asked for; there are {self.users}"
            )

    def _pieces(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Yield (number of the file, first row, row after the last) that make up these users."""
        step = self._rows_at_once()
        number = bisect_right(self._starts, first) - 1
        while first < last:
            offset = self._starts[number]
            stop = min(last, first + step, self._starts[number + 1])
            if stop > first:
                yield number, first - offset, stop - offset
            first = stop
            number += first == self._starts[number + 1]

    def _place(self, name: str, index: tuple[int, ...], number: int, start: int) -> str:
        row = start + index[-1]
        m = self._starts[number] + row
        try:
            user = shown_name(self.user_names(m, m + 1)[0])
        except ScenarioError:  # it has no name
            user = f"user-{m + 1}"
        if name in PAIR_FIELDS:
            user = f"{shown_name(self.provider_names[index[0]])}, {user}"
        return f"{user} (row {row + 1})"


def market_of(path: FilePath) -> Market:
    """Read a whole stored market into memory.

    Raises:
        ScenarioError: it cannot be read as a market, or takes more memory than the machine has;
            names the file and the place.

    """
    stored = MarketDirectory(path)
    numbers = 8 * (len(PAIR_FIELDS) * stored.providers + len(USER_FIELDS))
    needed = stored.users * (_COPIES * numbers + _NAME_BYTES)
    if needed > memory_of_machine():
        raise ScenarioError(
            f"{path}: {stored.providers} providers × {stored.users} users take some "
            f"{needed / 1e9:.3g} GB in memory, which is more than this machine has"
        )
    chunk = stored.read(0, stored.users)
    arrays = {name: getattr(chunk, name) for name in (*PAIR_FIELDS, *USER_FIELDS)}
    arrays |= {name: getattr(stored, name) for name in PROVIDER_FIELDS}
    try:
        return Market(
            **arrays,
            provider_names=stored.provider_names,
            user_names=stored.user_names(0, stored.users),
        )
    except ScenarioError:
        raise
    except InvalidInputError as error:  # a name twice
        raise ScenarioError(f"{path}: {error}") from None


def memory_of_machine() -> float:
    """Return the bytes of memory that the machine has; infinity where it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
