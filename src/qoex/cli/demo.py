"""The command that shows the paper's case, or a market at work."""

from __future__ import annotations

from typing import Annotated

import typer

from qoex.cli.market_argument import require_solved
from qoex.cli.running import Method, certificate_of, choose_kernels, solve_by
from qoex.cli.terminal import require_extra, show, width
from qoex.errors import QoexError


def demo(
    live: Annotated[
        bool, typer.Option("--live", help="Run an agent with a simulated fleet, until Ctrl-C.")
    ] = False,
    open_page: Annotated[
        bool, typer.Option("--open", help="With --live, open the dashboard in a browser.")
    ] = False,
) -> None:
    """Solve the paper's case of two providers and three users beside what it printed."""
    if live:
        require_extra("demo --live", "agent")
        from qoex.cli.demo_live import demo_live

        demo_live(open_page=open_page)
        return
    if open_page:
        raise QoexError("--open is of no use without --live")
    from qoex.cli.demo_view import demo_view
    from qoex.cli.render import certificate_lines
    from qoex.data.paper_case import table_iv_market

    market = table_iv_market()
    choose_kernels(market)
    solution = solve_by(Method.CAPACITY_PRICES, market)
    lines = certificate_lines(market, solution, certificate_of(market, solution))
    show([*demo_view(market, solution, width()), "", *lines])
    require_solved(solution)
