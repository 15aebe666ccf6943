from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from panel_tables import table_for
from qoex.errors import InvalidInputError
from qoex.experiments.accuracy_bound import AccuracyBound
from qoex.experiments.measure import SchemeCase
from qoex.experiments.paper import SCHEME_CASES, paper_sweeps
from qoex.experiments.plots.panels import PANELS
from qoex.experiments.plots.reading import Panel, PanelLine, Quantity, of_line, panel_numbers
from qoex.experiments.sweep import Sweep

BY_NAME = {panel.name: panel for panel in PANELS}

TWO = Panel(
    name="two",
    figure="0",
    shows="Two lines",
    table="made-up",
    x=Quantity("value", "x"),
    series=(Quantity("welfare", "welfare", "money"),),
    lines=(PanelLine("first", "first"), PanelLine("second", "the second")),
)


def table(rows: list[tuple[float, int, str, str, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema=["value", "seed", "scheme", "outcome", "welfare"], orient="row"
    )


def test_every_panel_of_the_paper_is_there_once() -> None:
    paper = (
        ["fig3"]
        + [f"fig5{letter}" for letter in "abcdefghi"]
        + ["fig6a", "fig6b"]
        + [f"fig{figure}{letter}" for figure in "78" for letter in "abcd"]
    )
    first = [panel for panel in PANELS if panel.variant_of is None]
    assert [panel.name for panel in first if not panel.ours] == paper
    assert [panel.name for panel in first if panel.ours] == [
        f"fig{figure}{letter}" for figure in "78" for letter in "efg"
    ]
    assert len(BY_NAME) == len(PANELS)
    for panel in first:
        assert panel.name.startswith(f"fig{panel.figure}")


def test_variants_show_the_same_on_other_markets() -> None:
    variants = [panel for panel in PANELS if panel.variant_of is not None]
    # All that is drawn from random markets has one; the bound of Fig. 3 is a formula.
    assert {panel.variant_of for panel in variants} == {
        panel.name for panel in PANELS if panel.variant_of is None and panel.name != "fig3"
    }
    for panel in variants:
        assert panel.variant_of is not None
        original = BY_NAME[panel.variant_of]
        changed = {"name", "where", "table", "variant_of"}
        assert panel.name.startswith(f"{original.name}-")
        assert panel == replace(original, **{key: getattr(panel, key) for key in changed})
        assert all(getattr(panel, key) != getattr(original, key) for key in changed)


def test_panels_read_tables_and_columns_that_studies_have() -> None:
    columns: dict[str, Mapping[str, str]] = {item.name: item.columns for item in paper_sweeps()}
    columns["accuracy-bound"] = AccuracyBound().columns
    for panel in PANELS:
        there = columns[panel.table]
        for column in (panel.by, panel.x.column, *(item.column for item in panel.series)):
            assert column in there, (panel.name, column)
    assert {panel.table for panel in PANELS} == set(columns)


def test_every_scheme_is_in_the_figures_that_compare_them() -> None:
    labels = [case.label for case in SCHEME_CASES]
    compared = [panel for panel in PANELS if panel.figure in "78"]
    for panel in compared:
        assert [line.member for line in panel.lines] == labels
        assert [line.member for line in panel.lines if line.strong] == ["proposed"]


def test_captions_are_distinct_sentences() -> None:
    captions = [panel.caption for panel in PANELS]
    assert len(set(captions)) == len(captions)
    for caption in captions:
        assert caption[0].isupper()
        assert caption.endswith(".")
        assert ".." not in caption


def test_numbers_are_means_with_the_interval_of_student() -> None:
    rng = np.random.default_rng(1)
    values = {
        (x, name): rng.normal(x, 2.0, size=count)
        for x, count in ((3.0, 12), (1.0, 5))
        for name in ("first", "second")
    }
    frame = table(
        [
            (x, seed, name, "solved", float(value))
            for (x, name), sample in values.items()
            for seed, value in enumerate(sample)
        ]
    )
    numbers = panel_numbers(TWO, frame)
    assert [(number.line, number.x) for number in numbers] == [
        ("first", 1.0),
        ("first", 3.0),
        ("the second", 1.0),
        ("the second", 3.0),
    ]
    for number in numbers:
        sample = values[number.x, "first" if number.line == "first" else "second"]
        low, high = stats.t.interval(
            0.95, len(sample) - 1, loc=np.mean(sample), scale=stats.sem(sample)
        )
        assert number.series == "welfare"
        assert number.estimate.mean == pytest.approx(np.mean(sample), rel=1e-12)
        assert number.estimate.low == pytest.approx(low, rel=1e-9)
        assert number.estimate.high == pytest.approx(high, rel=1e-9)
        assert number.estimate.count == number.rows == len(sample)


def test_rows_that_are_not_solved_are_counted_and_left_out() -> None:
    frame = table(
        [
            (1.0, 0, "first", "solved", 2.0),
            (1.0, 1, "first", "solved", 4.0),
            (1.0, 2, "first", "infeasible", None),
            (1.0, 3, "first", "unsolved", 1e9),  # were there a number, it would still not count
            (1.0, 0, "second", "failed", None),
            (2.0, 0, "first", "solved", math.nan),
            (2.0, 1, "first", "solved", 7.0),
            (2.0, 0, "second", "solved", 5.0),
        ]
    )
    first, lone, empty, second = panel_numbers(TWO, frame)
    assert (first.estimate.mean, first.estimate.count, first.rows) == (3.0, 2, 4)
    assert (lone.estimate.mean, lone.estimate.count, lone.rows) == (7.0, 1, 2)
    assert math.isnan(lone.estimate.low)
    assert math.isnan(empty.estimate.mean)
    assert (empty.estimate.count, empty.rows) == (0, 1)
    assert (second.estimate.mean, second.estimate.count, second.rows) == (5.0, 1, 1)


def test_a_quantity_of_all_rows_takes_those_that_are_not_solved_too() -> None:
    panel = replace(TWO, lines=TWO.lines[:1], series=(replace(TWO.series[0], of_all=True),))
    frame = table(
        [
            (1.0, 0, "first", "solved", 2.0),
            (1.0, 1, "first", "unsolved", 6.0),
            (1.0, 2, "first", "infeasible", None),
        ]
    )
    (number,) = panel_numbers(panel, frame)
    assert (number.estimate.mean, number.estimate.count, number.rows) == (4.0, 2, 3)


def test_a_relative_quantity_is_paired_by_seed() -> None:
    panel = replace(TWO, series=(Quantity("welfare", "welfare/optimum", relative_to="second"),))
    frame = table(
        [
            (1.0, 0, "second", "solved", 10.0),
            (1.0, 1, "second", "solved", 1000.0),
            (1.0, 2, "second", "solved", -5.0),  # nothing is a share of this
            (1.0, 3, "second", "infeasible", None),
            (1.0, 0, "first", "solved", 9.0),
            (1.0, 1, "first", "solved", 500.0),
            (1.0, 2, "first", "solved", 3.0),
            (1.0, 3, "first", "solved", 3.0),
            (1.0, 4, "first", "solved", 3.0),
        ]
    )
    first, second = panel_numbers(panel, frame)
    assert first.estimate.mean == pytest.approx((0.9 + 0.5) / 2)
    assert (first.estimate.count, first.rows) == (2, 5)
    assert (second.estimate.mean, second.estimate.count) == (1.0, 2)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_every_point_of_every_line_has_a_number(panel: Panel) -> None:
    frame = table_for(panel)
    numbers = panel_numbers(panel, frame)
    xs = sorted(set(frame[panel.x.column].to_list()))
    assert len(numbers) == len(panel.series) * len(panel.lines) * len(xs)
    for item in panel.series:
        for line in panel.lines:
            found = of_line(numbers, item.column, line.label)
            assert [number.x for number in found] == xs
            if item.relative_to is None:
                rows = frame.filter(pl.col(panel.by) == line.member)
                for number in found:
                    there = rows.filter(pl.col(panel.x.column) == number.x)[item.column]
                    assert number.estimate.mean == pytest.approx(float(np.mean(there.to_numpy())))


def test_numbers_of_a_real_sweep() -> None:
    cases = (SCHEME_CASES[0], SchemeCase("ratio-1", "ratio", {"total": 1.0}))
    sweep = Sweep(
        name="small",
        title="a small one",
        vary="users",
        values=(1, 3),
        schemes=cases,
        providers=2,
    )
    rows = [row for seed in range(3) for row in sweep.rows(seed)]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    panel = replace(
        BY_NAME["fig7c"], table="small", lines=tuple(PanelLine(c.label, c.label) for c in cases)
    )
    for number in panel_numbers(panel, frame):
        costs = [
            row["user_cost"]
            for row in rows
            if (row["scheme"], row["value"]) == (number.line, number.x)
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(costs), scale=stats.sem(costs))
        assert number.rows == number.estimate.count == 3
        assert number.estimate.mean == pytest.approx(np.mean(costs), rel=1e-12)
        assert number.estimate.low == pytest.approx(low, rel=1e-9)
        assert number.estimate.high == pytest.approx(high, rel=1e-9)


@pytest.mark.parametrize("column", ["welfare", "value", "scheme", "outcome", "seed"])
def test_a_missing_column_is_named(column: str) -> None:
    frame = table([(1.0, 0, "first", "solved", 2.0), (1.0, 0, "second", "solved", 2.0)])
    with pytest.raises(InvalidInputError, match=f"two needs the column '{column}'.*'made-up'"):
        panel_numbers(TWO, frame.drop(column))


def test_a_line_without_rows_is_named() -> None:
    with pytest.raises(InvalidInputError, match="two needs rows whose scheme is 'second'"):
        panel_numbers(TWO, table([(1.0, 0, "first", "solved", 2.0)]))


def test_a_panel_with_two_axes_has_one_line() -> None:
    with pytest.raises(InvalidInputError, match="two has 2 quantities and 2 lines"):
        replace(TWO, series=TWO.series * 2)
    with pytest.raises(InvalidInputError, match="0 quantities"):
        replace(TWO, series=())
