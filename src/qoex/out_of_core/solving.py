"""Solving a stored market: the search, the providers' answers, and the certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from qoex.certificate import CERTIFIED
from qoex.certificate.lines import price_lines
from qoex.certificate.passes import FirstPass, merged
from qoex.certificate.verdict import Verdict, conclude
from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.method import MAX_SWEEPS, TOLERANCE, NewtonMethod
from qoex.equilibrium.population import Hosts, Population
from qoex.equilibrium.prices import find_prices
from qoex.files.parquet import MarketDirectory
from qoex.files.parquet.new_directory import NewDirectory
from qoex.files.parquet.opening import FilePath
from qoex.files.solution_json import json_text
from qoex.game.provider import answer_offers, capacity_state, utility_of_providers
from qoex.game.solution import Step
from qoex.kernels.arguments import RootPrices
from qoex.kernels.block_sums import Node, blocks_of, join
from qoex.model.market import FloatArray
from qoex.out_of_core.files import write_providers, write_summary
from qoex.out_of_core.on_disk import OnDisk
from qoex.out_of_core.result import StoredSolution, UserTotals, stored_solution_data
from qoex.out_of_core.shards import Settled, Target
from qoex.out_of_core.spread import Spread

Tell = Callable[[str], object]

# How often the certificate may go through the users anew, from the prices that it found. Those
# that providers answered with are right but for rounding.
_MOST_ROUNDS = 10

# What a pass over the users is for. What is not here does not look at what they demand.
_PASSES = {
    "floor_load": "reading the users",
    "every": "reading every so many users",
    "sweep": "users respond",
    "answer_sums": "providers answer",
    "outcome_of": "allocating",
    "bound": "certifying",
}


class StoredHosts(Hosts, Protocol):
    """Where the users of a stored market are: on this machine's disk, or on a cluster."""

    @property
    def firsts(self) -> Sequence[int]:
        """Return the index of the first user of each shard."""
        ...

    def require_reachable(self, folder: Path, shown: str) -> None:
        """Raise a QoexError unless whoever has users can write to a folder."""
        ...


def solve_stored(
    market: MarketDirectory,
    *,
    hosts: StoredHosts | None = None,
    chunks: int | None = None,
    out: FilePath | None = None,
    tolerance: float = TOLERANCE,
    max_sweeps: int = MAX_SWEEPS,
    progress: Tell | None = None,
) -> StoredSolution:
    """Return the canonical equilibrium of a stored market, certified.

    It is what :func:`qoex.solve` finds, to the last bit, but for markets in which
    that has to start anew from rounds of best responses: these end as STALLED.

    Args:
        market: N providers × M users.
        hosts: where the users are; by default on this machine's disk.
        chunks: in about how many they are read then; by default such that each takes 256 MiB.
        out: a new or empty directory to write the solution to: a table of users for each chunk,
            ``providers.parquet`` and ``solution.json``.
        tolerance: bound on the relative error of every capacity price.
        max_sweeps: passes over the users allowed to find the prices.
        progress: told in a few words what is being done.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: ``out`` is not empty or cannot be written.
        ScenarioError: a user cannot be, or a file changed meanwhile.
        UnavailableClusterError: a cluster that cannot be used any more.

    """
    with ExitStack() as stack:
        directory = stack.enter_context(NewDirectory(out)) if out is not None else None
        if hosts is None:
            hosts = OnDisk(market, chunks)
        target = None
        if directory is not None:
            target = Target(directory.temporary, str(out), market.provider_names)
            hosts.require_reachable(target.folder, target.shown)
        watched = _Watched(hosts, progress or (lambda _: None))
        solution = _Solving(market, watched, target, list(hosts.firsts)).run(tolerance, max_sweeps)
        if directory is not None and target is not None:
            text = json_text(stored_solution_data(market, solution))
            states = solution.compute_state, solution.bandwidth_state
            where = target.folder, target.shown
            write_providers(*where, market.provider_names, states, solution.provider_utility)
            write_summary(*where, text)
            directory.finish()
        return solution


class _Watched:
    """Hosts that count the passes over the users, and say what they are for."""

    def __init__(self, hosts: Hosts, tell: Tell) -> None:
        self._hosts = hosts
        self._tell = tell
        self.passes = 0
        self._step: Step | None = None  # of the search, while it goes on

    def note(self, step: Step | None) -> None:
        self._step = step

    def call(self, method: str, *arguments: Any) -> list[Any]:
        if method in _PASSES:
            self.passes += 1
            far = "" if self._step is None else f", residual {self._step.residual:.1e}"
            self._tell(f"pass {self.passes}: {_PASSES[method]}{far}")
        return self._hosts.call(method, *arguments)

    def call_one(self, shard: int, method: str, *arguments: Any) -> Any:
        return self._hosts.call_one(shard, method, *arguments)


