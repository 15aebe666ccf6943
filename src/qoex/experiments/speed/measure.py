"""Cold and warm solves of one market, timed in one run beside streaming passes over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qoex.certificate import CERTIFIED, Certificate, certify
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.experiments.speed.markets import changed_demands
from qoex.experiments.speed.parts import SolveParts, measure_parts
from qoex.experiments.speed.streaming import Streaming
from qoex.files.parquet.sampling import sample_large_market
from qoex.game.solution import Regime, Solution
from qoex.kernels.threads import cores
from qoex.model.market import Market

# What we want to stay below, in passes, and the size (providers, users) for which that is said: in
# small markets the time goes into Python and threads, whatever the market.
GOALS = {"cold_passes": 80.0, "warm_passes": 25.0}
GOALS_ARE_FOR = (10, 1_000_000)

# Users of the market that is solved first, uncounted, so that everything is compiled and loaded:
# enough for a start from a sample, for bounds instead of searches in the certificate, and for
# kernels that work in vector registers.
_USERS_FIRST = 40_000


@dataclass(frozen=True)
class Solved:
    """Cost and quality of a solve, cold or warm; times are medians.

    Attributes:
        passes: solve and certificate, in streaming passes.
        solve_passes: the solve alone.
        seconds: solve and certificate.
        cores_used: processor time over time of the solves; less than there are cores where other
            work takes its part of them, which slows a solve down more than a streaming pass.
        sweeps: passes over all users that the solver made.
        status: how it ended, by name.
        residual: the last one of its trace, dimensionless.
        regret_relative: what a user could gain, as a share of the largest utility.
        kkt_residual: of the providers' conditions, dimensionless.
        ok: whether it ended well and the certificate holds.
    """

    passes: float
    solve_passes: float
    seconds: float
    cores_used: float
    sweeps: int
    status: str
    residual: float
    regret_relative: float
    kkt_residual: float
    ok: bool


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark found out.

    Attributes:
        providers: N.
        users: M.
        seed: of the market.
        repeat: how many cold and warm solves were timed.
        cores: that this process may use.
        pass_bytes: numbers of the market, in bytes.
        pass_seconds: median of a streaming pass.
        cold: solved from nothing.
        warm: solved from the solution before ``changed_users`` changed their demands.
        certificate_passes: of the cold solution.
        changed_users: how many.
        sweep_passes: one more sweep at the solution.
        settle_passes: providers' answers at the solution.
        alone_share: share of the users that this sweep leaves to be solved one by one.
        regimes: how many of the 2N capacities are slack, pinned and binding.
        served_share: share of the pairs with QoE.
    """

    providers: int
    users: int
    seed: int
    repeat: int
    cores: int
    pass_bytes: int
    pass_seconds: float
    cold: Solved
    warm: Solved
    certificate_passes: float
    changed_users: int
    sweep_passes: float
    settle_passes: float
    alone_share: float
    regimes: dict[str, int]
    served_share: float

    @property
    def search_passes(self) -> float:
        """Of a cold solve, what is not the providers' answers: mostly sweeps over the users."""
        return self.cold.solve_passes - self.settle_passes

    @property
    def ok(self) -> bool:
        """Whether both solves ended well and their certificates hold."""
        return self.cold.ok and self.warm.ok


@dataclass(frozen=True)
class _Run:
    """One solve, its certificate, and the streaming pass beside them, in seconds."""

    solve: float
    processors: float  # time that they spent on the solve
    certify: float
    one_pass: float

    @property
    def both(self) -> float:
        return self.solve + self.certify


