"""The command that draws markets: a small one as a file, one of any size as a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from qoex.cli.terminal import busy, notice
from qoex.errors import InvalidInputError
from qoex.text.numbers import counted


def sample(
    providers: Annotated[int, typer.Option(min=1, help="How many providers.")],
    users: Annotated[int, typer.Option(min=1, help="How many users.")],
    output: Annotated[
        str,  # a Path would lose the / at its end
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=".toml: scenario; .json: arrays; no ending: directory of Parquet, of any size.",
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same market.")] = 0,
    feasible: Annotated[
        bool, typer.Option(help="Raise capacities that cannot serve all demands.")
    ] = False,
) -> None:
    """Draw a random market from the ranges of the paper's Table III."""
    served = _sample_into(output, providers, users, seed, feasible=feasible)
    notice(f"wrote {output}: {counted(providers, 'provider')}, {counted(users, 'user')}")
    if not served:
        notice(
            "not all of its demands can be served; --feasible raises the capacities that are short"
        )


def _sample_into(output: str, providers: int, users: int, seed: int, *, feasible: bool) -> bool:
    """Draw a market and write it; return whether all its demands can be served.

    Args:
        output: a name in .toml or .json, or that of a directory: without ending, or with a / after.
        providers: N.
        users: M.
        seed: the same seed gives the same market, in a file or in a directory.
        feasible: raise capacities that are short.

    Raises:
        InvalidInputError: the name is none of these, or cannot be written.
    """
    from qoex.model.feasibility import falls_short, too_small

    suffix = Path(output).suffix.lower()
    if not suffix or output.endswith("/"):
        from qoex.files.parquet.sampling import sample_market_directory

        with busy("drawing") as progress:
            factor = sample_market_directory(
                output, providers, users, seed, feasible=feasible, progress=progress.share
            )
        return not too_small(factor).any()
    if suffix not in (".toml", ".json"):
        raise InvalidInputError(
            f"{output}: the name of the file must end in .toml or .json, or in / for a directory"
        )
    from qoex.files.market_files import write_market, write_scenario
    from qoex.scenario.sampling import sample_scenario

    scenario = sample_scenario(providers, users, np.random.default_rng(seed), feasible=feasible)
    market = scenario.market()
    if suffix == ".json":
        write_market(market, output)
    else:
        write_scenario(scenario, output)
    return not falls_short(market).any()
