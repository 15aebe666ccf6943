"""From a snapshot to a certified allocation: a plain function of its task, to the last bit.

The same on every run of the same software on the same kind of processor, however many threads take
part; only admission may depend on the clock, which ends its search.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from qoex.agent.solving.allocation import Allocation
from qoex.agent.solving.summary import allocation_numbers, snapshot_numbers
from qoex.agent.solving.task import AdmitBy, Demands, Outcome, Task, Verdict
from qoex.agent.solving.turning_away import turned_away, without
from qoex.agent.solving.warm_start import warm_start
from qoex.certificate import Certificate, certify
from qoex.equilibrium.solver import solve
from qoex.errors import InfeasibleMarketError
from qoex.game.solution import Solution
from qoex.model.market import Market
from qoex.text.numbers import percent


def decide(task: Task) -> Outcome:
    """Settle a market: turn demands away if need be, solve, and judge the solution.

    The solver begins at the task's start; where that leads to nothing, or to what the certificate
    refuses, it begins anew without one.

    Raises:
        InvalidInputError: the start or the demands to drop are of no such market.
    """
    return _Decision(task).made()


class _Decision:
    """One task on its way to an outcome."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._timings: dict[str, float] = {}
        self._dropped: Demands = ()
        self._numbers: dict[str, object] = {}

    def made(self) -> Outcome:
        snapshot = self._task.snapshot
        with self._timed("market"):
            self._numbers |= snapshot_numbers(snapshot)
            market = snapshot.market()
        if market is None:
            return self._ended(Verdict.EMPTY, _nobody(self._numbers))
        with self._timed("admit"):
            admitted = self._admitted(market)
        if isinstance(admitted, str):
            return self._ended(Verdict.INFEASIBLE, admitted)
        start = None
        with self._timed("solve"):
            given = self._task.start
            if given is not None:
                last = Allocation.decoded(given.payload, given.provider_names, given.user_names)
                start = warm_start(admitted, last)
        ended = self._settled(admitted, start)
        if start is not None and ended.verdict is not Verdict.DECIDED:
            return self._settled(admitted, None)
        return ended

    def _admitted(self, market: Market) -> Market | str:
        """Return the market without the demands turned away, or why there is none."""
        if self._task.dropped is not None:
            self._dropped = self._task.dropped
            return without(market, self._dropped) if self._dropped else market
        how = self._task.admission
        if how.by is AdmitBy.NONE:
            return market
        away = turned_away(market, how)
        gone, demands = int(np.count_nonzero(away)), int(np.count_nonzero(market.present))
        if not gone:
            return market
        if gone == demands:
            return "the capacities serve none of the demands"
        if gone > how.most * demands:
            return (
                f"the capacities serve so little that {percent(gone / demands)} of the demands "
                f"would have to be turned away; {percent(how.most)} may be"
            )
        self._dropped = tuple(
            (market.provider_names[n], market.user_names[m]) for n, m in np.argwhere(away).tolist()
        )
        return market.without(away)

    def _settled(self, market: Market, start: Solution | None) -> Outcome:
        with self._timed("solve"):
            try:
                solution = solve(market, start=start)
            except InfeasibleMarketError as error:
                return self._ended(Verdict.INFEASIBLE, str(error).removesuffix(" (admit)"))
        if not solution.status.ok:
            return self._ended(Verdict.NOT_SOLVED, solution.status.sentence)
        with self._timed("certify"):
            certificate = certify(market, solution)
        if not certificate.holds():
            return self._ended(Verdict.NOT_CERTIFIED, certificate.sentence())
        return self._decided(market, solution, certificate, warm=start is not None)

    def _decided(
        self, market: Market, solution: Solution, certificate: Certificate, *, warm: bool
    ) -> Outcome:
        with self._timed("encode"):
            allocation = Allocation.of(market, solution, certificate)
            encoded = allocation.encoded()
            self._numbers |= allocation_numbers(allocation)
        return replace(
            self._ended(Verdict.DECIDED, ""),
            payload=encoded.payload,
            digest=encoded.digest,
            warm=warm,
        )

    def _ended(self, verdict: Verdict, reason: str) -> Outcome:
        return Outcome(
            verdict=verdict,
            reason=reason,
            dropped=self._dropped,
            timings=self._timings,
            summary=self._numbers,
        )

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = 1e3 * (time.perf_counter() - began)
            self._timings[phase] = self._timings.get(phase, 0.0) + spent


def _nobody(numbers: dict[str, object]) -> str:
    if not numbers["providers"] or not numbers["users"]:
        missing = "provider" if not numbers["providers"] else "user"
        return f"no {missing} is active"
    if numbers["left_out"]:
        return "no demand can be served; each lacks something that the market needs"
    return "no active user demands anything of an active provider"
