"""Claims on real tables of few seeds: whether what is said of them is true."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import polars as pl
import pytest

from qoex.data.paper_case import TABLE_V, table_iv_market
from qoex.equilibrium import solver as equilibrium
from qoex.experiments.case_study import CaseStudy
from qoex.experiments.claims import CLAIMS, ClaimVerdict, Judged, judge
from qoex.experiments.intervals import Estimate
from qoex.experiments.paper import paper_sweeps
from qoex.experiments.study import Study
from qoex.mechanisms import schemes
from qoex.scenario.sampling import TABLE_III, sample_scenario

SEEDS = 5
USERS = (5, 10, 15, 20, 25)


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    studies: list[Study] = [*paper_sweeps(), CaseStudy()]
    return {
        study.name: pl.DataFrame(
            [row for seed in range(1 if study.fixed else SEEDS) for row in study.rows(seed)],
            infer_schema_length=None,
        )
        for study in studies
    }


@pytest.fixture(scope="module")
def judged(tables: dict[str, pl.DataFrame]) -> dict[str, Judged]:
    return {item.claim.id: item for item in judge(CLAIMS, tables)}


Key = tuple[int, int, str]  # seed, point, scheme


def lookup(table: pl.DataFrame, column: str) -> dict[Key, float]:
    return {
        (row["seed"], row["point"], row["scheme"]): row[column]
        for row in table.iter_rows(named=True)
        if row["outcome"] == "solved"
    }


def shown(item: Judged, label: str, against: str | None = None) -> Estimate:
    numbers = (*item.ours, *item.companions)
    (found,) = [n.estimate for n in numbers if (n.label, n.against) == (label, against)]
    return found


def test_table_v_is_met_number_by_number(judged: dict[str, Judged]) -> None:
    solution = equilibrium.solve(table_iv_market())
    errors = [getattr(solution, field) / printed - 1 for field, printed in TABLE_V.items()]
    worst = max(np.concatenate([item.ravel() for item in errors]), key=abs)
    item = judged["VI-B.table-v"]
    assert item.ours[0].estimate.mean == pytest.approx(100 * worst)
    rms = 100 * np.sqrt(np.mean(np.square(errors)))
    assert item.ours[1].estimate.mean == pytest.approx(rms)
    for name, found in judged.items():
        if name.startswith("VI-B"):
            assert found.verdict is ClaimVerdict.AGREES


def test_every_claim_is_judged_with_numbers_under_labels_of_their_own(
    judged: dict[str, Judged],
) -> None:
    for item in judged.values():
        for outcome in filter(None, (item.main, item.variant)):
            labels = [number.label for number in outcome.finding.numbers]
            assert labels, item.claim.id
            assert len(set(labels)) == len(labels), item.claim.id
            assert len(outcome.companions) == 5 * len(item.claim.trade)


def test_whatever_is_not_met_says_why(judged: dict[str, Judged]) -> None:
    for item in judged.values():
        assert bool(item.why) == (item.verdict is not ClaimVerdict.AGREES)
        if item.verdict is ClaimVerdict.DIFFERS:
            assert item.why == item.claim.why


# What the reasons say.


def test_users_of_table_v_pay_what_is_said() -> None:
    paid = (TABLE_V["rewards"] * TABLE_V["qoe"]).sum(axis=0)
    assert paid.round().tolist() == [62, 85, 83]


def test_a_provider_with_slack_capacity_earns_what_is_said() -> None:
    market = table_iv_market()
    solution = equilibrium.solve(market)
    cost = market.compute_cost[:, None], market.bandwidth_cost[:, None]
    weight = np.sqrt(market.work * cost[0]) + np.sqrt(market.traffic * cost[1])
    rewards = solution.rewards
    earned = (rewards * market.latency_budget - 2 * weight * np.sqrt(rewards)).sum(axis=1)
    assert solution.provider_utility == pytest.approx(earned)


def test_what_provider_1_earns_rises_and_then_falls_with_the_weight_of_the_demand(
    tables: dict[str, pl.DataFrame],
) -> None:
    lax_to_strict = tables["accuracy-table-iv"]["first_provider_utility"].reverse().to_numpy()
    assert lax_to_strict[0] < lax_to_strict.max() > lax_to_strict[-1]
    assert (np.diff(tables["output-tokens-table-iv"]["first_provider_utility"]) < 0).all()


def test_reward_falls_more_slowly_than_qoe_grows_with_the_budget(
    tables: dict[str, pl.DataFrame],
) -> None:
    rows = tables["latency-budget-table-iv"]
    reward, qoe = rows["first_reward"], rows["first_qoe"]
    assert (reward.diff().drop_nulls() < 0).all()
    assert reward[-1] * qoe[-1] > reward[0] * qoe[0]


def test_the_greater_total_costs_users_at_least_as_many_times_more(
    tables: dict[str, pl.DataFrame],
) -> None:
    for name in ("users", "providers", "users-ample", "providers-ample"):
        cost = lookup(tables[name], "user_cost")
        for (seed, point, scheme), value in cost.items():
            if scheme == "ratio-1":
                assert cost[seed, point, "ratio-5"] >= 5 * value * (1 - 1e-9)
    assert 5 * 729 > 3223


def test_the_cost_of_handing_out_all_compute_is_what_is_said() -> None:
    cost, capacity = fmean(TABLE_III.compute_cost), fmean(TABLE_III.compute_capacity)
    assert round(cost * capacity) == 402
    assert 419.68 / (cost * capacity) == pytest.approx(1.04, abs=0.005)
    assert (TABLE_III.bandwidth_cost, TABLE_III.compute_cost) == (0.15, (21.33, 24.60))


def test_under_token_a_provider_answers_as_if_it_were_alone() -> None:
    scenario = sample_scenario(3, 4, np.random.default_rng(5), feasible=True)
    market, tokens = scenario.market(), scenario.tokens()
    together = schemes.run("token", market, tokens)
    smaller = sample_scenario(3, 4, np.random.default_rng(5), feasible=True)
    first = smaller.model_copy(
        update={
            "providers": smaller.providers[:1],
            "demands": tuple(d for d in smaller.demands if d.provider == "asp-1"),
        }
    )
    alone = schemes.run("token", first.market(), first.tokens())
    assert alone.compute[0] == pytest.approx(together.compute[0])
    assert alone.bandwidth[0] == pytest.approx(together.bandwidth[0])


def test_only_b_hands_out_all_compute_but_for_pairs_that_it_does_not_serve(
    tables: dict[str, pl.DataFrame],
) -> None:
    rows = tables["users-ample"].filter(pl.col("scheme") == "only-b")
    whole = rows.filter(pl.col("served_pairs") == pl.col("demanded_pairs"))
    assert whole.height
    assert whole["compute_usage"].to_numpy() == pytest.approx(1.0)
    assert (
        rows.filter(pl.col("served_pairs") < pl.col("demanded_pairs"))["compute_usage"] < 1 - 1e-6
    ).all()
    own = tables["users-ample"].filter(pl.col("scheme") == "proposed")
    assert (rows["bandwidth_usage"] < own["bandwidth_usage"]).all()


def test_compute_runs_short_under_table_iii_and_less_where_it_is_ample(
    tables: dict[str, pl.DataFrame],
) -> None:
    def usage(name: str, users: int) -> float:
        found = lookup(tables[name], "compute_usage")
        return fmean(found[s, users // 5 - 1, "proposed"] for s in range(SEEDS))

    assert usage("users", 25) > 0.9
    assert usage("users-ample", 25) < usage("users", 25)


def test_the_saving_of_users_depends_on_whom_proposed_is_compared_with(
    judged: dict[str, Judged],
) -> None:
    item = judged["VI-C.summary-user-cost"]
    assert shown(item, "against only-f alone").mean < 0
    assert shown(item, "against only-b alone").mean < -100
    assert shown(item, "of the means").mean > 0
    assert shown(item, "against ratio-5, ratio-1, token alone").mean > 0
