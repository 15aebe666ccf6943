"""What ``qoex solve`` does for markets stored as Parquet that are solved in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoex.cli.running import load_kernels
from qoex.cli.terminal import NO, busy, notice, put_json, show, width
from qoex.errors import InfeasibleMarketError, InvalidInputError, QoexError
from qoex.files.market_files import is_stored
from qoex.text.numbers import column, counted, number
from qoex.text.refusals import shown_name

if TYPE_CHECKING:
    from qoex.cli.render import Column, View
    from qoex.files.parquet import MarketDirectory
    from qoex.out_of_core import StoredSolution
    from qoex.out_of_core.solving import StoredHosts

# Up to this many pairs a market is solved in memory, and shown with its users, as any other is.
IN_MEMORY_PAIRS = 2_000_000

# Rows of a table, two for each provider; the JSON has all.
_MOST_ROWS = 40
# Shares of the users of which the largest QoE and payment are shown.
_SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)

Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Solve a stored market on a Dask cluster: its scheduler.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Write the solution of a stored market as Parquet, into a new directory.",
    ),
]


def solved_in_chunks(
    path: Path, *, cluster: str | None, out: Path | None, json: str | None, others: Sequence[str]
) -> bool:
    """Solve a stored market in chunks, and show that; return whether it was one to be.

    Args:
        path: of any market.
        cluster: address of a Dask scheduler, if the market is to be solved there.
        out: a new directory for the solution, if it is to be written.
        json: where to write JSON.
        others: options given that only a market in memory has.

    Raises:
        InvalidInputError: options that cannot be.
        QoexError: what reading, solving and writing raise.
        typer.Exit: the market was not solved.
    """
    given = [name for name, value in (("--cluster", cluster), ("--out", out)) if value is not None]
    if not is_stored(path):
        if given:
            raise InvalidInputError(
                f"{given[0]} is for markets stored as Parquet: a directory, or a .parquet file"
            )
        return False
    from qoex.files.parquet import MarketDirectory

    market = MarketDirectory(path)
    if not given and market.providers * market.users <= IN_MEMORY_PAIRS:
        return False
    if others:
        raise InvalidInputError(
            f"{others[0]} is for markets in memory: of up to {IN_MEMORY_PAIRS} pairs, and without "
            "--cluster and --out"
        )
    _solve(market, cluster, out, json)
    return True


def _solve(
    market: MarketDirectory, cluster: str | None, out: Path | None, json: str | None
) -> None:
    from qoex.out_of_core import solve_stored, stored_solution_data

    load_kernels()
    start = time.monotonic()
    with _hosts(market, cluster) as hosts, busy("solving") as progress:
        try:
            solution = solve_stored(market, hosts=hosts, out=out, progress=progress.say)
        except InfeasibleMarketError as error:
            raise QoexError(error.sentence()) from None
    took = time.monotonic() - start
    if json is None or put_json(json, stored_solution_data(market, solution)):
        show(stored_view(market, solution, took, width()))
    else:
        for remark in solution.notes:
            notice(remark)
    if out is not None:
        notice(f"wrote {out}")
    if not solution.status.ok:
        notice(solution.status.sentence)
        raise typer.Exit(NO)


@contextmanager
def _hosts(market: MarketDirectory, cluster: str | None) -> Iterator[StoredHosts | None]:
    if cluster is None:
        yield None
        return
    from qoex.out_of_core import OnCluster

    with busy("loading users"):
        hosts = OnCluster(market, cluster)
    try:
        yield hosts
    finally:
        hosts.close()


def stored_view(
    market: MarketDirectory, solution: StoredSolution, seconds: float, width: int
) -> View:
    """Return what is said of a solution without its users: providers, totals, the certificate."""
    from qoex.cli.render import capacity_columns, first_rows, table

    heading = (
        f"{counted(market.providers, 'provider')}, {counted(market.users, 'user')}, "
        f"capacity-prices, {counted(solution.steps, 'step')}"
    )
    view: View = [heading, solution.status.sentence, *solution.notes]
    totals = solution.totals
    for title, columns in (
        ("capacities", capacity_columns(market, solution)),
        ("providers", _provider_columns(market, solution)),
    ):
        shown, more = first_rows(columns, _MOST_ROWS)
        view += ["", table(shown, width)]
        if more:
            view.append(f"… and {more} more {title}; --json has them")
    view += [
        "",
        table(_user_columns(solution), width),
        f"{totals.served} of {counted(totals.users, 'user')} have QoE. Their utility is "
        f"{number(totals.utility)} in all and {number(totals.mean_utility)} on average.",
        "",
        solution.sentence(),
        f"{solution.passes} passes over the users in {number(seconds, 3)} s.",
    ]
    return view


def _provider_columns(market: MarketDirectory, solution: StoredSolution) -> list[Column]:
    from qoex.cli.render import Column

    income, utility = solution.provider_income, solution.provider_utility
    return [
        Column("provider", [shown_name(name) for name in market.provider_names], name=True),
        Column("users with QoE", [f"{int(count)}" for count in solution.totals.served_by]),
        Column("income\nmoney", column(income)),
        Column("resource cost\nmoney", column(income - utility)),
        Column("utility\nmoney", column(utility)),
    ]


def _user_columns(solution: StoredSolution) -> list[Column]:
    from qoex.cli.render import Column

    totals = solution.totals
    spreads = totals.qoe_spread, totals.payment_spread
    means = totals.mean_qoe, totals.mean_paid
    sums = totals.qoe, totals.paid
    cells = [
        column([*(spread.quantile(share) for share in _SHARES), mean], 3)
        for spread, mean in zip(spreads, means, strict=True)
    ]
    headers = ["least", "10 % below", "median", "90 % below", "most", "mean"]
    return [
        Column("of a user", ["QoE, ms", "payment, money"], text=True),
        *(Column(header, [row[place] for row in cells]) for place, header in enumerate(headers)),
        Column("all users", [number(value) for value in sums]),
    ]
