"""Writing a market as Parquet: whole at every moment, however large and however it is cut off."""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import TracebackType

import polars as pl

from qoex.errors import InvalidInputError
from qoex.files.parquet.chunk import Chunk, ProviderTable
from qoex.files.parquet.columns import NAME, PROVIDERS_KEY, pair_column
from qoex.files.parquet.new_directory import NewDirectory, write_file, write_parquet
from qoex.files.parquet.opening import PROVIDERS_FILE, FilePath
from qoex.kernels import BLOCK
from qoex.model.market import PAIR_FIELDS, USER_FIELDS, Market, require_values

# What a file of users holds unless it is told otherwise: the writer keeps that much in memory.
_FILE_BYTES = 1 << 27


class MarketWriter:
    """Writes a market some users at a time, into a directory that is there when all is written.

    ::

        with MarketWriter("market", names) as writer:
            for chunk in chunks:
                writer.append(chunk)
            writer.finish(ProviderTable(names=names, …))

    A block that is left without ``finish`` leaves nothing behind.

    Args:
        path: the directory to make; it may exist if it is empty.
        provider_names: N distinct names.
        users_per_file: by default as many as make about 128 MiB.

    Attributes:
        users: how many users were appended.

    Raises:
        InvalidInputError: the directory is not empty or cannot be made, or a file would have no
            user.
    """

    def __init__(
        self, path: FilePath, provider_names: Sequence[str], users_per_file: int | None = None
    ) -> None:
        if users_per_file is None:
            row = 8 * (len(PAIR_FIELDS) * len(provider_names) + len(USER_FIELDS))
            users_per_file = max(_FILE_BYTES // row // BLOCK, 1) * BLOCK
        if users_per_file < 1:
            raise InvalidInputError(f"users_per_file is {users_per_file!r}; it must be one or more")
        self.users = 0
        self._names = tuple(provider_names)
        self._users_per_file = users_per_file
        self._pending: list[pl.DataFrame] = []
        self._files = 0
        self._named: bool | None = None
        self._directory = NewDirectory(path)

    def __enter__(self) -> MarketWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._directory.__exit__(kind, error, trace)

    def append(self, chunk: Chunk, names: Sequence[str] | None = None) -> None:
        """Add users after those appended so far.

        Args:
            chunk: of the N providers, ``first`` being the number of users so far.
            names: of these users; given with every chunk or with none.

        Raises:
            InvalidInputError: a value that cannot be, the wrong providers or users, or a file
                that cannot be written.

        """
        if (chunk.first, chunk.providers) != (self.users, len(self._names)):
            raise InvalidInputError(
                f"the chunk has {chunk.providers} providers and begins at user {chunk.first}; "
                f"it must have {len(self._names)} and begin at {self.users}"
            )
        if names is not None and len(names) != chunk.users:
            raise InvalidInputError(f"names has {len(names)} names for {chunk.users} users")
        if self._named not in (None, names is not None):
            raise InvalidInputError("names are given with some chunks; give them with all or none")

        def place(name: str, index: tuple[int, ...]) -> str:
            user = names[index[-1]] if names is not None else f"user-{chunk.first + index[-1] + 1}"
            return f"{self._names[index[0]]}, {user}" if name in PAIR_FIELDS else user

        require_values({name: getattr(chunk, name) for name in (*PAIR_FIELDS, *USER_FIELDS)}, place)
        self._named = names is not None
        self._pending.append(_users_frame(chunk, self._names, names))
        self.users += chunk.users
        self._write_full_files()

    def finish(self, providers: ProviderTable) -> None:
        """Write what is left and the providers, and put the directory into its place.

        Raises:
            InvalidInputError: the providers are others than those named before, there are no
                users, or the directory cannot be written.

        """
        if providers.names != self._names:
            raise InvalidInputError("the providers are not those that the writer was made for")
        if self.users == 0:
            raise InvalidInputError("no users were appended; a market needs a provider and a user")
        self._write_full_files(last=True)
        self._write(PROVIDERS_FILE, pl.DataFrame(providers.columns()))
        self._directory.finish()

    def _write_full_files(self, *, last: bool = False) -> None:
        rows = sum(frame.height for frame in self._pending)
        while rows >= self._users_per_file or (last and rows):
            frame = pl.concat(self._pending, rechunk=False)
            self._write(f"users-{self._files:05}.parquet", frame.head(self._users_per_file))
            self._files += 1
            rest = frame.slice(self._users_per_file)
            self._pending = [rest] if rest.height else []
            rows = rest.height

    def _write(self, name: str, frame: pl.DataFrame) -> None:
        write_file(self._directory.temporary, name, frame, self._directory.path)


def write_market_directory(
    market: Market, path: FilePath, users_per_file: int | None = None
) -> None:
    """Write a market in memory as a directory; what was written reads back to the last bit.

    Raises:
        InvalidInputError: the directory is not empty or cannot be written.

    """
    with MarketWriter(path, market.provider_names, users_per_file) as writer:
        writer.append(_all_users(market), market.user_names)
        writer.finish(ProviderTable.of(market))


def parquet_bytes(market: Market) -> bytes:
    """Return a market in memory as one Parquet file, its providers in the metadata."""
    providers = pl.DataFrame(ProviderTable.of(market).columns())
    buffer = io.BytesIO()
    users = _users_frame(_all_users(market), market.provider_names, market.user_names)
    write_parquet(users, buffer, {PROVIDERS_KEY: providers.write_json()})
    return buffer.getvalue()


def _all_users(market: Market) -> Chunk:
    return Chunk(0, **{name: getattr(market, name) for name in (*PAIR_FIELDS, *USER_FIELDS)})


def _users_frame(
    chunk: Chunk, providers: Sequence[str], names: Sequence[str] | None
) -> pl.DataFrame:
    columns: list[pl.Series] = []
    if names is not None:
        columns.append(pl.Series(NAME, names, dtype=pl.String))
    columns += [pl.Series(field, getattr(chunk, field)) for field in USER_FIELDS]
    for field in PAIR_FIELDS:
        rows = getattr(chunk, field)
        columns += [
            pl.Series(pair_column(field, name), row)
            for name, row in zip(providers, rows, strict=True)
        ]
    return pl.DataFrame(columns)
