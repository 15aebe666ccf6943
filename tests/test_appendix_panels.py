"""The figures of Appendix A against the rows that they read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qoex.experiments.appendix_a.convergence import appendix_studies
from qoex.experiments.plots.appendix_panels import CONVERGENCE_PANELS
from qoex.experiments.plots.figures import draw_all
from qoex.experiments.plots.reading import panel_numbers
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies


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
    png, svg = draw_all(CONVERGENCE_PANELS[:1], tmp_path, tmp_path)
    assert png.stat().st_size > 5000
    assert svg.read_text(encoding="utf-8").startswith("<?xml")
