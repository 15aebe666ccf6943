"""Observed tables: what they hold, how files are read, and what is refused in which words."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import polars
import pytest

from markets import random_market
from observed_tables import HEADER, ROWS, seen, write_table
from qoex.calibration import Observations, read_observations, table_v_observations
from qoex.data.paper_case import TABLE_V
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError, ScenarioError

NAN = np.nan


def small(**changes: object) -> Observations:
    values: dict[str, object] = {
        "latency_budget": [[500.0, 500.0, 0.0], [900.0, 900.0, 900.0]],
        "rewards": [[0.1, 0.2, NAN], [0.1, NAN, 0.3]],
        "compute": [[1.0, 2.0, NAN], [1.0, 2.0, 3.0]],
        "bandwidth": [[1.0, 2.0, NAN], [1.0, 2.0, 3.0]],
        "qoe": [[300.0, 200.0, NAN], [NAN, 500.0, 0.0]],
        **changes,
    }
    return Observations(**values)  # type: ignore[arg-type]


def test_absent_pairs_and_gaps_are_not_counted() -> None:
    observations = small()
    assert observations.present.tolist() == [[True, True, False], [True, True, True]]
    # Rewards: four, less the one of the pair without QoE; compute and bandwidth five; QoE four.
    assert observations.count == 3 + 5 + 5 + 4
    assert np.isnan(observations.rewards[1, 2])
    assert repr(observations) == "Observations(2 providers × 3 users, 17 numbers)"


def test_observations_cannot_be_changed() -> None:
    observations = small(known={"compute_cost": [20.0, NAN]})
    for array in (*observations.quantities.values(), *observations.known.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(FrozenInstanceError):
        observations.qoe = np.ones((2, 3))  # type: ignore[misc]


def test_an_array_given_stays_the_callers() -> None:
    rewards = np.full((2, 3), 0.1)
    rewards[0, 2] = NAN
    observations = small(rewards=rewards)
    rewards[0, 0] = 7.0
    assert observations.rewards[0, 0] == 0.1
    assert rewards[1, 2] == 0.1  # where the QoE is zero, only our copy has none


def test_what_is_known_can_be_added_changed_and_forgotten() -> None:
    observations = small().knowing(compute_cost=[20.0, NAN], profit_factor=300.0)
    np.testing.assert_array_equal(observations.known["profit_factor"], [300.0] * 3)
    changed = observations.knowing(compute_cost=[NAN, 30.0], profit_factor=NAN)
    assert set(changed.known) == {"compute_cost"}
    np.testing.assert_array_equal(changed.known["compute_cost"], [NAN, 30.0])
    np.testing.assert_array_equal(changed.qoe, observations.qoe)
    assert changed.user_names == observations.user_names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"latency_budget": [500.0]},
            "latency_budget has shape (1,); it must be providers × users",
        ),
        ({"qoe": [[1.0, 2.0]] * 3}, "qoe has shape (3, 2); it must be (2, 3)"),
        ({"qoe": [[1.0], [1.0, 2.0]]}, "qoe has rows of unequal length"),
        (
            {"qoe": [["1", "2", "3"]] * 2},
            "qoe must be an array of numbers, NaN where there is none",
        ),
        (
            {"latency_budget": [[500.0, -1.0, 0.0], [900.0] * 3]},
            "latency_budget of provider-1, user-2 is -1.0; it must be zero or more",
        ),
        (
            {"compute": [[1.0, 0.0, NAN], [1.0] * 3]},
            "compute of provider-1, user-2 is 0.0; it must be greater than zero, or left out where "
            "there is none",
        ),
        (
            {"bandwidth": [[1.0, np.inf, NAN], [1.0] * 3]},
            "bandwidth of provider-1, user-2 is inf; it must be a finite number",
        ),
        (
            {"bandwidth": [[1.0, 2.0, 3.0], [1.0] * 3]},
            "bandwidth of provider-1, user-3 is 3.0; it must be left out, for the pair has no "
            "latency budget",
        ),
        (
            {"qoe": [[1.0, 2.0, NAN], [-0.5, 2.0, 3.0]]},
            "qoe of provider-2, user-1 is -0.5; it must be zero or more",
        ),
        (
            {"qoe": [[500.0, 2.0, NAN], [1.0] * 3]},
            "qoe of provider-1, user-1 is 500.0; it must be below the latency budget, for every "
            "answer takes time",
        ),
        ({"provider_names": ["a", "a"]}, "provider_names holds 1 different names for 2 providers"),
        ({"user_names": ["a", "b"]}, "user_names holds 2 different names for 3 users"),
        (
            {"known": {"compute_cost": [20.0, 0.0]}},
            "compute_cost of provider-2 is 0.0; it must be greater than zero",
        ),
        (
            {"known": {"reward_min": [0.0, 0.2, -0.1]}},
            "reward_min of user-3 is -0.1; it must be zero or more",
        ),
        (
            {"known": {"reward_min": 0.2, "reward_max": [0.3, NAN, 0.1]}},
            "reward_min of user-3 is 0.2; it must be at most reward_max",
        ),
        (
            {"known": {"latency_budget": 1.0}},
            "'latency_budget' cannot be known; work, traffic, compute_cost, bandwidth_cost, "
            "compute_capacity, bandwidth_capacity, profit_factor, reward_min, reward_max can",
        ),
        (
            {
                "latency_budget": [[500.0, 500.0, 0.0]] * 2,
                "rewards": NAN, "compute": NAN, "bandwidth": NAN, "qoe": NAN,
            },
            "user user-3 has no pair",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        small(**changes)


def test_a_csv_becomes_arrays_in_the_order_of_its_names(tmp_path: Path) -> None:
    table = read_observations(write_table(tmp_path, ROWS[0], "", *ROWS[1:]))
    assert (table.provider_names, table.user_names) == (("near", "far"), ("ann", "bob"))
    np.testing.assert_array_equal(table.latency_budget, [[500, 500], [1000, 0]])
    np.testing.assert_array_equal(table.rewards, [[0.06, 0.1], [0.056, NAN]])
    np.testing.assert_array_equal(table.compute, [[0.4, 0.93], [0.62, NAN]])
    np.testing.assert_array_equal(table.bandwidth, [[1.58, 2.13], [1.73, NAN]])
    np.testing.assert_array_equal(table.qoe, [[353, 298], [730, NAN]])
    assert not table.known


def test_blanks_and_known_columns_are_read(tmp_path: Path) -> None:
    table = read_observations(
        write_table(
            tmp_path,
            f"{ROWS[0]},,0.15,7,300",
            "near,bob,, 0.93 ,,0,500,20.5,0.15,,",
            f"{ROWS[2]},,,8,300",
            header=f"{HEADER},compute_cost,bandwidth_cost,work,profit_factor",
        )
    )
    np.testing.assert_array_equal(table.rewards, [[0.06, NAN], [0.056, NAN]])
    np.testing.assert_array_equal(table.qoe, [[353, 0], [730, NAN]])
    np.testing.assert_array_equal(table.compute[0], [0.4, 0.93])
    np.testing.assert_array_equal(table.known["compute_cost"], [20.5, NAN])
    np.testing.assert_array_equal(table.known["bandwidth_cost"], [0.15, NAN])
    np.testing.assert_array_equal(table.known["work"], [[7, NAN], [8, NAN]])
    np.testing.assert_array_equal(table.known["profit_factor"], [300, NAN])


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    path = write_table(tmp_path, ROWS[0], "near,bob,,0.93,2.13,298,500", ROWS[2])
    frame = polars.read_csv(path).with_columns(polars.col("qoe").cast(polars.Int32))
    frame.write_parquet(tmp_path / "observed.parquet")
    ours, theirs = read_observations(path), read_observations(tmp_path / "observed.parquet")
    for name, array in ours.quantities.items():
        np.testing.assert_array_equal(array, getattr(theirs, name))
    assert ours.provider_names == theirs.provider_names


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS, HEADER.replace("qoe", "qo"), "'qo' is not a column of an observed table; did you "
         "mean qoe?"),
        (ROWS, HEADER.replace(",qoe", ""), "not a valid CSV table (found more fields than"),
        (["near,ann,1,1,1,500"], HEADER.replace(",qoe", ""), "the table lacks the column qoe"),
        ([], HEADER, "the table has no rows"),
        ([*ROWS, "near,bob,1,1,1,1,500"], HEADER, "line 5 (near, bob): the pair is in line 3 "
         "already"),
        ([ROWS[0], "", "near,bob,x1,1,1,1,500"], HEADER, "line 4 (near, bob): reward is 'x1'; it "
         "must be a number, or blank where there is none"),
        (["near,ann,1,1,inf,1,500"], HEADER, "line 2 (near, ann): bandwidth is 'inf'; it must be a "
         "finite number, or blank where there is none"),
        (["near,ann,1,nan,1,1,500"], HEADER, "line 2 (near, ann): compute is 'nan'; it must be a "
         "finite number, or blank where there is none"),
        (["near,ann,-1,1,1,1,500"], HEADER, "line 2 (near, ann): reward is '-1'; it must be "
         "greater than zero, or blank where there is none"),
        (["near,ann,1,1,1,-1,500"], HEADER, "line 2 (near, ann): qoe is '-1'; it must be zero or "
         "more, or blank where there is none"),
        (["near,ann,1,1,1,500,500"], HEADER, "line 2 (near, ann): qoe is 500.0; it must be below "
         "the latency budget, 500.0"),
        (["near,ann,1,1,1,1,0"], HEADER, "line 2 (near, ann): latency_budget is '0'; it must be "
         "greater than zero"),
        (["near,ann,1,1,1,1,"], HEADER, "line 2 (near, ann): latency_budget is blank"),
        (["near,,1,1,1,1,500"], HEADER, "line 2: user is blank"),
        ([f"{ROWS[0]},20", f"{ROWS[1]},21"], f"{HEADER},compute_cost", "line 3 (near, bob): "
         "compute_cost is 21.0, but 20.0 in an earlier row of the same provider"),
        ([f"{ROWS[0]},20", f"{ROWS[2]},21"], f"{HEADER},profit_factor", "line 3 (far, ann): "
         "profit_factor is 21.0, but 20.0 in an earlier row of the same user"),
        ([f"{ROWS[0]},0"], f"{HEADER},compute_cost", "line 2 (near, ann): compute_cost is '0'; it "
         "must be greater than zero"),
        ([f"{ROWS[0]},3,2"], f"{HEADER},reward_min,reward_max", "reward_min of ann is 3.0; it must "
         "be at most reward_max"),
    ],
)  # fmt: skip
def test_a_file_is_refused_by_name_row_and_column(
    tmp_path: Path, rows: list[str], header: str, message: str
) -> None:
    path = write_table(tmp_path, *rows, header=header)
    with pytest.raises(ScenarioError) as caught:
        read_observations(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_text("nothing")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "folder.csv").mkdir()
    frame = polars.DataFrame({name: [True] for name in HEADER.split(",")})
    frame.write_parquet(tmp_path / "flags.parquet")
    frame.with_columns(provider=polars.lit("a"), user=polars.lit("b")).write_parquet(
        tmp_path / "numbers.parquet"
    )
    reasons = {
        "none.csv": "there is no such file",
        "table.txt": "the name of the file must end in .csv or .parquet",
        "bad.parquet": "not a valid Parquet table (",
        "empty.csv": "not a valid CSV table (",
        "folder.csv": "it cannot be read (Is a directory)",
        "flags.parquet": "the column provider must hold names",
        "numbers.parquet": "the column latency_budget must hold numbers",
    }
    for name, reason in reasons.items():
        with pytest.raises(ScenarioError) as caught:
            read_observations(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")


def test_rows_of_parquet_are_counted_from_one(tmp_path: Path) -> None:
    frame = polars.read_csv(write_table(tmp_path, *ROWS[:2])).with_columns(qoe=-1.0)
    frame.write_parquet(tmp_path / "observed.parquet")
    with pytest.raises(ScenarioError, match=r"row 1 \(near, ann\): qoe is -1.0; it must be zero"):
        read_observations(tmp_path / "observed.parquet")


def test_the_table_of_the_package_is_table_v() -> None:
    table = table_v_observations()
    for name, printed in TABLE_V.items():
        np.testing.assert_array_equal(getattr(table, name), printed)
    np.testing.assert_array_equal(table.latency_budget, [[500.0] * 3, [1000.0] * 3])
    assert table.provider_names == ("asp-1", "asp-2")
    assert table.user_names == ("mu-1", "mu-2", "mu-3")
    assert {name: array.tolist() for name, array in table.known.items()} == {
        "bandwidth_cost": [0.15, 0.15]
    }


def test_a_pair_without_qoe_keeps_its_allocation_but_no_reward() -> None:
    market = random_market(np.random.default_rng(7), 3, 4, "binding")
    solution = solve(market)
    idle = solution.qoe == 0
    assert 0 < idle.sum() < 12
    table = seen(market)
    assert np.isnan(table.rewards[idle]).all()
    assert np.isfinite(table.rewards[~idle]).all()
    assert np.isfinite(table.compute).all()
    assert (table.qoe[idle] == 0).all()
