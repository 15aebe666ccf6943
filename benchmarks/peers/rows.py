"""One row per family, size and peer: what it took, and what an external certificate says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qoex.certificate import certify
from qoex.game.outcome import outcome_of
from qoex.game.solution import Status
from qoex.model.market import Market

from .families import Family, draw
from .measure import Measurement, measure
from .outcome import Outcome
from .registry import Peer

# Above it a result is called inexact: as a share of the largest utility.
ACCURATE = 1e-5

SOLVED = "solved"
INEXACT = "inexact"
FAILED = "not converged"
LATE = "time limit"
BROKEN = "error"
UNTRIED = "not tried"


@dataclass(frozen=True)
class Row:
    """What one peer made of one market; None where there is nothing to say.

    Attributes:
        family: name of the family.
        providers: N.
        users: M.
        peer: name of the peer.
        status: one of the constants above.
        reason: why it is not "solved", or a remark.
        gave_up: whether it ran out of time, so that it is not tried at larger sizes.
        repetitions: timed.
        seconds: median of them.
        fastest: least of them, s.
        slowest: largest of them, s.
        set_up: s, not part of the above.
        steps: iterations or rounds.
        regret: largest regret over the largest utility, by the certificate.
        violation: of reward bounds, capacities and C1, as a share; of the peer's own allocation
            where it has one, else of the providers' exact answer to its rewards.
    """

    family: str
    providers: int
    users: int
    peer: str
    status: str
    reason: str = ""
    gave_up: bool = False
    repetitions: int = 0
    seconds: float | None = None
    fastest: float | None = None
    slowest: float | None = None
    set_up: float | None = None
    steps: int | None = None
    regret: float | None = None
    violation: float | None = None

    @property
    def pairs(self) -> int:
        """Number of pairs, N·M."""
        return self.providers * self.users


def judge(market: Market, outcome: Outcome) -> tuple[float, float]:
    """Return the relative regret of a peer's rewards and the largest violation (see Row).

    Users' regret does not depend on who computed the allocation: providers answer anew.
    """
    inside = np.clip(outcome.rewards, market.reward_min, market.reward_max)
    solution = outcome_of(market, inside, status=Status.EXACT, method="peer", steps=outcome.steps)
    certificate = certify(market, solution)
    compute = solution.compute if outcome.compute is None else outcome.compute
    bandwidth = solution.bandwidth if outcome.bandwidth is None else outcome.bandwidth
    latency = market.work / compute + market.traffic / bandwidth
    violation = max(
        float((market.reward_min / outcome.rewards - 1.0).max()),
        float((outcome.rewards / market.reward_max - 1.0).max()),
        float((compute.sum(axis=1) / market.compute_capacity - 1.0).max()),
        float((bandwidth.sum(axis=1) / market.bandwidth_capacity - 1.0).max()),
        float((latency / market.latency_budget - 1.0).max()),
        certificate.kkt_residual if outcome.compute is None else 0.0,
        0.0,
    )
    return certificate.relative_regret, violation


def row_of(family: str, market: Market, peer: str, measured: Measurement, limit: float) -> Row:
    """Return the row of a measurement."""
    outcome = measured.outcome
    status, reason, regret, violation = SOLVED, measured.stopped, None, None
    if outcome is None:
        status = LATE if measured.timed_out else BROKEN
    elif not np.isfinite(outcome.rewards).all() or not (outcome.rewards > 0).all():
        status, reason = FAILED, "rewards are not finite and positive"
    else:
        regret, violation = judge(market, outcome)
        if measured.timed_out:
            reason = f"a later repetition took over {limit:g} s"
        if outcome.failure:
            status, reason = FAILED, outcome.failure
        elif not regret <= ACCURATE:
            status = INEXACT
            reason = reason or f"ends by its own rule with a regret above {ACCURATE:.0e}"
    return Row(
        family=family,
        providers=market.providers,
        users=market.users,
        peer=peer,
        status=status,
        reason=reason,
        gave_up=measured.timed_out,
        repetitions=len(measured.seconds),
        seconds=measured.median,
        fastest=min(measured.seconds, default=None),
        slowest=max(measured.seconds, default=None),
        set_up=measured.set_up,
        steps=None if outcome is None else outcome.steps,
        regret=regret,
        violation=violation,
    )


def rows(
    families: Sequence[Family],
    sizes: Sequence[tuple[int, int]],
    peers: Sequence[Peer],
    limit: float,
    tell: Callable[[Row], None],
) -> Iterator[Row]:
    """Yield the rows of all peers side by side, size by size.

    A peer that runs out of time at a size is not tried at larger ones of the family.
    """
    for family in families:
        gave_up: dict[str, str] = {}
        for providers, users in sizes:
            market = draw(family, providers, users)
            for peer in peers:
                if peer.name in gave_up:
                    row = Row(family.name, providers, users, peer.name, UNTRIED, gave_up[peer.name])
                else:
                    measured = measure(peer, market, limit)
                    row = row_of(family.name, market, peer.name, measured, limit)
                    if row.gave_up:
                        gave_up[peer.name] = f"ran out of time at {providers}×{users}"
                tell(row)
                yield row
