"""The public names of the package, loaded when they are first used."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoex


def test_every_public_name_is_there() -> None:
    assert sorted(qoex.__all__) == sorted(set(qoex.__all__))
    for name in qoex.__all__:
        assert getattr(qoex, name) is getattr(qoex, name)
    assert set(qoex.__all__) <= set(dir(qoex))


def test_no_public_name_is_that_of_a_module() -> None:
    """Importing the module would put it in the place of the name."""
    folder = Path(qoex.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir()}
    assert modules.isdisjoint(qoex.__all__)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = qoex.nonsense  # type: ignore[attr-defined]
