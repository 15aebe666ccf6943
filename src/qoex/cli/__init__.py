"""The ``qoex`` command: thin, for what it prints comes from ``render``, ``explain`` and ``demo``.

Exit codes: 0 for yes or done, 1 for no (not solved, not an equilibrium), 2 for input that cannot
be used. Results go to stdout, everything about them to stderr. Whatever is slow to import is
imported by the command that needs it: a small market has to be answered within a second.
"""

from __future__ import annotations

import contextlib
import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoex import __version__
from qoex.cli.bench import BenchCommand, bench
from qoex.cli.experiments import sweep
from qoex.cli.fit import fit
from qoex.cli.import_trace import import_trace
from qoex.cli.infer import infer
from qoex.cli.replay import replay
from qoex.cli.reproduction import reproduce
from qoex.cli.running import Method, certificate_of, choose_kernels, solve_by
from qoex.cli.sampling import sample
from qoex.cli.serve import serve
from qoex.cli.simulate import simulate
from qoex.cli.stored import Cluster, Out, solved_in_chunks
from qoex.cli.terminal import NO, Group, JsonPath, busy, notice, put_json, show, width
from qoex.cli.token import token
from qoex.errors import InfeasibleMarketError, InvalidInputError, QoexError
from qoex.files.market_files import read_market, read_market_and_tokens
from qoex.model.market import Market
from qoex.text.numbers import counted

if TYPE_CHECKING:
    from qoex.game.solution import Solution

# That of qoex.certificate.CERTIFIED, which is slow to import.
VERIFY_TOLERANCE = 1e-9


class AdmitBy(StrEnum):
    """What ``solve --admit`` drops as little of as it can."""

    COUNT = "count"
    VALUE = "value"


app = typer.Typer(
    cls=Group,
    help="A market engine for edge LLM services: exact equilibria, each with a certificate.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MarketFile = Annotated[
    Path,
    typer.Argument(
        metavar="MARKET", help="File of the market (.toml, .json, .parquet), or a directory."
    ),
]


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version, or the help where no command is given."""
    if version:
        print(f"qoex {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
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
        reason = str(error).removesuffix(" (admit)")
        raise QoexError(f"{reason}: --admit count drops the fewest") from None
    remarks += solution.notes
    certificate = certificate_of(market, solution)
    solution = judged(solution, certificate)
    if json is None or put_json(json, solution_data(market, solution, certificate, dropped)):
        heading = f"{_size(market)}, {solution.method}, {counted(solution.steps, 'step')}"
        tables = solution_view(market, solution, certificate, width=width(), everything=everything)
        lines = certificate_lines(market, solution, certificate)
        show([heading, solution.status.sentence, *remarks, *tables, "", *lines])
    else:
        for remark in remarks:
            notice(remark)
    _require_solved(solution)


@app.command()
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
    show([_size(saved.market), *dropped_lines(saved.dropped), "", *table, "", *lines])
    if not certificate.holds(tolerance):
        raise typer.Exit(NO)


@app.command()
def compare(market_file: MarketFile, json: JsonPath = None) -> None:
    """Settle a market by every scheme, and score them side by side."""
    from qoex.cli.comparison import comparison_data, comparison_view, run_all
    from qoex.model.feasibility import require_feasible

    market, tokens = read_market_and_tokens(market_file)
    require_feasible(market)
    choose_kernels(market)
    with busy("running the schemes") as progress:
        outcomes = run_all(market, tokens, progress=progress.share)
    if json is None or put_json(json, comparison_data(outcomes)):
        show([_size(market), *comparison_view(outcomes, width())])
    if any(item.solution is not None and item.metrics is None for item in outcomes):
        raise typer.Exit(NO)


@app.command()
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
    _require_solved(judged(solution, certificate))
    paragraphs = explain_user(market, solution, certificate, index)
    show("\n\n".join(paragraphs).split("\n"))
    _require_solved(solution)


@app.command()
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
        from qoex.cli.terminal import require_agent_extra

        require_agent_extra("demo --live", "uvicorn")
        from qoex.cli.demo_live import demo_live

        demo_live(open_page=open_page)
        return
    if open_page:
        raise QoexError("--open is of no use without --live")
    from qoex.cli.demo import demo_view
    from qoex.cli.render import certificate_lines
    from qoex.data.paper_case import table_iv_market

    market = table_iv_market()
    choose_kernels(market)
    solution = solve_by(Method.CAPACITY_PRICES, market)
    lines = certificate_lines(market, solution, certificate_of(market, solution))
    show([*demo_view(market, solution, width()), "", *lines])
    _require_solved(solution)


app.command()(sample)
app.command()(reproduce)
app.command()(sweep)
app.command()(infer)
app.command()(fit)
app.command()(import_trace)
app.command(cls=BenchCommand)(bench)
app.command()(replay)
app.add_typer(token, name="token")
app.command()(serve)
app.command()(simulate)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # something else stands in for the stream
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app()


def _size(market: Market) -> str:
    return f"{counted(market.providers, 'provider')}, {counted(market.users, 'user')}"


def _require_solved(solution: Solution) -> None:
    if not solution.status.ok:
        notice(solution.status.sentence)
        raise typer.Exit(NO)
