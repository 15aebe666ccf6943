"""Markets stored for tests of solving them, and what has to be the same however that is done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from qoex.game.solution import Solution
from qoex.model.market import FloatArray, Market
from qoex.out_of_core import StoredSolution

PAIRS = {"reward": "rewards", "compute": "compute", "bandwidth": "bandwidth", "qoe": "qoe"}


def many_users(providers: int = 3, users: int = 30_000) -> Market:
    """A market of eight blocks and in every regime: slack, binding, and users priced out."""
    rng = np.random.default_rng(5)
    pairs = providers, users
    work = rng.uniform(50.0, 1000.0, pairs)
    traffic = rng.uniform(5.0, 60.0, pairs)
    budget = rng.uniform(300.0, 1500.0, pairs)
    present = rng.uniform(size=pairs) < 0.9
    spare = np.array([1.6, 3.0, 1e3] * providers)[:providers]
    return Market(
        work=np.where(present, work, 0.0),
        traffic=np.where(present, traffic, 0.0),
        latency_budget=np.where(present, budget, 0.0),
        compute_cost=np.linspace(21.0, 24.0, providers),
        bandwidth_cost=[0.15] * providers,
        compute_capacity=spare * (work / budget).sum(axis=1),
        bandwidth_capacity=[1e9] * providers,
        profit_factor=rng.uniform(200.0, 400.0, users),
        reward_min=np.full(users, 1e-4),
        reward_max=np.full(users, 0.6),
    )


def arrays_in(folder: Path, market: Market) -> dict[str, FloatArray]:
    """What a solution written to a folder holds, by the fields of ``Solution``."""
    parts = sorted(folder.glob("users-*.parquet"))
    frame = pl.concat([pl.read_parquet(path) for path in parts])
    assert frame["name"].to_list() == list(market.user_names)
    found = {
        field: np.stack([frame[f"{column}.{name}"].to_numpy() for name in market.provider_names])
        for column, field in PAIRS.items()
    }
    found["user_utility"] = frame["user_utility"].to_numpy()
    return found


def check_same(stored: StoredSolution, whole: Solution) -> None:
    """All that is not of one user has the same bits; the trace tells of prices on the way, too."""
    assert stored.steps == whole.steps
    assert list(stored.trace) == list(whole.trace)
    for name in ("compute_state", "bandwidth_state"):
        mine, theirs = getattr(stored, name), getattr(whole, name)
        np.testing.assert_array_equal(mine.price, theirs.price)
        np.testing.assert_array_equal(mine.use, theirs.use)
    np.testing.assert_array_equal(stored.provider_utility, whole.provider_utility)
    check_alike(stored, whole)


def check_alike(stored: StoredSolution, whole: Solution) -> None:
    """The same but for rounding: sums of a few users depend on where in memory these happen to be.

    Compiled loops over rows of few numbers take one user at a time if others' rows are near.
    """
    assert stored.status is whole.status
    assert stored.notes == whole.notes
    for name in ("compute_state", "bandwidth_state"):
        mine, theirs = getattr(stored, name), getattr(whole, name)
        np.testing.assert_allclose(mine.price, theirs.price, rtol=1e-12)
        np.testing.assert_allclose(mine.use, theirs.use, rtol=1e-12)
        assert mine.regime == theirs.regime
    np.testing.assert_allclose(stored.provider_utility, whole.provider_utility, rtol=1e-9)
    np.testing.assert_allclose(stored.totals.utility, whole.user_utility.sum(), rtol=1e-12)
    np.testing.assert_allclose(stored.totals.qoe, whole.qoe.sum(), rtol=1e-12)
    np.testing.assert_allclose(stored.totals.paid, (whole.rewards * whole.qoe).sum(), rtol=1e-12)
    assert stored.totals.served == (whole.qoe.sum(axis=0) > 0).sum()
    np.testing.assert_array_equal(stored.totals.served_by, (whole.qoe > 0).sum(axis=1))


def check_written(folder: Path, market: Market, whole: Solution, rtol: float = 0.0) -> None:
    """Every array of a solution written to a folder is that in memory, by default to the bit."""

    def check(mine: object, theirs: FloatArray, name: str) -> None:
        atol = rtol * np.abs(theirs).max()
        np.testing.assert_allclose(np.asarray(mine), theirs, rtol=rtol, atol=atol, err_msg=name)

    for name, array in arrays_in(folder, market).items():
        check(array, getattr(whole, name), name)
    providers = pl.read_parquet(folder / "providers.parquet")
    assert providers["name"].to_list() == list(market.provider_names)
    for resource in ("compute", "bandwidth"):
        state = getattr(whole, f"{resource}_state")
        check(providers[f"{resource}_price"], state.price, "price")
        check(providers[f"{resource}_use"], state.use, "use")
        assert providers[f"{resource}_regime"].to_list() == list(state.regime)
    check(providers["provider_utility"], whole.provider_utility, "utility")
