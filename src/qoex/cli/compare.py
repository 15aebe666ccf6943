"""The command that settles a market by every scheme."""

from __future__ import annotations

import typer

from qoex.cli.comparison import comparison_data, comparison_view, run_all
from qoex.cli.market_argument import MarketFile, market_size
from qoex.cli.running import choose_kernels
from qoex.cli.terminal import NO, JsonPath, busy, put_json, show, width
from qoex.files.market_files import read_market_and_tokens
from qoex.model.feasibility import require_feasible


def compare(market_file: MarketFile, json: JsonPath = None) -> None:
    """Settle a market by every scheme, and score them side by side."""
    market, tokens = read_market_and_tokens(market_file)
    require_feasible(market)
    choose_kernels(market)
    with busy("running the schemes") as progress:
        outcomes = run_all(market, tokens, progress=progress.share)
    if json is None or put_json(json, comparison_data(outcomes)):
        show([market_size(market), *comparison_view(outcomes, width())])
    if any(item.solution is not None and item.metrics is None for item in outcomes):
        raise typer.Exit(NO)
