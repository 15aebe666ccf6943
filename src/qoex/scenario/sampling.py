"""Random scenarios from the paper's Table III.

Randomness enters as a ``numpy.random.Generator`` only: the same seed gives the same scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from qoex.errors import InvalidInputError
from qoex.model.market import FloatArray
from qoex.model.validation import not_negative, positive, share, within
from qoex.scenario import Defaults, Demand, Provider, Scenario, User

Interval = tuple[float, float]

# With feasible=True a provider that could just serve its users gets this much more of both
# resources: right at the edge QoE is zero and prices are infinite.
SPARE_CAPACITY = 1.05

_POSITIVE_INTERVALS = (
    "compute_capacity",
    "bandwidth_capacity",
    "latency_budget",
    "compute_cost",
    "work_per_token_pair",
)
_LARGEST_DECIBELS = 200.0  # as in a scenario file: beyond it the unit must be another one


@dataclass(frozen=True)
class Ranges:
    """What scenarios are drawn from; an interval is drawn from uniformly, both ends included.

    The first group is Table III. The second is *inferred*, for the paper does not give it: Table V
    is an equilibrium with slack capacities, where a = f²c/R and b = B²d/R, and one μ, two unit
    costs of compute and a unit cost of bandwidth fixed at 0.15 reproduce all of its 24 numbers
    within 1.2 % (0.44 % rms). The ξ that this implies for the two providers are the ends of its
    interval. β and η make θ̂ = 10^-(K+1), the pairs of K and θ̂ that section VI-A lists.

    The reward bounds are a choice, for the paper gives none. A user's reward stays below
    μ/(1+ΣQ) (its utility falls beyond), which is below 10 as soon as its QoE adds up to 37 ms, and
    those of Table V lie between 0.056 and 0.126. At equilibria of scenarios drawn for one to five
    providers and 5 to 25 users, rewards lay between 0.005 and 9. So neither bound binds, but where
    capacities barely suffice (one provider, made feasible for 25 users): there the upper one may.

    Attributes:
        examples: K, drawn from these with equal probability.
        tokens: x_in and x_out of each demand, whole numbers.
        compute_capacity: f^max, TFLOPS.
        bandwidth_capacity: B^max, MHz.
        latency_budget: κ of a provider, ms.
        snr_db: γ of each pair, dB.
        profit_factor: μ of every user, money (inferred).
        compute_cost: c^f, money per TFLOPS (inferred).
        bandwidth_cost: c^B of every provider, money per MHz (inferred).
        work_per_token_pair: ξ, TFLOPS·ms per attended pair of tokens (inferred).
        gap_scale: β of every provider (inferred).
        example_ambiguity: η of every provider (inferred).
        reward_bounds: R^min and R^max of every user, money per ms (chosen).

    Raises:
        InvalidInputError: a value that cannot be; the message names it.

    """

    examples: tuple[int, ...] = (2, 4, 6, 8, 10)
    tokens: tuple[int, int] = (100, 2000)
    compute_capacity: Interval = (5.0, 30.0)
    bandwidth_capacity: Interval = (100.0, 500.0)
    latency_budget: Interval = (300.0, 1500.0)
    snr_db: Interval = (10.0, 30.0)

    profit_factor: float = 370.4
    compute_cost: Interval = (21.33, 24.60)
    bandwidth_cost: float = 0.15
    work_per_token_pair: Interval = (1.0e-5, 1.6e-5)
    gap_scale: float = 0.1
    example_ambiguity: float = 1.0 / 11.0

    reward_bounds: Interval = (1e-4, 10.0)

    def __post_init__(self) -> None:
        for name in ("profit_factor", "bandwidth_cost", "gap_scale"):
            positive(name, getattr(self, name))
        share("example_ambiguity", self.example_ambiguity, below=0.5)
        for name in (*_POSITIVE_INTERVALS, "tokens"):
            _interval(name, getattr(self, name), positive)
        _interval("snr_db", self.snr_db, partial(within, bound=_LARGEST_DECIBELS))
        _interval("reward_bounds", self.reward_bounds, not_negative)
        positive("reward_bounds[1]", self.reward_bounds[1])
        if not self.examples:
            raise InvalidInputError("examples is empty; it must hold at least one")
        not_negative("examples", self.examples)
        for name in ("examples", "tokens"):
            for value in getattr(self, name):
                if not isinstance(value, int):
                    raise InvalidInputError(f"{name} has {value!r}; it must hold whole numbers")


def _interval(name: str, ends: Interval, check: Callable[[str, Interval], FloatArray]) -> None:
    if np.shape(ends) != (2,):
        raise InvalidInputError(f"{name} is {ends!r}; it must be two numbers")
    check(name, ends)
    if ends[0] > ends[1]:
        raise InvalidInputError(f"{name} goes from {ends[0]!r} to {ends[1]!r}; it must go upwards")


TABLE_III = Ranges()


def sample_scenario(
    providers: int,
    users: int,
    rng: np.random.Generator,
    *,
    ranges: Ranges = TABLE_III,
    feasible: bool = False,
) -> Scenario:
    """Draw a scenario in which every user demands something of every provider.

    Args:
        providers: N, at least one.
        users: M, at least one.
        rng: the source of randomness; it is advanced.
        ranges: what to draw from.
        feasible: multiply both capacities of a provider that cannot serve all of its users, or
            only just can, by 1.05 φ, where φ is the least factor that would do
            (``feasibility.frontier_factor``; applied where φ > 1/1.05). The draws are the same
            either way, but capacities may then lie above their ranges.

    Raises:
        InvalidInputError: N or M is not at least one, or what was drawn makes no market (examples
            that call for a performance gap of one or more, at such ranges).

    """
    for name, count in (("providers", providers), ("users", users)):
        if count < 1:
            raise InvalidInputError(f"{name} is {count!r}; it must be one or more")
    pairs = (providers, users)
    compute_capacity = rng.uniform(*ranges.compute_capacity, providers)
    bandwidth_capacity = rng.uniform(*ranges.bandwidth_capacity, providers)
    latency_budget = rng.uniform(*ranges.latency_budget, providers)
    compute_cost = rng.uniform(*ranges.compute_cost, providers)
    work_per_token_pair = rng.uniform(*ranges.work_per_token_pair, providers)
    examples = rng.choice(ranges.examples, pairs)
    input_tokens = rng.integers(*ranges.tokens, pairs, endpoint=True)
    output_tokens = rng.integers(*ranges.tokens, pairs, endpoint=True)
    snr_db = rng.uniform(*ranges.snr_db, pairs)

    def build(compute: FloatArray, bandwidth: FloatArray) -> Scenario:
        tables: dict[str, object] = {
            "title": f"Table III, {providers} providers and {users} users",
            "defaults": Defaults(
                bandwidth_cost=ranges.bandwidth_cost,
                gap_scale=ranges.gap_scale,
                example_ambiguity=ranges.example_ambiguity,
                profit_factor=ranges.profit_factor,
                reward_min=ranges.reward_bounds[0],
                reward_max=ranges.reward_bounds[1],
            ),
            "providers": tuple(
                Provider(
                    name=f"asp-{n + 1}",
                    compute_capacity=float(compute[n]),
                    bandwidth_capacity=float(bandwidth[n]),
                    compute_cost=float(compute_cost[n]),
                    latency_budget=float(latency_budget[n]),
                    work_per_token_pair=float(work_per_token_pair[n]),
                )
                for n in range(providers)
            ),
            "users": tuple(User(name=f"mu-{m + 1}") for m in range(users)),
            "demands": tuple(
                Demand(
                    user=f"mu-{m + 1}",
                    provider=f"asp-{n + 1}",
                    examples=float(examples[n, m]),
                    input_tokens=float(input_tokens[n, m]),
                    output_tokens=float(output_tokens[n, m]),
                    snr_db=float(snr_db[n, m]),
                )
                for n in range(providers)
                for m in range(users)
            ),
        }
        return Scenario.parse(tables)

    scenario = build(compute_capacity, bandwidth_capacity)
    if not feasible:
        return scenario
    from qoex.model.feasibility import frontier_factor  # not needed but here

    growth = np.maximum(SPARE_CAPACITY * frontier_factor(scenario.market()), 1.0)
    return build(compute_capacity * growth, bandwidth_capacity * growth)
