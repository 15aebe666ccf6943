"""Which numbers of a market are sought, as one vector of logarithms, and back to a market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoex.calibration.observed import Observations
from qoex.model.market import FloatArray, Market

IntArray = NDArray[np.int64]

# What can be sought, in the order in which results are listed: μ, c, d, a, b.
SOUGHT = ("profit_factor", "compute_cost", "bandwidth_cost", "work", "traffic")

# A capacity that is not known is this many times what was seen in use, so that it never binds.
AMPLE = 1000.0

_HELD = -1


@dataclass(frozen=True)
class Unknowns:
    """The unknowns of a table: a vector of logarithms, for a market has no negative parameter.

    Attributes:
        observations: the table.
        positions: for each field of ``SOUGHT``, an array of the field's shape that says where in
            the vector an entry is; −1 where it is held, or its pair absent.
        held: the same fields with the values held, zero elsewhere.
        capacities: compute and bandwidth capacities, N each (TFLOPS, MHz).
    """

    observations: Observations
    positions: dict[str, IntArray]
    held: dict[str, FloatArray]
    capacities: tuple[FloatArray, FloatArray]

    @property
    def count(self) -> int:
        """How many unknowns there are."""
        return 1 + max(int(array.max()) for array in self.positions.values())

    def market(self, logs: FloatArray) -> Market:
        """Return the market whose unknowns have these logarithms.

        Raises:
            InvalidInputError: a number has left the range of doubles.
        """
        seen = self.observations
        with np.errstate(over="ignore", under="ignore"):
            values = np.exp(logs)
        fields = {
            name: np.where(at == _HELD, self.held[name], values[at])
            for name, at in self.positions.items()
        }
        low, high = seen.known_or_nan("reward_min"), seen.known_or_nan("reward_max")
        # A reward stays below μ/(1+ΣQ), so a bound of μ is none.
        none = np.maximum(fields["profit_factor"], np.where(np.isnan(low), 0.0, low))
        return Market(
            **fields,
            latency_budget=seen.latency_budget,
            compute_capacity=self.capacities[0],
            bandwidth_capacity=self.capacities[1],
            reward_min=np.where(np.isnan(low), 0.0, low),
            reward_max=np.where(np.isnan(high), none, high),
            provider_names=seen.provider_names,
            user_names=seen.user_names,
        )

    def logs(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Return the vector of these fields of a market; what shares an unknown is averaged."""
        totals, counts = np.zeros(self.count), np.zeros(self.count)
        for name, at in self.positions.items():
            sought = at != _HELD
            np.add.at(totals, at[sought], np.log(values[name][sought]))
            np.add.at(counts, at[sought], 1.0)
        return totals / counts

    def labels(self) -> list[tuple[str, str]]:
        """Return (field, place) of every unknown; the place is empty where entries share it."""
        labels: list[tuple[str, str]] = [("", "")] * self.count
        for name, at in self.positions.items():
            for position in np.unique(at[at != _HELD]):
                entries = np.argwhere(at == position)
                index = tuple(int(i) for i in entries[0])
                place = self.observations.place(name, index) if len(entries) == 1 else ""
                labels[int(position)] = (name, place)
        return labels

    def groups(self) -> list[IntArray]:
        """Return sets of unknowns that concern different users, which together make up all.

        Where no capacity binds, users do not meet, so the effects of all unknowns of a set can be
        seen at once.
        """
        groups: list[IntArray] = []
        for name, at in self.positions.items():
            rows = at if at.ndim == 2 else at[None] if name == "profit_factor" else at[:, None]
            for row in rows:
                found = np.unique(row[row != _HELD])
                if found.size and not any(np.intersect1d(found, group).size for group in groups):
                    groups.append(found)
        return groups

    def users_of(self, position: int) -> NDArray[np.bool_]:
        """Return which users (M) an unknown concerns; all for one of a provider."""
        users = np.zeros(self.observations.latency_budget.shape[1], dtype=np.bool_)
        for name, at in self.positions.items():
            found = at == position
            if name == "profit_factor":
                users |= found
            elif at.ndim == 2:
                users |= found.any(axis=0)
            elif found.any():
                users[:] = True
        return users

    def holding(self, position: int, log: float) -> Unknowns:
        """Return the same unknowns but for one, which is held; those after it move up."""
        positions, held = {}, {}
        for name, at in self.positions.items():
            here = at == position
            held[name] = np.where(here, np.exp(log), self.held[name])
            positions[name] = np.where(here, _HELD, np.where(at > position, at - 1, at))
        return Unknowns(self.observations, positions, held, self.capacities)


def unknowns_of(
    observations: Observations, *, per_user: bool = False, per_provider: bool = False
) -> Unknowns:
    """Return what a table leaves to be inferred.

    Args:
        observations: the table; what it knows is held.
        per_user: one profit factor for each user, not one for all.
        per_provider: one unit cost of bandwidth for each provider, not one for all.
    """
    shared = {"profit_factor": not per_user, "bandwidth_cost": not per_provider}
    positions: dict[str, IntArray] = {}
    held: dict[str, FloatArray] = {}
    used = 0
    for name in SOUGHT:
        known = observations.known_or_nan(name)
        sought = np.isnan(known)
        if name in ("work", "traffic"):
            sought &= observations.present
        held[name] = np.where(np.isnan(known), 0.0, known)
        positions[name] = np.full(known.shape, _HELD, dtype=np.int64)
        count = int(sought.sum())
        if shared.get(name, False):
            positions[name][sought] = used
            used += min(count, 1)
        else:
            positions[name][sought] = used + np.arange(count)
            used += count
    return Unknowns(observations, positions, held, _capacities(observations))


def _capacities(observations: Observations) -> tuple[FloatArray, FloatArray]:
    """Return both capacities, N each: ample ones where they are not known."""
    both = []
    for resource in ("compute", "bandwidth"):
        seen = getattr(observations, resource)
        # What was not seen is taken to be as large as what was, or one unit where nothing was.
        typical = float(np.nanmedian(seen)) if np.isfinite(seen).any() else 1.0
        use = np.where(observations.present & np.isnan(seen), typical, seen)
        known = observations.known_or_nan(f"{resource}_capacity")
        both.append(np.where(np.isnan(known), AMPLE * np.nansum(use, axis=1), known))
    return both[0], both[1]
