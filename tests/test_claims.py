"""The list of claims, and what judging makes of tables that lack something."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from claim_tables import around, case_table, sweep_table
from qoex.experiments.case_study import CaseStudy
from qoex.experiments.claims import (
    CLAIMS,
    COMPANIONS,
    Claim,
    ClaimVerdict,
    judge,
    judged_frame,
    read_claims,
    write_claims,
)
from qoex.experiments.claims.changes import Direction, Trend
from qoex.experiments.claims.levels import FullUse
from qoex.experiments.claims.readings import COLUMNS, FIXED, VARIANTS
from qoex.experiments.claims.reductions import Reduction
from qoex.experiments.paper import paper_sweeps

SWEEPS = {sweep.name: sweep for sweep in paper_sweeps()}

RISING = Claim(
    "test.rises",
    "somewhere",
    "It rises.",
    "rises",
    Trend("users", "proposed", "user_cost", Direction.RISES),
    note="A reading.",
    why="Because.",
    trade=("ratio-5",),
)


def test_every_claim_has_an_id_of_its_own() -> None:
    assert [id_ for id_, count in Counter(claim.id for claim in CLAIMS).items() if count > 1] == []


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claims_name_what_there_is(claim: Claim) -> None:
    section = claim.id.partition(".")[0]
    assert section in {"VI-A", "VI-B", "VI-C"}
    assert claim.place.startswith(section)
    assert claim.paper
    for sentence in (claim.statement, claim.note, claim.why):
        assert sentence == "" or sentence.endswith(".")
    for table, scheme, column in claim.rule.reads:
        if table == CaseStudy().name:
            assert column in CaseStudy().columns
            continue
        assert column in SWEEPS[table].columns
        assert column in COLUMNS
        assert scheme in {case.label for case in SWEEPS[table].schemes}
        assert set(claim.trade) <= {case.label for case in SWEEPS[table].schemes}


def test_variants_are_of_the_same_sweep_and_fixed_ones_are_known() -> None:
    for table, variant in VARIANTS.items():
        assert SWEEPS[table].vary == SWEEPS[variant].vary
        assert [*SWEEPS[table].values] == [*SWEEPS[variant].values]
    fixed = {name for name, sweep in SWEEPS.items() if sweep.fixed} | {CaseStudy().name}
    assert fixed == FIXED


def test_full_use_starts_at_a_point_of_its_table() -> None:
    for claim in CLAIMS:
        if isinstance(claim.rule, FullUse) and claim.rule.start:
            assert claim.rule.start in SWEEPS[claim.rule.table].values


def test_every_claim_on_costs_or_usage_of_schemes_shows_the_trade() -> None:
    costs = {"user_cost", "provider_cost", "compute_usage", "bandwidth_usage"}
    for claim in CLAIMS:
        if any(column in costs for _, _, column in claim.rule.reads):
            assert claim.trade, claim.id
            others = {scheme for _, scheme, _ in claim.rule.reads} - {"proposed"}
            assert others <= set(claim.trade), claim.id


def test_the_numbers_of_the_paper_are_all_there() -> None:
    stated = " ".join(claim.paper for claim in CLAIMS)
    for value in (
        *("75 %", "68 %", "77 %", "73 %", "84 %", "64.9 %", "66.5 %", "76.8 %"),
        *("19.09 to 21.08", "2468 to 3223", "488 to 729", "126.52 to 26.03", "419.68"),
        *("1.0", "within 5 %", "24 numbers"),
    ):
        assert value in stated
    for claim in CLAIMS:
        if isinstance(claim.rule, Reduction):
            assert claim.paper == f"about {claim.rule.paper:g} %"


def test_without_any_table_nothing_can_be_determined() -> None:
    judged = judge(CLAIMS, {})
    assert [item.claim for item in judged] == [*CLAIMS]
    for item in judged:
        assert item.verdict is ClaimVerdict.UNDETERMINED
        assert (item.ours, item.why) == ((), "")
        assert item.reason.startswith("the table ")
        assert item.reason.endswith(" is not there")
        assert all(np.isnan(number.estimate.mean) for number in item.companions)
    frame = judged_frame(judged)
    assert set(frame["claim"]) == {claim.id for claim in CLAIMS}
    assert set(frame["verdict"]) == {"cannot be determined"}


def users(means: tuple[float, ...] = (1, 2, 3, 4, 5)) -> pl.DataFrame:
    numbers = around(means, 0.1)
    other = {"user_cost": numbers + 1} | dict.fromkeys(COMPANIONS, numbers)
    own = {"user_cost": numbers} | dict.fromkeys(COMPANIONS, numbers + 2)
    return sweep_table({"proposed": own, "ratio-5": other})


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (users().clear(), "the table users is not there"),
        (users().drop("user_cost"), "the table users has no column user_cost"),
        (users().drop("outcome"), "the table users has no column outcome"),
        (
            users().with_columns(pl.col("user_cost").cast(pl.String)),
            "column user_cost of the table users holds no numbers",
        ),
        (
            users().filter(pl.col("scheme") != "proposed"),
            "proposed has no user_cost in the table users",
        ),
        (
            users().with_columns(outcome=pl.lit("infeasible")),
            "proposed has no user_cost in the table users",
        ),
        (
            users().with_columns(user_cost=pl.lit(float("nan"))),
            "proposed has no user_cost in the table users",
        ),
        (
            users().with_columns(user_cost=pl.lit(float("inf"))),
            "proposed has no user_cost in the table users",
        ),
    ],
)
def test_a_table_that_lacks_something_is_said_to(table: pl.DataFrame, reason: str) -> None:
    (judged,) = judge([RISING], {"users": table})
    assert (judged.verdict, judged.reason) == (ClaimVerdict.UNDETERMINED, reason)


def test_rows_that_are_not_solved_do_not_count_whatever_numbers_they_hold() -> None:
    wrong = users((9, 7, 5, 3, 1)).with_columns(
        seed=pl.col("seed") + 20, outcome=pl.lit("unsolved")
    )
    (judged,) = judge([RISING], {"users": pl.concat([users(), wrong])})
    assert judged.verdict is ClaimVerdict.AGREES
    assert judged.ours[0].estimate.count == 20


def test_main_and_variant_are_judged_apart() -> None:
    tables = {"users": users(), "users-ample": users((5, 4, 3, 2, 1))}
    (judged,) = judge([RISING], tables)
    assert judged.variant is not None
    assert (judged.main.tables, judged.variant.tables) == (("users",), ("users-ample",))
    assert judged.verdict is ClaimVerdict.AGREES
    assert judged.variant.finding.verdict is ClaimVerdict.DIFFERS


def test_why_is_shown_where_the_claim_is_not_met_and_numbers_say_so() -> None:
    whys = {
        name: judge([RISING], {"users": table})[0].why
        for name, table in (
            ("agrees", users()),
            ("differs", users((5, 4, 3, 2, 1))),
            ("same direction", users((1, 2, 4, 3, 5))),
            ("undetermined", users((3, 4, 5, 4, 3))),
            ("lacking", users().clear()),
        )
    }
    assert whys == {
        "agrees": "",
        "differs": "Because.",
        "same direction": "Because.",
        "undetermined": "Because.",
        "lacking": "",
    }


def test_a_claim_that_says_nothing_of_why_shows_what_decided() -> None:
    claim = Claim("x", "y", "Z.", "w", RISING.rule)
    (judged,) = judge([claim], {"users": users((1, 2, 4, 3, 5))})
    assert judged.why == f"I{judged.reason[1:]}."
    assert judged.why.startswith("It changes by 4 (")


def test_companions_say_what_proposed_delivers_more_or_less() -> None:
    (judged,) = judge([RISING], {"users": users()})
    assert [(item.label, item.against) for item in judged.companions] == [
        (COLUMNS[column][0], "ratio-5") for column in COMPANIONS
    ]
    for item in judged.companions:
        assert item.estimate.mean == pytest.approx(2)
        assert item.estimate.high - item.estimate.low < 1e-9  # paired: noise is of the market


def test_companions_over_two_tables_take_the_seeds_of_both() -> None:
    rule = Reduction(("users", "providers"), "proposed", ("ratio-5",), ("user_cost",), 50.0)
    claim = Claim("x", "y", "Z.", "w", rule, trade=("ratio-5",))
    other = users().with_columns(mean_qoe=pl.col("mean_qoe") * 3)
    (judged,) = judge([claim], {"users": users(), "providers": other.filter(pl.col("seed") < 15)})
    assert {item.estimate.count for item in judged.companions} == {15}
    qoe = judged.companions[0]
    assert (qoe.label, qoe.against) == ("mean QoE", "ratio-5")
    assert qoe.estimate.mean == pytest.approx((2 + 6) / 2)


def test_companions_that_the_tables_lack_have_no_value() -> None:
    (judged,) = judge([RISING], {"users": users().drop("welfare")})
    assert judged.verdict is ClaimVerdict.AGREES
    counts = {item.label: item.estimate.count for item in judged.companions}
    assert counts["welfare"] == 0
    assert counts["mean QoE"] == 20


def test_the_frame_has_a_row_for_every_number() -> None:
    judged = judge([RISING], {"users": users()})
    frame = judged_frame(judged)
    main, variant = frame.filter(pl.col("main")), frame.filter(~pl.col("main"))
    ours = main.filter(pl.col("role") == "ours")
    assert ours["label"].to_list() == [item.label for item in judged[0].ours]
    assert ours["mean"].to_list() == [item.estimate.mean for item in judged[0].ours]
    assert main.filter(pl.col("role") == "companion").height == len(COMPANIONS)
    assert ours.select("claim", "place", "paper", "tables", "verdict", "note").row(0) == (
        *("test.rises", "somewhere", "rises", ["users"], "agrees", "A reading."),
    )
    assert variant["verdict"].unique().to_list() == ["cannot be determined"]
    assert variant["reason"][0] == "the table users-ample is not there"


def test_the_frame_has_null_where_there_is_no_number() -> None:
    one_seed = users().filter(pl.col("seed") == 0)
    frame = judged_frame(judge([RISING], {"users": one_seed})).filter(pl.col("main"))
    assert frame["mean"].null_count() == 0
    assert frame["low"].null_count() == frame["high"].null_count() == frame.height
    claim = Claim("x", "y", "Z.", "w", RISING.rule)
    bare = judged_frame(judge([claim], {}))
    assert bare.height == 2
    assert (
        bare["role"].null_count() == bare["label"].null_count() == bare["count"].null_count() == 2
    )


def test_claims_read_back_are_those_written(tmp_path: Path) -> None:
    judged = judge([RISING], {"users": users()})
    write_claims(judged, tmp_path)
    found = read_claims(tmp_path)
    assert found is not None
    assert_frame_equal(found, judged_frame(judged))


def test_claims_of_the_first_form_are_read_in_todays(tmp_path: Path) -> None:
    head: dict[str, object] = {
        "claim": "VI-C.x",
        "place": "VI-C",
        "statement": "S.",
        "paper": "1 to 2",
        "note": "",
    }
    head |= {"tables": "users, providers", "main": True, "verdict": "same direction", "why": ""}
    numbers = {"unit": "ms", "mean": 1.0, "low": 0.5, "high": 1.5, "count": 3}
    lower = {"claim": "VI-C.y", "paper": "lower", "reason": "a less b, least at M = 5: −1"}
    range_ = {"reason": "it runs from 1 to 2"}
    old = [
        head | item | {"role": role, "label": label} | numbers
        for item, role, label in (
            (range_, "ours", "least, at M = 5"),
            (range_, "ours", "greatest, at M = 25"),
            (range_, "ours", "another"),
            (range_, "companion", "mean QoE, proposed less ratio-5"),
            (lower, "ours", "a less b, mean over points"),
            (lower, "ours", "a less b, least at M = 5"),
        )
    ]
    pl.DataFrame(old).write_parquet(tmp_path / "claims.parquet")
    found = read_claims(tmp_path)
    assert found is not None
    assert found.columns == judged_frame(()).columns
    assert found["telling"].to_list() == [True, True, False, False, False, True]
    assert found["label"].to_list()[2:5] == ["another", "mean QoE", "a less b, mean over points"]
    assert found["against"].to_list() == [None, None, None, "ratio-5", None, None]
    assert found["tables"].to_list() == [["users", "providers"]] * 6
    assert set(found["section"]) == {"VI-C"}


def test_the_frame_keeps_its_columns_without_any_claim() -> None:
    assert judged_frame(()).columns == judged_frame(judge([RISING], {})).columns


def test_a_case_without_the_columns_it_needs() -> None:
    claim = next(claim for claim in CLAIMS if claim.id == "VI-B.table-v")
    table = case_table((1.0, 2.0), (1.0, 2.0)).drop("printed")
    (judged,) = judge([claim], {"table-v": table})
    assert judged.reason == "the table table-v has no column printed"
    assert judged.variant is None
