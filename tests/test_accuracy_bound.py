from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import pytest

from qoex.experiments.accuracy_bound import AMBIGUITIES, AccuracyBound
from qoex.experiments.runners import LocalRunner
from qoex.experiments.running import run_studies
from qoex.experiments.tables import read_manifest, read_table
from qoex.scenario.sampling import TABLE_III


def test_rows_are_the_formula_in_exact_arithmetic() -> None:
    study = AccuracyBound(ambiguities=(0.05, 1 / 11, 0.4))
    rows = study.rows(0)
    assert len(rows) == study.rows_per_seed == 11 * 3
    for row in rows:
        odds = Fraction(row["example_ambiguity"]) / (1 - Fraction(row["example_ambiguity"]))
        exact = Fraction(row["gap_scale"]) * odds ** row["examples"]
        assert row["performance_gap_bound"] == pytest.approx(float(exact), rel=1e-13)
        assert row["outcome"] == "solved"


def test_it_has_the_pairs_of_section_vi_a() -> None:
    found = {
        row["examples"]: row["performance_gap_bound"]
        for row in AccuracyBound().rows(0)
        if row["example_ambiguity"] == TABLE_III.example_ambiguity
    }
    for count, bound in zip((10, 8, 6, 4, 2), (1e-11, 1e-9, 1e-7, 1e-5, 1e-3), strict=True):
        assert found[count] == pytest.approx(bound, rel=1e-12)


def test_the_ambiguities_are_what_they_are_written_as() -> None:
    for text, value in AMBIGUITIES.items():
        assert float(Fraction(text)) == value
        assert 0 < value < 0.5
    assert list(AMBIGUITIES.values()) == sorted(AMBIGUITIES.values())


def test_its_table_is_one_and_the_same_for_any_seeds(tmp_path: Path) -> None:
    study = AccuracyBound()
    run_studies([study], tmp_path, range(3), LocalRunner(1))
    frame = read_table(tmp_path, study.name)
    assert frame.height == study.rows_per_seed
    assert frame.columns == list(study.columns)
    assert frame["seed"].unique().to_list() == [0]
    assert frame.to_dicts() == list(study.rows(0))
    assert read_manifest(tmp_path, study.name)["parameters"] == study.parameters()
    assert json.loads(json.dumps(study.parameters())) == study.parameters()
    assert not math.isnan(frame["performance_gap_bound"].sum())
