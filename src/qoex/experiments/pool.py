"""The processes of this machine that compute and draw; the same ones all along."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qoex.experiments.interrupts import interrupts_hidden_from_children

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
