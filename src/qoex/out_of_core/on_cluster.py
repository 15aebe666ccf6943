"""The users of a stored market on the workers of a Dask cluster, each chunk in one's memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from qoex.cluster.code_identity import identity_of
from qoex.cluster.connection import Cluster, other_code
from qoex.errors import QoexError, ScenarioError, UnavailableClusterError
from qoex.files.parquet import Chunk, MarketDirectory
from qoex.out_of_core.on_disk import borders
from qoex.out_of_core.shards import StoredShard

# Chunks of each worker at least, so that workers have about as much to do each.
_CHUNKS_EACH = 8
# Seconds after which a worker that says nothing is looked for.
_LOOK = 2.0

# What may differ between this machine and a worker without changing a number.
_WITHOUT_EFFECT = frozenset(
    {"agent", "calibration", "certificate/explanation", "cli", "client", "experiments", "fleet"}
)


class OnCluster:
    """All users, each chunk with its state in the memory of one worker of a running Dask cluster.

    Prices go out to the chunks, and sums come back. Until it is closed, the loggers of
    ``distributed`` are silent in this process.

    Args:
        market: N providers × M users; workers have to find the same files at the same path.
        address: of the scheduler, "tcp://host:port".
        chunks: about how many; by default eight or more for each worker, of 256 MiB at most.

    Attributes:
        firsts: index of the first user of each chunk.
        workers: addresses of the workers.

    Raises:
        UnavailableClusterError: nothing answers there, it has no workers, or one of them has other
            code or does not find the market.
        ScenarioError: a user cannot be.
    """

    def __init__(self, market: MarketDirectory, address: str, chunks: int | None = None) -> None:
        self._cluster = Cluster(address)
        self._actors: list[Any] = []
        self._holders: list[str] = []  # of each chunk
        self._turns: list[int] = []  # how often each was asked
        try:
            path = market.path.absolute()
            self.workers = self._workers_with(path, market)
            self.firsts = borders(market, chunks, _CHUNKS_EACH * len(self.workers))
            self._place(path, market)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Return what a method of every shard returns, in the order of the users.

        Raises:
            UnavailableClusterError: a worker was lost, or failed.
            QoexError: what the method raises.

        """
        asked, answers = [], []
        failure: QoexError | None = None
        try:
            for shard in range(len(self._actors)):
                asked += [self._ask(shard, method, arguments)]
        except QoexError as error:
            failure = error
        # All are waited for: who goes on after a failure may be writing what is then removed.
        for future in asked:
            try:
                answers.append(self._answer(future))
            except QoexError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return answers

    def call_one(self, shard: int, method: str, *arguments: Any) -> Any:
        """Return what a method of one shard returns; raises what :meth:`call` does."""
        return self._answer(self._ask(shard, method, arguments))

    def require_reachable(self, folder: Path, shown: str) -> None:
        """Raise unless every worker sees a folder that this process made.

        Raises:
            UnavailableClusterError: one does not.

        """
        for worker, there in self._cluster.everywhere(_is_folder, str(folder)).items():
            if not there:
                raise UnavailableClusterError(
                    f"{shown}: the Dask worker {worker} does not see this directory; what is "
                    "written has to lie where all workers reach it by the same path"
                )

    def close(self) -> None:
        """Let the workers forget the users, and leave the cluster."""
        self._actors.clear()
        self._cluster.close()

    def _workers_with(self, path: Path, market: MarketDirectory) -> list[str]:
        """Return the workers, all of which have this code and the same market."""
        codes = self._cluster.everywhere(_identity_there)
        for worker, code in codes.items():
            if code != _identity():
                raise other_code(worker)
        for worker, found in self._cluster.everywhere(_content, str(path)).items():
            if found != market.content:
                raise UnavailableClusterError(
                    f"{market.path}: the Dask worker {worker} does not find this market at {path}, "
                    "where all workers need the same files"
                )
        return sorted(codes)

    def _place(self, path: Path, market: MarketDirectory) -> None:
        """Deal the chunks evenly over the workers, and let these read them."""
        count = len(self.firsts)
        self._holders = [self.workers[i * len(self.workers) // count] for i in range(count)]
        ends = [*self.firsts[1:], market.users]
        client = self._cluster.client
        futures = [
            client.submit(
                _Held,
                str(path),
                market.content,
                number,
                first,
                end,
                actor=True,
                workers=[worker],
                pure=False,
            )
            for number, (first, end, worker) in enumerate(
                zip(self.firsts, ends, self._holders, strict=True)
            )
        ]
        with client.as_current():  # an actor remembers the client that it is asked through
            self._actors = [self._answer(future) for future in futures]
        self._turns = [0] * count

    def _ask(self, shard: int, method: str, arguments: Sequence[Any]) -> Any:
        turn = self._turns[shard]
        self._turns[shard] += 1
        return self._result(lambda: self._actors[shard].do(turn, method, arguments))

    def _answer(self, future: Any) -> Any:
        return self._result(lambda: self._wait(future))

    def _wait(self, future: Any) -> Any:
        """Return a future's result; a machine that is cut off does not say so, so look for it."""
        while True:
            try:
                return future.result(timeout=_LOOK)
            except TimeoutError:
                if future.done():
                    raise
            if not set(self._holders) <= set(self._cluster.client.nthreads()):
                raise self._lost()

    def _result(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except QoexError:
            raise
        except Exception as error:
            running = self._cluster.client.status == "running"
            # An actor without its worker is one or the other, depending on who finds out.
            if running and isinstance(error, OSError | RuntimeError | CancelledError):
                raise self._lost() from None
            failure = error
        return self._cluster.result(lambda: _raise(failure))

    def _lost(self) -> UnavailableClusterError:
        return UnavailableClusterError(
            f"a worker of the Dask cluster at {self._cluster.address} was lost, perhaps for want "
            "of memory, and with it the users that it held; start again"
        )


class _Held:
    """An actor: a chunk of users and their state in a worker's memory."""

    def __init__(self, path: str, content: str, number: int, first: int, end: int) -> None:
        market = MarketDirectory(path)
        if market.content != content:
            raise UnavailableClusterError(
                f"{path}: it was changed after it was opened; start again"
            )
        self._shard = StoredShard(
            _PartInMemory(market, number, market.read(first, end)), market.providers
        )
        self._turn = 0

    def do(self, turn: int, method: str, arguments: Sequence[Any]) -> Any:
        """Return what a method of the shard does; calls are numbered from 0."""
        # A worker that comes back under its address begins anew, and its users know nothing.
        if turn != self._turn:
            raise OSError("the worker was restarted")
        self._turn += 1
        return getattr(self._shard, method)(*arguments)


@dataclass(frozen=True)
class _PartInMemory:
    market: MarketDirectory
    number: int
    chunk: Chunk

    @property
    def first(self) -> int:
        return self.chunk.first

    @property
    def users(self) -> int:
        return self.chunk.users

    def load(self) -> Chunk:
        return self.chunk

    def load_around(self, m: int) -> tuple[Chunk, int]:
        return self.chunk, m - self.chunk.first

    def names(self) -> list[str]:
        return self.market.user_names(self.chunk.first, self.chunk.last)


@cache
def _identity() -> str:
    return identity_of(files("qoex"), _WITHOUT_EFFECT)


def _identity_there() -> str:
    return _identity()


def _content(path: str) -> str | None:
    try:
        return MarketDirectory(path).content
    except ScenarioError:
        return None


def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def _raise(error: Exception) -> NoReturn:
    raise error
