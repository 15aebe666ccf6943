"""Numbers of a report, worked out by hand from tables whose entries are written here.

Seeds are 0, 1 and 2, so that half of a 95 % interval is T standard errors: the standard deviation
of three numbers a step apart is that step.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping

import polars as pl
import pytest

from qoex.experiments.report import write_report
from report_page import Page
from small_reproduction import judge_claims, reproduction

# Student's t, two degrees of freedom, 97.5 %; of a standard deviation of 1 over three seeds.
T = 4.302652729911275
H = T / math.sqrt(3)

Points = tuple[tuple[float, float, float], tuple[float, float, float]]  # by point, then by seed


def everywhere(value: float) -> Points:
    return (value,) * 3, (value,) * 3


# Scheme → column → numbers at 5 and at 25 users.
USERS: Mapping[str, Mapping[str, Points]] = {
    "proposed": {
        "user_cost": ((10, 12, 14), (20, 20, 26)),
        "provider_cost": ((100, 100, 130), (1, 1, 1)),
        "user_utility": ((100, 100, 100), (105, 105, 105)),
        "mean_qoe": ((11, 12, 13), (13, 14, 15)),
        "compute_usage": everywhere(0.2),
        "bandwidth_usage": everywhere(0.2),
        "capacity_factor": ((0.5, 0.5, 0.5), (0.8, 1.25, 2)),
        "dropped_pairs": ((0, 0, 0), (0, 3, 7)),
        "demanded_pairs": ((15, 15, 15), (20, 30, 40)),
        "regret_relative": ((1e-16, 1e-16, 1e-16), (1e-16, 4e-12, 1e-16)),
    },
    "ratio-5": {
        "user_cost": (((100,) * 3), (200, 240, 220)),
        "compute_usage": ((0.4, 0.4, 0.8), (0.4, 0.8, 0.8)),
        "bandwidth_usage": ((0.4, 0.4, 0.8), (0.4, 0.8, 0.8)),
        "welfare": ((150, 160, 170), (200, 200, 200)),
    },
    "welfare": {"welfare": everywhere(200)},
    "only-f": {"user_cost": ((5, 7, 9), (4, 5, 6)), "mean_qoe": everywhere(10)},
    "only-b": {
        "user_cost": ((120, 130, 140), (20, 30, 40)),
        "provider_cost": ((400, 420, 440), (1, 2, 3)),
        "served_pairs": everywhere(9),
        "demanded_pairs": everywhere(12),
    },
}
PAYMENTS: Mapping[str, Points] = {
    "output-tokens": ((10, 10, 10), (30, 32, 34)),
    "accuracy": ((10, 10, 10), (9, 8, 7)),
    "latency-budget": ((10, 10, 10), (15, 15, 15)),
}


def written(
    frame: pl.DataFrame, conditions: Mapping[str, object], column: str, values: object
) -> pl.DataFrame:
    """Return a table with other entries of a column in the rows that meet the conditions."""
    found = pl.all_horizontal(pl.col(name) == value for name, value in conditions.items())
    place = frame.select(found.arg_true()).to_series()
    entries = frame[column].cast(pl.Float64) if frame[column].dtype.is_numeric() else frame[column]
    given = pl.Series(values if isinstance(values, list | tuple) else [values] * len(place))
    kept = entries.scatter(place, given.cast(entries.dtype)).cast(frame[column].dtype)
    return frame.with_columns(kept.alias(column))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The numbers of a report on tables with the entries above, by their keys."""
    folder = tmp_path_factory.mktemp("golden")
    shutil.copytree(reproduction(), folder, dirs_exist_ok=True)

    def change(name: str, *entries: tuple[Mapping[str, object], str, object]) -> None:
        path = folder / "tables" / f"{name}.parquet"
        frame = pl.read_parquet(path).sort("seed", maintain_order=True)
        for conditions, column, values in entries:
            frame = written(frame, conditions, column, values)
        frame.write_parquet(path)

    cell = {"scheme": "token", "point": 0, "seed": 2}
    change(
        "users",
        ({"outcome": "infeasible"}, "outcome", "solved"),
        (cell, "outcome", "failed"),
        *(
            ({"scheme": scheme, "point": point}, column, points[point])
            for scheme, columns in USERS.items()
            for column, points in columns.items()
            for point in (0, 1)
        ),
        ({"scheme": "proposed", "point": 1, "seed": 1}, "certified", [False]),
    )
    change("users-ample", ({"scheme": "proposed"}, "user_cost", 7))
    for name, points in PAYMENTS.items():
        entries = [({"scheme": "proposed", "point": k}, "first_payment", points[k]) for k in (0, 1)]
        change(name, *entries)
    path = folder / "tables" / "table-v.parquet"
    frame = pl.read_parquet(path)
    wrong = (pl.col("provider") == "asp-2") & (pl.col("user") == "mu-1")
    wrong &= pl.col("quantity") == "qoe"
    factor = pl.when(wrong).then(0.96).otherwise(1.01)
    frame = frame.with_columns(computed=pl.col("printed") * factor, relative_error=factor - 1)
    frame.write_parquet(path)
    item = {"parameter": "compute_cost of asp-1"}
    change("inferred", (item, "value", 20), (item, "low", 19), (item, "high", 21))
    run = {"method": "dual-perturbation", "start": "middle", "point": 0}
    change(
        "appendix-a",
        ({"method": "capacity-prices", "point": 0}, "regret_log10", (-15, -16, -17)),
        (run, "within_bound", [False, True, False]),
        (run, "bound_log10", (2, None, 4)),
    )
    judge_claims(folder)
    [report] = write_report(folder)
    return {source: float(value) for source, value, _ in Page(report.read_text("utf-8")).numbers}


