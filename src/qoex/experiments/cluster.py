"""Computing on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from qoex.cluster.connection import Cluster, other_code
from qoex.experiments.provenance import provenance
from qoex.experiments.study import Row, Study, Task, code_identity, compute


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
        self._cluster = Cluster(address)
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

        client = self._cluster.client
        code = code_identity()
        futures = [
            client.submit(_compute_alike, code, studies[task[0]], task, pure=False)
            for task in tasks
        ]
        try:
            for future in as_completed(futures, loop=client.loop):
                yield self._cluster.result(future.result)
                future.release()
        finally:
            client.cancel(futures)

    def close(self) -> None:
        """Leave the cluster."""
        self._cluster.close()

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
        found: dict[str, tuple[str, dict[str, str]]] = self._cluster.everywhere(_identity)
        for worker, (code, _) in found.items():
            if code != code_identity():
                raise other_code(worker)
        return [versions for _, versions in found.values()]


def _identity() -> tuple[str, dict[str, str]]:
    return code_identity(), provenance()["versions"]


def _compute_alike(code: str, study: Study, task: Task) -> tuple[Task, Sequence[Row]]:
    """Return a task with its rows; refuses where this code is not the one that asks."""
    if code_identity() != code:  # a worker that came later than the others
        from distributed import get_worker

        raise other_code(get_worker().address)
    return compute(study, task)
