"""The case of Table IV beside Table V."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rich.table import Table

from qoex.cli.demo_view import INFERRED, demo_view
from qoex.data.paper_case import TABLE_V, compare_with_table_v, table_iv_market
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.model.market import Market


def cells(table: Table) -> list[list[str]]:
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def test_all_24_numbers_stand_beside_the_printed_ones() -> None:
    market = table_iv_market()
    solution = solve(market)
    view = demo_view(market, solution, 80)
    tables = [part for part in view if isinstance(part, Table)]
    errors = compare_with_table_v(solution)
    fields = [("compute", "bandwidth"), ("rewards", "qoe")]
    for table, names in zip(tables, fields, strict=True):
        rows = cells(table)
        assert [row[0] for row in rows] == [
            f"{provider}, {user}" for provider in ("asp-1", "asp-2") for user in market.user_names
        ]
        for name, first in zip(names, (1, 4), strict=True):
            ours, printed, error = np.array([row[first : first + 3] for row in rows], float).T
            np.testing.assert_allclose(ours, getattr(solution, name).ravel(), rtol=2e-3)
            np.testing.assert_array_equal(printed, TABLE_V[name].ravel())
            np.testing.assert_allclose(error, 100 * errors[name].ravel(), atol=0.0051)
    largest = 100 * max(np.abs(error).max() for error in errors.values())
    assert f"The largest of the 24 relative errors is {largest:.2f}%." in view
    assert INFERRED in view


def test_what_was_inferred_is_what_the_scenario_says() -> None:
    text = re.sub(r"\s+", " ", INFERRED)
    for word in ("profit factors", "unit costs of compute", "input tokens", "SNR"):
        assert word in text


def test_another_market_is_refused() -> None:
    market = table_iv_market()
    other: Market = market.select(users=[0, 1])
    with pytest.raises(InvalidInputError, match=r"the solution has shape \(2, 2\)"):
        demo_view(other, solve(other), 80)
