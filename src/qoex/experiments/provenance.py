"""Which code on which versions made a table."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from qoex.cluster.code_identity import package_version

# Whose versions may change a row, if only in its last digits.
_PACKAGES = ("qoex", "numba", "numpy", "scipy", "polars", "pydantic")


@cache
def provenance() -> dict[str, Any]:
    """Return versions, the platform, and the git revision where there is one."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{n: package_version(n) for n in _PACKAGES},
        },
        "platform": f"{platform.system()} {platform.machine()}",
        "git_revision": _git_revision(),
    }


def _git_revision() -> str | None:
    """Return the revision of the checkout that the package lies in; "+" where it was changed."""
    package = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(package), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # An installed package may lie inside a checkout of something else.
        if git("ls-files", "--error-unmatch", "__init__.py") != "__init__.py":
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
