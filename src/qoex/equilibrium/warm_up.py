"""Load every kernel that a solve and its certificate need, or compile it for whoever comes next.

``python -P -m qoex.equilibrium.warm_up`` does it for a machine or an image; with ``--check`` it
tells whether that was done, and with ``--alone`` it leaves it to another process that is at it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import qoex.kernels
from qoex.kernels.keeping import VARIABLE, folder_for, is_complete, mark_complete

_PACKAGE = Path(qoex.kernels.__file__).parent
_USERS = 10_300  # 2 providers make it a large market
_NICENESS = 10


def warm_up() -> None:
    """Settle a market by every way that there is, so that all usual kernels are loaded."""
    import numpy as np

    from qoex.certificate import certify
    from qoex.equilibrium.evaluation import BehaviourModel
    from qoex.equilibrium.population import Population
    from qoex.equilibrium.price_system import PriceSystem
    from qoex.equilibrium.solver import solve
    from qoex.model.market import Market

    shape = 2, _USERS
    some = np.linspace(1.0, 2.0, 2 * _USERS).reshape(shape)
    market = Market(
        work=some,
        traffic=some[::-1],
        latency_budget=100.0 * some[:, ::-1],
        compute_cost=[1.0, 1.1],
        bandwidth_cost=[1.0, 1.1],
        compute_capacity=[4000.0, 400.0],
        bandwidth_capacity=[400.0, 4000.0],
        profit_factor=100.0 * some[0],
        reward_min=1e-3 * some[0],
        reward_max=10.0 * some[0],
    )
    solution = solve(market)
    certify(market, solution)
    few = market.select(users=np.arange(3))
    certify(few, solve(few, start=solve(few)))
    # What only pairs on a kink need, which few markets have.
    system = PriceSystem(few, Population.of(few), BehaviourModel.STRATEGIC)
    system.evaluate(system.origin())
    system.users.accept()
    system.marginal_pairs = [(0, 0)]
    kinked = dataclasses.replace(system.origin(), alpha=np.array([0.5]))
    system.jacobian(kinked, system.evaluate(kinked))
    mark_complete(_PACKAGE)


def warm_up_beside() -> None:
    """Let another process compile the kernels, if that was not done yet; returns at once."""
    if is_complete(_PACKAGE) or not hasattr(os, "posix_spawn"):
        return
    nowhere = [
        (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0)
        for number in (0, 1, 2)  # nobody is to wait for what comes out of it
    ]
    program = [sys.executable, "-P", "-m", "qoex.equilibrium.warm_up", "--alone"]
    with contextlib.suppress(OSError):
        os.posix_spawn(sys.executable, program, os.environ, file_actions=nowhere)


def main(arguments: list[str]) -> int:
    """Compile, or only check; return the exit code."""
    if arguments == ["--check"]:
        if is_complete(_PACKAGE):
            return 0
        where = os.environ.get(VARIABLE) or "the usual folders"
        how = f"python -P -m {__spec__.name}"
        print(f"there are no compiled kernels in {where}; {how} compiles them", file=sys.stderr)
        return 1
    if arguments != ["--alone"]:
        warm_up()
        return 0
    os.setsid()
    os.nice(_NICENESS)
    with _only_one() as is_mine:
        if is_mine and not is_complete(_PACKAGE):
            warm_up()
    return 0


@contextlib.contextmanager
def _only_one() -> Iterator[bool]:
    """Tell whether no other process compiles into the same folder while the context lasts."""
    import fcntl

    folder = folder_for(_PACKAGE)
    if folder is None:
        yield False
        return
    with (folder / "compiling.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
