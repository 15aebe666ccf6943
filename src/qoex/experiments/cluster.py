"""Computing on the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

from qoex.errors import UnavailableClusterError
from qoex.experiments.provenance import provenance
from qoex.experiments.study import Row, Study, Task, code_identity, compute

# Seconds in which a scheduler has to answer.
_PATIENCE = 10.0

# What they say of a lost connection, traceback and all, an error of ours says in one sentence.
_LOGGERS = ("distributed", "distributed.client")

_ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")


class ClusterRunner:
    """The workers of a running Dask cluster; each needs this very code.

    Until it is closed, the loggers of ``distributed`` are silent in this process.

    Args:
        address: of the scheduler, "tcp://host:port".

    Raises:
        UnavailableClusterError: nothing answers there, it has no workers, they have other code
            or none, or the package ``distributed`` is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UnavailableClusterError(
                "a cluster needs the package distributed: pip install 'qoex[cluster]'"
            ) from None
        if not _ADDRESS.fullmatch(address):
            raise UnavailableClusterError(
                f"{address!r} is not the address of a Dask scheduler, such as tcp://host:8786"
            )
        self._address = address
        _require_scheduler(address)
        self._levels = {name: logging.getLogger(name).level for name in _LOGGERS}
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client = Client(address, timeout=_PATIENCE, set_as_default=False)
        try:
            self._workers = self._versions_of_workers()
        except BaseException:
            self.close()
            raise

    def run(
        self, studies: Sequence[Study], tasks: Sequence[Task]
    ) -> Generator[tuple[Task, Sequence[Row]]]:
        """Yield every task with its rows, as they are done.

        Tasks of a worker that is lost go to others. What is computing when this is closed is
        computed to its end by the workers, and dropped.

        Raises:
            UnavailableClusterError: the cluster went away, or could not compute a task.
        """
        from distributed import as_completed

        code = code_identity()
        futures = [
            self._client.submit(_compute_alike, code, studies[task[0]], task, pure=False)
            for task in tasks
        ]
        try:
            for future in as_completed(futures, loop=self._client.loop):
                yield self._result(future.result)
                future.release()
        finally:
            self._client.cancel(futures)

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def description(self) -> dict[str, Any]:
        """Return how many workers there were at first, and the versions of theirs that differ."""
        here = provenance()["versions"]
        others = [versions for versions in self._workers if versions != here]
        distinct = [item for place, item in enumerate(others) if item not in others[:place]]
        return {
            "runner": "dask",
            "workers": len(self._workers),
            **({"versions_of_workers": distinct} if distinct else {}),
        }

    def _versions_of_workers(self) -> list[dict[str, str]]:
        found: dict[str, tuple[str, dict[str, str]]]
        found = self._result(lambda: self._client.run(_identity))
        if not found:
            raise UnavailableClusterError(f"the Dask cluster at {self._address} has no workers")
        for worker, (code, _) in found.items():
            if code != code_identity():
                raise _other_code(worker)
        return [versions for _, versions in found.values()]

    def _result(self, ask: Callable[[], Any]) -> Any:
        """Return what the cluster answers, or say in one sentence why it does not."""
        from distributed.scheduler import KilledWorker

        try:
            return ask()
        except UnavailableClusterError:
            raise
        except KilledWorker:
            raise UnavailableClusterError(
                f"workers of the Dask cluster at {self._address} died again and again over the "
                "same task"
            ) from None
        except (OSError, CancelledError):
            raise UnavailableClusterError(
                f"the connection to the Dask cluster at {self._address} was lost"
            ) from None
        except Exception as error:
            root = _root(error)
            raise UnavailableClusterError(
                f"a worker of the Dask cluster at {self._address} failed; each needs qoex and all "
                f"that it needs ({type(root).__name__}: {root})"
            ) from None


def _identity() -> tuple[str, dict[str, str]]:
    return code_identity(), provenance()["versions"]


def _compute_alike(code: str, study: Study, task: Task) -> tuple[Task, Sequence[Row]]:
    """Return a task with its rows; refuses where this code is not the one that asks."""
    if code_identity() != code:  # a worker that came later than the others
        from distributed import get_worker

        raise _other_code(get_worker().address)
    return compute(study, task)


def _other_code(worker: str) -> UnavailableClusterError:
    return UnavailableClusterError(
        f"the Dask worker {worker} has another version of qoex than this machine"
    )


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _require_scheduler(address: str) -> None:
    """Raise unless a scheduler answers; a Client alone would wait for good for one that is mute."""
    from distributed import rpc

    async def ask() -> Any:
        async with rpc(address) as scheduler:
            return await asyncio.wait_for(scheduler.identity(), _PATIENCE)

    try:
        identity = _run(ask)
    except TimeoutError:
        raise UnavailableClusterError(f"no Dask scheduler answers at {address}") from None
    except Exception as error:
        raise UnavailableClusterError(
            f"no Dask scheduler answers at {address} ({type(error).__name__}: {error})"
        ) from None
    if identity.get("type") != "Scheduler":
        raise UnavailableClusterError(f"what answers at {address} is not a Dask scheduler")


def _run(ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine, inside a notebook as well, where a loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(ask())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result()
