"""Measure the peers and write ``peers.md``, ``peers.json``, ``peers.svg`` and ``peers.png``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .families import FAMILIES, SIZES
from .figure import draw_figure
from .page import page
from .registry import PEERS
from .rows import Row, rows

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
LIMIT = 20.0
QUICK_LIMIT = 1.0
QUICK_SIZES = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--limit", type=float, help=f"seconds per solve (default {LIMIT:g})")
    parser.add_argument("--sizes", type=int, help=f"sizes to try, at most {len(SIZES)}")
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="some of the peers, by name")
    parser.add_argument(
        "--quick", action="store_true", help=f"the smallest size only, {QUICK_LIMIT:g} s per solve"
    )
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument(
        "--redraw", action="store_true", help="measure nothing; write anew from the rows kept"
    )
    options = parser.parse_args(arguments)
    kept = options.output / "peers.json"
    if not options.redraw:
        limit = options.limit or (QUICK_LIMIT if options.quick else LIMIT)
        sizes = SIZES[: options.sizes or (QUICK_SIZES if options.quick else len(SIZES))]
        peers = [peer for peer in PEERS if options.peers is None or peer.name in options.peers]
        if not peers:
            parser.error(f"no such peer; the peers are {', '.join(peer.name for peer in PEERS)}")
        with tempfile.TemporaryDirectory() as cache:
            os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
            measured = [asdict(row) for row in rows(FAMILIES, sizes, peers, limit, _tell)]
        data = {"limit": limit, "machine": machine(), "rows": measured}
        options.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(data, indent=1, ensure_ascii=False)
        kept.write_text(text + "\n", encoding="utf-8")
    write(kept)
    return 0


def write(kept: Path) -> None:
    """Write the page and the figure beside a file of rows."""
    data = json.loads(kept.read_text(encoding="utf-8"))
    measured = [Row(**row) for row in data["rows"]]
    draw_figure(measured, data["limit"], kept.parent)
    text = page(measured, data["limit"], data["machine"])
    (kept.parent / "peers.md").write_text(text, encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what a reader of times must know: the kind of machine, and the versions."""
    names = sorted({name for peer in PEERS for name in peer.packages} | {"numpy", "qpsolvers"})
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in names},
    }


def _processor() -> str:
    """Return the model name of the processor where the system tells it, else its family."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _tell(row: Row) -> None:
    seconds = "-" if row.seconds is None else f"{row.seconds:.4f} s"
    regret = "-" if row.regret is None else f"{row.regret:.1e}"
    size = f"{row.providers}×{row.users}"
    print(
        f"{row.family:8} {size:>7} {row.peer:26} {seconds:>11} {regret:>8} {row.status} "
        f"{row.reason}",
        file=sys.stderr,
        flush=True,
    )
