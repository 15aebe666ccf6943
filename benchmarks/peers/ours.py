"""The solver of this repository, as one of the peers."""

from __future__ import annotations

from qoex.equilibrium.solver import solve
from qoex.model.market import Market

from .outcome import Outcome, Prepared


def prepare(market: Market) -> Prepared:
    """Prepare the exact solver; one solve is the warm-up."""

    def run() -> Outcome:
        solution = solve(market)
        failure = "" if solution.status.ok else solution.status.value
        return Outcome(solution.rewards, solution.steps, failure)

    run()
    return Prepared(run)
