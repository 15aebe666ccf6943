"""What loading the package costs; who may import whom is a contract in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after a statement."""
    names = "n if n.startswith('qoex.') else n.partition('.')[0]"
    program = f"{statement}\nimport sys\nprint(*{{{names} for n in sys.modules}})"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_qoex_is_cheap() -> None:
    heavy = loaded_by("import qoex") & {"numba", "scipy", "pydantic", "polars", "typer", "rich"}
    assert not heavy, f"`import qoex` loads {sorted(heavy)}"


def test_importing_the_command_line_is_cheap() -> None:
    heavy = loaded_by("import qoex.cli") & {"numba", "scipy", "pydantic", "polars"}
    assert not heavy, f"`import qoex.cli` loads {sorted(heavy)}"
