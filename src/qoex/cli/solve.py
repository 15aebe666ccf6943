"""The commands that solve a market and that check a saved solution."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from qoex.cli.market_argument import MarketFile, market_size, require_solved
from qoex.cli.running import Method, certificate_of, choose_kernels, solve_by
from qoex.cli.stored import Cluster, Out, solved_in_chunks
from qoex.cli.terminal import NO, JsonPath, busy, notice, put_json, show, width
from qoex.errors import InfeasibleMarketError, InvalidInputError, QoexError
from qoex.files.market_files import read_market
from qoex.text.numbers import counted

# That of qoex.certificate.CERTIFIED, which is slow to import.
VERIFY_TOLERANCE = 1e-9


class AdmitBy(StrEnum):
    """What ``solve --admit`` drops as little of as it can."""

    COUNT = "count"
    VALUE = "value"


def solve(
    market_file: MarketFile,
    method: Annotated[
        Method, typer.Option(help="How to find the equilibrium.")
    ] = Method.CAPACITY_PRICES,
    json: JsonPath = None,
    admit: Annotated[
        AdmitBy | None,
        typer.Option(help="If not all demands can be served, drop the fewest or least valuable."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every pair, however large the market is.")
    ] = False,
    cluster: Cluster = None,
    out: Out = None,
) -> None:
    """Find the equilibrium of a market and certify it."""
    from qoex.certificate import judged
    from qoex.cli.render import certificate_lines, dropped_lines, solution_view
    from qoex.files.solution_json import solution_data

    options = {
        "--method": method is not Method.CAPACITY_PRICES,
        "--admit": admit is not None,
        "--all": everything,
    }
    others = [name for name, given in options.items() if given]
    if solved_in_chunks(market_file, cluster=cluster, out=out, json=json, others=others):
        return
    market = read_market(market_file)
    remarks: list[str] = []
    dropped: tuple[tuple[str, str], ...] = ()
    if admit is not None:
        from qoex.model.admission import admit as admit_demands

        with busy("choosing demands to drop"):
            admission = admit_demands(market, by=admit.value)
        market, dropped = admission.market, admission.dropped
        remarks += dropped_lines(dropped, everything=everything)
        if not admission.optimal:
            remarks.append("A better choice of them may exist: the time limit was reached.")
    choose_kernels(market, method)
    try:
        solution = solve_by(method, market)
    except InfeasibleMarketError as error:
        raise QoexError(f"{error.sentence()}: --admit count drops the fewest") from None
    remarks += solution.notes
    certificate = certificate_of(market, solution)
    solution = judged(solution, certificate)
    if json is None or put_json(json, solution_data(market, solution, certificate, dropped)):
        heading = f"{market_size(market)}, {solution.method}, {counted(solution.steps, 'step')}"
        tables = solution_view(market, solution, certificate, width=width(), everything=everything)
        lines = certificate_lines(market, solution, certificate)
        show([heading, solution.status.sentence, *remarks, *tables, "", *lines])
    else:
        for remark in remarks:
            notice(remark)
    require_solved(solution)


def verify(
    market_file: MarketFile,
    solution_file: Annotated[
        Path, typer.Argument(metavar="SOLUTION", help="What solve --json wrote.")
    ],
    tolerance: Annotated[
        float, typer.Option(help="Largest residual of a condition that holds.")
    ] = VERIFY_TOLERANCE,
) -> None:
    """Check whether a saved solution is an equilibrium, trusting nothing it says of itself."""
    from qoex.cli.render import certificate_lines, conditions_view, dropped_lines
    from qoex.files.solution_json import read_solution

    if not 0 < tolerance < math.inf:
        raise InvalidInputError(f"tolerance is {tolerance!r}; it must be a number above zero")
    saved = read_solution(solution_file, read_market(market_file))
    choose_kernels(saved.market)
    certificate = certificate_of(saved.market, saved.solution, tolerance)
    table = conditions_view(certificate, tolerance, width())
    lines = certificate_lines(saved.market, saved.solution, certificate, tolerance)
    show([market_size(saved.market), *dropped_lines(saved.dropped), "", *table, "", *lines])
    if not certificate.holds(tolerance):
        raise typer.Exit(NO)
