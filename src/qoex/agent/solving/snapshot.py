"""What all active nodes said up to one place of the log, as arrays, and the market it makes.

A pair is in the market if both nodes are active, the user demands something of the provider, and
all that eqs. 6 and 7 need is known; demands that lack something are left out, each with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from qoex.model import qoe
from qoex.model.market import BoolArray, FloatArray, Market
from qoex.model.work import CachedWork, QuadraticWork, WorkModel
from qoex.wire.rules import LEAST

# The columns that a snapshot has; a value is NaN where a report does not give it.
PROVIDER_COLUMNS = (
    "compute_capacity",
    "bandwidth_capacity",
    "compute_cost",
    "bandwidth_cost",
    "latency_budget",
    "work_model",  # place in WORK_MODEL_NAMES
    "work_per_token_pair",
    "work_per_request",
    "work_per_input_token",
    "work_per_output_token",
    "gap_scale",
    "example_ambiguity",
    "snr_db",
    "compute_load",
    "bandwidth_load",
)
USER_COLUMNS = ("profit_factor", "reward_min", "reward_max")
DEMAND_COLUMNS = (
    "performance_gap",
    "examples",
    "input_tokens",
    "output_tokens",
    "latency_budget",
)
WORK_MODEL_NAMES = ("quadratic", "cached")

LISTED = 20  # of the demands left out


class Lack(StrEnum):
    """Why a demand is left out of the market."""

    NO_CAPACITY = "no-capacity"  # other work takes all of a capacity of the provider
    NO_SNR = "no-snr"  # neither the link nor the provider gives a signal-to-noise ratio
    NO_GAP_MODEL = "no-gap-model"  # it gives examples, its provider not both η and β of eq. 6
    NO_SUCH_GAP = "no-such-gap"  # its examples bring about no gap between zero and one (eq. 6)


@dataclass(frozen=True, slots=True)
class LeftOutDemand:
    """A demand that is not in the market, and why."""

    provider: str
    user: str
    reason: Lack


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The demands that are not in the market: how many, and the first of them."""

    count: int
    first: tuple[LeftOutDemand, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """What N active providers and M active users said; the order is that of their names.

    Attributes:
        position: seq of the last entry in it.
        taken_at: when it was taken, UTC.
        provider_names: N.
        user_names: M.
        providers: by ``PROVIDER_COLUMNS``, N each, NaN where not given.
        users: by ``USER_COLUMNS``, M each.
        demands: by ``DEMAND_COLUMNS``, N×M each, NaN where not given; a demand gives its
            ``input_tokens``.
        snr_db: N×M, NaN for links not reported.
    """

    position: int
    taken_at: datetime
    provider_names: tuple[str, ...]
    user_names: tuple[str, ...]
    providers: Mapping[str, FloatArray]
    users: Mapping[str, FloatArray]
    demands: Mapping[str, FloatArray]
    snr_db: FloatArray

    @property
    def demanded(self) -> BoolArray:
        """N×M; true where the user demands something of the provider."""
        return ~np.isnan(self.demands["input_tokens"])

    @property
    def present(self) -> BoolArray:
        """N×M; true for the pairs that are in the market."""
        return ~np.isnan(self._gaps)

    @cached_property
    def left_out(self) -> LeftOut:
        """The demands that are not in the market, by provider and then by user."""
        lacking = self.demanded & ~self.present
        count = int(np.count_nonzero(lacking))
        if not count:
            return LeftOut(0, ())
        first = np.argwhere(lacking)[:LISTED]
        demands = [
            LeftOutDemand(self.provider_names[n], self.user_names[m], self._lack(n, m))
            for n, m in first.tolist()
        ]
        return LeftOut(count, tuple(demands))

    def market(self) -> Market | None:
        """Return the market of all active nodes, or None if it has no pair.

        A user may be without a pair in it, and so may a provider; where other work takes all of a
        capacity, the least that a capacity can be stands in its place.
        """
        present = self.present
        if not present.any():
            return None
        shape = present.shape
        work, traffic = np.zeros(shape), np.zeros(shape)
        inputs, outputs = self.demands["input_tokens"], self.demands["output_tokens"]
        for n in range(shape[0]):
            m = np.flatnonzero(present[n])
            if m.size:
                work[n, m] = self._work_model(n).work(inputs[n, m], outputs[n, m], self._gaps[n, m])
                ratios = qoe.from_decibels(self._decibels[n, m])
                traffic[n, m] = qoe.traffic(inputs[n, m], outputs[n, m], ratios)
        own_budget = self.demands["latency_budget"]
        budget = np.where(
            np.isnan(own_budget), self.providers["latency_budget"][:, np.newaxis], own_budget
        )
        return Market(
            work=work,
            traffic=traffic,
            latency_budget=np.where(present, budget, 0.0),
            compute_cost=self.providers["compute_cost"],
            bandwidth_cost=self.providers["bandwidth_cost"],
            compute_capacity=np.maximum(self._available("compute"), LEAST),
            bandwidth_capacity=np.maximum(self._available("bandwidth"), LEAST),
            profit_factor=self.users["profit_factor"],
            reward_min=self.users["reward_min"],
            reward_max=self.users["reward_max"],
            provider_names=self.provider_names,
            user_names=self.user_names,
        )

    @cached_property
    def _gaps(self) -> FloatArray:
        """θ̂ of each pair in the market, N×M; NaN everywhere else."""
        gaps = self.demands["performance_gap"].copy()
        n, m = np.nonzero(~np.isnan(self.demands["examples"]))
        if n.size:
            gaps[n, m] = self._gaps_of_examples(n, m)
        with np.errstate(invalid="ignore"):
            possible = (gaps > 0.0) & (gaps < 1.0)
        possible &= ~np.isnan(self._decibels) & ~self._full[:, np.newaxis]
        gaps[~possible] = np.nan
        return gaps

    def _gaps_of_examples(self, n: Any, m: Any) -> FloatArray:
        scale, ambiguity = self.providers["gap_scale"][n], self.providers["example_ambiguity"][n]
        known = ~(np.isnan(scale) | np.isnan(ambiguity))
        gaps = np.full(n.size, np.nan)
        with np.errstate(under="ignore"):
            gaps[known] = qoe.gap_from_examples(
                self.demands["examples"][n[known], m[known]], scale[known], ambiguity[known]
            )
        return gaps

    @cached_property
    def _decibels(self) -> FloatArray:
        """γ in dB of each link, N×M, NaN where neither link nor provider gives it."""
        default = self.providers["snr_db"][:, np.newaxis]
        return np.where(np.isnan(self.snr_db), default, self.snr_db)

    def _available(self, resource: str) -> FloatArray:
        load = np.nan_to_num(self.providers[f"{resource}_load"], nan=0.0)
        free: FloatArray = self.providers[f"{resource}_capacity"] * (1.0 - load)
        return free

    @property
    def _full(self) -> BoolArray:
        loads = self.providers["compute_load"], self.providers["bandwidth_load"]
        full: BoolArray = (loads[0] == 1.0) | (loads[1] == 1.0)
        return full

    def _lack(self, n: int, m: int) -> Lack:
        if self._full[n]:
            return Lack.NO_CAPACITY
        if np.isnan(self._decibels[n, m]):
            return Lack.NO_SNR
        if np.isnan(self.providers["gap_scale"][n] + self.providers["example_ambiguity"][n]):
            return Lack.NO_GAP_MODEL
        return Lack.NO_SUCH_GAP

    def _work_model(self, n: int) -> WorkModel:
        given = {
            name: float(self.providers[name][n])
            for name in PROVIDER_COLUMNS
            if name.startswith("work_per_") and not np.isnan(self.providers[name][n])
        }
        if self.providers["work_model"][n] == WORK_MODEL_NAMES.index("cached"):
            return CachedWork(**given)
        return QuadraticWork(given["work_per_token_pair"])

    def __getstate__(self) -> dict[str, Any]:
        # What was computed from the rest is not sent along.
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        shape = f"{len(self.provider_names)} providers × {len(self.user_names)} users"
        return f"Snapshot({shape} at {self.position})"
