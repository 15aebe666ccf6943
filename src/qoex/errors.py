"""What can go wrong, and how a caller tells one thing from another.

::

    QoexError
    ├── InvalidInputError       a value that cannot be: names the field, the place and the value
    │   └── ScenarioError       the same, in a file: names the file too
    ├── InfeasibleMarketError   demands that no allocation can serve within the capacities
    ├── UnavailableSchemeError  a scheme that needs data the market does not carry
    ├── UnavailableClusterError a cluster that cannot be reached or used
    └── UnsolvedMarketError     a market that ``solve(..., throw=True)`` did not solve; carries the
                                solution, and so is in :mod:`qoex.game.solution`

Every message is one sentence that a person can act on; the command line prints it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal


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


_LISTED = 3  # providers that a sentence names


@dataclass(frozen=True)
class Shortfall:
    """What one provider lacks to serve all of its users.

    Attributes:
        provider: name of the provider.
        capacity_factor: the least factor on both of its capacities that would do (dimensionless).
        compute_capacity: compute that it has, in TFLOPS.
        bandwidth_capacity: bandwidth that it has, in MHz.
        compute_needed: the least compute that would do with the bandwidth it has, in TFLOPS;
            infinite where none would. None where compute is shared out by a rule, so that what is
            short is the other resource.
        bandwidth_needed: the least bandwidth that would do with the compute it has, in MHz;
            infinite where none would. None likewise.
    """

    provider: str
    capacity_factor: float
    compute_capacity: float
    bandwidth_capacity: float
    compute_needed: float | None
    bandwidth_needed: float | None

    @property
    def short(self) -> tuple[str, ...]:
        """Which resource is short: "compute", "bandwidth", or both where neither alone would do.

        Where more of either alone would do, it is the one of which relatively less is missing.
        """
        lacking = {name: needed / has for name, _, has, needed in self._resources()}
        if all(math.isinf(factor) for factor in lacking.values()):
            return tuple(lacking)
        return (min(lacking, key=lambda name: lacking[name]),)

    def sentence(self) -> str:
        """Say in one clause what is short, and what each resource alone would have to be."""
        resources = self._resources()
        short = self.short
        if len(short) > 1:
            together = " and ".join(
                f"{_at_least(self.capacity_factor * has)} {unit} of {name} (it has {has:.6g})"
                for name, unit, has, _ in resources
            )
            return (
                f"{self.provider} is short of {' and '.join(short)}: no amount of one alone would "
                f"do, but {together} would"
            )
        ((name, unit, has, needed),) = (item for item in resources if item[0] in short)
        clause = (
            f"{self.provider} is short of {name}: it has {has:.6g} {unit} and needs "
            f"{_at_least(needed)}"
        )
        others = [item for item in resources if item[0] not in short]
        if not others:
            return clause
        ((other, other_unit, other_has, other_needed),) = others
        if math.isinf(other_needed):
            return (
                f"{clause} with the {other_has:.6g} {other_unit} of {other} that it has, and no "
                f"amount of {other} alone would do"
            )
        return (
            f"{clause} with the {other_has:.6g} {other_unit} of {other} that it has, or else "
            f"{_at_least(other_needed)} {other_unit} of {other}"
        )

    def _resources(self) -> list[tuple[str, str, float, float]]:
        """Return name, unit, what there is and what is needed of each resource to be chosen."""
        resources = (
            ("compute", "TFLOPS", self.compute_capacity, self.compute_needed),
            ("bandwidth", "MHz", self.bandwidth_capacity, self.bandwidth_needed),
        )
        return [
            (name, unit, has, needed) for name, unit, has, needed in resources if needed is not None
        ]


class InfeasibleMarketError(QoexError):
    """Some provider cannot give all of its users a non-negative QoE (C1 and C2 of eq. 8 clash).

    Attributes:
        shortfalls: one entry for each provider that falls short.
        capacity_factor: the least factor on every capacity that would make the market feasible.
    """

    def __init__(self, shortfalls: Sequence[Shortfall]) -> None:
        self.shortfalls = tuple(shortfalls)
        self.capacity_factor = max(item.capacity_factor for item in self.shortfalls)
        super().__init__(f"{self.sentence()} (admit)")

    def sentence(self) -> str:
        """Say what is missing; the message adds the function that turns demands away."""
        return shortage(self.shortfalls, len(self.shortfalls), self.capacity_factor)


def shortage(shortfalls: Sequence[Shortfall], providers: int, capacity_factor: float) -> str:
    """Say that a market cannot be served.

    Args:
        shortfalls: the first of them, three or more where there are as many.
        providers: how many fall short in all.
        capacity_factor: the least factor on every capacity that would do (dimensionless).
    """
    listed = "; ".join(item.sentence() for item in shortfalls[:_LISTED])
    if providers > _LISTED:
        listed += f"; and {providers - _LISTED} more providers"
    # What a rule shares out is not multiplied: it might then serve more users.
    which = "".join(
        f"{name} "
        for name, others in (("compute", "bandwidth_needed"), ("bandwidth", "compute_needed"))
        if all(getattr(item, others) is None for item in shortfalls)
    )
    return (
        f"the market cannot be served: {listed}; "
        f"{which}capacities {_at_least(capacity_factor)} times as large would do, "
        "or fewer demands"
    )


def _at_least(value: float) -> str:
    """Return a number in six digits, rounded up: as much of it as is shown is enough."""
    if float(f"{value:.6g}") < value:
        exact = Decimal(value)
        value = float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 5), ROUND_CEILING))
    return f"{value:.6g}"