def run_benchmark(
    providers: int,
    users: int,
    *,
    seed: int = 0,
    repeat: int = 3,
    progress: Callable[[float], None] | None = None,
) -> Benchmark:
    """Measure cold and warm solves of a market drawn from Table III, capacities raised if short.

    Streaming passes are timed before, between and after the solves. The ratio is taken within each
    repetition, and the median of the ratios counts: what slows the machine down for a while then
    slows both down. Compilation does not count.

    Args:
        providers: N, at least one.
        users: M, at least one.
        seed: of the market, zero or more.
        repeat: how many times to solve, at least one.
        progress: told the share that is done.

    Raises:
        InvalidInputError: an argument cannot be, or no changed demands were found that fit.
    """
    if repeat < 1:
        raise InvalidInputError(f"repeat is {repeat!r}; it must be one or more")
    told = progress or (lambda _: None)
    market = sample_large_market(
        providers, users, seed, feasible=True, progress=lambda share: told(0.3 * share)
    )
    changed, changed_users = changed_demands(market, seed)
    load_everything(providers, users, seed)
    streaming = Streaming.over(market)
    passes: list[float] = []
    cold_runs: list[_Run] = []
    warm_runs: list[_Run] = []
    for number in range(repeat):
        before, judged, run = _timed(market, None, streaming, passes)
        cold_runs.append(run)
        after, judged_after, run = _timed(changed, before, streaming, passes)
        warm_runs.append(run)
        told(0.3 + 0.7 * (number + 1) / repeat)
    parts: SolveParts = measure_parts(market, before)
    passes += streaming.seconds()
    one_pass = float(np.median(passes))
    states = before.compute_state, before.bandwidth_state
    regimes = [regime for state in states for regime in state.regime]
    return Benchmark(
        providers=providers,
        users=users,
        seed=seed,
        repeat=repeat,
        cores=cores(),
        pass_bytes=streaming.bytes,
        pass_seconds=one_pass,
        cold=_summary(cold_runs, before, judged),
        warm=_summary(warm_runs, after, judged_after),
        certificate_passes=float(np.median([run.certify / run.one_pass for run in cold_runs])),
        changed_users=changed_users,
        sweep_passes=parts.sweep / one_pass,
        settle_passes=parts.settle / one_pass,
        alone_share=parts.alone_share,
        regimes={str(regime): regimes.count(regime) for regime in Regime},
        served_share=float((before.qoe > 0).sum() / market.present.sum()),
    )


def load_everything(providers: int, users: int, seed: int) -> None:
    """Solve and judge a market like the one to be measured, but small, cold and warm."""
    market = sample_large_market(providers, min(users, _USERS_FIRST), seed, feasible=True)
    changed, _ = changed_demands(market, seed)
    before = solve(market)
    certify(market, before)
    certify(changed, solve(changed, start=before))
    measure_parts(market, before)
    Streaming.over(market).seconds(1)


def _timed(
    market: Market, start: Solution | None, streaming: Streaming, passes: list[float]
) -> tuple[Solution, Certificate, _Run]:
    """Solve and judge once; add to the passes those made before, between and after."""
    beside = streaming.seconds()
    began, spent = time.perf_counter(), time.process_time()
    solution = solve(market, start=start)
    solving, spent = time.perf_counter() - began, time.process_time() - spent
    beside += streaming.seconds()
    began = time.perf_counter()
    certificate = certify(market, solution)
    judging = time.perf_counter() - began
    beside += streaming.seconds()
    passes += beside
    return solution, certificate, _Run(solving, spent, judging, float(np.median(beside)))


def _summary(runs: Sequence[_Run], solution: Solution, certificate: Certificate) -> Solved:
    """Sum up runs that all had this result: the same input gives the same bits."""
    return Solved(
        passes=float(np.median([run.both / run.one_pass for run in runs])),
        solve_passes=float(np.median([run.solve / run.one_pass for run in runs])),
        seconds=float(np.median([run.both for run in runs])),
        cores_used=float(np.median([run.processors / run.solve for run in runs])),
        sweeps=solution.steps,
        status=solution.status.name.lower(),
        residual=solution.trace[-1].residual,
        regret_relative=certificate.relative_regret,
        kkt_residual=certificate.kkt_residual,
        ok=solution.status.ok and certificate.holds(CERTIFIED),
    )
