"""The paper's case of two providers and three users, beside what the paper printed."""

from __future__ import annotations

import numpy as np

from qoex.cli.render import Column, View, table
from qoex.data.paper_case import TABLE_V, compare_with_table_v
from qoex.game.solution import Solution
from qoex.model.market import Market
from qoex.text.numbers import column

# Two tables of two quantities each: all four would not fit into 80 columns.
_QUANTITIES = (
    (("compute", "compute", "TFLOPS"), ("bandwidth", "bandwidth", "MHz")),
    (("rewards", "reward", "money/ms"), ("qoe", "QoE", "ms")),
)

INFERRED = (
    "Inferred, for the paper does not print them: profit factors, unit costs of compute, input "
    "tokens and SNR; all else is of Table IV, or chosen where Table V does not depend on it."
)


def demo_view(market: Market, solution: Solution, width: int) -> View:
    """Return our numbers beside the 24 of Table V, with the error of each, and what was inferred.

    Raises:
        InvalidInputError: the solution is not one of 2 providers × 3 users.
    """
    errors = compare_with_table_v(solution)
    places = [f"{n}, {m}" for n in market.provider_names for m in market.user_names]
    view: View = ["The equilibrium of the case of Table IV, beside Table V of the paper"]
    largest = max(float(np.abs(error).max()) for error in errors.values())
    for quantities in _QUANTITIES:
        columns = [Column("provider, user", places, name=True)]
        for field, header, unit in quantities:
            columns += [
                Column(f"{header}\n{unit}", column(getattr(solution, field))),
                Column("paper", [f"{value:g}" for value in TABLE_V[field].ravel().tolist()]),
                Column("error, %", [f"{100 * value:+.2f}" for value in errors[field].ravel()]),
            ]
        view += ["", table(columns, width)]
    return [
        *view,
        "",
        f"The largest of the 24 relative errors is {100 * largest:.2f}%.",
        INFERRED,
    ]
