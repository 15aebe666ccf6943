"""The paper's case of two providers and three users: its demands and the results it prints.

Table IV gives the demands in part. The rest of the shipped scenario is inferred from Table V by
``qoex infer``; the scenario's comments say which value is which.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from qoex.errors import InvalidInputError
from qoex.files.market_files import read_market
from qoex.game.solution import Solution
from qoex.model.market import FloatArray, Market


def _printed(first: list[float], second: list[float]) -> FloatArray:
    array = np.array([first, second])
    array.setflags(write=False)
    return array


# Table V, providers × users, by the name of the field of Solution.
TABLE_V: dict[str, FloatArray] = {
    "compute": _printed([0.4, 0.93, 1.44], [0.62, 1.23, 0.99]),  # TFLOPS
    "bandwidth": _printed([1.58, 2.13, 2.82], [1.73, 2.71, 2.26]),  # MHz
    "rewards": _printed([0.06, 0.1, 0.126], [0.056, 0.086, 0.076]),  # money per ms
    "qoe": _printed([353.0, 298.0, 255.0], [730.0, 643.0, 674.0]),  # ms
}


def table_iv_market() -> Market:
    """Return the market of Table IV, 2 providers × 3 users, from the scenario in the package."""
    with as_file(files("qoex") / "data" / "table_iv.toml") as path:
        return read_market(path)


def compare_with_table_v(solution: Solution) -> dict[str, FloatArray]:
    """Return (computed − printed)/printed for the 24 numbers of Table V (2×3 for each field).

    Raises:
        InvalidInputError: the solution is not one of 2 providers × 3 users.
    """
    shape = TABLE_V["qoe"].shape
    if solution.qoe.shape != shape:
        raise InvalidInputError(
            f"the solution has shape {solution.qoe.shape}; that of Table V is {shape}"
        )
    return {name: getattr(solution, name) / printed - 1.0 for name, printed in TABLE_V.items()}