class _Solving:
    """One run over the users of a stored market."""

    def __init__(
        self,
        market: MarketDirectory,
        hosts: _Watched,
        target: Target | None,
        firsts: Sequence[int],
    ) -> None:
        self._market = market
        self._hosts = hosts
        self._users = Population(
            hosts, firsts=firsts, users=market.users, providers=market.providers
        )
        self._offers = _Offers(hosts, market, target)

    def run(self, tolerance: float, max_sweeps: int) -> StoredSolution:
        market = self._market
        method = NewtonMethod(tolerance=tolerance, max_sweeps=max_sweeps)
        found = find_prices(
            market, self._users, BehaviourModel.STRATEGIC, method, tell=self._hosts.note
        )
        self._hosts.note(None)
        self._hosts.call("hold", found.held_rewards())
        at = found.result.at
        prices, total = answer_offers(self._offers, market, RootPrices(at.x, at.y))
        utility = utility_of_providers(market, total)
        verdict = self._judge(prices, utility)
        costs = market.compute_cost, market.bandwidth_cost
        capacities = market.compute_capacity, market.bandwidth_capacity
        compute, bandwidth = (
            capacity_state(use, root * root, cost, capacity)
            for use, root, cost, capacity in zip(total[:2], prices, costs, capacities, strict=True)
        )
        worst = verdict.worst_user
        return StoredSolution(
            status=found.result.status.judged(verdict.holds(CERTIFIED)),
            steps=found.problem.system.sweeps,
            passes=self._hosts.passes,
            compute_state=compute,
            bandwidth_state=bandwidth,
            provider_utility=utility,
            provider_income=total[2],
            totals=self._totals(float(total[2].sum())),
            verdict=verdict,
            worst_user=market.user_names(worst, worst + 1)[0],
            trace=found.trace,
            notes=found.notes,
        )

    def _judge(self, prices: RootPrices, provider_utility: FloatArray) -> Verdict:
        """Return the verdict on the last allocation."""
        guess = _reported(prices)
        parts: list[FirstPass] = [settled.first for settled in self._offers.settled]
        # Numbers that are not finite mean no certificate; they are no accident here.
        with np.errstate(all="ignore"):
            for _ in range(_MOST_ROUNDS):
                totals = merged(parts)
                lines = price_lines(totals, self._market, guess)
                second = self._hosts.call("bound", lines.lines, totals)
                verdict = conclude(totals, self._market, provider_utility, lines, second)
                if verdict.settled or not np.isfinite(lines.roots).all():
                    break
                guess = lines.roots
                again: list[Settled] = self._hosts.call("outcome_of", prices, prices, guess)
                parts = [settled.first for settled in again]
        return verdict

    def _totals(self, paid: float) -> UserTotals:
        settled = self._offers.settled
        nodes = (node for part in settled for node in part.users)
        utility, qoe, served, *served_by = join(nodes, blocks_of(self._market.users))
        return UserTotals(
            users=self._market.users,
            utility=float(utility),
            qoe=float(qoe),
            paid=paid,
            served=int(served),
            served_by=np.array(served_by),
            qoe_spread=Spread.joined(part.qoe for part in settled),
            payment_spread=Spread.joined(part.payment for part in settled),
        )


class _Offers:
    """The rewards of all users; see :class:`qoex.game.provider.Offers`."""

    def __init__(self, hosts: Hosts, market: MarketDirectory, target: Target | None) -> None:
        self._hosts = hosts
        self._market = market
        self._target = target
        self.settled: list[Settled] = []

    def answer_sums(self, prices: RootPrices) -> FloatArray:
        return self._joined(
            node for part in self._hosts.call("answer_sums", prices) for node in part
        )

    def allocate(self, prices: RootPrices, before: RootPrices) -> FloatArray:
        guess = _reported(prices)
        self.settled = self._hosts.call("outcome_of", prices, before, guess, self._target)
        return self._joined(node for part in self.settled for node in part.sums)

    def _joined(self, nodes: Iterable[Node]) -> FloatArray:
        return join(nodes, blocks_of(self._market.users)).reshape(-1, self._market.providers)


def _reported(prices: RootPrices) -> FloatArray:
    """Return the roots (2×N) of the prices as a solution reports them."""
    return np.sqrt(np.stack([root * root for root in prices]))
