"""The command that explains an equilibrium to one user."""

from __future__ import annotations

from typing import Annotated

import typer

from qoex.cli.market_argument import MarketFile, require_solved
from qoex.cli.running import Method, choose_kernels, solve_by
from qoex.cli.terminal import busy, show
from qoex.files.market_files import read_market


def explain(
    market_file: MarketFile,
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")],
) -> None:
    """Say in plain sentences what the equilibrium means to one user."""
    from qoex.certificate import certify, judged
    from qoex.certificate.explanation import explain_user

    market = read_market(market_file)
    index = market.user_index(user)
    choose_kernels(market)
    solution = solve_by(Method.CAPACITY_PRICES, market)
    with busy("certifying") as progress:
        certificate = certify(market, solution, progress=progress.share)
    require_solved(judged(solution, certificate))
    paragraphs = explain_user(market, solution, certificate, index)
    show("\n\n".join(paragraphs).split("\n"))
    require_solved(solution)
