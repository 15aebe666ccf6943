"""A Dask cluster: reaching it, asking its workers, and one sentence for whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

from qoex.errors import UnavailableClusterError

# Seconds in which a scheduler has to answer.
_PATIENCE = 10.0

# What they say of a lost connection, traceback and all, an error of ours says in one sentence.
_LOGGERS = ("distributed", "distributed.client")

_ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")


class Cluster:
    """The connection to a running Dask cluster.

    Until it is closed, the loggers of ``distributed`` are silent in this process.

    Args:
        address: of the scheduler, "tcp://host:port".

    Attributes:
        address: the same.
        client: of the package ``distributed``.

    Raises:
        UnavailableClusterError: nothing answers there, or the package is not installed.
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
        self.address = address
        _require_scheduler(address)
        self._levels = {name: logging.getLogger(name).level for name in _LOGGERS}
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.client = Client(address, timeout=_PATIENCE, set_as_default=False)

    def close(self) -> None:
        """Leave the cluster."""
        self.client.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return what a function returns on every worker, by the worker's address.

        Raises:
            UnavailableClusterError: there are no workers, or one of them failed.
        """
        found: dict[str, Any] = self.result(lambda: self.client.run(function, *arguments))
        if not found:
            raise UnavailableClusterError(f"the Dask cluster at {self.address} has no workers")
        return found

    def result(self, ask: Callable[[], Any]) -> Any:
        """Return what the cluster answers, or say in one sentence why it does not."""
        from distributed.scheduler import KilledWorker

        try:
            return ask()
        except UnavailableClusterError:
            raise
        except KilledWorker:
            raise UnavailableClusterError(
                f"workers of the Dask cluster at {self.address} died again and again over the "
                "same task"
            ) from None
        except (OSError, CancelledError):
            raise UnavailableClusterError(
                f"the connection to the Dask cluster at {self.address} was lost"
            ) from None
        except Exception as error:
            root = _root(error)
            raise UnavailableClusterError(
                f"a worker of the Dask cluster at {self.address} failed; each needs qoex and all "
                f"that it needs ({type(root).__name__}: {root})"
            ) from None


def other_code(worker: str) -> UnavailableClusterError:
    """Return the error for a worker whose code is not this machine's."""
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
