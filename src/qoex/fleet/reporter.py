"""What nodes tell the agent: every change, and now and then that they are still there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from qoex.client.calls import MOST_LINES
from qoex.client.reports import Line
from qoex.fleet.world import Changes, World
from qoex.model.market import FloatArray
from qoex.wire.reports import DemandReport, ProviderReport, UserReport

# A lifetime is another one, to be declared by everybody at once, if it differs by this factor.
_ANOTHER = 1.5


class Reporter:
    """Turns what happens in a world into lines of bulk requests.

    It remembers what was told of each link, for a link is reported again only once it has changed
    by more than a threshold.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: FloatArray = self._nothing(len(world.user_names))
        self._steps = 0
        self._declared = 0.0  # lifetime that everybody declared about
        self._all_due = False
        settings = world.settings
        # Three reports within a lifetime, so that one may come late.
        self.beat = max(1, int(settings.lifetime / settings.step / 3))

    def everything(self, lifetime: float) -> Iterator[Line]:
        """Yield complete reports of all who are there, and every link.

        A provider that is away is made known all the same, for users demand something of it.

        Args:
            lifetime: that nodes declare, seconds of the agent's clock.
        """
        world = self._world
        self._declared = lifetime
        for n, name in enumerate(world.provider_names):
            yield self._provider(n, lifetime)
            if not world.up[n]:
                yield Line("provider", name, "leave")
        for m in range(len(world.user_names)):
            yield self._user(m, lifetime)
        self._told = self._nothing(len(world.user_names))
        yield from self._links()

    def changes(self, changes: Changes, lifetime: float) -> Iterator[Line]:
        """Yield what is new since the step before, and who is still there."""
        world = self._world
        self._steps += 1
        self._all_due = not 1 / _ANOTHER < lifetime / self._declared < _ANOTHER
        if self._all_due:
            self._declared = lifetime
        new = self._nothing(changes.arrived)
        self._told = np.concatenate([self._told[:, changes.kept], new], axis=1)
        self._told[list(changes.providers_back)] = np.nan
        for n in np.flatnonzero(world.up):
            if int(n) in changes.providers_back:
                yield self._provider(int(n), lifetime)
            elif self._is_due(int(n)):
                yield Line("provider", world.provider_names[n], "patch", {"lifetime_s": lifetime})
        for name in changes.left:
            yield Line("user", name, "leave")
        yield from self._users(changes, lifetime)
        yield from self._links()

    def farewell(self) -> Iterator[Line]:
        """Yield that everybody leaves."""
        world = self._world
        yield from (Line("user", name, "leave") for name in world.user_names)
        for n in np.flatnonzero(world.up):
            yield Line("provider", world.provider_names[n], "leave")

    def _users(self, changes: Changes, lifetime: float) -> Iterator[Line]:
        world = self._world
        names, first_new = world.user_names, len(world.user_names) - changes.arrived
        changed: dict[int, dict[str, DemandReport]] = {}
        for n, m in changes.changed:
            changed.setdefault(m, {})[world.provider_names[n]] = self._demand(n, m)
        for m in range(first_new):
            if m in changed:
                yield Line("user", names[m], "patch", {"demands": changed[m]})
            elif self._is_due(m):
                yield Line("user", names[m], "patch", {"lifetime_s": lifetime})
        for m in range(first_new, len(names)):
            yield self._user(m, lifetime)

    def _is_due(self, index: int) -> bool:
        return self._all_due or (self._steps + index) % self.beat == 0

    def _links(self) -> Iterator[Line]:
        world = self._world
        now = world.demands.snr_db
        moved = ~(np.abs(now - self._told) < world.settings.link_threshold)  # NaN: never told
        moved &= world.up[:, None]
        for n in np.flatnonzero(moved.any(axis=1)):
            columns = np.flatnonzero(moved[n])
            for part in _parts(columns.tolist()):
                links = {world.user_names[m]: round(float(now[n, m]), 3) for m in part}
                yield Line("provider", world.provider_names[n], "links", links)
        self._told[moved] = now[moved]

    def _nothing(self, users: int) -> FloatArray:
        return np.full((self._world.settings.providers, users), np.nan)

    def _provider(self, n: int, lifetime: float) -> Line:
        world, ranges = self._world, self._world.settings.ranges
        report: ProviderReport = {
            "compute_capacity": float(world.compute_capacity[n]),
            "bandwidth_capacity": float(world.bandwidth_capacity[n]),
            "compute_cost": float(world.compute_cost[n]),
            "bandwidth_cost": ranges.bandwidth_cost,
            "latency_budget": float(world.latency_budget[n]),
            "work_per_token_pair": float(world.work_per_token_pair[n]),
            "gap_scale": ranges.gap_scale,
            "example_ambiguity": ranges.example_ambiguity,
            "lifetime_s": lifetime,
        }
        return Line("provider", world.provider_names[n], "put", report)

    def _user(self, m: int, lifetime: float) -> Line:
        world, ranges = self._world, self._world.settings.ranges
        report: UserReport = {
            "profit_factor": ranges.profit_factor,
            "reward_min": ranges.reward_bounds[0],
            "reward_max": ranges.reward_bounds[1],
            "demands": {name: self._demand(n, m) for n, name in enumerate(world.provider_names)},
            "lifetime_s": lifetime,
        }
        return Line("user", world.user_names[m], "put", report)

    def _demand(self, n: int, m: int) -> DemandReport:
        demands = self._world.demands
        return {
            "examples": float(demands.examples[n, m]),
            "input_tokens": float(demands.input_tokens[n, m]),
            "output_tokens": float(demands.output_tokens[n, m]),
        }


def _parts(items: list[int]) -> Iterable[list[int]]:
    return (items[i : i + MOST_LINES] for i in range(0, len(items), MOST_LINES))
