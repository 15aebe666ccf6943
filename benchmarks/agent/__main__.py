"""Measure a running agent and write ``agent.md``, ``agent.json``, ``agent.svg``, ``agent.png``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from qoex.kernels.threads import cores

from .measure import as_data, measure
from .page import draw, page

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return the exit code, 1 if a report failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent", description=__doc__)
    parser.add_argument("--providers", type=int, default=10, help="N")
    parser.add_argument("--users", type=int, default=10_000, help="M")
    parser.add_argument("--rate", type=float, default=1000.0, help="reports a second")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long reports are sent")
    parser.add_argument("--cycle", type=float, default=1.0, help="seconds between cycles")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        row, load = measure(
            Path(folder),
            providers=options.providers,
            users=options.users,
            rate=options.rate,
            seconds=options.seconds,
            cycle=options.cycle,
        )
    options.output.mkdir(parents=True, exist_ok=True)
    text = page(row, cores())
    data = json.dumps(as_data(row), indent=1) + "\n"
    (options.output / "agent.json").write_text(data, encoding="utf-8")
    (options.output / "agent.md").write_text(text, encoding="utf-8")
    draw(row, list(zip(load.due, load.latency, strict=True)), options.output)
    print(text, file=sys.stderr)
    return 0 if row.failed == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
