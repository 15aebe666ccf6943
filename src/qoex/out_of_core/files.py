"""A solution as a directory of Parquet: users in the order of the market, providers, a summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from qoex.files.parquet.columns import NAME, pair_column
from qoex.files.parquet.new_directory import write_file
from qoex.game.solution import CapacityState
from qoex.kernels.arguments import Allocation
from qoex.model.market import FloatArray

PROVIDERS_FILE = "providers.parquet"
SUMMARY_FILE = "solution.json"


def write_users(
    folder: Path,
    shown: str,
    number: int,
    names: Sequence[str],
    provider_names: Sequence[str],
    rewards: FloatArray,
    allocation: Allocation,
) -> None:
    """Write what a chunk of users (m) offers and gets, a row each.

    Args:
        folder: where to.
        shown: the directory as messages give it.
        number: of the chunk, from 0.
        names: m, of the users.
        provider_names: N.
        rewards: R, N×m, money per ms.
        allocation: to them.

    Raises:
        InvalidInputError: the file cannot be written.

    """
    columns = [
        pl.Series(NAME, names, dtype=pl.String),
        pl.Series("user_utility", allocation.user_utility),
    ]
    fields = {
        "reward": rewards,
        "compute": allocation.compute,
        "bandwidth": allocation.bandwidth,
        "qoe": allocation.qoe,
    }
    for field, rows in fields.items():
        columns += [
            pl.Series(pair_column(field, name), row)
            for name, row in zip(provider_names, rows, strict=True)
        ]
    write_file(folder, f"users-{number:05}.parquet", pl.DataFrame(columns), shown)


def write_providers(
    folder: Path,
    shown: str,
    names: Sequence[str],
    states: tuple[CapacityState, CapacityState],
    utility: FloatArray,
) -> None:
    """Write the providers (N), a row each: prices, use and regimes of both resources, utility.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    columns = [pl.Series(NAME, names, dtype=pl.String)]
    for resource, state in zip(("compute", "bandwidth"), states, strict=True):
        regimes = [str(regime) for regime in state.regime]
        columns += [
            pl.Series(f"{resource}_price", state.price),
            pl.Series(f"{resource}_use", state.use),
            pl.Series(f"{resource}_regime", regimes, dtype=pl.String),
        ]
    columns.append(pl.Series("provider_utility", utility))
    write_file(folder, PROVIDERS_FILE, pl.DataFrame(columns), shown)


def write_summary(folder: Path, shown: str, text: str) -> None:
    """Write the summary, JSON.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    write_file(folder, SUMMARY_FILE, text.encode("utf-8"), shown)
