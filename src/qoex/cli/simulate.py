"""The command that lets a simulated fleet report to a running agent."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from qoex.cli.terminal import (
    INTERRUPTED,
    JsonPath,
    notice,
    put_json,
    require_extra,
    show,
    width,
)


class CyclesBy(StrEnum):
    """Who says when the agent runs a cycle."""

    ASK = "ask"
    OWN = "own"


def simulate(
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Address of the agent; by default QOEX_AGENT, or one on this machine. "
            "QOEX_TOKEN must hold an operator's token.",
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="How many users on average.")] = 20,
    providers: Annotated[int, typer.Option(min=1, help="How many providers.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same fleet.")] = 0,
    duration: Annotated[float, typer.Option(help="Simulated hours.")] = 2.0,
    step: Annotated[float, typer.Option(help="Simulated seconds from cycle to cycle.")] = 60.0,
    speedup: Annotated[
        float,
        typer.Option(help="Simulated seconds per second; 0 for as fast as the agent can follow."),
    ] = 120.0,
    rate: Annotated[
        float | None,
        typer.Option(help="Users who arrive per simulated hour; by default as many as --users."),
    ] = None,
    changes: Annotated[
        float, typer.Option(help="Changes of demand per user and simulated hour.")
    ] = 1.0,
    movement: Annotated[
        float, typer.Option(help="Standard deviation of links around their means, dB.")
    ] = 3.0,
    failures: Annotated[
        float, typer.Option(help="Failures per provider and simulated hour.")
    ] = 0.1,
    cycles: Annotated[
        CyclesBy, typer.Option(help="Ask the agent for a cycle in every step, or let it decide.")
    ] = CyclesBy.ASK,
    plot: Annotated[
        str | None, typer.Option(metavar="FILE", help="Draw QoE over time (.png or .svg).")
    ] = None,
    json: JsonPath = None,
) -> None:
    """Let a simulated fleet report to a running agent, and value how often it is re-solved."""
    require_extra("simulate", "agent")
    if plot is not None:
        require_extra("simulate --plot", "paper")
    from qoex.cli.simulate_view import summary_view, watching
    from qoex.client import Client
    from qoex.files.market_files import write_atomically
    from qoex.fleet import Cycles, FleetSettings, Record, Simulation
    from qoex.fleet.plot import picture, require_format
    from qoex.fleet.settings import HOUR
    from qoex.model.validation import not_negative

    settings = FleetSettings(
        users=users,
        providers=providers,
        seed=seed,
        step=step,
        arrivals=float(users) if rate is None else rate,
        changes=changes,
        movement=movement,
        provider_failures=failures,
    )
    not_negative("duration", duration)
    if plot is not None:
        require_format(plot)
    record, interrupted = Record(), False
    with Client(agent) as client:
        simulation = Simulation(client, settings, speedup=speedup, cycles=Cycles(cycles.value))
        try:
            with simulation, watching() as tell:
                for item in simulation.steps(duration * HOUR):
                    record.add(item)
                    tell(item)
        except KeyboardInterrupt:
            interrupted = True
            notice("interrupted")
    if record.steps:
        if plot is not None:
            write_atomically(plot, picture(record, plot))
            notice(f"wrote {plot}")
        if json is None or put_json(json, record.data()):
            show(summary_view(record, settings, width()))
    if interrupted:
        raise typer.Exit(INTERRUPTED)
