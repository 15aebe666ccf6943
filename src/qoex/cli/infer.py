"""The command that infers hidden parameters; what it computes and prints is imported in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qoex.cli.terminal import NO, JsonPath, notice, put_json, show, width
from qoex.errors import InvalidInputError


def infer(
    observed: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OBSERVED]",
            help="Observed table (.csv or .parquet); without one, Table V of the paper.",
        ),
    ] = None,
    profit_factor: Annotated[
        str | None,
        typer.Option(metavar="one|per-user|NUMBER", help="Infer one or several, or hold it."),
    ] = None,
    bandwidth_cost: Annotated[
        str | None,
        typer.Option(metavar="one|per-provider|NUMBER", help="Infer one or several, or hold it."),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Relative error of the numbers, if it is known."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="MARKET", help="Write the market inferred."),
    ] = None,
    json: JsonPath = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every pair, however many there are.")
    ] = False,
) -> None:
    """Infer a market's hidden parameters from observed rewards, allocations and QoE."""
    from qoex.cli.inference import inference_data, run_inference
    from qoex.cli.inference_view import inference_view
    from qoex.files.market_files import write_market

    if output is not None and output.suffix.lower() not in (".toml", ".json"):
        raise InvalidInputError(f"{output}: the name of the file must end in .toml or .json")
    inference = run_inference(observed, profit_factor, bandwidth_cost, noise)
    if json is None or put_json(json, inference_data(inference)):
        show(inference_view(inference, width(), everything=everything))
    if not inference.status.ok:
        notice(inference.status.sentence)
        raise typer.Exit(NO)
    if output is not None:
        write_market(inference.market, output)
        notice(f"wrote {output}")
