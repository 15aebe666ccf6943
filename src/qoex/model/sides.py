"""The two sides of a market apart, for who needs one of them or some users' part only.

A :class:`qoex.model.market.Market` is both; a stored market is the providers' side, and a chunk of
it the users' side.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from qoex.model.market import FloatArray


class ProviderSide(Protocol):
    """What N providers have, and what it costs them."""

    @property
    def compute_cost(self) -> FloatArray:
        """Return c, N, money per TFLOPS."""
        ...

    @property
    def bandwidth_cost(self) -> FloatArray:
        """Return d, N, money per MHz."""
        ...

    @property
    def compute_capacity(self) -> FloatArray:
        """Return F, N, TFLOPS."""
        ...

    @property
    def bandwidth_capacity(self) -> FloatArray:
        """Return W, N, MHz."""
        ...


class UserSide(Protocol):
    """What m users ask of all N providers."""

    @property
    def work(self) -> FloatArray:
        """Return a, N×m, TFLOPS·ms."""
        ...

    @property
    def traffic(self) -> FloatArray:
        """Return b, N×m, MHz·ms."""
        ...

    @property
    def latency_budget(self) -> FloatArray:
        """Return κ, N×m, ms."""
        ...

    @property
    def profit_factor(self) -> FloatArray:
        """Return μ, m, money."""
        ...

    @property
    def reward_min(self) -> FloatArray:
        """Return R^min, m, money per ms."""
        ...

    @property
    def reward_max(self) -> FloatArray:
        """Return R^max, m, money per ms."""
        ...


class UserArrays(NamedTuple):
    """The users' side as arrays; fields as of :class:`UserSide`."""

    work: FloatArray
    traffic: FloatArray
    latency_budget: FloatArray
    profit_factor: FloatArray
    reward_min: FloatArray
    reward_max: FloatArray
