"""Kernels run compiled or as plain Python; both ways have to give the same numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from markets import Family, random_market
from qoex import kernels
from qoex.equilibrium.solver import solve

INTERPRETED = """
import json, sys
import numpy as np
from markets import random_market
from qoex.kernels import interpret

interpret()
from qoex.equilibrium.solver import solve

solution = solve(random_market(np.random.default_rng(3), 2, 5, sys.argv[1]))
assert "numba" not in sys.modules
print(json.dumps([solution.steps, solution.rewards.tolist(), solution.qoe.tolist()]))
"""


@pytest.mark.parametrize("family", ["binding", "tight", "bounds", "absent"])
def test_interpreted_kernels_give_the_same_equilibrium(family: Family) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED, family],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    steps, rewards, qoe = json.loads(done.stdout)
    compiled = solve(random_market(np.random.default_rng(3), 2, 5, family))
    assert compiled.steps == steps
    np.testing.assert_allclose(compiled.rewards, rewards, rtol=1e-12)
    np.testing.assert_allclose(compiled.qoe, qoe, rtol=1e-11, atol=1e-9)


def test_interpreting_comes_too_late_once_kernels_are_compiled() -> None:
    solve(random_market(np.random.default_rng(3), 1, 2))
    with pytest.raises(RuntimeError, match=r"compiled already: qoex\.kernels\."):
        kernels.interpret()
