"""Who computes: this machine's processes, or a Dask cluster. Both give the same rows."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

from qoex.errors import InvalidInputError, QoexError
from qoex.experiments.cluster import ClusterRunner
from qoex.experiments.running import interrupts_deferred, interrupts_hidden_from_children
from qoex.experiments.study import Row, Study, Task, compute

if TYPE_CHECKING:
    from joblib import Parallel


# Seconds after which a process that is given nothing more to do ends, so that none is left behind
# long where this one was killed.
_IDLE_SECONDS = 10


def processes(jobs: int, **options: Any) -> Parallel:
    """Return what runs joblib's tasks in so many processes; further options are joblib's.

    joblib keeps processes for as long as it is asked for the same ones, which this sees to.
    """
    from joblib import Parallel  # slow to import

    return Parallel(n_jobs=jobs, idle_worker_timeout=_IDLE_SECONDS, **options)


def get_ready(jobs: int, module: str) -> None:
    """Start processes and let them load a module, so that their first task does not wait for it."""
    from joblib import delayed

    with interrupts_hidden_from_children():
        processes(jobs)(delayed(_load)(module) for _ in range(jobs))


def _load(module: str) -> None:
    import_module(module)


__all__ = ["ClusterRunner", "LocalRunner"]

# Other processes take some seconds to start and to load kernels, on two cores longer than it takes
# to compute so many rows of small markets without them. What a row takes is not known beforehand,
# so this process does not go on alone for longer than that, either.
FEW_ROWS = 2500
PATIENCE = 6.0  # seconds


class LocalRunner:
    """Processes of this machine (joblib), or this very process where one job is asked for.

    Args:
        jobs: how many processes; as many as this process may use cores, unless given.
        here_first: whether the first task of every study is computed in this process before
            others start. Where nothing is compiled yet, they find everything compiled then.
        patience: seconds that this process computes few rows alone before it starts others.

    Raises:
        InvalidInputError: fewer than one job.
    """

    def __init__(
        self, jobs: int | None = None, *, here_first: bool = False, patience: float = PATIENCE
    ) -> None:
        if jobs is not None and jobs < 1:
            raise InvalidInputError(f"jobs is {jobs!r}; it must be one or more")
        self.jobs = jobs or usable_cores()
        self._here_first = here_first
        self._patience = patience

    def run(
        self, studies: Sequence[Study], tasks: Sequence[Task]
    ) -> Generator[tuple[Task, Sequence[Row]]]:
        """Yield every task with its rows, as they are done.

        Raises:
            QoexError: one of the processes died.
        """
        firsts = {index: (index, seed) for index, seed in reversed(tasks)}
        here = set(firsts.values()) if self._here_first else set()
        # Those that have to be here come first, else in the order given.
        queue = deque(sorted(tasks, key=lambda task: task not in here))
        few = sum(studies[index].rows_per_seed for index, _ in queue) < FEW_ROWS
        until = time.monotonic() + (self._patience if few else 0.0)
        while queue and (self.jobs == 1 or queue[0] in here or time.monotonic() < until):
            task = queue.popleft()
            with interrupts_deferred():
                computed = compute(studies[task[0]], task)
            yield computed
        if queue:
            yield from self._run_elsewhere(studies, queue)

    def description(self) -> dict[str, Any]:
        """Return how many processes there are."""
        return {"runner": "local", "jobs": self.jobs}

    def _run_elsewhere(
        self, studies: Sequence[Study], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Sequence[Row]]]:
        from joblib import delayed  # slow to import

        parallel = processes(self.jobs, return_as="generator_unordered", batch_size=1)
        results: Generator[tuple[Task, Sequence[Row]]] | None = None
        try:
            with interrupts_hidden_from_children():
                results = parallel(delayed(compute)(studies[task[0]], task) for task in tasks)
            # Not "yield from", which would close the results before the warning is silenced.
            for result in results:  # noqa: UP028
                yield result
        except BrokenExecutor:
            raise QoexError(
                "a process that was computing died, perhaps for want of memory; what is done is "
                "kept, and --jobs may ask for fewer"
            ) from None
        finally:
            if results is not None:
                with warnings.catch_warnings():
                    # It says that tasks are cut off, which is what closing it is for.
                    warnings.simplefilter("ignore")
                    results.close()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    from joblib import cpu_count  # heeds affinity and containers; slow to import

    return int(cpu_count())
