"""What can go wrong, and how a caller tells one thing from another.

::

    QoexError
    ├── InvalidInputError       a value that cannot be: names the field, the place and the value
    │   └── ScenarioError       the same, in a file: names the file too
    ├── InfeasibleMarketError   demands that no allocation can serve within the capacities
    ├── UnavailableSchemeError  a scheme that needs data the market does not carry
    └── UnavailableClusterError a cluster that cannot be reached or used

Every message is one sentence that a person can act on; the command line prints it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class QoexError(Exception):
    """Base of every error that qoex raises on purpose."""


class InvalidInputError(QoexError, ValueError):
    """A value that cannot be; the message names the field, the provider or user, and the value."""


class ScenarioError(InvalidInputError):
    """A scenario file that cannot be read as a market; the message names the file and the place."""


class UnavailableSchemeError(QoexError):
    """A scheme that needs data this market does not carry (token counts, for example)."""


class UnavailableClusterError(QoexError):
    """A cluster that cannot be reached or used."""


@dataclass(frozen=True)
class Shortfall:
    """What one provider lacks to serve all of its users.

    Attributes:
        provider: name of the provider.
        capacity_factor: the least factor on both of its capacities that would do (dimensionless).
        compute: compute that it lacks at that factor, in TFLOPS.
        bandwidth: bandwidth that it lacks at that factor, in MHz.
    """

    provider: str
    capacity_factor: float
    compute: float
    bandwidth: float

    def sentence(self) -> str:
        """Say in one clause which provider falls short, and by how much."""
        return (
            f"{self.provider} is short of {self.compute:.6g} TFLOPS of compute and "
            f"{self.bandwidth:.6g} MHz of bandwidth (its capacities must be at least "
            f"{self.capacity_factor:.6g} times what they are)"
        )


class InfeasibleMarketError(QoexError):
    """Some provider cannot give all of its users a non-negative QoE (C1 and C2 of eq. 8 clash).

    Attributes:
        shortfalls: one entry for each provider that falls short.
        capacity_factor: the least factor on every capacity that would make the market feasible.
    """

    def __init__(self, shortfalls: Sequence[Shortfall]) -> None:
        self.shortfalls = tuple(shortfalls)
        self.capacity_factor = max(item.capacity_factor for item in self.shortfalls)
        listed = "; ".join(item.sentence() for item in self.shortfalls[:3])
        more = len(self.shortfalls) - 3
        if more > 0:
            listed += f"; and {more} more providers"
        super().__init__(
            f"the market cannot be served: {listed}; "
            f"capacities {self.capacity_factor:.6g} times as large would do, "
            "or fewer demands (admit)"
        )