GOLDEN: dict[str, dict[str, float]] = {
    # "proposed" at 5 users: 10, 12, 14; at 25: 20, 20, 26, of which the standard error is 2.
    "a range": {
        "claim:VI-C.users-user-cost-proposed:main:ours:0:mean": 12,
        "claim:VI-C.users-user-cost-proposed:main:ours:0:low": 12 - 2 * H,
        "claim:VI-C.users-user-cost-proposed:main:ours:1:mean": 22,
        "claim:VI-C.users-user-cost-proposed:main:ours:1:high": 22 + 2 * T,
        "claim:VI-C.users-user-cost-proposed:variant:ours:0:mean": 7,
    },
    # "only-f" changes by −1, −2, −3.
    "a trend": {
        "claim:VI-C.only-f-user-cost-falls:main:ours:0:mean": -2,
        "claim:VI-C.only-f-user-cost-falls:main:ours:0:high": -2 + H,
        "claim:VI-C.only-f-user-cost-falls:main:ours:1:mean": 7,
        "claim:VI-C.only-f-user-cost-falls:main:ours:2:mean": 5,
        "claim:VI-C.only-f-user-cost-falls:main:ours:3:mean": -2,
    },
    # Proposed less only-f: 5, 5, 5 and 16, 15, 20, so 10.5, 10 and 12.5 over points.
    "an order": {
        "claim:VI-C.only-f-user-cost-lower:main:ours:0:mean": 11,
        "claim:VI-C.only-f-user-cost-lower:main:ours:0:low": 11 - T * math.sqrt(1.75 / 3),
        "claim:VI-C.only-f-user-cost-lower:main:ours:1:mean": 5,
    },
    # QoE: 1, 2, 3 and 3, 4, 5 more than only-f's.
    "what proposed delivers more": {
        "claim:VI-C.only-f-user-cost-falls:main:companion:0:mean": 3,
        "claim:VI-C.only-f-user-cost-falls:main:companion:0:high": 3 + H,
    },
    # Means 12 and 22 are 10 apart, around 17; 100 and 220 are 120 apart, around 160. Without seed
    # 0 the former are 13 and 23, without seed 1 12 and 23, without seed 2 11 and 20: the
    # pseudo-values are 3·1000/17 − 2·(1000/18, 1100/17.5, 900/15.5) = 65.36, 50.76, 60.34, whose
    # standard deviation is 7.4197.
    "a steadier scheme": {
        "claim:VI-C.users-user-cost-steadier:main:ours:0:mean": 1000 / 17,
        "claim:VI-C.users-user-cost-steadier:main:ours:0:high": 1000 / 17 + 7.4197 * H,
        "claim:VI-C.users-user-cost-steadier:main:ours:1:mean": 75,
        "claim:VI-C.users-user-cost-steadier:main:ours:2:mean": 75 - 1000 / 17,
    },
    # 0.2 of 0.4 or 0.8: 50 and 50, 50 and 75, 75 and 75 % are saved.
    "a reduction": {
        "claim:VI-C.users-usage-vs-ratio-5:main:ours:0:mean": 62.5,
        "claim:VI-C.users-usage-vs-ratio-5:main:ours:0:low": 62.5 - 12.5 * H,
        "claim:VI-C.users-usage-vs-ratio-5:main:ours:3:mean": 100 - 100 * 0.2 / 0.6,
        "claim:VI-C.users-usage-vs-ratio-5:main:ours:4:mean": 175 / 3,
        "claim:VI-C.users-usage-vs-ratio-5:main:ours:5:mean": 200 / 3,
    },
    "full use": {"claim:VI-C.users-ratio-5-full:main:ours:0:mean": 2 / 3},
    "endpoints": {
        "claim:VI-C.only-b-user-cost-falls:main:ours:0:mean": 130,
        "claim:VI-C.only-b-user-cost-falls:main:ours:1:mean": 30,
        "claim:VI-C.only-b-user-cost-falls:main:ours:1:low": 30 - 10 * H,
        "claim:VI-C.only-b-user-cost-falls:main:ours:2:mean": -100,
    },
    # 400, 420, 440 beside 100, 100, 130.
    "a peak": {
        "claim:VI-C.only-b-provider-cost:main:ours:0:mean": 420,
        "claim:VI-C.only-b-provider-cost:main:ours:1:mean": 310,
        "claim:VI-C.only-b-provider-cost:main:ours:1:high": 310 + 10 * H,
    },
    "keeping within": {"claim:VI-A.users-user-utility:main:ours:0:mean": 100 * 5 / 102.5},
    # 20, 22, 24 beside 1, 2, 3 and 5, 5, 5.
    "the greatest change": {
        "claim:VI-A.tokens-drive-cost:main:ours:0:mean": 22,
        "claim:VI-A.tokens-drive-cost:main:ours:1:mean": 20,
        "claim:VI-A.tokens-drive-cost:main:ours:1:low": 20 - H,
        "claim:VI-A.tokens-drive-cost:main:ours:2:mean": 17,
    },
    # Table V prints a reward of 0.126 and a QoE of 255 for user 3 at provider 1.
    "table V": {
        "claim:VI-B.table-v:main:ours:0:mean": -4,
        "claim:VI-B.table-v:main:ours:1:mean": math.sqrt((23 * 1 + 16) / 24),
        "claim:VI-B.user-3-reward:main:ours:0:mean": 0.126 * 1.01,
        "claim:VI-B.user-3-qoe:main:ours:0:mean": 255 * 1.01,
        "table:table-v:largest:relative_error": 0.04,
        "table:table-v:only:printed?provider=asp-1&user=mu-3&quantity=qoe": 255,
        "table:table-v:only:computed?provider=asp-1&user=mu-3&quantity=qoe": 255 * 1.01,
    },
    # A token draw at 5 users failed; the social optimum is 200.
    "panels": {
        "panel:fig7c:x:1": 25,
        "panel:fig7c:mean:user_cost?line=proposed&x=5.0": 12,
        "panel:fig7c:high:user_cost?line=proposed&x=5.0": 12 + 2 * H,
        "panel:fig7c:low:user_cost?line=proposed&x=25.0": 22 - 2 * T,
        "panel:fig7c:count:user_cost?line=token&x=5.0": 2,
        "panel:fig7c:rows:user_cost?line=token&x=5.0": 3,
        "panel:fig7g:mean:welfare?line=ratio-5&x=5.0": 0.8,
        "panel:fig7g:low:welfare?line=ratio-5&x=5.0": 0.8 - 0.05 * H,
    },
    "tables": {
        "table:users:rows:": 42,
        "table:users:distinct:seed": 3,
        "table:users:above-one:capacity_factor?scheme=proposed&value=25.0": 2,
        "table:users:max:capacity_factor?scheme=proposed&value=25.0": 2,
        "table:users:sum:dropped_pairs?scheme=proposed&value=25.0": 10,
        "table:users:share:dropped_pairs/dropped_pairs+demanded_pairs"
        "?scheme=proposed&value=25.0&outcome=solved": 0.1,
        "table:users:true:certified?scheme=proposed&outcome=solved": 5,
        "table:users:share:certified/?scheme=proposed&outcome=solved": 5 / 6,
        "table:users:missing:served_pairs/demanded_pairs?scheme=only-b&outcome=solved": 0.25,
        "table:users:max:regret_relative?scheme=proposed&outcome=solved": 4e-12,
        "table:*:rows:?outcome=failed": 1,
        "table:inferred:only:value?parameter=compute_cost+of+asp-1": 20,
        "table:inferred:only:low?parameter=compute_cost+of+asp-1": 19,
        "table:inferred:only:high?parameter=compute_cost+of+asp-1": 21,
        "table:appendix-a:mean:regret_log10?method=capacity-prices&point=0": -16,
        "table:appendix-a:high:regret_log10?method=capacity-prices&point=0": -16 + H,
        "table:appendix-a:mean:bound_log10?method=dual-perturbation&start=middle&point=0": 3,
        "table:appendix-a:present:bound_log10?method=dual-perturbation&start=middle&point=0": 2,
        "table:appendix-a:false:within_bound?method=dual-perturbation&start=middle&point=0": 2,
    },
    # Table III of the paper, and the token prices that it does not give.
    "parameters": {
        "manifest:accuracy:parameters/ranges/compute_capacity/0": 5,
        "manifest:accuracy:parameters/ranges/compute_capacity/1": 30,
        "manifest:accuracy:parameters/ranges/bandwidth_capacity/1": 500,
        "manifest:accuracy:parameters/ranges/latency_budget/0": 300,
        "manifest:accuracy:parameters/ranges/snr_db/1": 30,
        "manifest:accuracy:parameters/ranges/tokens/1": 2000,
        "constant:qoex.mechanisms.schemes:INPUT_PRICE": 1e-4,
        "constant:qoex.mechanisms.schemes:OUTPUT_PRICE": 4e-4,
    },
}


@pytest.mark.parametrize("case", GOLDEN)
def test_numbers_are_those_worked_out_by_hand(reported: dict[str, float], case: str) -> None:
    expected = GOLDEN[case]
    assert {key: reported[key] for key in expected} == pytest.approx(expected, rel=1e-5)
