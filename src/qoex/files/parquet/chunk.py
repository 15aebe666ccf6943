"""Parts of a market: all providers without their users, and some users with their demands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from qoex.errors import InvalidInputError
from qoex.model.market import (
    PAIR_FIELDS,
    PROVIDER_FIELDS,
    USER_FIELDS,
    BoolArray,
    FloatArray,
    Market,
)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some consecutive users of a market, m of them, and what they demand of all N providers.

    The arrays are C-contiguous and cannot be written to.

    Attributes:
        first: index in the market of the first of these users.
        work: a, N×m, TFLOPS·ms.
        traffic: b, N×m, MHz·ms.
        latency_budget: κ, N×m, ms; zero where the user demands nothing of the provider.
        profit_factor: μ, m, money.
        reward_min: R^min, m, money per ms.
        reward_max: R^max, m, money per ms.

    Raises:
        InvalidInputError: the shapes do not match.
    """

    first: int
    work: FloatArray
    traffic: FloatArray
    latency_budget: FloatArray
    profit_factor: FloatArray
    reward_min: FloatArray
    reward_max: FloatArray

    def __post_init__(self) -> None:
        for name in (*PAIR_FIELDS, *USER_FIELDS):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            # A view, for the array of whoever built this stays theirs to write to.
            view = array.view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)
            wanted = self.work.shape if name in PAIR_FIELDS else self.work.shape[1:]
            if view.shape != wanted or self.work.ndim != 2 or self.work.size == 0:
                raise InvalidInputError(
                    f"{name} has shape {view.shape} beside work of shape {self.work.shape}; "
                    "a chunk needs providers × users, at least one of each"
                )

    @property
    def providers(self) -> int:
        """Number of providers, N."""
        return int(self.work.shape[0])

    @property
    def users(self) -> int:
        """Number of users here, m."""
        return int(self.work.shape[1])

    @property
    def last(self) -> int:
        """Index in the market after that of the last of these users."""
        return self.first + self.users

    @property
    def present(self) -> BoolArray:
        """N×m; true where the user demands something of the provider."""
        return self.latency_budget > 0

    def part(self, first: int, last: int) -> Chunk:
        """Return the users from ``first`` up to, not including, ``last`` (indices in the market).

        The arrays are copies: the part does not keep the whole in memory.
        """
        columns = slice(first - self.first, last - self.first)
        arrays = {name: getattr(self, name)[:, columns].copy() for name in PAIR_FIELDS}
        arrays |= {name: getattr(self, name)[columns].copy() for name in USER_FIELDS}
        return Chunk(first, **arrays)


@dataclass(frozen=True, eq=False, init=False)
class ProviderTable:
    """The providers of a market, without its users.

    Attributes:
        names: N distinct names.
        compute_cost: c^f, N, money per TFLOPS.
        bandwidth_cost: c^B, N, money per MHz.
        compute_capacity: f^max, N, TFLOPS.
        bandwidth_capacity: B^max, N, MHz.

    Raises:
        InvalidInputError: a value that cannot be; names the field, the provider and the value.
    """

    names: tuple[str, ...]
    compute_cost: FloatArray
    bandwidth_cost: FloatArray
    compute_capacity: FloatArray
    bandwidth_capacity: FloatArray

    def __init__(
        self,
        *,
        names: Sequence[str],
        compute_cost: ArrayLike,
        bandwidth_cost: ArrayLike,
        compute_capacity: ArrayLike,
        bandwidth_capacity: ArrayLike,
    ) -> None:
        nothing = np.zeros((len(names), 1))
        # A market of a user who demands nothing: the rules for providers are those of Market.
        market = Market(
            work=nothing,
            traffic=nothing,
            latency_budget=nothing,
            compute_cost=compute_cost,
            bandwidth_cost=bandwidth_cost,
            compute_capacity=compute_capacity,
            bandwidth_capacity=bandwidth_capacity,
            profit_factor=[1.0],
            reward_min=[0.0],
            reward_max=[1.0],
            provider_names=names,
        )
        object.__setattr__(self, "names", market.provider_names)
        for name in PROVIDER_FIELDS:
            object.__setattr__(self, name, getattr(market, name))

    @classmethod
    def of(cls, market: Market) -> ProviderTable:
        """Return the providers of a market in memory."""
        arrays = {name: getattr(market, name) for name in PROVIDER_FIELDS}
        return cls(names=market.provider_names, **arrays)

    def columns(self) -> dict[str, list[str] | FloatArray]:
        """Return column → values, as ``providers.parquet`` has them."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"name": list(given.pop("names")), **given}
