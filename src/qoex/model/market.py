"""The market: who demands what of whom, what it costs, and what there is of it.

Axis order is providers × users everywhere. Units: latency and QoE in ms, compute in TFLOPS,
bandwidth in MHz, so work is in TFLOPS·ms, traffic in MHz·ms and a reward in money per ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qoex.errors import InvalidInputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PAIR_FIELDS = ("work", "traffic", "latency_budget")
PROVIDER_FIELDS = ("compute_cost", "bandwidth_cost", "compute_capacity", "bandwidth_capacity")
USER_FIELDS = ("profit_factor", "reward_min", "reward_max")
ARRAY_FIELDS = PAIR_FIELDS + PROVIDER_FIELDS + USER_FIELDS

_POSITIVE = (*PROVIDER_FIELDS, "profit_factor", "reward_max")


@dataclass(frozen=True, eq=False, repr=False)
class Market:
    """A validated, immutable market of N providers and M users (sections III and IV of the paper).

    A pair is *absent* (the user demands nothing of the provider) where work, traffic and latency
    budget are all zero; such a pair has no allocation, no QoE and no payment.

    Attributes:
        work: a, compute work of each pair, N×M, TFLOPS·ms (numerator of eq. 7, first fraction).
        traffic: b, bandwidth-time of each pair, N×M, MHz·ms (eq. 7, second fraction).
        latency_budget: κ, the latency at which QoE is zero, N×M, ms (eq. 7).
        compute_cost: c^f, N, money per TFLOPS (eq. 8).
        bandwidth_cost: c^B, N, money per MHz (eq. 8).
        compute_capacity: f^max, N, TFLOPS (C2 of eq. 8).
        bandwidth_capacity: B^max, N, MHz (C2 of eq. 8).
        profit_factor: μ, M, money (eq. 9).
        reward_min: R^min, M, money per ms (eq. 9).
        reward_max: R^max, M, money per ms (eq. 9).
        provider_names: N distinct names; "provider-1", … unless given.
        user_names: M distinct names; "user-1", … unless given.

    Raises:
        InvalidInputError: a value that cannot be; names the field, the place and the value.
    """

    work: FloatArray
    traffic: FloatArray
    latency_budget: FloatArray
    compute_cost: FloatArray
    bandwidth_cost: FloatArray
    compute_capacity: FloatArray
    bandwidth_capacity: FloatArray
    profit_factor: FloatArray
    reward_min: FloatArray
    reward_max: FloatArray
    provider_names: tuple[str, ...] = field(default=())
    user_names: tuple[str, ...] = field(default=())

    def __init__(
        self,
        *,
        work: ArrayLike,
        traffic: ArrayLike,
        latency_budget: ArrayLike,
        compute_cost: ArrayLike,
        bandwidth_cost: ArrayLike,
        compute_capacity: ArrayLike,
        bandwidth_capacity: ArrayLike,
        profit_factor: ArrayLike,
        reward_min: ArrayLike,
        reward_max: ArrayLike,
        provider_names: Sequence[str] | None = None,
        user_names: Sequence[str] | None = None,
    ) -> None:
        given: dict[str, ArrayLike] = {
            "work": work,
            "traffic": traffic,
            "latency_budget": latency_budget,
            "compute_cost": compute_cost,
            "bandwidth_cost": bandwidth_cost,
            "compute_capacity": compute_capacity,
            "bandwidth_capacity": bandwidth_capacity,
            "profit_factor": profit_factor,
            "reward_min": reward_min,
            "reward_max": reward_max,
        }
        arrays = {name: _as_floats(name, value) for name, value in given.items()}
        providers, users = _shape(arrays)
        for key, count, names in (
            ("provider", providers, provider_names),
            ("user", users, user_names),
        ):
            object.__setattr__(self, f"{key}_names", _names(key, count, names))
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        require_values(arrays, self._place)

    @property
    def providers(self) -> int:
        """Number of providers, N."""
        return int(self.work.shape[0])

    @property
    def users(self) -> int:
        """Number of users, M."""
        return int(self.work.shape[1])

    @property
    def present(self) -> BoolArray:
        """N×M; true where the user demands something of the provider."""
        return self.latency_budget > 0

    def replace(self, **changes: Any) -> Market:
        """Return a copy with some fields changed, validated anew."""
        return replace(self, **changes)

    def select(self, providers: ArrayLike | None = None, users: ArrayLike | None = None) -> Market:
        """Return the market of some providers and users.

        Args:
            providers: indices, in the order wanted, or one boolean per provider; all by default.
            users: the same for users.

        """
        rows = _indices(providers, self.providers)
        columns = _indices(users, self.users)
        changes: dict[str, Any] = {n: getattr(self, n)[np.ix_(rows, columns)] for n in PAIR_FIELDS}
        changes |= {name: getattr(self, name)[rows] for name in PROVIDER_FIELDS}
        changes |= {name: getattr(self, name)[columns] for name in USER_FIELDS}
        changes["provider_names"] = [self.provider_names[int(n)] for n in rows]
        changes["user_names"] = [self.user_names[int(m)] for m in columns]
        return replace(self, **changes)

    def without(self, pairs: BoolArray) -> Market:
        """Return the market with the marked pairs (N×M booleans) made absent."""
        changes: dict[str, Any] = {n: np.where(pairs, 0.0, getattr(self, n)) for n in PAIR_FIELDS}
        return replace(self, **changes)

    def user_index(self, name: str) -> int:
        """Return the index of the user of that name.

        Raises:
            InvalidInputError: there is no user of that name.
        """
        if name not in self.user_names:
            known = ", ".join(self.user_names[:8]) + (", …" if self.users > 8 else "")
            raise InvalidInputError(f"there is no user named {name!r}; the users are {known}")
        return self.user_names.index(name)

    def __eq__(self, other: object) -> bool:
        """Compare to the last bit, names included."""
        if not isinstance(other, Market):
            return NotImplemented
        return (
            self.provider_names == other.provider_names
            and self.user_names == other.user_names
            and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in ARRAY_FIELDS)
        )

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copied or unpickled array can be written to again.
        for name in ARRAY_FIELDS:
            state[name].setflags(write=False)
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"Market({self.providers} providers × {self.users} users)"

    def _place(self, name: str, index: tuple[int, ...]) -> str:
        if name in PAIR_FIELDS:
            return f"{self.provider_names[index[0]]}, {self.user_names[index[1]]}"
        names = self.provider_names if name in PROVIDER_FIELDS else self.user_names
        return names[index[0]]


def require_values(
    arrays: Mapping[str, FloatArray], place: Callable[[str, tuple[int, ...]], str]
) -> None:
    """Raise unless every value may stand in a market.

    Args:
        arrays: by name, those of ``ARRAY_FIELDS``, or those of them that belong to users.
        place: how a sentence names the provider and user at an index of a field.

    Raises:
        InvalidInputError: a value that cannot be; names the field, the place and the value.
    """

    def refuse(name: str, bad: BoolArray, rule: str) -> None:
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            value = float(arrays[name][index])
            raise InvalidInputError(f"{name} of {place(name, index)} is {value!r}; it {rule}")

    for name in [known for known in ARRAY_FIELDS if known in arrays]:
        array = arrays[name]
        if array.min() > 0 and array.max() < np.inf:  # as nearly always: two cheap passes
            continue
        refuse(name, ~np.isfinite(array), "must be a finite number")
        refuse(name, array < 0, "must not be negative")
        if name in _POSITIVE:
            refuse(name, array == 0, "must be greater than zero")
    low, high = arrays["reward_min"], arrays["reward_max"]
    crossed = low > high
    if crossed.any():
        m = int(np.argmax(crossed))
        raise InvalidInputError(
            f"reward_min of {place('reward_min', (m,))} is {float(low[m])!r}, "
            f"above its reward_max {float(high[m])!r}"
        )
    if all(arrays[name].min() > 0 for name in PAIR_FIELDS):
        return
    nothing = (arrays["work"] == 0) & (arrays["traffic"] == 0)
    refuse(
        "latency_budget",
        (arrays["latency_budget"] == 0) & ~nothing,
        "must be greater than zero where work or traffic is demanded",
    )
    refuse(
        "work",
        (arrays["latency_budget"] > 0) & nothing,
        "and traffic must not both be zero unless latency_budget is zero too (an absent pair)",
    )


def _as_floats(name: str, value: ArrayLike) -> FloatArray:
    wrong = InvalidInputError(f"{name} must be an array of numbers, all rows equally long")
    try:
        given = np.array(value, order="C")
    except ValueError:
        raise wrong from None
    if given.size and given.dtype.kind not in "iuf":  # NumPy would read "1" as a number
        raise wrong
    array = given.astype(np.float64, copy=False)
    wanted = 2 if name in PAIR_FIELDS else 1
    if array.ndim != wanted:
        axes = "two axes (providers × users)" if wanted == 2 else "one axis"
        raise InvalidInputError(f"{name} has shape {array.shape}; it must have {axes}")
    return array


def _shape(arrays: dict[str, FloatArray]) -> tuple[int, int]:
    providers, users = arrays["work"].shape
    if providers == 0 or users == 0:
        raise InvalidInputError(
            f"work has shape {arrays['work'].shape}; a market needs a provider and a user"
        )
    for name, array in arrays.items():
        if name in PAIR_FIELDS:
            wanted: tuple[int, ...] = (providers, users)
        else:
            wanted = (providers,) if name in PROVIDER_FIELDS else (users,)
        if array.shape != wanted:
            raise InvalidInputError(
                f"{name} has shape {array.shape}; it must be {wanted} to match work "
                f"({providers} providers × {users} users)"
            )
    return providers, users


def _names(kind: str, count: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(given, str):
        raise InvalidInputError(f"{kind}_names is {given!r}; it must be a list of names")
    names = tuple(given) if given is not None else tuple(f"{kind}-{i + 1}" for i in range(count))
    if len(names) != count:
        raise InvalidInputError(f"{kind}_names has {len(names)} names for {count} {kind}s")
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(
                f"{kind}_names[{position}] is {name!r}; it must be a non-empty string"
            )
        if name in seen:
            raise InvalidInputError(f"{kind}_names holds {name!r} more than once")
        seen.add(name)
    return names


def _indices(chosen: ArrayLike | None, count: int) -> NDArray[np.intp]:
    if chosen is None:
        return np.arange(count)
    indices = np.atleast_1d(chosen)
    if indices.dtype == np.bool_:
        if indices.shape != (count,):
            raise InvalidInputError(
                f"a selection has {indices.size} booleans; it must have {count}"
            )
        return np.flatnonzero(indices)
    if indices.size and indices.dtype.kind not in "iu":
        raise InvalidInputError(
            f"a selection holds {indices[0]!r}; it must hold indices or booleans"
        )
    return indices.astype(np.intp)
