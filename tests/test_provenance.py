from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from qoex.cluster.code_identity import package_version
from qoex.experiments import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in which the package seems to lie."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set inside hooks
        monkeypatch.delenv(name, raising=False)
    package = tmp_path / "src" / "qoex"
    (package / "experiments").mkdir(parents=True)
    (package / "__init__.py").write_text("one\n", encoding="utf-8")
    monkeypatch.setattr(
        provenance, "__file__", str(package / "experiments" / "provenance.py"), raising=True
    )
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(
        tmp_path,
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
        "-c",
        "commit.gpgsign=false",
        "commit",
        "--quiet",
        "-m",
        "x",
    )
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_checkout_has_a_revision_and_says_where_it_was_changed(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert provenance._git_revision() == head
    (checkout / "notes.txt").write_text("beside the package\n", encoding="utf-8")
    assert provenance._git_revision() == head
    (checkout / "src" / "qoex" / "__init__.py").write_text("two\n", encoding="utf-8")
    assert provenance._git_revision() == f"{head}+"


def test_an_installed_package_is_not_taken_for_the_checkout_around_it(checkout: Path) -> None:
    git(checkout, "rm", "--cached", "--quiet", "src/qoex/__init__.py")
    assert provenance._git_revision() is None


def test_without_git_there_is_no_revision(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert provenance._git_revision() is None


def test_versions_are_those_installed() -> None:
    found = provenance.provenance()
    assert found["versions"]["numpy"] == version("numpy")
    assert found["versions"]["python"] == platform.python_version()
    assert platform.system() in found["platform"]
    assert package_version("no-such-package-at-all") == "unknown"
