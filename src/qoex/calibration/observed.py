"""What was seen of a market: rewards, allocations and QoE of each pair, perhaps with gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qoex.errors import InvalidInputError
from qoex.model.market import (
    PAIR_FIELDS,
    PROVIDER_FIELDS,
    USER_FIELDS,
    BoolArray,
    FloatArray,
)

# The observed quantities, named as the fields of Solution, N×M each.
QUANTITIES = ("rewards", "compute", "bandwidth", "qoe")
# What may be known beforehand, named as the fields of Market.
KNOWABLE = tuple(n for n in (*PAIR_FIELDS, *PROVIDER_FIELDS, *USER_FIELDS) if n != "latency_budget")
MAY_BE_ZERO = ("work", "traffic", "reward_min")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Observations:
    """A validated, immutable table of N providers and M users as they were seen at an equilibrium.

    NaN stands for what was not observed, or is not known. A pair is absent where its latency budget
    is zero. A pair that gets no QoE is present all the same: it is served, and its QoE is zero. Its
    reward, which then means nothing, is dropped.

    Attributes:
        latency_budget: κ, N×M, ms; what a pair was promised is known, not observed.
        rewards: R, N×M, money per ms.
        compute: f, N×M, TFLOPS.
        bandwidth: B, N×M, MHz.
        qoe: Q, N×M, ms, below the latency budget.
        known: fields of ``Market`` by name, for each an array of its shape; capacities and reward
            bounds that are not known are taken not to bind, all else that is not is inferred.
        provider_names: N distinct names; "provider-1", … unless given.
        user_names: M distinct names; "user-1", … unless given.

    Raises:
        InvalidInputError: a value that cannot be; names the field, the place and the value.
    """

    latency_budget: FloatArray
    rewards: FloatArray
    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    known: Mapping[str, FloatArray]
    provider_names: tuple[str, ...]
    user_names: tuple[str, ...]

    def __init__(
        self,
        *,
        latency_budget: ArrayLike,
        rewards: ArrayLike,
        compute: ArrayLike,
        bandwidth: ArrayLike,
        qoe: ArrayLike,
        known: Mapping[str, ArrayLike] | None = None,
        provider_names: Sequence[str] | None = None,
        user_names: Sequence[str] | None = None,
    ) -> None:
        budget = _floats("latency_budget", latency_budget)
        if budget.ndim != 2 or budget.size == 0:
            raise InvalidInputError(
                f"latency_budget has shape {budget.shape}; it must be providers × users"
            )
        self._set("latency_budget", budget)
        for kind, given, count in zip(
            ("provider", "user"), (provider_names, user_names), budget.shape, strict=True
        ):
            self._set(f"{kind}_names", _names(kind, given, count))
        self._refuse("latency_budget", ~(np.isfinite(budget) & (budget >= 0)), "zero or more")
        quantities = {"qoe": qoe, "rewards": rewards, "compute": compute, "bandwidth": bandwidth}
        for name, value in quantities.items():
            array = self._fitting(name, value)
            if name == "rewards":
                array[self.qoe == 0] = np.nan
            self._set(name, array)
            self._check_quantity(name)
        self._set("known", MappingProxyType(self._checked_known(known or {})))
        for array in (budget, *self.quantities.values(), *self.known.values()):
            array.setflags(write=False)
        for kind, axis in (("provider", 1), ("user", 0)):
            empty = ~self.present.any(axis=axis)
            if empty.any():
                name = getattr(self, f"{kind}_names")[int(np.argmax(empty))]
                raise InvalidInputError(f"{kind} {name} has no pair")

    @property
    def quantities(self) -> dict[str, FloatArray]:
        """The four observed arrays by name, N×M each."""
        return {name: getattr(self, name) for name in QUANTITIES}

    @property
    def present(self) -> BoolArray:
        """N×M; true where the user demands something of the provider."""
        return self.latency_budget > 0

    @property
    def count(self) -> int:
        """How many numbers were observed."""
        return sum(int(np.isfinite(array).sum()) for array in self.quantities.values())

    def shape_of(self, field: str) -> tuple[int, ...]:
        """Return the shape that a field of ``Market`` has here."""
        providers, users = self.latency_budget.shape
        if field in PROVIDER_FIELDS:
            return (providers,)
        return (users,) if field in USER_FIELDS else (providers, users)

    def known_or_nan(self, field: str) -> FloatArray:
        """Return what is known of a field of ``Market``, NaN where nothing is."""
        return self.known.get(field, np.full(self.shape_of(field), np.nan))

    def knowing(self, **values: ArrayLike) -> Observations:
        """Return a copy in which fields of ``Market`` are known to have these values.

        Args:
            values: a number, or an array that broadcasts to the field's shape; NaN forgets what was
                known.

        Raises:
            InvalidInputError: there is no such field, or a value cannot be.
        """
        return Observations(
            latency_budget=self.latency_budget,
            known={**self.known, **values},
            provider_names=self.provider_names,
            user_names=self.user_names,
            **self.quantities,
        )

    def place(self, field: str, index: tuple[int, ...]) -> str:
        """Return how a sentence names an entry: "asp-1, mu-2", "asp-1" or "mu-2"."""
        if field in PROVIDER_FIELDS:
            return self.provider_names[index[0]]
        if field in USER_FIELDS:
            return self.user_names[index[0]]
        return f"{self.provider_names[index[0]]}, {self.user_names[index[1]]}"

    def __repr__(self) -> str:
        providers, users = self.latency_budget.shape
        return f"Observations({providers} providers × {users} users, {self.count} numbers)"

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _fitting(self, name: str, value: ArrayLike) -> FloatArray:
        array, wanted = _floats(name, value), self.shape_of(name)
        try:
            return np.array(np.broadcast_to(array, wanted))
        except ValueError:
            raise InvalidInputError(
                f"{name} has shape {array.shape}; it must be {wanted}"
            ) from None

    def _check_quantity(self, name: str) -> None:
        array = getattr(self, name)
        seen = ~np.isnan(array)
        self._refuse(name, seen & ~self.present, "left out, for the pair has no latency budget")
        self._refuse(name, np.isinf(array), "a finite number")
        if name == "qoe":
            self._refuse(name, array < 0, "zero or more")
            above = array >= np.where(self.present, self.latency_budget, np.inf)
            self._refuse(name, above, "below the latency budget, for every answer takes time")
        else:
            self._refuse(name, array <= 0, "greater than zero, or left out where there is none")

    def _checked_known(self, known: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
        result: dict[str, FloatArray] = {}
        for name, value in known.items():
            if name not in KNOWABLE:
                raise InvalidInputError(f"{name!r} cannot be known; {', '.join(KNOWABLE)} can")
            array = self._fitting(name, value)
            if np.isnan(array).all():
                continue
            result[name] = array
            least = 0.0 if name in MAY_BE_ZERO else np.finfo(float).tiny
            rule = "zero or more" if name in MAY_BE_ZERO else "greater than zero"
            self._refuse(name, np.isinf(array), "a finite number", array)
            self._refuse(name, array < least, rule, array)
        if {"reward_min", "reward_max"} <= result.keys():
            crossed = result["reward_min"] > result["reward_max"]
            self._refuse("reward_min", crossed, "at most reward_max", result["reward_min"])
        return result

    def _refuse(
        self, name: str, bad: BoolArray, rule: str, array: FloatArray | None = None
    ) -> None:
        if not bad.any():
            return
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        value = float((getattr(self, name) if array is None else array)[index])
        raise InvalidInputError(
            f"{name} of {self.place(name, index)} is {value!r}; it must be {rule}"
        )


def _floats(name: str, value: ArrayLike) -> FloatArray:
    try:
        given = np.asarray(value)
    except ValueError:
        raise InvalidInputError(f"{name} has rows of unequal length") from None
    if given.dtype.kind not in "iuf":  # NumPy would read "1" as a number
        raise InvalidInputError(f"{name} must be an array of numbers, NaN where there is none")
    return given.astype(np.float64)


def _names(kind: str, given: Sequence[str] | None, count: int) -> tuple[str, ...]:
    names = tuple(given) if given is not None else tuple(f"{kind}-{i + 1}" for i in range(count))
    if len(names) != count or len(set(names)) != count:
        raise InvalidInputError(
            f"{kind}_names holds {len(set(names))} different names for {count} {kind}s"
        )
    return names
