"""What ``qoex sample`` does: a small market as a file, one of any size as a directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoex.cli.terminal import busy
from qoex.errors import InvalidInputError
from qoex.feasibility import CAPACITY_MARGIN, capacity_factor
from qoex.files import write_market, write_scenario


def sample_into(output: str, providers: int, users: int, seed: int, *, feasible: bool) -> bool:
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
    suffix = Path(output).suffix.lower()
    if not suffix or output.endswith("/"):
        from qoex.large.sampling import sample_market_directory

        with busy("drawing") as progress:
            factor = sample_market_directory(
                output, providers, users, seed, feasible=feasible, progress=progress.share
            )
        return bool((factor < 1.0 - CAPACITY_MARGIN).all())
    if suffix not in (".toml", ".json"):
        raise InvalidInputError(
            f"{output}: the name of the file must end in .toml or .json, or in / for a directory"
        )
    from qoex.sampling import sample_scenario

    scenario = sample_scenario(providers, users, np.random.default_rng(seed), feasible=feasible)
    market = scenario.market()
    if suffix == ".json":
        write_market(market, output)
    else:
        write_scenario(scenario, output)
    return bool((capacity_factor(market) < 1.0 - CAPACITY_MARGIN).all())
