"""Imports go one way: what each module of qoex may import of the others, and what loading costs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "qoex"

VALUES = {"errors", "market", "solution"}
FORMULAS = {"errors", "market", "checked", "qoe", "tokens", "work"}
ANSWERS = {*VALUES, "kernels", "partial_sums", "threads", "feasibility", "provider", "settle"}
USERS = {"market", "kernels", "partial_sums", "threads"}
PRICES = {
    "shard",
    "population",
    "pull",
    "evaluation",
    "capacity_prices",
    "newton",
    "restart",
    "sample",
    "search",
    "sampled_start",
}
SOLVERS = {*PRICES, "best_reply", "equilibrium", "perturbation"}

# Low to high; a module imports only modules above it here, and only those of its own entry. A
# package (kernels, scenario, certificate, cli) has one entry for all of its modules. Imports under
# `if TYPE_CHECKING:` never run, so they are free. To add a module, add its line.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "market": {"errors"},
    "solution": {"errors", "market"},
    "phrases": set(),
    "sentences": {"errors"},
    "checked": {"errors", "market"},
    "qoe": {"errors", "market", "checked"},
    "tokens": FORMULAS - {"tokens", "work"},
    "work": FORMULAS - {"work"},
    "scenario": {*FORMULAS, "sentences"},
    "arrays_file": {"errors", "market", "tokens", "sentences"},
    "feasibility": VALUES,
    "admission": {*VALUES, "feasibility"},
    "sampling": {*VALUES, *FORMULAS, "scenario", "feasibility", "admission"},
    "large": {*FORMULAS, "sentences", "arrays_file", "feasibility", "sampling"},
    "files": {"errors", "market", "tokens", "sentences", "scenario", "arrays_file", "large"},
    "kernels": set(),
    "partial_sums": {"market", "kernels"},
    "threads": {"kernels"},
    "provider": {*VALUES, *USERS, "feasibility"},
    "settle": ANSWERS - {"settle"},
    "best_reply": ANSWERS,
    "pull": {"market"},
    "shard": USERS,
    "population": {*USERS, "shard"},
    "evaluation": {"market", "pull", "shard"},
    "capacity_prices": {*USERS, "pull", "shard", "population", "evaluation"},
    "restart": {*ANSWERS, "best_reply", "population", "evaluation", "capacity_prices"},
    "sample": {"market", "feasibility", "population", "evaluation", "capacity_prices"},
    "newton": {"market", "evaluation", "capacity_prices"},
    "search": {
        "market",
        "solution",
        "evaluation",
        "capacity_prices",
        "restart",
        "sample",
        "newton",
    },
    "sampled_start": {"solution", "evaluation", "capacity_prices", "sample", "search"},
    "equilibrium": {*ANSWERS, *PRICES, "best_reply"},
    "perturbation": {*ANSWERS, "best_reply", "checked"},
    # It shares nothing with the code that finds what it checks, but how loops run.
    "certificate": {*VALUES, "kernels", "partial_sums", "threads"},
    "multiplicity": {*ANSWERS, *SOLVERS, "certificate"},
    "schemes": {*ANSWERS, *SOLVERS, "qoe", "tokens", "work"},
    "metrics": {*VALUES, "qoe", "tokens", "provider", "certificate", "schemes"},
    "solution_file": {*VALUES, "arrays_file", "certificate", "files", "sentences"},
    "table_v": {*VALUES, "files"},
    "calibration": {*ANSWERS, *SOLVERS, "checked", "files", "phrases", "sentences"},
    "explain": {*VALUES, "certificate", "phrases", "sentences"},
    "cluster": {"errors"},
    "sources": set(),
    "stored": {
        *ANSWERS,
        *PRICES,
        "equilibrium",
        "certificate",
        "large",
        "solution_file",
        "cluster",
        "sources",
    },
    "benchmark": {*ANSWERS, *SOLVERS, "large", "certificate"},
}
ALLOWED["experiments"] = set(ALLOWED)
ALLOWED["agent"] = set(ALLOWED) - {"experiments", "benchmark"}
ALLOWED["client"] = {"errors"}
ALLOWED["fleet"] = {*ALLOWED["agent"], "client", "agent"}
ALLOWED["schemas"] = {*VALUES, "scenario", "arrays_file", "files", "experiments"}
ALLOWED["cli"] = set(ALLOWED) | {"__init__"}
ALLOWED["__init__"] = set(ALLOWED) - {"cli", "__init__"}
ALLOWED["__main__"] = {"cli"}

ENTRY_POINTS = {"cli", "__init__", "__main__"}


def module_names(package: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name below it ("__init__" for itself)."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        names[".".join(parts)] = path
    return names


def top(name: str) -> str:
    """The entry of ALLOWED that a dotted name belongs to."""
    return name.partition(".")[0]


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below one, at any depth, but for what stands under ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.orelse:
                yield statement
                yield from running(statement)
        else:
            yield child
            yield from running(child)


def imported(name: str, path: Path, top_names: set[str]) -> Iterator[tuple[str, int]]:
    """Yield (top-level module of qoex, line) for every import in a file, at any depth."""
    package = ["qoex"] if name == "__init__" else ["qoex", *name.split(".")]
    if path.name != "__init__.py":
        package = package[:-1]
    for node in running(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            targets = [f"{source}.{alias.name}" for alias in node.names]
        for target in targets:
            root, _, rest = target.partition(".")
            if root == "qoex":
                first = top(rest)
                yield (first if first in top_names else "__init__"), node.lineno


def graph(package: Path) -> dict[str, dict[str, str]]:
    """Module → imported module → one place where it does so, for the top-level modules."""
    modules = module_names(package)
    top_names = {top(name) for name in modules}
    edges: dict[str, dict[str, str]] = {name: {} for name in sorted(top_names)}
    for name, path in modules.items():
        for target, line in imported(name, path, top_names):
            if target != top(name):
                edges[top(name)].setdefault(target, f"{path.relative_to(package.parent)}:{line}")
    return edges


def reach(edges: dict[str, dict[str, str]], start: str) -> set[str]:
    """Everything a module imports, directly or not; ``start`` itself is left out."""
    seen: set[str] = set()
    queue = [start]
    while queue:
        for target in edges.get(queue.pop(), {}):
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return seen


def wrong_imports(edges: dict[str, dict[str, str]]) -> list[str]:
    """One sentence for each import that ALLOWED does not have."""
    return [
        f"{place}: qoex.{name} imports qoex.{target}, but may import only "
        f"{sorted(ALLOWED[name]) or 'nothing of qoex'}"
        for name, targets in edges.items()
        if name in ALLOWED
        for target, place in targets.items()
        if target not in ALLOWED[name]
    ]


def test_every_module_has_an_entry() -> None:
    unknown = sorted(set(graph(PACKAGE)) - set(ALLOWED))
    assert not unknown, f"say in ALLOWED what these may import: {unknown}"


def test_every_entry_has_a_module() -> None:
    missing = sorted(set(ALLOWED) - set(graph(PACKAGE)) - {"__main__"})
    assert not missing, f"ALLOWED names modules that do not exist: {missing}"


def test_entries_go_from_low_to_high() -> None:
    order = [name for name in ALLOWED if name not in ENTRY_POINTS]
    for place, name in enumerate(order):
        upward = ALLOWED[name] - set(order[:place])
        assert not upward, f"{name} stands below {sorted(upward)} in ALLOWED, yet may import it"


def test_modules_import_only_what_they_may() -> None:
    wrong = wrong_imports(graph(PACKAGE))
    assert not wrong, "\n".join(wrong)


def test_certificate_shares_nothing_with_what_it_checks() -> None:
    # Which of the kernels' modules it imports, none but the decorators, test_certificate.py says.
    assert reach(graph(PACKAGE), "certificate") <= {*VALUES, "kernels", "partial_sums", "threads"}


@pytest.mark.parametrize("name", sorted({*ANSWERS, *SOLVERS, "schemes"}))
def test_solvers_do_not_certify_themselves(name: str) -> None:
    assert reach(graph(PACKAGE), name).isdisjoint({"certificate", "multiplicity", "metrics"})


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    package = tmp_path / "qoex"
    (package / "kernels").mkdir(parents=True)
    sources = {
        "__init__.py": "from qoex.market import Market\n",
        "market.py": "import numpy\n",
        "errors.py": "if TYPE_CHECKING:\n    import qoex.pull\nelse:\n    import qoex.market\n",
        "pull.py": "def f():\n    if f:\n        from qoex.certificate import regret\n",
        "certificate.py": "from . import kernels\nimport qoex.market as m\n",
        "equilibrium.py": "from qoex import certificate, Market\n",
        "kernels/__init__.py": "from ..errors import QoexError\n",
        "kernels/sweep.py": "from qoex.kernels import kernel\nfrom .. import market\n",
    }
    for name, source in sources.items():
        (package / name).write_text(source, encoding="utf-8")
    edges = graph(package)
    assert {name: set(targets) for name, targets in edges.items()} == {
        "__init__": {"market"},
        "market": set(),
        "errors": {"market"},
        "pull": {"certificate"},
        "certificate": {"kernels", "market"},
        "equilibrium": {"certificate", "__init__"},
        "kernels": {"errors", "market"},
    }
    assert edges["pull"]["certificate"] == "qoex/pull.py:3"
    assert reach(edges, "pull") == {"certificate", "kernels", "market", "errors"}
    assert len(wrong_imports(edges)) == 6


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after a statement."""
    program = f"{statement}\nimport sys\nprint(*{{n.partition('.')[0] for n in sys.modules}})"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stdout.split())


def test_importing_qoex_is_cheap() -> None:
    heavy = loaded_by("import qoex") & {"numba", "scipy", "pydantic", "polars", "typer", "rich"}
    assert not heavy, f"`import qoex` loads {sorted(heavy)}"


def test_importing_the_command_line_is_cheap() -> None:
    heavy = loaded_by("import qoex.cli") & {"numba", "scipy", "pydantic", "polars"}
    assert not heavy, f"`import qoex.cli` loads {sorted(heavy)}"
