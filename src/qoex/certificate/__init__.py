"""A judgement of a solution that rests on the market and the reported numbers alone.

Two questions are put to a solution, and no code of the solvers helps to answer them. Is each
provider's allocation optimal for the rewards (eq. 8: the Karush–Kuhn–Tucker conditions)? And could
any user do better by other rewards, all providers answering anew (eq. 10, eq. 11: the regret)?

A search answers the second question for every user of a market of usual size. In a large one, two
passes over the users bound what each could gain, and only those are searched whose bound is not
as small as rounding (:mod:`qoex.certificate.large`). Markets in chunks are judged by
:mod:`qoex.certificate.passes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qoex.certificate.conditions import KktResiduals, conditions, reported_qoe
from qoex.certificate.deviation import LEAST_SCALE, Deviations, best_deviations
from qoex.certificate.quantities import ROUNDED_SHARE
from qoex.certificate.words import Findings, sentence
from qoex.errors import InvalidInputError
from qoex.game.solution import Regime, Solution
from qoex.model.feasibility import regret_resolution
from qoex.model.market import BoolArray, FloatArray, Market

__all__ = ["CERTIFIED", "Certificate", "KktResiduals", "certify", "judged"]

# What an exact equilibrium has to reach: rounding leaves some 1e-13, a solver that stops early far
# more than this.
CERTIFIED = 1e-9
# Beyond this many pairs every user's gain is bounded, and only doubtful ones are searched: at
# 10 × 2000 pairs a search takes some 0.3 s, bounds a few ms, and loading the compiler a second.
LARGE_PAIRS = 20_000

_PAIR_FIELDS = ("rewards", "compute", "bandwidth", "qoe")


@dataclass(frozen=True)
class Certificate:
    """What was found out about a solution.

    Attributes:
        regret: the most that any user could gain by other rewards, money; at least zero. Where
            ``regret_is_exact`` is false, no user could gain more.
        regret_per_user: M, money; where ``bounded``, no user could gain more.
        best_deviation: N×M, money per ms; in each column that user's best rewards, those of the
            others held; the reported ones where nothing is better or the user was not searched.
        best_utility: M, money, of that deviation; where ``bounded``, no deviation brings more.
        utility_scale: money; the largest |utility|, or a thousandth of the largest profit factor
            if that is more. Regret is judged relative to it.
        kkt: residuals of the providers' conditions.
        kkt_residual: the largest of them.
        compute_price: c + λ, N, money per TFLOPS, as the allocation implies it.
        bandwidth_price: d + ρ, N, money per MHz, likewise.
        compute_regime: N, from the allocation and these prices.
        bandwidth_regime: N, likewise.
        consistency: largest relative difference between the solution's own QoE and utilities and
            the same recomputed from its rewards and allocation (QoE relative to κ, a user's
            utility to μ, or to a part of κ·R where μ is less than the roundings of that, and a
            provider's to what it could be paid at most plus its costs).
        outside_bounds: largest share of a bound by which a reward misses it; zero if none does.
        worst_user: name of the user with the largest regret.
        resolution: relative regret that rounding alone explains; larger than the tolerances in use
            only where capacities hardly exceed the least ones.
        unique: whether no other equilibrium is near by; None if nobody looked, or if that was not
            determined (:mod:`qoex.equilibrium.multiplicity`).
        witness: another equilibrium, where one was found.
        index: +1 or −1, the sign of det(−∂ln use/∂ln price) at an equilibrium, pinned capacities
            and marginal pairs included; None if nobody looked, or where it is not determined
            (:func:`qoex.certificate.index.equilibrium_index` says when).
        bounded: M booleans, in a large market, where bounds say enough of most users: true for
            those; None where every user was searched.
    """

    regret: float
    regret_per_user: FloatArray
    best_deviation: FloatArray
    best_utility: FloatArray
    utility_scale: float
    kkt: KktResiduals
    kkt_residual: float
    compute_price: FloatArray
    bandwidth_price: FloatArray
    compute_regime: tuple[Regime, ...]
    bandwidth_regime: tuple[Regime, ...]
    consistency: float
    outside_bounds: float
    worst_user: str
    resolution: float = 0.0
    unique: bool | None = None
    witness: Solution | None = None
    index: int | None = None
    bounded: BoolArray | None = None

    @property
    def regret_is_exact(self) -> bool:
        """Whether ``regret`` is what a user gains, and not an upper bound only; not if NaN."""
        if self.bounded is None or not self.bounded.any():
            return not np.isnan(self.regret)
        searched = self.regret_per_user[~self.bounded]
        return bool(searched.size > 0 and searched.max() >= self.regret)

    @property
    def relative_regret(self) -> float:
        """Regret over the scale of utilities, dimensionless."""
        return self.regret / self.utility_scale

    def holds(self, tolerance: float = CERTIFIED) -> bool:
        """Whether the solution is an equilibrium to this relative tolerance; never if NaN.

        A regret within ``resolution`` is none.
        """
        # Each comparison is false for NaN.
        return (
            self.relative_regret <= max(tolerance, self.resolution)
            and self.kkt_residual <= tolerance
            and self.consistency <= tolerance
            and self.outside_bounds <= tolerance
        )

    def sentence(self, tolerance: float = CERTIFIED) -> str:
        """Say in one sentence what was certified, or the first reason why it was not."""
        found = Findings(
            holds=self.holds(tolerance),
            regret=self.regret,
            relative_regret=self.relative_regret,
            kkt_residual=self.kkt_residual,
            consistency=self.consistency,
            outside_bounds=self.outside_bounds,
            worst_user=self.worst_user,
            exact=self.bounded is None or self.regret_is_exact,
            unique=self.unique,
        )
        return sentence(found, tolerance)


def certify(
    market: Market,
    solution: Solution,
    *,
    progress: Callable[[float], None] | None = None,
) -> Certificate:
    """Judge whether a solution is an equilibrium of the game (eq. 10, eq. 11).

    Regret is that of the reported rewards under the providers' exact answers; whether the reported
    allocation is that answer, the residuals tell. In a market of more than ``LARGE_PAIRS`` pairs
    a regret below 1e-12 of the scale is an upper bound, and so is what remains where more users
    are doubtful than can be searched.

    Args:
        market: N providers × M users.
        solution: of the same shape; it need not come from a solver, nor be a good one.
        progress: called with the share of the users judged, up to 1.

    Raises:
        InvalidInputError: an array of the solution does not have the shape the market needs.
    """
    _check_shapes(market, solution)
    if market.work.size > LARGE_PAIRS:
        return _certify_large(market, solution, progress)
    rewards = np.where(market.present, solution.rewards, 0.0)
    # Numbers that are not finite mean no certificate; they are no accident here.
    with np.errstate(all="ignore"):
        qoe = reported_qoe(market, solution)
        providers = conditions(market, rewards, solution, qoe)
        consistency = _consistency(market, rewards, solution, qoe)
        outside_bounds = _outside_bounds(market, solution.rewards)
        if np.isfinite(rewards).all() and (rewards >= 0).all():
            found = best_deviations(market, rewards, progress)
        else:
            unknown = np.full(market.users, np.nan)
            found = Deviations(unknown, unknown, np.full(rewards.shape, np.nan))
    regret = found.best_utility - found.utility
    scale = np.maximum(np.abs(found.utility).max(), LEAST_SCALE * market.profit_factor.max())
    return Certificate(
        regret=float(regret.max()),
        regret_per_user=regret,
        best_deviation=found.best_rewards,
        best_utility=found.best_utility,
        utility_scale=float(scale),
        kkt=providers.residuals,
        kkt_residual=providers.residuals.largest,
        compute_price=providers.compute_price,
        bandwidth_price=providers.bandwidth_price,
        compute_regime=providers.compute_regime,
        bandwidth_regime=providers.bandwidth_regime,
        consistency=consistency,
        outside_bounds=outside_bounds,
        worst_user=market.user_names[int(np.argmax(regret))],
        resolution=regret_resolution(market),
    )


def judged(solution: Solution, certificate: Certificate, tolerance: float = CERTIFIED) -> Solution:
    """Return the solution, whose status claims convergence only where the certificate holds."""
    return replace(solution, status=solution.status.judged(certificate.holds(tolerance)))


def _certify_large(
    market: Market, solution: Solution, progress: Callable[[float], None] | None
) -> Certificate:
    # Loads numba, which small markets do without.
    from qoex.certificate.large import judge

    judgement = judge(market, solution, progress)
    verdict = judgement.verdict
    providers = verdict.conditions
    return Certificate(
        regret=verdict.regret,
        regret_per_user=judgement.regret,
        best_deviation=judgement.best_rewards,
        best_utility=judgement.best_utility,
        utility_scale=verdict.utility_scale,
        kkt=providers.residuals,
        kkt_residual=providers.residuals.largest,
        compute_price=providers.compute_price,
        bandwidth_price=providers.bandwidth_price,
        compute_regime=providers.compute_regime,
        bandwidth_regime=providers.bandwidth_regime,
        consistency=verdict.consistency,
        outside_bounds=verdict.outside_bounds,
        worst_user=market.user_names[verdict.worst_user],
        resolution=regret_resolution(market),
        bounded=judgement.bounded,
    )


def _check_shapes(market: Market, solution: Solution) -> None:
    needed: dict[str, tuple[int, ...]] = dict.fromkeys(_PAIR_FIELDS, market.work.shape)
    needed |= {"user_utility": (market.users,), "provider_utility": (market.providers,)}
    for name, shape in needed.items():
        given = np.shape(getattr(solution, name))
        if given != shape:
            raise InvalidInputError(
                f"{name} of the solution has shape {given}; it must be {shape} to match the market"
            )


def _consistency(market: Market, rewards: FloatArray, solution: Solution, qoe: FloatArray) -> float:
    """Return the largest relative difference of reported and recomputed QoE and utilities."""
    budget = np.where(market.present, market.latency_budget, 1.0)
    paid = rewards * qoe
    costs = market.compute_cost * solution.compute.sum(axis=1)
    costs += market.bandwidth_cost * solution.bandwidth.sum(axis=1)
    most_paid = (rewards * market.latency_budget).sum(axis=1)
    bought = qoe.sum(axis=0)
    users = market.profit_factor * np.log1p(bought) - paid.sum(axis=0)
    gain = market.profit_factor / (1.0 + np.maximum(bought, 0.0))
    rounded = gain * market.latency_budget.sum(axis=0)
    rounded += (rewards * market.latency_budget).sum(axis=0)
    providers = paid.sum(axis=1) - costs
    turnover = most_paid + costs
    differences = (
        (solution.qoe - qoe) / budget,
        (solution.user_utility - users) / np.maximum(market.profit_factor, ROUNDED_SHARE * rounded),
        (solution.provider_utility - providers) / np.where(turnover > 0, turnover, 1.0),
    )
    return float(np.max([np.abs(item).max() for item in differences]))


def _outside_bounds(market: Market, rewards: FloatArray) -> float:
    """Return the largest share of a bound by which a reward misses it; absent pairs pay nothing."""
    below = (market.reward_min - rewards) / np.where(market.reward_min > 0, market.reward_min, 1.0)
    above = (rewards - market.reward_max) / market.reward_max
    missed = np.where(market.present, np.maximum(below, above), np.abs(rewards))
    return float(np.maximum(missed.max(), 0.0))
