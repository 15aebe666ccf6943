"""The list of commands; the module of one is imported when it is called, or asked for its help."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from qoex import __version__
from qoex.cli.terminal import Group

_HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

# Command → its module below qoex.cli, where that is not its name.
_MODULES = {
    "verify": "solve",
    "sample": "sampling",
    "reproduce": "reproduction",
    "sweep": "experiments",
}

# Command → what it does in a line, which is the first of its function's docstring.
COMMANDS = {
    "solve": "Find the equilibrium of a market and certify it.",
    "verify": (
        "Check whether a saved solution is an equilibrium, trusting nothing it says of itself."
    ),
    "compare": "Settle a market by every scheme, and score them side by side.",
    "explain": "Say in plain sentences what the equilibrium means to one user.",
    "demo": "Solve the paper's case of two providers and three users beside what it printed.",
    "sample": "Draw a random market from the ranges of the paper's Table III.",
    "reproduce": (
        "Compute the paper's figures, tables and claims anew, and report where they differ."
    ),
    "sweep": "Run a sweep of your own; run again after an interruption, it goes on.",
    "infer": "Infer a market's hidden parameters from observed rewards, allocations and QoE.",
    "fit": "Fit work models to measured latencies; print them as providers of a scenario file.",
    "import-trace": "Make a market of a trace's requests, or one for each stretch of time.",
    "bench": "Measure what a solve costs, as a multiple of reading the market once.",
    "replay": (
        "Compute past cycles again from the log, and say whether each is the same to the last bit."
    ),
    "token": "Create, list and revoke the bearer tokens of an agent's nodes and operators.",
    "serve": "Run the market as a service: nodes report, and every cycle settles it anew.",
    "simulate": (
        "Let a simulated fleet report to a running agent, and value how often it is re-solved."
    ),
}


class Commands(Group):
    """Imports the module of a command when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        attribute = cmd_name.replace("-", "_")
        module = import_module(f"qoex.cli.{_MODULES.get(cmd_name, attribute)}")
        found = getattr(module, attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, context_settings=_HELP_OPTIONS)
            # The command that is made of it, where it needs one of its own.
            single.command(cls=getattr(module, "COMMAND_CLASS", None))(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=Commands,
    help="A market engine for edge LLM services: exact equilibria, each with a certificate.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=_HELP_OPTIONS,
    rich_markup_mode=None,
)


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
