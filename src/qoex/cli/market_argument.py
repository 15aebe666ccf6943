"""What the commands that take a market share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoex.cli.terminal import NO, notice
from qoex.text.numbers import counted

if TYPE_CHECKING:
    from qoex.game.solution import Solution
    from qoex.model.market import Market

MarketFile = Annotated[
    Path,
    typer.Argument(
        metavar="MARKET", help="File of the market (.toml, .json, .parquet), or a directory."
    ),
]


def market_size(market: Market) -> str:
    """Return the numbers of providers and users in words."""
    return f"{counted(market.providers, 'provider')}, {counted(market.users, 'user')}"


def require_solved(solution: Solution) -> None:
    """Leave with an exit code and the reason unless a market is solved.

    Raises:
        typer.Exit: it is not.
    """
    if not solution.status.ok:
        notice(solution.status.sentence)
        raise typer.Exit(NO)
