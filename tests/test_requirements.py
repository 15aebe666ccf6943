"""The locked requirements hold what pyproject.toml asks for, by hash, and no address of origin."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["build"]
EXTRAS = {"runtime.txt": ["agent", "paper"], "dev.txt": ["agent", "paper", "dev"]}
WANTED = {
    name: sum((PROJECT["project"]["optional-dependencies"][extra] for extra in extras), RUNTIME)
    for name, extras in EXTRAS.items()
}


def entries(name: str) -> dict[str, tuple[Requirement, int]]:
    """Requirement text → (requirement, number of hashes), for every entry of a file."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))
    found = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        head, *hashes = re.split(r"\s+--hash=sha256:", line)
        assert all(re.fullmatch("[0-9a-f]{64}", item) for item in hashes), line
        found[head] = Requirement(head), len(hashes)
    return found


@pytest.mark.parametrize("name", WANTED)
def test_every_dependency_is_locked_at_a_version_that_will_do(name: str) -> None:
    pins = [pin for pin, _ in entries(name).values()]
    for text in WANTED[name]:
        wanted = Requirement(text)
        versions = [
            next(iter(pin.specifier)).version
            for pin in pins
            if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
        ]
        wrong = [version for version in versions if not wanted.specifier.contains(version)]
        assert versions, f"{name} lacks {text}: run `make lock`"
        assert not wrong, f"{name} has {wrong} for {text}: run `make lock`"


@pytest.mark.parametrize("name", WANTED)
def test_every_entry_is_one_version_with_hashes(name: str) -> None:
    for pin, hashes in entries(name).values():
        assert [item.operator for item in pin.specifier] == ["=="], pin
        assert hashes > 0, pin


@pytest.mark.parametrize("name", WANTED)
def test_no_address_or_path_is_recorded(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links| @ |(^|\s)[./]", text)


def test_both_files_agree() -> None:
    assert entries("runtime.txt").items() <= entries("dev.txt").items()


@pytest.mark.parametrize("name", WANTED)
def test_every_extra_that_a_locked_package_asks_for_is_pinned_with_it(name: str) -> None:
    # pip's hash mode refuses `coverage[toml]` where only `coverage` is pinned.
    pins = [pin for pin, _ in entries(name).values() if not pin.marker or pin.marker.evaluate()]
    pinned = {canonicalize_name(pin.name): pin.extras for pin in pins}
    asks = [("qoex", frozenset(EXTRAS[name]))] + [(pin.name, frozenset(pin.extras)) for pin in pins]
    asked = {
        (asker, canonicalize_name(wanted.name), extra)
        for asker, extras in asks
        for wanted in map(Requirement, requires(asker) or [])
        for extra in wanted.extras
        if not wanted.marker or any(wanted.marker.evaluate({"extra": e}) for e in ("", *extras))
    }
    lacking = [
        f"{asker} wants {wanted}[{extra}]"
        for asker, wanted, extra in sorted(asked)
        if extra not in pinned[wanted]
    ]
    assert asked, "nothing was looked at"
    assert not lacking, f"{name}: {'; '.join(lacking)}: run `make lock`"
