"""Which code this is: what tells other versions of qoex from this one, wherever it is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable


def package_version(name: str) -> str:
    """Return the version of an installed package, or "unknown"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def identity_of(package: Traversable, without: Collection[str]) -> str:
    """Return the version of qoex and a digest of its sources.

    Args:
        package: the folder of its sources.
        without: modules and folders in it that do not count ("cli", "experiments/lock").

    """
    digest = hashlib.sha256()

    def add(folder: Traversable, prefix: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            name = f"{prefix}{entry.name}"
            if name.removesuffix(".py") in without:
                continue
            if entry.is_dir():
                add(entry, f"{name}/")
            elif name.endswith((".py", ".toml")):
                digest.update(name.encode() + entry.read_bytes())

    add(package, "")
    return f"{package_version('qoex')} {digest.hexdigest()[:16]}"
