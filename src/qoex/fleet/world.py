"""What is true: who is there, what they demand, and how good their links are.

The world knows nothing of the agent, so it is the same whatever the agent decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoex.fleet.settings import HOUR, FleetSettings
from qoex.model import qoe
from qoex.model.feasibility import frontier_factor
from qoex.model.market import BoolArray, FloatArray, Market
from qoex.model.work import QuadraticWork
from qoex.scenario.sampling import Interval

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class WorldDemands:
    """What some users demand, and their links (N×M each).

    Attributes:
        examples: K.
        input_tokens: x_in.
        output_tokens: x_out.
        mean_snr_db: around which the link varies, dB.
        snr_db: the link now, dB.
    """

    examples: IntArray
    input_tokens: IntArray
    output_tokens: IntArray
    mean_snr_db: FloatArray
    snr_db: FloatArray

    def kept(self, users: BoolArray) -> WorldDemands:
        """Return those of the marked users."""
        return WorldDemands(**{name: array[:, users] for name, array in self._arrays()})

    def joined(self, others: WorldDemands) -> WorldDemands:
        """Return these, and then those of others."""
        return WorldDemands(
            **{
                name: np.concatenate([array, getattr(others, name)], axis=1)
                for name, array in self._arrays()
            }
        )

    def _arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        return ((item.name, getattr(self, item.name)) for item in fields(self))


@dataclass(frozen=True)
class Changes:
    """What happened in one step.

    Attributes:
        kept: marks the users of before who are still there, in their order.
        arrived: how many users came; they stand at the end.
        left: names of users who said that they leave.
        failed: names of users who fell silent.
        changed: (provider, user) indices of demands that changed, users counted as they are now.
        providers_failed: indices.
        providers_back: indices.
    """

    kept: BoolArray
    arrived: int
    left: tuple[str, ...]
    failed: tuple[str, ...]
    changed: tuple[tuple[int, int], ...]
    providers_failed: tuple[int, ...]
    providers_back: tuple[int, ...]


class World:
    """A fleet as it really is.

    Attributes:
        settings: what it is like.
        time: seconds since the beginning.
        provider_names: N names.
        up: N; whether a provider is there.
        compute_capacity: N, TFLOPS.
        bandwidth_capacity: N, MHz.
        compute_cost: N, money per TFLOPS.
        latency_budget: N, ms.
        work_per_token_pair: N, TFLOPS·ms.
        user_names: M names.
        demands: of these users.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings
        self.time = 0.0
        self._rng = np.random.default_rng(settings.seed)
        self._made = 0
        self._gone: list[str] = []
        ranges, count = settings.ranges, settings.providers
        self.provider_names = tuple(f"asp-{n + 1}" for n in range(count))
        self.up: BoolArray = np.ones(count, dtype=bool)
        self.compute_capacity = self._drawn(ranges.compute_capacity, count)
        self.bandwidth_capacity = self._drawn(ranges.bandwidth_capacity, count)
        self.compute_cost = self._drawn(ranges.compute_cost, count)
        self.latency_budget = self._drawn(ranges.latency_budget, count)
        self.work_per_token_pair = self._drawn(ranges.work_per_token_pair, count)
        self.demands = self._new_demands(settings.users)
        self.user_names = [self._name() for _ in range(settings.users)]
        growth = np.maximum(1.0, settings.headroom * frontier_factor(self._market(self.up)))
        self.compute_capacity *= growth
        self.bandwidth_capacity *= growth

    def advance(self) -> Changes:
        """Let one step pass and return what happened."""
        settings = self.settings
        self.time += settings.step
        self._move()
        kept, left, failed = self._depart()
        arrived = int(self._rng.poisson(settings.arrivals * settings.step / HOUR))
        changed = self._change_demands()
        self.demands = self.demands.joined(self._new_demands(arrived))
        self.user_names += [self._returning_or_new() for _ in range(arrived)]
        self._gone += [*left, *failed]
        providers_failed, providers_back = self._change_providers()
        return Changes(
            kept=kept,
            arrived=arrived,
            left=left,
            failed=failed,
            changed=changed,
            providers_failed=providers_failed,
            providers_back=providers_back,
        )

    def market(self) -> Market | None:
        """Return the market of all who are there; None if no pair is.

        All N providers stand in it, those that failed without demands.
        """
        if not self.user_names or not self.up.any():
            return None
        return self._market(self.up)

    def _market(self, up: BoolArray) -> Market:
        ranges, demands = self.settings.ranges, self.demands
        users = len(self.user_names)
        there = up[:, None]
        gap = qoe.gap_from_examples(demands.examples, ranges.gap_scale, ranges.example_ambiguity)
        tokens = demands.input_tokens, demands.output_tokens
        work = np.stack(
            [
                QuadraticWork(float(work_per_pair)).work(incoming, outgoing, gaps)
                for work_per_pair, incoming, outgoing, gaps in zip(
                    self.work_per_token_pair, *tokens, gap, strict=True
                )
            ]
        )
        traffic = qoe.traffic(*tokens, qoe.from_decibels(demands.snr_db))
        count = self.settings.providers
        return Market(
            work=np.where(there, work, 0.0),
            traffic=np.where(there, traffic, 0.0),
            latency_budget=np.where(there, np.repeat(self.latency_budget[:, None], users, 1), 0.0),
            compute_cost=self.compute_cost,
            bandwidth_cost=np.full(count, ranges.bandwidth_cost),
            compute_capacity=self.compute_capacity,
            bandwidth_capacity=self.bandwidth_capacity,
            profit_factor=np.full(users, ranges.profit_factor),
            reward_min=np.full(users, ranges.reward_bounds[0]),
            reward_max=np.full(users, ranges.reward_bounds[1]),
            provider_names=self.provider_names,
            user_names=self.user_names,
        )

    def _drawn(self, ends: Interval, *shape: int) -> FloatArray:
        return self._rng.uniform(*ends, shape)

    def _new_demands(self, users: int) -> WorldDemands:
        ranges, shape = self.settings.ranges, (self.settings.providers, users)
        mean = self._drawn(ranges.snr_db, *shape)
        deviation = self.settings.movement * self._rng.standard_normal(shape)
        return WorldDemands(
            examples=self._rng.choice(ranges.examples, shape),
            input_tokens=self._rng.integers(*ranges.tokens, shape, endpoint=True),
            output_tokens=self._rng.integers(*ranges.tokens, shape, endpoint=True),
            mean_snr_db=mean,
            snr_db=reflected(mean + deviation, *ranges.snr_db),
        )

    def _move(self) -> None:
        """Let every link vary: a Gauss–Markov process around its mean, reflected at both ends."""
        settings, demands = self.settings, self.demands
        memory = np.exp(-settings.step / settings.coherence)
        spread = settings.movement * np.sqrt(1.0 - memory**2)
        noise = spread * self._rng.standard_normal(demands.snr_db.shape)
        moved = demands.mean_snr_db + memory * (demands.snr_db - demands.mean_snr_db) + noise
        demands.snr_db[:] = reflected(moved, *settings.ranges.snr_db)

    def _depart(self) -> tuple[BoolArray, tuple[str, ...], tuple[str, ...]]:
        settings, users = self.settings, len(self.user_names)
        going = self._rng.random(users) < -np.expm1(-settings.step / settings.stay)
        silent = self._rng.random(users) < settings.failing
        left = tuple(self.user_names[m] for m in np.flatnonzero(going & ~silent))
        failed = tuple(self.user_names[m] for m in np.flatnonzero(going & silent))
        kept = ~going
        self.user_names = [self.user_names[m] for m in np.flatnonzero(kept)]
        self.demands = self.demands.kept(kept)
        return kept, left, failed

    def _change_demands(self) -> tuple[tuple[int, int], ...]:
        settings, demands = self.settings, self.demands
        users = len(self.user_names)
        changing = self._rng.random(users) < -np.expm1(-settings.changes * settings.step / HOUR)
        columns = np.flatnonzero(changing)
        rows = self._rng.integers(settings.providers, size=columns.size)
        ranges, count = settings.ranges, columns.size
        demands.examples[rows, columns] = self._rng.choice(ranges.examples, count)
        for tokens in (demands.input_tokens, demands.output_tokens):
            tokens[rows, columns] = self._rng.integers(*ranges.tokens, count, endpoint=True)
        return tuple(zip(rows.tolist(), columns.tolist(), strict=True))

    def _change_providers(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        settings = self.settings
        drawn = self._rng.random(settings.providers)
        failing = -np.expm1(-settings.provider_failures * settings.step / HOUR)
        repaired = -np.expm1(-settings.step / settings.repair)
        failed = self.up & (drawn < failing)
        back = ~self.up & (drawn < repaired)
        self.up = (self.up & ~failed) | back
        return tuple(np.flatnonzero(failed).tolist()), tuple(np.flatnonzero(back).tolist())

    def _name(self) -> str:
        self._made += 1
        return f"mu-{self._made}"

    def _returning_or_new(self) -> str:
        # Both numbers are drawn every time, so that what follows does not hang on who is gone.
        returns, which = self._rng.random(2)
        if self._gone and returns < self.settings.returning:
            return self._gone.pop(int(which * len(self._gone)))
        return self._name()


def reflected(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return values folded back into [low, high] as often as it takes."""
    width = high - low
    if width == 0:
        return np.full_like(values, low)
    folded: FloatArray = low + width - np.abs(np.mod(values - low, 2.0 * width) - width)
    return np.clip(folded, low, high)  # rounding may leave it by a last bit
