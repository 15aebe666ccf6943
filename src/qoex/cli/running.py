"""What the commands share: how kernels are to run, and solving with them.

Compiled kernels are some fifty times as fast as interpreted ones, but loading numba takes about a
second, which is longer than a small market takes without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoex import kernels
from qoex.cli.terminal import busy, notice
from qoex.kernels.keeping import compiling_is_told
from qoex.model.market import Market

if TYPE_CHECKING:
    from qoex.certificate import Certificate
    from qoex.game.solution import Solution


class Method(StrEnum):
    """How an equilibrium is found."""

    CAPACITY_PRICES = "capacity-prices"
    BEST_RESPONSE = "best-response"
    DUAL_PERTURBATION = "dual-perturbation"


# Up to this many pairs, interpreted kernels are done before numba is loaded. At 5 × 25 pairs they
# need 0.2 s for capacity prices, and 0.8 s more where a second equilibrium is looked for; 0.07 s
# for a round of best responses, of which there are some 20; and 0.05 s for an iteration of
# Algorithm 1, of which there may be thousands.
INTERPRETED_PAIRS = {
    Method.CAPACITY_PRICES: 150,
    Method.BEST_RESPONSE: 60,
    Method.DUAL_PERTURBATION: 10,
}


def choose_kernels(market: Market, method: Method = Method.CAPACITY_PRICES) -> None:
    """Let kernels be interpreted for a small market, and say so if they have to be compiled.

    A process that has loaded compiled kernels already goes on with them. Where they are interpreted
    and never were compiled, that is done meanwhile, for the market that will be larger.
    """
    if market.work.size <= INTERPRETED_PAIRS[method]:
        with contextlib.suppress(RuntimeError):
            kernels.interpret()
            from qoex.equilibrium.warm_up import warm_up_beside

            warm_up_beside()
        return
    load_kernels(method)


def load_kernels(method: Method = Method.CAPACITY_PRICES) -> None:
    """Load compiled kernels, and say so if they have to be compiled."""
    with busy("loading kernels"):
        kernel = _main_kernel(method)
    if not is_compiled(kernel):
        say_compiling()


def say_compiling() -> None:
    """Say that kernels have to be compiled, in place of the kernels themselves."""
    notice("compiling kernels, once per machine …")
    compiling_is_told()


def solve_by(method: Method, market: Market) -> Solution:
    """Return the equilibrium by a method.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
    """
    with busy("solving") as progress:
        if method is Method.CAPACITY_PRICES:
            from qoex.equilibrium.solver import solve

            return solve(market)
        if method is Method.BEST_RESPONSE:
            from qoex.game.best_response import best_response_equilibrium

            return best_response_equilibrium(market, progress=progress.step)
        from qoex.mechanisms.dual_perturbation import dual_perturbation

        return dual_perturbation(market, progress=progress.step)


def certificate_of(
    market: Market, solution: Solution, tolerance: float | None = None
) -> Certificate:
    """Return the certificate of a solution, other equilibria near by looked for.

    Args:
        market: N providers × M users.
        solution: of the same shape.
        tolerance: relative; by default what our own solutions are held to.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
    """
    from qoex.certificate import CERTIFIED
    from qoex.equilibrium.multiplicity import certify

    tolerance = CERTIFIED if tolerance is None else tolerance
    with busy("certifying") as progress:
        return certify(market, solution, tolerance=tolerance, progress=progress.share)


def is_compiled(kernel: Callable[..., Any]) -> bool:
    """Return whether numba's cache holds this kernel as its source is now."""
    if not hasattr(kernel, "py_func"):
        return True  # interpreted since earlier, so there is nothing to compile
    if kernel.stats.cache_path is None:  # type: ignore[attr-defined]
        return False  # there is no folder to keep it in
    code = kernel.py_func.__code__
    source = Path(code.co_filename)
    name = f"{source.stem}.{code.co_name}-{code.co_firstlineno}.*.nbi"
    changed = source.stat().st_mtime
    return any(
        index.stat().st_mtime >= changed
        for index in Path(kernel.stats.cache_path).glob(name)  # type: ignore[attr-defined]
    )


def _main_kernel(method: Method) -> Callable[..., Any]:
    if method is Method.CAPACITY_PRICES:
        from qoex.kernels.sweep import sweep

        return sweep
    if method is Method.BEST_RESPONSE:
        from qoex.kernels.best_response import best_response_round

        return best_response_round
    from qoex.kernels.perturbation import perturb

    return perturb
