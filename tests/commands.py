"""The command line inside a test's process, and the markets that several tests give it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

# Once compiled kernels are loaded, no command switches this process, and with it all tests that
# follow, to interpreted ones.
import qoex.kernels.sweep  # noqa: F401
from qoex.cli.commands import app
from qoex.files.market_files import write_market, write_scenario
from qoex.model.market import Market
from qoex.scenario.sampling import sample_scenario


def qoex_command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments], env={"COLUMNS": "80"})


def refusal(*arguments: object) -> str:
    """The one line on stderr of a command that cannot use its input."""
    result = qoex_command(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"error: [^\n]*\n", result.stderr)
    return result.stderr.removeprefix("error: ").removesuffix("\n")


def sampled(providers: int, users: int, seed: int = 1) -> Market:
    rng = np.random.default_rng(seed)
    return sample_scenario(providers, users, rng, feasible=True).market()


def small_market(folder: Path) -> Path:
    """Write a scenario of 2 providers and 3 users."""
    path = folder / "small.toml"
    write_scenario(sample_scenario(2, 3, np.random.default_rng(1), feasible=True), path)
    return path


def crowded_market(folder: Path) -> Path:
    """Write a market whose provider can serve three of its four users."""
    path = folder / "crowded.json"
    write_market(
        Market(
            work=[[200.0] * 4],
            traffic=[[5.0] * 4],
            latency_budget=[[600.0] * 4],
            compute_cost=[21.0],
            bandwidth_cost=[0.15],
            compute_capacity=[1.05],
            bandwidth_capacity=[500.0],
            profit_factor=[370.0, 371.0, 372.0, 373.0],
            reward_min=[1e-4] * 4,
            reward_max=[10.0] * 4,
            provider_names=["asp-1"],
        ),
        path,
    )
    return path
