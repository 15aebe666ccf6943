"""The map is of this house: its layers are those of the contract, and every package is on it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAP = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "qoex"


def packages(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def test_the_drawing_shows_the_layers_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    drawing = re.search(r"```text\n(.*?)```", MAP, re.DOTALL)
    assert drawing is not None
    drawn = [re.split(r" {2,}", line)[0] for line in drawing[1].splitlines()]
    assert drawn == layers


def test_every_package_is_in_the_table() -> None:
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)` \|.*$", MAP, re.MULTILINE)}
    assert set(rows) == packages(PACKAGE)
    missing = {name for name in packages(PACKAGE / "agent") if f"`{name}`" not in rows["agent"]}
    assert not missing


def test_few_modules_stand_outside_the_packages() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "errors.py",
    }
