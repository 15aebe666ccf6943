"""The command that computes past cycles of an agent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qoex.cli.terminal import NO, JsonPath, counting, notice, put_json, require_extra, show
from qoex.errors import InvalidInputError
from qoex.text.numbers import counted

if TYPE_CHECKING:
    from qoex.agent.cycle.replay import Replayed


def replay(
    database: Annotated[
        str,
        typer.Argument(
            metavar="DB", help="Database of the agent: a file, or postgresql://user@host/database."
        ),
    ],
    cycle: Annotated[int | None, typer.Option(min=1, help="This cycle only.")] = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="First cycle.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last cycle.")] = None,
    json: JsonPath = None,
) -> None:
    """Compute past cycles again from the log, and say whether each is the same to the last bit."""
    require_extra("replay", "agent")
    if cycle is not None:
        if first is not None or last is not None:
            raise InvalidInputError("--cycle names one cycle: it cannot go with --from or --to")
        first = last = cycle
    import asyncio

    cycles = asyncio.run(_replayed(database, 1 if first is None else first, last))
    if json is None or put_json(json, replay_data(database, cycles)):
        show(replay_lines(cycles))
    if any(item.sameness == "different" for item in cycles):
        notice("a cycle is not what it was")
        raise typer.Exit(NO)


async def _replayed(database: str, first: int, last: int | None) -> list[Replayed]:
    from qoex.agent.cycle.replay import replay as replayed
    from qoex.agent.solving.worker import Worker
    from qoex.agent.storage import Store

    worker = Worker(niceness=0)
    try:
        async with await Store.open(database, exclusive=False, create=False) as store:
            worker.start()
            with counting("replaying", "cycles") as progress:
                cycles = replayed(store, worker, first, last, progress=progress)
                return [item async for item in cycles]
    finally:
        await worker.stop()


def replay_lines(cycles: Sequence[Replayed]) -> list[str]:
    """Return what came of each cycle, those in a row that are the same in one line."""
    lines: list[str] = []
    row: list[int] = []
    for item in [*cycles, None]:
        if item is not None and item.sameness == "same":
            row.append(item.cycle)
            continue
        if row:
            lines.append(f"{_row(row)}: the same to the last bit")
            row = []
        if item is not None:
            word = "DIFFERENT" if item.sameness == "different" else "not computed again"
            lines.append(f"cycle {item.cycle}: {word}: {item.detail}")
    same, different, left = _counts(cycles)
    parts = [f"{same} the same", f"{different} different", f"{left} not computed again"]
    return [*lines, f"{counted(len(cycles), 'cycle')}: {', '.join(parts)}"]


def replay_data(database: str, cycles: Sequence[Replayed]) -> dict[str, Any]:
    """Return the same as JSON data; ``same`` is null for a cycle that was not computed again."""
    from qoex.agent.storage import Address

    same, different, left = _counts(cycles)
    meaning = {"same": True, "different": False, "not-recomputed": None}
    return {
        "database": Address.parse(database).name,
        "same": same,
        "different": different,
        "not_recomputed": left,
        "cycles": [
            {
                "cycle": item.cycle,
                "result": str(item.result),
                "same": meaning[item.sameness],
                "detail": item.detail,
            }
            for item in cycles
        ],
    }


def _counts(cycles: Sequence[Replayed]) -> tuple[int, int, int]:
    found = [str(item.sameness) for item in cycles]
    return found.count("same"), found.count("different"), found.count("not-recomputed")


def _row(cycles: Sequence[int]) -> str:
    if len(cycles) == 1:
        return f"cycle {cycles[0]}"
    return f"cycles {cycles[0]} to {cycles[-1]}"
