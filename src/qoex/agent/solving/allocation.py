"""What a cycle decided: who gets what at which reward, as arrays, as bytes, and as a digest.

The bytes are an ``.npz`` file. It holds the pairs that are present only, each number as the double
it is; names are stored once for all cycles that have the same, under the digest of the membership.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoex.certificate import Certificate
from qoex.errors import InvalidInputError
from qoex.game.solution import CapacityState, Regime, Solution, Status
from qoex.model.market import BoolArray, FloatArray, Market

METHOD = "capacity-prices"

_FORMAT = 1
_PAIR_FIELDS = ("rewards", "compute", "bandwidth", "qoe", "latency_budget")
_USER_FIELDS = ("user_utility", "regret_per_user")
_RESOURCES = ("compute", "bandwidth")
_RESOURCE_FIELDS = ("use", "capacity", "price", "unit_cost")
_SCALARS = ("regret", "utility_scale", "kkt_residual")
_REGIMES = tuple(Regime)


@dataclass(frozen=True, eq=False)
class ResourceUse:
    """One resource at each of N providers.

    Attributes:
        use: TFLOPS or MHz.
        capacity: what there was of it, likewise.
        price: marginal value of a unit, cost included, money per TFLOPS or MHz.
        unit_cost: money per TFLOPS or MHz.
        regime: how the capacity stands.
    """

    use: FloatArray
    capacity: FloatArray
    price: FloatArray
    unit_cost: FloatArray
    regime: tuple[Regime, ...]

    def state(self) -> CapacityState:
        """Return what of it is part of a solution."""
        return CapacityState(use=self.use, price=self.price, regime=self.regime)


@dataclass(frozen=True, eq=False, repr=False)
class CertifiedAllocation:
    """A certified equilibrium of N providers and M users; a pair that is absent has zeros.

    Attributes:
        provider_names: N.
        user_names: M.
        present: N×M; true for the pairs that were in the market.
        rewards: N×M, money per ms of QoE.
        compute: N×M, TFLOPS.
        bandwidth: N×M, MHz.
        qoe: N×M, ms.
        latency_budget: N×M, ms.
        compute_resource: use, capacity, price, cost and regime of compute.
        bandwidth_resource: likewise of bandwidth.
        user_utility: M, money.
        provider_utility: N, money.
        regret_per_user: M, money; no user could gain more by other rewards.
        regret: the largest of them, at least zero.
        utility_scale: what regret is judged by, money.
        kkt_residual: largest residual of the providers' conditions, relative.
        sweeps: passes over the users that the solver needed.
    """

    provider_names: tuple[str, ...]
    user_names: tuple[str, ...]
    present: BoolArray
    rewards: FloatArray
    compute: FloatArray
    bandwidth: FloatArray
    qoe: FloatArray
    latency_budget: FloatArray
    compute_resource: ResourceUse
    bandwidth_resource: ResourceUse
    user_utility: FloatArray
    provider_utility: FloatArray
    regret_per_user: FloatArray
    regret: float
    utility_scale: float
    kkt_residual: float
    sweeps: int

    @classmethod
    def of(
        cls, market: Market, solution: Solution, certificate: Certificate
    ) -> CertifiedAllocation:
        """Return the allocation that a certified solution of a market is."""
        return cls(
            provider_names=market.provider_names,
            user_names=market.user_names,
            present=market.present,
            rewards=solution.rewards,
            compute=solution.compute,
            bandwidth=solution.bandwidth,
            qoe=solution.qoe,
            latency_budget=market.latency_budget,
            compute_resource=_resource(
                solution.compute_state, market.compute_capacity, market.compute_cost
            ),
            bandwidth_resource=_resource(
                solution.bandwidth_state, market.bandwidth_capacity, market.bandwidth_cost
            ),
            user_utility=solution.user_utility,
            provider_utility=solution.provider_utility,
            regret_per_user=certificate.regret_per_user,
            regret=certificate.regret,
            utility_scale=certificate.utility_scale,
            kkt_residual=certificate.kkt_residual,
            sweeps=solution.steps,
        )

    @property
    def relative_regret(self) -> float:
        """Regret over the scale of utilities, dimensionless."""
        return self.regret / self.utility_scale

    @property
    def payments(self) -> FloatArray:
        """R·Q, N×M, money."""
        payments: FloatArray = self.rewards * self.qoe
        return payments

    @property
    def latency(self) -> FloatArray:
        """κ − Q, N×M, ms (eq. 7; 0 for an absent pair)."""
        latency: FloatArray = self.latency_budget - self.qoe
        return latency

    def solution(self) -> Solution:
        """Return it as a solution, to start from or to explain."""
        return Solution(
            status=Status.CONVERGED,
            method=METHOD,
            steps=self.sweeps,
            rewards=self.rewards,
            compute=self.compute,
            bandwidth=self.bandwidth,
            qoe=self.qoe,
            user_utility=self.user_utility,
            provider_utility=self.provider_utility,
            compute_state=self.compute_resource.state(),
            bandwidth_state=self.bandwidth_resource.state(),
        )

    def encoded(self) -> Encoded:
        """Return it as bytes, with its digest."""
        columns = self._columns()
        digest = hashlib.sha256(membership_digest(self.provider_names, self.user_names).encode())
        for name, column in columns.items():
            digest.update(f"\n{name} {column.dtype.str} {column.shape}\n".encode())
            digest.update(np.ascontiguousarray(column).data)
        file = io.BytesIO()
        values, places = np.unique(columns.pop("latency_budget"), return_inverse=True)
        # Most pairs have the budget of their provider; where not, a place takes as much as a value.
        size = np.min_scalar_type(values.size)
        stored: dict[str, Any] = {"format": np.int64(_FORMAT), **columns}
        stored |= {"budget_values": values, "budget_places": places.astype(size)}
        np.savez(file, **stored)
        return Encoded(file.getvalue(), digest.hexdigest())

    @classmethod
    def decoded(
        cls, data: bytes, provider_names: Sequence[str], user_names: Sequence[str]
    ) -> CertifiedAllocation:
        """Read what ``encoded`` wrote, to the last bit.

        Args:
            data: the bytes.
            provider_names: N, in the order they had.
            user_names: M, likewise.

        Raises:
            InvalidInputError: it is not such bytes, or of another number of nodes.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                columns = {name: file[name] for name in file.files}
            if int(columns["format"]) != _FORMAT:
                raise InvalidInputError(
                    f"the stored allocation has format {int(columns['format'])}; "
                    f"this version of qoex reads format {_FORMAT}"
                )
            columns["latency_budget"] = columns["budget_values"][columns["budget_places"]]
            return cls._from(columns, tuple(provider_names), tuple(user_names))
        except (KeyError, ValueError, IndexError, EOFError, OSError, zipfile.BadZipFile) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"the stored allocation cannot be read ({error})") from error

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Return all of it but the names, by name, of pairs only those that are present."""
        columns: dict[str, NDArray[Any]] = {"present": np.packbits(self.present)}
        places = np.flatnonzero(self.present)
        for name in _PAIR_FIELDS:
            columns[name] = np.take(getattr(self, name), places)
        for name in (*_USER_FIELDS, "provider_utility"):
            columns[name] = getattr(self, name)
        for resource in _RESOURCES:
            state = getattr(self, f"{resource}_resource")
            for field in _RESOURCE_FIELDS:
                columns[f"{resource}_{field}"] = getattr(state, field)
            columns[f"{resource}_regime"] = np.array(
                [_REGIMES.index(regime) for regime in state.regime], dtype=np.uint8
            )
        columns["scalars"] = np.array([getattr(self, name) for name in _SCALARS])
        columns["sweeps"] = np.array(self.sweeps, dtype=np.int64)
        return columns

    @classmethod
    def _from(
        cls,
        columns: Mapping[str, NDArray[Any]],
        provider_names: tuple[str, ...],
        user_names: tuple[str, ...],
    ) -> CertifiedAllocation:
        shape = len(provider_names), len(user_names)
        if columns["provider_utility"].shape != shape[:1]:
            raise ValueError(f"it is not one of {shape[0]} providers")
        if columns["user_utility"].shape != shape[1:]:
            raise ValueError(f"it is not one of {shape[1]} users")
        present = np.unpackbits(columns["present"], count=shape[0] * shape[1]).astype(np.bool_)
        places = np.flatnonzero(present)
        pairs: dict[str, Any] = {}
        for name in _PAIR_FIELDS:
            dense = np.zeros(present.size)
            dense[places] = columns[name]
            pairs[name] = dense.reshape(shape)
        users: dict[str, Any] = {name: columns[name] for name in _USER_FIELDS}
        resources: dict[str, Any] = {
            f"{resource}_resource": ResourceUse(
                **{field: columns[f"{resource}_{field}"] for field in _RESOURCE_FIELDS},
                regime=tuple(_REGIMES[place] for place in columns[f"{resource}_regime"]),
            )
            for resource in _RESOURCES
        }
        scalars: dict[str, Any] = dict(zip(_SCALARS, columns["scalars"].tolist(), strict=True))
        return cls(
            provider_names=provider_names,
            user_names=user_names,
            present=present.reshape(shape),
            provider_utility=columns["provider_utility"],
            sweeps=int(columns["sweeps"]),
            **pairs,
            **users,
            **resources,
            **scalars,
        )

    def __repr__(self) -> str:
        shape = f"{len(self.provider_names)} providers × {len(self.user_names)} users"
        return f"Allocation({shape})"


@dataclass(frozen=True, repr=False)
class Encoded:
    """An allocation as bytes.

    Attributes:
        payload: what ``Allocation.decoded`` reads.
        digest: SHA-256 of names and numbers to the last bit, hexadecimal; other than a digest of
            the bytes it does not depend on how they are packed.
    """

    payload: bytes
    digest: str


def membership_digest(provider_names: Sequence[str], user_names: Sequence[str]) -> str:
    """Return the SHA-256 of who takes part, in hexadecimal; no name holds a line end."""
    text = "\n".join([str(len(provider_names)), *provider_names, *user_names])
    return hashlib.sha256(text.encode()).hexdigest()


def _resource(state: CapacityState, capacity: FloatArray, cost: FloatArray) -> ResourceUse:
    return ResourceUse(
        use=state.use, capacity=capacity, price=state.price, unit_cost=cost, regime=state.regime
    )
