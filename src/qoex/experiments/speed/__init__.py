"""What a solve costs, as a multiple of reading the market once: times that hold on any machine.

Seconds measured on a shared machine do not hold from one minute to the next, nor on another one. A
solver of a large market cannot do with less than one look at every number, so the time of one
streaming pass, taken beside every measurement, is the unit here
(:mod:`qoex.experiments.speed.streaming`).
"""

from __future__ import annotations

from qoex.experiments.speed.measure import GOALS, GOALS_ARE_FOR, Benchmark, run_benchmark

__all__ = ["GOALS", "GOALS_ARE_FOR", "Benchmark", "run_benchmark"]
