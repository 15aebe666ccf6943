"""Allocations as bytes: back to the last bit, with a digest that notices every bit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_cycles import same_allocation, small_snapshot
from qoex.agent.solving.allocation import CertifiedAllocation, ResourceUse, membership_digest
from qoex.agent.solving.decide import decide
from qoex.agent.solving.task import Task
from qoex.errors import InvalidInputError
from qoex.game.solution import Regime


def decided(users: int = 6, **changes: Any) -> CertifiedAllocation:
    snapshot = small_snapshot(users, **changes)
    outcome = decide(Task(snapshot))
    assert outcome.payload is not None
    return CertifiedAllocation.decoded(
        outcome.payload, snapshot.provider_names, snapshot.user_names
    )


def resource(rng: np.random.Generator, providers: int) -> ResourceUse:
    use, capacity, price, cost = rng.uniform(0, 1, (4, providers))
    regime = tuple(Regime(str(item)) for item in rng.choice([str(r) for r in Regime], providers))
    return ResourceUse(use, capacity, price, cost, regime)


def arbitrary(seed: int, providers: int, users: int, share: float) -> CertifiedAllocation:
    """Numbers without meaning: some pairs present, budgets that repeat and others that do not."""
    rng = np.random.default_rng(seed)
    present = rng.uniform(0, 1, (providers, users)) < share

    def pairs() -> np.ndarray:
        return np.where(present, rng.standard_normal(present.shape), 0.0)

    budgets = np.where(present, rng.choice([100.0, 200.0, 0.1 + rng.uniform()], present.shape), 0.0)
    return CertifiedAllocation(
        provider_names=tuple(f"asp-{n}" for n in range(providers)),
        user_names=tuple(f"mu-{m}" for m in range(users)),
        present=present,
        rewards=pairs(),
        compute=pairs(),
        bandwidth=pairs(),
        qoe=pairs(),
        latency_budget=budgets,
        compute_resource=resource(rng, providers),
        bandwidth_resource=resource(rng, providers),
        user_utility=rng.standard_normal(users),
        provider_utility=rng.standard_normal(providers),
        regret_per_user=rng.standard_normal(users),
        regret=float(rng.uniform()),
        utility_scale=float(rng.uniform()),
        kkt_residual=float(rng.uniform()),
        sweeps=int(rng.integers(100)),
    )


def again(allocation: CertifiedAllocation) -> CertifiedAllocation:
    payload = allocation.encoded().payload
    return CertifiedAllocation.decoded(payload, allocation.provider_names, allocation.user_names)


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 9), st.floats(0, 1))
def test_bytes_lead_back_to_the_same_bits(
    seed: int, providers: int, users: int, share: float
) -> None:
    allocation = arbitrary(seed, providers, users, share)
    back = again(allocation)
    assert same_allocation(back, allocation)
    assert back.encoded() == allocation.encoded()


def test_it_is_what_was_solved_and_certified() -> None:
    snapshot = small_snapshot(6, compute_capacity=3.0)
    market = snapshot.market()
    assert market is not None
    from qoex.certificate import certify
    from qoex.equilibrium.solver import solve

    solution = solve(market)
    certificate = certify(market, solution)
    allocation = decided(6, compute_capacity=3.0)
    for name in ("rewards", "compute", "bandwidth", "qoe", "user_utility", "provider_utility"):
        assert getattr(allocation, name).tobytes() == getattr(solution, name).tobytes(), name
    assert allocation.compute_resource.regime == solution.compute_state.regime
    assert allocation.compute_resource.regime[0] is Regime.BINDING
    assert allocation.compute_resource.capacity.tolist() == [3.0, 3.0]
    assert allocation.regret == certificate.regret
    assert allocation.relative_regret == certificate.relative_regret
    assert allocation.sweeps == solution.steps
    # eq. 7: latency is the sum of a/f and b/B
    latency = market.work / solution.compute + market.traffic / solution.bandwidth
    np.testing.assert_allclose(allocation.latency, latency, rtol=1e-12)
    np.testing.assert_array_equal(allocation.payments, solution.rewards * solution.qoe)


@given(st.data())
@settings(max_examples=40)
def test_the_digest_notices_every_bit(data: st.DataObject) -> None:
    allocation = arbitrary(7, 3, 5, 0.7)
    name = data.draw(
        st.sampled_from(["rewards", "compute", "bandwidth", "qoe", "user_utility", "regret"])
    )
    value = getattr(allocation, name)
    if isinstance(value, float):
        changed = replace(allocation, **{name: np.nextafter(value, 2.0)})
    else:
        places = np.argwhere(value != 0.0)
        place = tuple(places[data.draw(st.integers(0, len(places) - 1))])
        other = value.copy()
        other[place] = np.nextafter(other[place], np.inf)
        changed = replace(allocation, **{name: other})
    assert changed.encoded().digest != allocation.encoded().digest


@pytest.mark.parametrize("field", [field.name for field in fields(ResourceUse)])
def test_the_digest_notices_the_state_of_capacities(field: str) -> None:
    allocation = arbitrary(7, 3, 5, 0.7)
    state = allocation.compute_resource
    value = getattr(state, field)
    other: Any = (Regime.PINNED,) * 3 if field == "regime" else np.nextafter(value, 2.0)
    assert other is not value
    changed = replace(allocation, compute_resource=replace(state, **{field: other}))
    assert changed.encoded().digest != allocation.encoded().digest


def test_the_digest_notices_names_and_who_is_present() -> None:
    allocation = arbitrary(7, 2, 3, 1.0)
    digest = allocation.encoded().digest
    renamed = replace(allocation, user_names=("mu-0", "mu-1", "mu-9"))
    assert renamed.encoded().digest != digest
    fewer = allocation.present.copy()
    fewer[0, 0] = False
    assert replace(allocation, present=fewer).encoded().digest != digest


def test_the_digest_does_not_hang_on_how_arrays_lie_in_memory() -> None:
    allocation = arbitrary(3, 3, 5, 0.7)
    turned = replace(allocation, rewards=np.asfortranarray(allocation.rewards))
    assert not turned.rewards.flags.c_contiguous
    assert turned.encoded() == allocation.encoded()


def test_names_that_run_together_make_other_memberships() -> None:
    digests = {
        membership_digest(*names)
        for names in (
            (["a", "b"], ["c"]),
            (["a"], ["b", "c"]),
            (["a"], ["bc"]),
            (["b", "a"], ["c"]),
            (["a", "b", "c"], []),
        )
    }
    assert len(digests) == 5


def test_budgets_of_a_provider_take_next_to_no_room() -> None:
    allocation = arbitrary(1, 2, 4000, 1.0)
    same = replace(allocation, latency_budget=np.full((2, 4000), 300.0))
    budgets = np.random.default_rng(1).uniform(1.0, 2.0, (2, 4000))
    different = replace(allocation, latency_budget=budgets)
    assert len(same.encoded().payload) < len(different.encoded().payload) - 50_000
    assert same_allocation(again(different), different)


def test_bytes_of_other_nodes_or_none_at_all_are_refused() -> None:
    allocation = arbitrary(7, 2, 3, 1.0)
    payload = allocation.encoded().payload
    with pytest.raises(InvalidInputError, match="not one of 2 users"):
        CertifiedAllocation.decoded(payload, allocation.provider_names, ("mu-0", "mu-1"))
    with pytest.raises(InvalidInputError, match="not one of 3 providers"):
        CertifiedAllocation.decoded(payload, ("a", "b", "c"), allocation.user_names)
    for damaged in (b"", b"nonsense", payload[:200], payload[:-30], b"\0" * 500):
        with pytest.raises(InvalidInputError, match="stored allocation cannot be read"):
            CertifiedAllocation.decoded(damaged, allocation.provider_names, allocation.user_names)
    flipped = bytearray(payload)
    flipped[len(payload) // 2] ^= 1
    with pytest.raises(InvalidInputError, match="stored allocation cannot be read"):
        CertifiedAllocation.decoded(
            bytes(flipped), allocation.provider_names, allocation.user_names
        )


def test_bytes_of_another_format_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    allocation = arbitrary(7, 2, 3, 1.0)
    monkeypatch.setattr("qoex.agent.solving.allocation._FORMAT", 2)
    payload = allocation.encoded().payload
    monkeypatch.undo()
    with pytest.raises(InvalidInputError, match="has format 2; this version of qoex reads"):
        CertifiedAllocation.decoded(payload, allocation.provider_names, allocation.user_names)
