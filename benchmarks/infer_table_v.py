"""Infer from Table V what the paper leaves out of Table IV; run it to see how each number came.

Where no capacity binds, a provider's answer is f = √(aR/c) and B = √(bR/d), so Table V determines
the work a = f²c/R and the traffic b = B²d/R but for the unit costs. Only a/c and b/d matter then,
so d can be fixed; c_1, c_2 and one profit factor for all users follow from Q = κ − a/f − b/B and
from the rewards being an equilibrium. All are refined by least squares on the relative errors of
the 24 numbers, through the exact equilibrium.

    python benchmarks/infer_table_v.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from qoex.equilibrium import solve
from qoex.market import FloatArray, Market
from qoex.qoe import BITS_PER_MHZ_MS, BITS_PER_TOKEN, accuracy_cost, to_decibels
from qoex.solution import Solution
from qoex.table_v import TABLE_V, compare_with_table_v, table_iv_market

# Table IV, providers × users.
PERFORMANCE_GAP = np.array([[1e-7, 1e-9, 1e-8], [1e-5, 1e-7, 1e-8]])
OUTPUT_TOKENS = np.array([[200, 500, 800], [1400, 1200, 1000]])
LATENCY_BUDGET = np.repeat([[500.0], [1000.0]], 3, axis=1)

# Chosen, for Table V does not depend on them: a unit of money, and ξ such that input tokens and
# SNR come to lie within the ranges of Table III (100–2000 tokens and 10–30 dB).
BANDWIDTH_COST = 0.15
WORK_PER_TOKEN_PAIR = np.array([1.6e-5, 1.0e-5])

# Where the search starts; near the answer, which it reaches from twice or half of these as well.
START_PROFIT_FACTOR = 370.0
START_COMPUTE_COST = np.array([21.0, 25.0])


@dataclass(frozen=True)
class Inferred:
    """The unknowns: μ, c (2), a (2×3) and b (2×3), and the solution that they lead to."""

    profit_factor: float
    compute_cost: FloatArray
    work: FloatArray
    traffic: FloatArray
    solution: Solution

    def input_tokens(self) -> FloatArray:
        """x_in by a = ξ ln(1/θ̂) (x_out x_in + x_out(x_out−1)/2)."""
        pairs = self.work / WORK_PER_TOKEN_PAIR[:, None] / accuracy_cost(PERFORMANCE_GAP)
        tokens: FloatArray = pairs / OUTPUT_TOKENS - 0.5 * (OUTPUT_TOKENS - 1)
        return tokens

    def snr_db(self, input_tokens: FloatArray) -> FloatArray:
        """γ in dB by b = 32(x_in + x_out)/log₂(1+γ)."""
        bits = BITS_PER_TOKEN * (input_tokens + OUTPUT_TOKENS) / BITS_PER_MHZ_MS
        snr: FloatArray = 2.0 ** (bits / self.traffic) - 1.0
        return to_decibels(snr)


def market(
    profit_factor: float, compute_cost: FloatArray, work: FloatArray, traffic: FloatArray
) -> Market:
    return Market(
        work=work,
        traffic=traffic,
        latency_budget=LATENCY_BUDGET,
        compute_cost=compute_cost,
        bandwidth_cost=[BANDWIDTH_COST] * 2,
        compute_capacity=[30.0] * 2,
        bandwidth_capacity=[500.0] * 2,
        profit_factor=[profit_factor] * 3,
        reward_min=[1e-4] * 3,
        reward_max=[10.0] * 3,
    )


def infer(
    profit_factor: float = START_PROFIT_FACTOR, compute_cost: FloatArray = START_COMPUTE_COST
) -> Inferred:
    """Fit the 15 unknowns, as logarithms, to the 24 numbers."""

    def settled(unknowns: FloatArray) -> Inferred:
        mu, cost, work, traffic = np.split(np.exp(unknowns), (1, 3, 9))
        work, traffic = work.reshape(2, 3), traffic.reshape(2, 3)
        solution = solve(market(mu[0], cost, work, traffic))
        assert solution.status.ok, solution.status
        return Inferred(float(mu[0]), cost, work, traffic, solution)

    def misfit(unknowns: FloatArray) -> FloatArray:
        return errors(settled(unknowns).solution)

    work = TABLE_V["compute"] ** 2 * compute_cost[:, None] / TABLE_V["rewards"]
    traffic = TABLE_V["bandwidth"] ** 2 * BANDWIDTH_COST / TABLE_V["rewards"]
    start = np.log(np.concatenate([[profit_factor], compute_cost, work.ravel(), traffic.ravel()]))
    return settled(least_squares(misfit, start, xtol=1e-12, ftol=1e-12).x)


def errors(solution: Solution) -> FloatArray:
    """The 24 relative errors in one row."""
    return np.concatenate([error.ravel() for error in compare_with_table_v(solution).values()])


def summary(solution: Solution) -> str:
    relative = errors(solution)
    rms = float(np.sqrt(np.mean(relative**2)))
    return f"largest relative error {np.abs(relative).max():.2%}, rms {rms:.2%}"


def main() -> None:
    np.set_printoptions(suppress=True)
    inferred = infer()
    tokens = np.round(inferred.input_tokens())
    print("as fitted: ", summary(inferred.solution))
    print(f"profit_factor = {inferred.profit_factor:.1f}")
    print("compute_cost =", inferred.compute_cost.round(2))
    print("input_tokens =", *tokens, sep="\n  ")
    print("snr_db =", *inferred.snr_db(tokens).round(2), sep="\n  ")
    print("as shipped:", summary(solve(table_iv_market())))


if __name__ == "__main__":
    main()
