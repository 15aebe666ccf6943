"""The command that runs the agent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qoex.cli.terminal import require_extra


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; only this machine by default.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="DB", help="File, or postgresql://user@host/database."),
    ] = None,
    cycle: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time between cycles; 0: only when asked."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings (TOML); by default what QOEX_CONFIG names."),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print all settings as TOML, and end.")
    ] = False,
) -> None:
    """Run the market as a service: nodes report, and every cycle settles it anew."""
    require_extra("serve", "agent")
    from qoex.agent.settings import load_settings

    given = {
        "host": host,
        "port": port,
        "database": database,
        "cycle_s": cycle,
        "log_level": log_level,
    }
    settings = load_settings(given, config)
    if print_config:
        from qoex.agent.settings import settings_text

        typer.echo(settings_text(settings), nl=False)
        return
    from qoex.agent.start import run

    run(settings)
