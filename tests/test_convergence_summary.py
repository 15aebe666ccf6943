"""The summary and the figures of Appendix A against the rows that they read."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from qoex.errors import InvalidInputError
from qoex.experiments.appendix_a.convergence import Convergence, appendix_studies
from qoex.experiments.appendix_a.summary import appendix_summary
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.plots.figures import draw_panel
from qoex.experiments.plots.reading import panel_numbers
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies

STUDY = Convergence(
    "small",
    "a small one",
    2,
    3,
    scales=(0.03, 0.3),
    steps=(0.03,),
    levels=(100,),
    drawn=(2, 4),
    max_iterations=60,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("tables")
    return run_studies([STUDY], folder, range(4), LocalRunner(1))["small"]


def test_the_summary_is_that_of_the_rows(table: pl.DataFrame) -> None:
    rows = table.to_dicts()
    endings = appendix_summary(table)
    assert len(endings) == STUDY.rows_per_seed
    assert [ending.line for ending in endings][:5] == [
        "diminishing capacity-prices",
        "diminishing middle",
        "diminishing random",
        "diminishing near",
        "diminishing capacity-prices",
    ]
    cut = 0
    for ending in endings:
        own = [row for row in rows if (row["line"], row["value"]) == (ending.line, ending.value)]
        stopped = [row["iterations"] for row in own if row["outcome"] == "solved"]
        assert ending.runs == 4
        assert ending.stopped.mean == len(stopped) / 4
        assert ending.iterations.count == len(stopped)
        if stopped:
            assert ending.iterations.mean == pytest.approx(statistics.fmean(stopped))
        regrets = [row["regret_relative"] for row in own]
        assert ending.regret_relative.mean == pytest.approx(statistics.fmean(regrets))
        assert ending.regret_worst == max(regrets)
        assert ending.is_solver is (ending.bounded == 0)
        assert ending.bound_exceeded == sum(row["within_bound"] is False for row in own)
        assert ending.refuting == sum(row["below_ceiling"] is False for row in own)
        cut += 4 - len(stopped)
    assert cut > 0


def test_a_summary_of_another_table_is_refused(table: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="no column 'gap_ceiling'"):
        appendix_summary(table.drop("gap_ceiling"))


def test_a_row_without_numbers_is_counted(table: pl.DataFrame) -> None:
    nothing = table.head(1).with_columns(
        pl.lit("failed").alias("outcome"),
        *(pl.lit(None).alias(name) for name in ("regret_relative", "regret_log10", "iterations")),
    )
    (ending,) = appendix_summary(nothing)
    assert (ending.runs, ending.stopped.mean, ending.iterations.count) == (1, 0.0, 0)
    assert ending.regret_worst is None


def test_every_panel_finds_its_lines_and_counts_all_runs(tmp_path: Path) -> None:
    studies = [replace(study, max_iterations=30) for study in appendix_studies()[:2]]
    frames = run_studies(studies, tmp_path, range(2), LocalRunner(1))
    assert len({panel.name for panel in CONVERGENCE_PANELS}) == len(CONVERGENCE_PANELS)
    for panel in CONVERGENCE_PANELS:
        numbers = panel_numbers(panel, frames[panel.table])
        values = {number.x for number in numbers}
        assert len(numbers) == len(values) * len(panel.lines)
        for number in numbers:
            assert number.rows == 2
            if panel.series[0].column in ("stopped", "regret_log10"):
                assert number.estimate.count == 2
    png, svg = draw_panel(CONVERGENCE_PANELS[0], frames["appendix-a"], tmp_path)
    assert png.stat().st_size > 5000
    assert svg.read_text(encoding="utf-8").startswith("<?xml")
