"""The command that fits work models to measured latencies, and prints providers for a scenario."""

from __future__ import annotations

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoex.cli.terminal import NO, notice
from qoex.errors import InvalidInputError

if TYPE_CHECKING:
    from qoex.calibration.latencies import LatencyFit


class Unit(StrEnum):
    """Of times."""

    MILLISECONDS = "ms"
    SECONDS = "s"


class FittedModel(StrEnum):
    """Which work model."""

    CACHED = "cached"
    ATTENTION = "attention"
    QUADRATIC = "quadratic"


def fit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Measured requests (.csv, .jsonl).")],
    input: Annotated[str, typer.Option(metavar="COLUMN", help="Input tokens.")],  # noqa: A002
    output: Annotated[str, typer.Option(metavar="COLUMN", help="Output tokens, generated.")],
    latency: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Time of the whole request.")
    ] = None,
    prefill: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Time to the first token.")
    ] = None,
    per_token: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Time of each further token.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Requests served at the same time.")
    ] = None,
    at_batch: Annotated[
        int, typer.Option(min=1, metavar="SIZE", help="With --batch: print the work at this size.")
    ] = 1,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="One fit to each value; may be given again."),
    ] = None,
    unit: Annotated[Unit, typer.Option(help="Of the times.")] = Unit.MILLISECONDS,
    compute: Annotated[
        float, typer.Option(metavar="TFLOPS", help="What the whole server has.")
    ] = 1.0,
    model: Annotated[FittedModel, typer.Option(help="How work grows.")] = FittedModel.CACHED,
) -> None:
    """Fit work models to measured latencies; print them as providers of a scenario file."""
    from qoex.calibration.latencies import LatencyColumns, fit_latencies
    from qoex.files.measured import MeasuredTable

    if not 0.0 < compute < float("inf"):
        raise InvalidInputError(f"compute is {compute:g}; it must be a number above zero")
    columns = LatencyColumns(
        input_tokens=input,
        output_tokens=output,
        latency=latency,
        prefill=prefill,
        per_token=per_token,
        batch_size=batch,
        groups=tuple(group or ()),
        unit=unit.value,
    )
    fits = fit_latencies(
        MeasuredTable(file), columns, compute=compute, model=model.value, at_batch=at_batch
    )
    print("\n".join(provider_block(found, compute) for found in fits), end="")
    for found in fits:
        for doubt in doubts(found):
            notice(f"{_named(found)}: {doubt}")
    if any(found.poor for found in fits):
        raise typer.Exit(NO)


def provider_block(found: LatencyFit, compute: float) -> str:
    """Return a ``[[providers]]`` table in TOML; the work is that of θ̂ = 1/e, where ln(1/θ̂) = 1."""
    fit = found.fit
    lines = [
        f"# {fit.rows} rows, R² {fit.r_squared:.4f}, relative error {fit.relative_rms_error:.2%}",
        "[[providers]]",
        f"name = {json_module.dumps(_named(found), ensure_ascii=False)}",
        f"compute_capacity = {compute!r}",
        f'work_model = "{"quadratic" if len(vars(fit.model)) == 1 else "cached"}"',
        *(
            f"{name} = {value!r}"
            for name, value in vars(fit.model).items()
            if value != 0.0 or name in ("work_per_input_token", "work_per_output_token")
        ),
    ]
    return "\n".join(lines) + "\n"


def doubts(found: LatencyFit) -> list[str]:
    """Return a sentence for each thing that speaks against a fit."""
    said = []
    if found.poor:
        said.append(
            f"the model explains little of what was measured (R² {found.fit.r_squared:.3f})"
        )
    if found.zeroed:
        said.append(f"nothing was left for {', '.join(found.zeroed)}; do the tokens vary enough?")
    if found.flat_beyond is not None:
        said.append(
            f"the latency stops growing beyond {found.flat_beyond:g} output tokens, as it does "
            "where the column holds the tokens asked for and not those generated"
        )
    return said


def _named(found: LatencyFit) -> str:
    return " ".join(found.group) or "provider"
