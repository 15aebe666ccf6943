"""From a snapshot to a certified allocation: a plain function of its task, to the last bit.

The same on every run of the same software on the same kind of processor, however many threads take
part; only admission may depend on the clock, which ends its search.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from qoex.agent.reports.kept import Cause, Kept
from qoex.agent.solving.allocation import CertifiedAllocation
from qoex.agent.solving.summary import allocation_numbers, snapshot_numbers
from qoex.agent.solving.task import AdmissionObjective, CycleOutcome, Demands, Task
from qoex.agent.solving.turning_away import turned_away, without
from qoex.agent.solving.warm_start import warm_start
from qoex.certificate import Certificate, certify
from qoex.equilibrium.solver import solve
from qoex.errors import InfeasibleMarketError
from qoex.game.solution import Solution
from qoex.model.market import Market

_NAMED = 3  # providers that a record names of those that fall short


def decide(task: Task) -> CycleOutcome:
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

    def made(self) -> CycleOutcome:
        snapshot = self._task.snapshot
        with self._timed("market"):
            self._numbers |= snapshot_numbers(snapshot)
            market = snapshot.market()
        if market is None:
            return self._ended(_nobody(self._numbers).kept())
        with self._timed("admit"):
            admitted = self._admitted(market)
        if isinstance(admitted, Kept):
            return self._ended(admitted)
        start = None
        with self._timed("solve"):
            given = self._task.start
            if given is not None:
                last = CertifiedAllocation.decoded(
                    given.payload, given.provider_names, given.user_names
                )
                start = warm_start(admitted, last)
        ended = self._settled(admitted, start)
        if start is not None and ended.kept is not None:
            return self._settled(admitted, None)
        return ended

    def _admitted(self, market: Market) -> Market | Kept:
        """Return the market without the demands turned away, or why there is none."""
        if self._task.dropped is not None:
            self._dropped = self._task.dropped
            return without(market, self._dropped) if self._dropped else market
        how = self._task.admission
        if how.by is AdmissionObjective.NONE:
            return market
        away = turned_away(market, how)
        gone, demands = int(np.count_nonzero(away)), int(np.count_nonzero(market.present))
        if not gone:
            return market
        if gone == demands:
            return Cause.NOTHING_FITS.kept()
        if gone > how.most * demands:
            return Cause.LITTLE_FITS.kept(away=gone / demands, most=how.most)
        self._dropped = tuple(
            (market.provider_names[n], market.user_names[m]) for n, m in np.argwhere(away).tolist()
        )
        return market.without(away)

    def _settled(self, market: Market, start: Solution | None) -> CycleOutcome:
        with self._timed("solve"):
            try:
                solution = solve(market, start=start)
            except InfeasibleMarketError as error:
                return self._ended(_short(error))
        if not solution.status.ok:
            return self._ended(Cause.NOT_SOLVED.kept(status=solution.status.value))
        with self._timed("certify"):
            certificate = certify(market, solution)
        if not certificate.holds():
            return self._ended(_refuted(certificate))
        return self._decided(market, solution, certificate, warm=start is not None)

    def _decided(
        self, market: Market, solution: Solution, certificate: Certificate, *, warm: bool
    ) -> CycleOutcome:
        with self._timed("encode"):
            allocation = CertifiedAllocation.of(market, solution, certificate)
            encoded = allocation.encoded()
            self._numbers |= allocation_numbers(allocation)
        return replace(
            self._ended(None),
            payload=encoded.payload,
            digest=encoded.digest,
            warm=warm,
        )

    def _ended(self, kept: Kept | None) -> CycleOutcome:
        return CycleOutcome(
            kept=kept,
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


def _nobody(numbers: dict[str, object]) -> Cause:
    if not numbers["providers"]:
        return Cause.NO_PROVIDER
    if not numbers["users"]:
        return Cause.NO_USER
    return Cause.INCOMPLETE if numbers["left_out"] else Cause.NO_DEMAND


def _short(error: InfeasibleMarketError) -> Kept:
    return Cause.SHORT.kept(
        shortage={
            "first": [asdict(item) for item in error.shortfalls[:_NAMED]],
            "providers": len(error.shortfalls),
            "capacity_factor": error.capacity_factor,
        }
    )


def _refuted(certificate: Certificate) -> Kept:
    return Cause.NOT_CERTIFIED.kept(
        findings={
            "regret": certificate.regret,
            "relative_regret": certificate.relative_regret,
            "kkt_residual": certificate.kkt_residual,
            "consistency": certificate.consistency,
            "outside_bounds": certificate.outside_bounds,
            "worst_user": certificate.worst_user,
            "exact": certificate.bounded is None or certificate.regret_is_exact,
        }
    )
