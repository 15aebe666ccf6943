"""Reasons are causes and values in the database, and sentences only where they are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qoex.agent.reports.kept import Cause, CycleEnding, Kept

NAN = float("nan")
FOUND: dict[str, Any] = {
    "regret": 0.25,
    "relative_regret": 0.125,
    "kkt_residual": 1e-12,
    "consistency": NAN,
    "outside_bounds": 0.0,
    "worst_user": "mu-1",
    "exact": True,
}
LACKING = {
    "provider": "asp-1",
    "capacity_factor": 2.5,
    "compute_capacity": 2.0,
    "bandwidth_capacity": 4.0,
    "compute_needed": 5.0,
    "bandwidth_needed": float("inf"),
}
VALUES: dict[Cause, dict[str, Any]] = {
    Cause.LITTLE_FITS: {"away": 0.625, "most": 0.5},
    Cause.SHORT: {"shortage": {"first": [LACKING], "providers": 1, "capacity_factor": 2.5}},
    Cause.NOT_SOLVED: {"status": "stalled"},
    Cause.NOT_CERTIFIED: {"findings": FOUND},
    Cause.TOO_LATE: {"seconds": 29.875},
    Cause.NOT_READY: {"seconds": 0.5},
    Cause.KILLED: {"signal": 9},
    Cause.EXITED: {"code": 3},
    Cause.ERROR: {"error": "KeyError: 7"},
    Cause.TOLD: {"sentence": "it took {too} long"},
}
SAID = {
    Cause.LITTLE_FITS: ("62.5% of the demands", "; 50% may be"),
    Cause.SHORT: ("asp-1 is short of compute: it has 2 TFLOPS and needs 5", "capacities 2.5 times"),
    Cause.NOT_SOLVED: ("no step improves the conditions",),
    Cause.NOT_CERTIFIED: ("differ by a share of nan",),
    Cause.TOO_LATE: ("within 29.9 s",),
    Cause.NOT_READY: ("within 0.5 s",),
    Cause.KILLED: ("by signal 9",),
    Cause.EXITED: ("with code 3",),
    Cause.ERROR: ("KeyError: 7",),
    Cause.TOLD: ("it took {too} long",),
}


@pytest.mark.parametrize("cause", Cause)
def test_a_reason_is_json_and_is_worded_with_its_values(cause: Cause) -> None:
    kept = cause.kept(**VALUES.get(cause, {}))
    read = Kept.read(json.loads(json.dumps(kept.document(), allow_nan=False)))
    assert read == kept
    assert all(part in read.sentence for part in SAID.get(cause, ()))
    assert str(read) == f"{cause.ending}: {read.sentence}"
    assert "{" not in read.sentence.replace("{too}", "")


def test_codes_and_sentences_are_told_apart() -> None:
    sentences = {cause.kept(**VALUES.get(cause, {})).sentence for cause in Cause}
    assert len(sentences) == len({cause.code for cause in Cause}) == len(Cause)
    assert {cause.ending for cause in Cause} == set(CycleEnding) - {CycleEnding.DECIDED}


def test_a_cause_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="'moonless' is no cause"):
        Kept.read({"ending": "empty", "cause": "moonless", "values": {}})
