"""What a simulated fleet is like."""

from __future__ import annotations

from dataclasses import dataclass, field

from qoex.errors import InvalidInputError
from qoex.model.validation import not_negative, positive, share
from qoex.scenario.sampling import TABLE_III, Ranges

HOUR = 3600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """A fleet; all times are simulated ones.

    The paper says nothing of how users move and come and go, so all of this is a choice, but the
    ranges that nodes are drawn from, which are those of its Table III.

    Attributes:
        users: expected number of users at any time, and the number at the beginning; one or more.
        providers: N, one or more.
        seed: the same seed gives the same fleet, whatever the agent does.
        step: seconds between two cycles.
        arrivals: users per hour (Poisson); as many leave, so that a user stays users/arrivals
            hours on average (exponential).
        returning: share of arrivals that are users who were here before, if there are any.
        failing: share of departures that are failures: the user falls silent and must expire.
        changes: how often a user changes a demand, per hour (Poisson).
        movement: standard deviation of a link's signal-to-noise ratio around its own mean, dB.
        coherence: seconds after which a deviation from that mean has faded to 1/e (Gauss–Markov).
        link_threshold: dB by which a link must have changed for its provider to report it.
        provider_failures: how often a provider fails, per hour (Poisson).
        repair: seconds that a failed provider stays away on average (exponential).
        lifetime: seconds without a report after which a node expires.
        headroom: capacities of providers that could not serve the first users, times this, are
            raised until they could; at least 1.
        ranges: what nodes are drawn from.

    Raises:
        InvalidInputError: a value that cannot be; the message names it.
    """

    users: int = 20
    providers: int = 3
    seed: int = 0
    step: float = 60.0
    arrivals: float = 20.0
    returning: float = 0.3
    failing: float = 0.2
    changes: float = 1.0
    movement: float = 3.0
    coherence: float = 600.0
    link_threshold: float = 0.5
    provider_failures: float = 0.1
    repair: float = 900.0
    lifetime: float = 600.0
    headroom: float = 1.3
    ranges: Ranges = field(default=TABLE_III)

    def __post_init__(self) -> None:
        for name in ("users", "providers"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is {getattr(self, name)!r}; it must be 1 or more")
        for name in ("step", "arrivals", "coherence", "repair", "lifetime"):
            positive(name, getattr(self, name))
        for name in ("changes", "movement", "link_threshold", "provider_failures"):
            not_negative(name, getattr(self, name))
        share("returning", self.returning, below=1.0)
        if not 0 <= self.failing <= 1:
            raise InvalidInputError(f"failing is {self.failing!r}; it must be between 0 and 1")
        if not self.headroom >= 1:
            raise InvalidInputError(f"headroom is {self.headroom!r}; it must be 1 or more")

    @property
    def stay(self) -> float:
        """How long a user stays on average, seconds."""
        return HOUR * self.users / self.arrivals
