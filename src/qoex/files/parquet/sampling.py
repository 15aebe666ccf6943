"""Random markets of any size from the paper's Table III, drawn some users at a time.

Each block of ``BLOCK`` users has a random generator of its own, made of the seed and the number of
the block. So a seed gives the same numbers however many users are drawn at a time, and the first
users of a market are those of any larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qoex.errors import InvalidInputError
from qoex.files.parquet.chunk import Chunk, ProviderTable
from qoex.files.parquet.opening import FilePath
from qoex.files.parquet.writer import MarketWriter
from qoex.kernels import BLOCK
from qoex.model import qoe
from qoex.model.feasibility import FloorLoad, floor_terms, least_factor
from qoex.model.market import PAIR_FIELDS, PROVIDER_FIELDS, USER_FIELDS, FloatArray, Market
from qoex.model.work import QuadraticWork
from qoex.scenario.sampling import SPARE_CAPACITY, TABLE_III, Ranges

# How many users the capacities of Table III are for: the paper's experiments go up to 25. A market
# of more gets capacities as many times larger, so that a user has as much of them as there.
USERS_OF_TABLE_III = 25

# Users drawn at a time, unless there are so many providers that this would take too much memory.
_CHUNK = 16 * BLOCK
_CHUNK_PAIRS = 1 << 20

# Keys of the random streams that a seed gives.
_OF_PROVIDERS, _OF_USERS = 0, 1


def sample_market_directory(
    path: FilePath,
    providers: int,
    users: int,
    seed: int,
    *,
    ranges: Ranges = TABLE_III,
    feasible: bool = False,
    chunk: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> FloatArray:
    """Draw a market in which every user demands something of every provider, and write it.

    Providers and demands are drawn as ``sample_scenario`` draws them, but other numbers come out at
    the same seed, and both capacities of each provider are multiplied by M/25 if there are more
    than 25 users.

    Args:
        path: the directory to make; it may exist if it is empty.
        providers: N, at least one.
        users: M, at least one.
        seed: zero or more.
        ranges: what to draw from.
        feasible: multiply both capacities of a provider that cannot serve all of its users, or
            only just can, by 1.05 φ, as ``sample_scenario`` does.
        chunk: users to draw at a time, a multiple of ``BLOCK``; the market does not depend on it.
        progress: told the share that is done.

    Returns:
        φ, N: the least factor on both capacities of each provider as written that serves all its
        users; the market is feasible where φ < 1.

    Raises:
        InvalidInputError: N, M, seed or chunk cannot be, the draws make no market, or the directory
            is not empty or cannot be written.

    """
    draws = Draws(providers, users, seed, ranges)
    if chunk is not None and (chunk < BLOCK or chunk % BLOCK):
        raise InvalidInputError(f"chunk is {chunk!r}; it must be a multiple of {BLOCK}")
    with MarketWriter(path, draws.names) as writer:
        for drawn in draws.chunks(chunk):
            writer.append(drawn)
            if progress is not None:
                progress(drawn.last / users)
        table, factor = draws.provider_table(feasible=feasible)
        writer.finish(table)
    return factor


def sample_large_market(
    providers: int,
    users: int,
    seed: int,
    *,
    ranges: Ranges = TABLE_III,
    feasible: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Market:
    """Return in memory the market that ``sample_market_directory`` writes of the same arguments.

    Raises:
        InvalidInputError: N, M or seed cannot be, or the draws make no market.

    """
    draws = Draws(providers, users, seed, ranges)
    arrays: dict[str, Any] = {name: np.empty((providers, users)) for name in PAIR_FIELDS}
    arrays |= {name: np.empty(users) for name in USER_FIELDS}
    for drawn in draws.chunks():
        for name, array in arrays.items():
            array[..., drawn.first : drawn.last] = getattr(drawn, name)
        if progress is not None:
            progress(drawn.last / users)
    table, _ = draws.provider_table(feasible=feasible)
    arrays |= {name: getattr(table, name) for name in PROVIDER_FIELDS}
    return Market(**arrays, provider_names=table.names)


class Draws:
    """A market drawn chunk by chunk: any of its users, and its providers once all were drawn.

    Args:
        providers: N, at least one.
        users: M, at least one; capacities grow with it.
        seed: zero or more.
        ranges: what to draw from.

    Attributes:
        names: of the providers.

    Raises:
        InvalidInputError: N, M or seed cannot be, or the draws make no market.
    """

    def __init__(self, providers: int, users: int, seed: int, ranges: Ranges = TABLE_III) -> None:
        for name, count in (("providers", providers), ("users", users)):
            if count < 1:
                raise InvalidInputError(f"{name} is {count!r}; it must be one or more")
        if seed < 0:
            raise InvalidInputError(f"seed is {seed!r}; it must be zero or more")
        self.names = tuple(f"asp-{n + 1}" for n in range(providers))
        self._users = users
        self._load = FloorLoad(*(np.zeros(providers) for _ in FloorLoad._fields))
        self._shape = (providers, BLOCK)
        self._seed = seed
        self._ranges = ranges
        rng = self._stream(_OF_PROVIDERS)
        size = max(users / USERS_OF_TABLE_III, 1.0)
        self._compute_capacity = rng.uniform(*ranges.compute_capacity, providers) * size
        self._bandwidth_capacity = rng.uniform(*ranges.bandwidth_capacity, providers) * size
        self._compute_cost = rng.uniform(*ranges.compute_cost, providers)
        self._latency_budget = rng.uniform(*ranges.latency_budget, providers)
        work_per_token_pair = rng.uniform(*ranges.work_per_token_pair, providers)
        self._models = [QuadraticWork(float(value)) for value in work_per_token_pair]
        # θ̂ takes few values: one for each number of examples.
        self._gaps = qoe.gap_from_examples(
            ranges.examples, ranges.gap_scale, ranges.example_ambiguity
        )

    def chunks(self, size: int | None = None) -> Iterator[Chunk]:
        """Yield all users in order, and keep account of what serving them takes.

        Args:
            size: users at a time, a multiple of ``BLOCK``; the draws do not depend on it.

        """
        providers = len(self.names)
        if size is None:
            size = min(_CHUNK, max(_CHUNK_PAIRS // providers // BLOCK, 1) * BLOCK)
        for total in self._load:
            total[:] = 0.0
        for first in range(0, self._users, size):
            drawn = self.users_between(first, min(first + size, self._users))
            for total, term in zip(self._load, floor_terms(drawn), strict=True):
                for start in range(0, drawn.users, BLOCK):
                    total += term[:, start : start + BLOCK].sum(axis=1)
            yield drawn

    def provider_table(self, *, feasible: bool = False) -> tuple[ProviderTable, FloatArray]:
        """Return the providers, and φ (N) with these capacities, after all of ``chunks``.

        Args:
            feasible: raise capacities that are short for the users drawn.

        """
        capacities = self._compute_capacity, self._bandwidth_capacity
        factor = least_factor(self._load, *capacities)
        if feasible:
            growth = np.maximum(SPARE_CAPACITY * factor, 1.0)
            capacities = capacities[0] * growth, capacities[1] * growth
            factor = least_factor(self._load, *capacities)
        table = ProviderTable(
            names=self.names,
            compute_cost=self._compute_cost,
            bandwidth_cost=np.full(len(self.names), self._ranges.bandwidth_cost),
            compute_capacity=capacities[0],
            bandwidth_capacity=capacities[1],
        )
        return table, factor

    def users_between(self, first: int, last: int) -> Chunk:
        """Return the users from ``first``, which begins a block, up to ``last``.

        Beyond the market's own users are those that a larger one would have.
        """
        blocks = [self._block(number) for number in range(first // BLOCK, -(-last // BLOCK))]
        count = last - first
        rows = zip(*blocks, strict=True)
        work, traffic = (np.concatenate(parts, axis=1)[:, :count] for parts in rows)
        low, high = self._ranges.reward_bounds
        return Chunk(
            first,
            work=work,
            traffic=traffic,
            latency_budget=np.repeat(self._latency_budget[:, None], count, axis=1),
            profit_factor=np.full(count, self._ranges.profit_factor),
            reward_min=np.full(count, low),
            reward_max=np.full(count, high),
        )

    def _block(self, number: int) -> tuple[FloatArray, FloatArray]:
        """Return work and traffic (N×BLOCK each) of a block; the last one is drawn whole, too."""
        rng = self._stream(_OF_USERS, number)
        gaps = rng.choice(self._gaps, self._shape)
        input_tokens = rng.integers(*self._ranges.tokens, self._shape, endpoint=True)
        output_tokens = rng.integers(*self._ranges.tokens, self._shape, endpoint=True)
        snr = qoe.from_decibels(rng.uniform(*self._ranges.snr_db, self._shape))
        demands = zip(self._models, input_tokens, output_tokens, gaps, strict=True)
        work = np.stack([model.work(*given) for model, *given in demands])
        return work, qoe.traffic(input_tokens, output_tokens, snr)

    def _stream(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))
