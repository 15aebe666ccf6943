"""The command that measures what solves cost; what it computes and prints is imported in it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from qoex.cli.terminal import NO, busy, notice, put_json, show, width

_JSON = "--json"


class BenchCommand(TyperCommand):
    """Lets ``--json`` stand without a value, for "-"; typer knows no such options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        given = []
        for argument, following in zip(args, [*args[1:], "--"], strict=True):
            given.append(argument)
            if argument == _JSON and following.startswith("--"):
                given.append("-")
        return super().parse_args(ctx, given)


COMMAND_CLASS = BenchCommand


def bench(
    providers: Annotated[int, typer.Option(min=1, help="How many providers.")] = 10,
    users: Annotated[int, typer.Option(min=1, help="How many users.")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same market.")] = 0,
    repeat: Annotated[int, typer.Option(min=1, help="Solves of each kind; medians count.")] = 3,
    json: Annotated[
        str | None,
        typer.Option(
            _JSON,
            metavar="[PATH]",
            help="Write JSON to a file, or without a name print it alone.",
        ),
    ] = None,
) -> None:
    """Measure what a solve costs, as a multiple of reading the market once."""
    from qoex.cli.bench_view import bench_data, bench_view
    from qoex.experiments.speed import run_benchmark

    with busy("measuring") as progress:
        result = run_benchmark(providers, users, seed=seed, repeat=repeat, progress=progress.share)
    if json is None or put_json(json, bench_data(result)):
        show(bench_view(result, width()))
    if not result.ok:
        notice("a solve failed, or its certificate does not hold")
        raise typer.Exit(NO)
