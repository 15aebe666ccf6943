"""Measure growth and write ``growth.md``, ``growth.json``, ``growth.svg`` and ``growth.png``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from qoex.kernels.threads import cores

from .figure import draw_figure
from .fit import fits
from .measure import Row, Size, measure
from .page import page

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
PROVIDERS = 10
USERS = (100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
FIXED_USERS = 100_000
VARIED_PROVIDERS = (2, 4, 8, 16, 32, 64)
QUICK_USERS, QUICK_FIXED_USERS = 300_000, 40_000
SEEDS = (0, 1, 2)
# A small solve may take less than what disturbs it, so more of them are timed.
REPEAT, SMALL, REPEAT_SMALL = 3, 300_000, 9


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return the exit code, 1 if a solve failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    parser.add_argument("--users", type=int, nargs="+", help=f"M, at {PROVIDERS} providers")
    parser.add_argument("--providers", type=int, nargs="+", help="N, at a fixed number of users")
    parser.add_argument("--fixed-users", type=int, help=f"that number (default {FIXED_USERS})")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to")
    options = parser.parse_args(arguments)
    users = options.users or [m for m in USERS if m <= QUICK_USERS or not options.quick]
    fixed = options.fixed_users or (QUICK_FIXED_USERS if options.quick else FIXED_USERS)
    sizes = [Size("users", PROVIDERS, m, SEEDS[:1], _repeat(m)) for m in users]
    varied = options.providers or VARIED_PROVIDERS
    sizes += [Size("providers", n, fixed, SEEDS, REPEAT) for n in varied]
    rows = list(measure(sizes, _tell))
    measured = {(row.axis, row.providers, row.users) for row in rows}
    left_out = [s for s in sizes if (s.axis, s.providers, s.users) not in measured]
    found = fits(rows)
    data = {
        "cores": cores(),
        "fits": [asdict(item) | {"met": item.met} for item in found if item.quantity == "cost"],
        "parts": [asdict(item) for item in found if item.quantity != "cost"],
        "rows": [asdict(row) for row in rows],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, indent=1, ensure_ascii=False)
    (options.output / "growth.json").write_text(text + "\n", encoding="utf-8")
    draw_figure(rows, options.output)
    text = page(rows, found, left_out, cores())
    (options.output / "growth.md").write_text(text, encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


def _repeat(users: int) -> int:
    return REPEAT_SMALL if users <= SMALL else REPEAT


def _tell(row: Row) -> None:
    print(
        f"{row.providers:3} × {row.users:8}: {row.seconds:8.4f} s, {row.passes:9.3g} passes, "
        f"{row.sweeps:.1f} sweeps, {row.cores_used:.2f} cores",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
