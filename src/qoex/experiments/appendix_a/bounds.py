"""The bounds of Appendix A on how long Algorithm 1 takes, as the paper prints them.

They bound the gap D_t = Σ_m (U_m(R*) − U_m(R^(t))) at the rewards R^(t) that iteration t begins
with, money; R* is the equilibrium, N × M the size of the market, R⁺ = N Σ_m (R_m^max)²:

* Δ_t = u/t: a mean gap of ε is reached within exp(κ̈/ε) iterations, κ̈ = R⁺/u + MNuπ²/6;
* Δ_t = Δ: within κ′/ε′, κ′ = R⁺/Δ and ε′ = ε − ΔMN/2, void where ε ≤ ΔMN/2.

The O(·) around both hides no unknown: the proof carries its constants along, so they are evaluated
as they stand. But the proof fails at these steps:

* *(A1).* A utility is neither concave nor continuously differentiable where a capacity begins to
  bind or another user's pair reaches its floor (theory, section 4).
* *Step 2, "non-decreasing".* A user moves all of its rewards at once, each tried alone, and the
  other users move too; nothing keeps a utility from falling.
* *(25).* An equilibrium maximises no sum of utilities, so D_t may be negative, and a small or
  negative mean gap is no ε-equilibrium: what a user could gain alone (its regret) is another thing.
* *(26), (27).* The inequality of concave functions needs the same rewards of the others on both
  sides. In D_t they are those at R* on one side and those at R^(t) on the other.
* *(28), (29).* The gradient is replaced by its sign. That drops a factor with a unit: D_t is money,
  (d^(t))ᵀ(R* − R^(t)) is money per ms, and with another unit of time the bound is another one. Nor
  would a constant repair it, even for one concave utility with gradient g: g = (10, 0.1) and
  R* − R = (0.01, −0.9) have gᵀ(R* − R) > 0 and sign(g)ᵀ(R* − R) < 0.
* *(35).* Of a rising and a falling sequence the mean of the products is at most the product of the
  means (Chebyshev's sum inequality); the second line claims the opposite.
* *(39).* The mean of log t over t ≤ T is about log T − 1, not at least log T. This alone would cost
  no more than a constant factor.

So a measured run may take longer than its bound. Where it does not, the bound on the iterations of
Δ_t = u/t often is a number of hundreds of digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qoex.errors import InvalidInputError
from qoex.mechanisms.dual_perturbation import Constant, Diminishing
from qoex.model.market import FloatArray, Market
from qoex.model.validation import positive

Rule = Diminishing | Constant


@dataclass(frozen=True)
class IterationBound:
    """A bound on the iterations to a mean gap.

    Attributes:
        log10: its decimal logarithm, for the number itself may overflow; None where it is void.
        reason: why it is void; empty where it is not.
    """

    log10: float | None
    reason: str = ""


@dataclass(frozen=True)
class Theorem:
    """What the theorem needs to know of a market.

    Attributes:
        spread: R⁺ = N Σ_m (R_m^max)² (eq. 30), (money per ms)².
        pairs: MN.
    """

    spread: float
    pairs: int

    def __post_init__(self) -> None:
        positive("spread", self.spread)
        positive("pairs", self.pairs)

    @classmethod
    def of(cls, market: Market) -> Theorem:
        """Return the theorem for a market; absent pairs count, as in the paper."""
        return cls(
            spread=market.providers * float(np.sum(market.reward_max**2)),
            pairs=market.providers * market.users,
        )

    def constant(self, step: Rule) -> float:
        """Return κ̈ of Δ = u/t (eq. 39) or κ′ of a constant Δ (eq. 45), money per ms."""
        if isinstance(step, Diminishing):
            return self.spread / step.u + self.pairs * step.u * math.pi**2 / 6.0
        return self.spread / step.delta

    def iterations(self, step: Rule, gap: float) -> IterationBound:
        """Return the bound on the iterations until the mean gap is ε (eq. 40, eq. 45).

        Args:
            step: rule of the step.
            gap: ε, money.
        """
        if math.isnan(gap):
            return IterationBound(None, "the mean gap is not known")
        if gap <= 0.0:
            return IterationBound(
                None, "the mean gap is not positive: users have more in sum than at the equilibrium"
            )
        if isinstance(step, Diminishing):
            return IterationBound(self.constant(step) / (gap * math.log(10.0)))
        neighbourhood = 0.5 * step.delta * self.pairs
        if gap <= neighbourhood:
            return IterationBound(None, "the mean gap is at most ΔMN/2, where nothing is promised")
        return IterationBound(math.log10(self.constant(step)) - math.log10(gap - neighbourhood))

    def gap_ceiling(self, step: Rule, iterations: int) -> float:
        """Return what (1/T) Σ_t min_{l ≤ t} D_l is said to be at most (right side of eq. 37).

        Args:
            step: rule of the step.
            iterations: T, at least one.

        Raises:
            InvalidInputError: T is below one.
        """
        if iterations < 1:
            raise InvalidInputError(f"iterations is {iterations!r}; it must be one or more")
        if isinstance(step, Diminishing):
            sizes: FloatArray = step.u / np.arange(1.0, iterations + 1.0)
        else:
            sizes = np.full(iterations, step.delta)
        wandering = self.pairs * float(np.cumsum(sizes**2).mean())
        return (self.spread + wandering) / (2.0 * float(np.cumsum(sizes).mean()))


@dataclass(frozen=True)
class Gaps:
    """The gap D_t along a run of T iterations, money.

    Attributes:
        first: D_1, at the initial rewards.
        mean: (1/T) Σ_t D_t, what the theorem speaks of.
        mean_least: (1/T) Σ_t min_{l ≤ t} D_l, what its proof bounds; at most ``mean``.
    """

    first: float
    mean: float
    mean_least: float

    @classmethod
    def along(cls, utilities: FloatArray, equilibrium: FloatArray) -> Gaps:
        """Return the gaps of a run.

        Args:
            utilities: U at the rewards that each iteration begins with, T×M, money; T ≥ 1.
            equilibrium: U at R*, M, money.
        """
        gaps = (equilibrium - utilities).sum(axis=1)
        return cls(
            first=float(gaps[0]),
            mean=float(gaps.mean()),
            mean_least=float(np.minimum.accumulate(gaps).mean()),
        )
