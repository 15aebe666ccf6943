"""Every method says where it comes from, and the page on theory lists what they cite."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTED = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8").partition("## Literature")[2]

# Where a method of somebody else's is at work; a folder stands for each package's own.
CITING = (
    "equilibrium/newton.py",
    "equilibrium/price_system.py",
    "equilibrium/solver.py",
    "equilibrium/multiplicity.py",
    "game/best_response.py",
    "game/provider.py",
    "mechanisms/schemes.py",
    "mechanisms/dual_perturbation.py",
    "model/feasibility.py",
    "model/admission.py",
    "certificate/conditions.py",
    "certificate/deviation.py",
    "certificate/index.py",
    "calibration/search.py",
    "calibration/identifiability.py",
    "calibration/profile.py",
)


def plain(text: str) -> str:
    return re.sub(r"[\s*\"]+", " ", text).strip()


def references(path: Path) -> list[str]:
    """The entries of all sections of references in the docstrings of a module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            section = (ast.get_docstring(node) or "").partition("References:\n")[2]
            found += [plain(entry) for entry in section.split("\n\n") if entry.strip()]
    return found


@pytest.mark.parametrize("name", CITING)
def test_methods_cite_their_source(name: str) -> None:
    assert references(ROOT / "src" / "qoex" / name)


def test_what_is_cited_is_listed_alike() -> None:
    listed = plain(LISTED)
    cited = {entry for path in (ROOT / "src" / "qoex").rglob("*.py") for entry in references(path)}
    assert len(cited) > len(CITING)
    for entry in cited:
        # What stands in parentheses says what for.
        words = re.sub(r" \([^()]*\)(?=\.$)", "", entry).rstrip(".")
        assert words in listed, words
