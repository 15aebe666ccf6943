"""The command that makes markets of a trace of requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoex.cli.terminal import notice
from qoex.errors import InvalidInputError, ScenarioError
from qoex.text.numbers import counted

if TYPE_CHECKING:
    from qoex.scenario.traces import Trace

# As the traces of Azure and of Mooncake have them.
_TIMES = ("TIMESTAMP", "timestamp")
_INPUTS = ("ContextTokens", "input_length", "input_tokens")
_OUTPUTS = ("GeneratedTokens", "output_length", "output_tokens")


def import_trace(
    file: Annotated[Path, typer.Argument(metavar="TRACE", help="Requests (.csv, .jsonl).")],
    providers: Annotated[
        Path, typer.Option(metavar="FILE", help="Providers and defaults, as in a scenario (.toml).")
    ],
    output: Annotated[
        str,  # a Path would lose the / at its end
        typer.Option(
            "--output", "-o", metavar="FILE", help=".toml or .json; with --every a directory."
        ),
    ],
    first: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take the first N requests only.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="A market for each such time.")
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="Arrival times.")] = None,
    input: Annotated[  # noqa: A002
        str | None, typer.Option(metavar="COLUMN", help="Input tokens.")
    ] = None,
    output_tokens: Annotated[
        str | None, typer.Option("--output-tokens", metavar="COLUMN", help="Output tokens.")
    ] = None,
) -> None:
    """Make a market of a trace's requests, or one for each stretch of time."""
    from qoex.files.market_files import parse_toml, read_text, write_market, write_scenario
    from qoex.scenario.traces import TraceProviders, scenario_of, windows

    if every is not None and not 0.0 < every < float("inf"):
        raise InvalidInputError(f"every is {every:g}; it must be a number of seconds above zero")
    suffix = Path(output).suffix.lower()
    if every is None and suffix not in (".toml", ".json"):
        raise InvalidInputError(f"{output}: the name of the file must end in .toml or .json")
    if every is not None and suffix:
        raise InvalidInputError(f"{output}: with --every it must be the name of a directory")
    try:
        served_by = TraceProviders.parse(parse_toml(read_text(providers)))
    except InvalidInputError as error:
        raise ScenarioError(f"{providers}: {error}") from None
    trace = _read(file, time, input, output_tokens)
    skipped = trace.arrival.size - trace.usable().size
    markets = [
        (number, scenario_of(trace, requests, served_by))
        for number, requests in windows(trace, every, first)
    ]
    if not markets:
        raise ScenarioError(f"{file}: no request has input and output tokens")
    folder = Path(output)
    if every is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidInputError(f"{output}: there is something already")
        folder.mkdir(parents=True, exist_ok=True)
    digits = len(str(markets[-1][0]))
    for number, scenario in markets:
        path = folder if every is None else folder / f"{number:0{digits}}.toml"
        if suffix == ".json":
            write_market(scenario.market(), path)
        else:
            write_scenario(scenario, path)
    requests = sum(len(scenario.users) for _, scenario in markets)
    notice(f"wrote {output}: {counted(requests, 'request')} in {counted(len(markets), 'market')}")
    if skipped:
        notice(f"left out {counted(skipped, 'request')} without input or output tokens")


def _read(file: Path, time: str | None, incoming: str | None, outgoing: str | None) -> Trace:
    from qoex.files.measured import MeasuredTable, first_column
    from qoex.scenario.traces import Trace, seconds_since_first

    table = MeasuredTable(file)
    try:
        arrival = seconds_since_first(table.texts(time or first_column(table, _TIMES, "times")))
    except ScenarioError as error:
        text = str(error)
        raise ScenarioError(text if text.startswith(str(file)) else f"{file}: {text}") from None
    return Trace(
        arrival=arrival,
        input_tokens=table.numbers(incoming or first_column(table, _INPUTS, "input tokens")),
        output_tokens=table.numbers(outgoing or first_column(table, _OUTPUTS, "output tokens")),
    )
