"""The fleet as it really is, and what its nodes say of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoex.errors import InvalidInputError
from qoex.fleet import FleetSettings, World
from qoex.fleet.reporter import Reporter
from qoex.fleet.world import reflected
from qoex.model.feasibility import frontier_factor
from qoex.scenario.sampling import TABLE_III

LIVELY = FleetSettings(
    users=12,
    providers=3,
    seed=4,
    arrivals=120.0,
    changes=4.0,
    failing=0.4,
    provider_failures=4.0,
    lifetime=60.0,
)


def state(world: World) -> tuple[Any, ...]:
    demands = world.demands
    return (
        world.time,
        tuple(world.user_names),
        world.up.tolist(),
        demands.examples.tolist(),
        demands.input_tokens.tolist(),
        demands.snr_db.tolist(),
    )


def test_the_same_seed_gives_the_same_fleet() -> None:
    one, same, other = World(LIVELY), World(LIVELY), World(replace(LIVELY, seed=5))
    for _ in range(30):
        one.advance(), same.advance(), other.advance()
        assert state(one) == state(same)
    assert state(one) != state(other)


def test_nodes_are_drawn_from_table_iii_and_stay_in_it() -> None:
    world = World(replace(LIVELY, movement=8.0))
    for _ in range(40):
        demands = world.demands
        assert set(np.unique(demands.examples)) <= set(TABLE_III.examples)
        for tokens in (demands.input_tokens, demands.output_tokens):
            assert TABLE_III.tokens[0] <= tokens.min() <= tokens.max() <= TABLE_III.tokens[1]
        assert TABLE_III.snr_db[0] <= demands.snr_db.min()
        assert demands.snr_db.max() <= TABLE_III.snr_db[1]
        world.advance()
    for name in ("latency_budget", "compute_cost", "work_per_token_pair"):
        low, high = getattr(TABLE_III, name)
        assert low <= getattr(world, name).min() <= getattr(world, name).max() <= high


def test_capacities_are_raised_until_the_first_users_can_be_served() -> None:
    drawn = World(FleetSettings(users=2, seed=1))
    assert (drawn.compute_capacity <= TABLE_III.compute_capacity[1]).all()
    crowded = World(FleetSettings(users=300, seed=1, headroom=1.25))
    market = crowded.market()
    assert market is not None
    assert frontier_factor(market) == pytest.approx(1.0 / 1.25)


def test_users_come_and_go_at_the_rate_asked_for() -> None:
    settings = FleetSettings(users=200, arrivals=400.0, seed=2, failing=0.25)
    world = World(settings)
    steps = [world.advance() for _ in range(600)]  # ten hours
    arrived = sum(step.arrived for step in steps)
    left, failed = (sum(len(getattr(step, name)) for step in steps) for name in ("left", "failed"))
    # Poisson: four standard deviations.
    assert abs(arrived - 4000) < 4 * np.sqrt(4000)
    assert abs(failed - 0.25 * (left + failed)) < 4 * np.sqrt(0.25 * 0.75 * (left + failed))
    assert len(world.user_names) == 200 + arrived - left - failed
    assert 100 < len(world.user_names) < 300


def test_links_vary_as_much_and_as_slowly_as_asked() -> None:
    # Far from the ends of the range, so that reflection changes nothing.
    ranges = replace(TABLE_III, snr_db=(-100.0, 140.0))
    settings = FleetSettings(
        users=400, arrivals=1e-6, changes=0.0, movement=3.0, coherence=600.0, ranges=ranges
    )
    world = World(settings)
    first = world.demands.snr_db - world.demands.mean_snr_db
    for _ in range(10):
        world.advance()
    later = world.demands.snr_db - world.demands.mean_snr_db
    assert later.std() == pytest.approx(3.0, rel=0.06)
    correlation = np.corrcoef(first.ravel(), later.ravel())[0, 1]
    assert correlation == pytest.approx(np.exp(-1.0), abs=0.08)


@given(st.floats(-1e4, 1e4), st.floats(-50, 50), st.floats(0, 100))
def test_reflection_stays_inside_and_leaves_what_is_inside(
    value: float, low: float, width: float
) -> None:
    high = low + width
    folded = float(reflected(np.array([value]), low, high)[0])
    assert low <= folded <= high
    if low <= value <= high:
        assert folded == pytest.approx(value, abs=1e-9)


def test_names_are_distinct_and_some_users_come_back() -> None:
    world = World(replace(LIVELY, returning=0.5))
    seen: set[str] = set(world.user_names)
    returned = 0
    for _ in range(60):
        changes = world.advance()
        arrived = world.user_names[len(world.user_names) - changes.arrived :]
        returned += sum(name in seen for name in arrived)
        seen.update(arrived)
        assert len(set(world.user_names)) == len(world.user_names)
    assert returned > 0


class Told:
    """What somebody knows who believes all lines."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[str, str], dict[str, Any]] = {}
        self.links: dict[tuple[str, str], float] = {}

    def hear(self, lines: Any) -> list[dict[str, Any]]:
        heard = [json.loads(line.encoded()) for line in lines]
        assert len({line["key"] for line in heard}) == len(heard)
        for line in heard:
            node = (line["node_kind"], line["node"])
            match line["kind"]:
                case "put":
                    self.nodes[node] = line["body"]
                case "leave":
                    del self.nodes[node]
                case "links":
                    assert node in self.nodes
                    for user, snr_db in line["body"].items():
                        assert ("user", user) in self.nodes
                        self.links[line["node"], user] = snr_db
                case "patch":
                    self.nodes[node].get("demands", {}).update(line["body"].get("demands", {}))
        return heard


def test_who_believes_all_lines_knows_the_fleet() -> None:
    settings = replace(LIVELY, failing=0.0, provider_failures=0.0, link_threshold=0.0)
    world = World(settings)
    reporter, told = Reporter(world), Told()
    told.hear(reporter.everything(9.0))
    for step in range(25):
        assert [name for kind, name in told.nodes if kind == "provider"] == list(
            world.provider_names
        )
        users = [name for kind, name in told.nodes if kind == "user"]
        assert sorted(users) == sorted(world.user_names), step
        for m, user in enumerate(world.user_names):
            for n, provider in enumerate(world.provider_names):
                demand = told.nodes["user", user]["demands"][provider]
                assert demand["examples"] == world.demands.examples[n, m]
                assert demand["input_tokens"] == world.demands.input_tokens[n, m]
                assert demand["output_tokens"] == world.demands.output_tokens[n, m]
                snr_db = world.demands.snr_db[n, m]
                assert told.links[provider, user] == pytest.approx(snr_db, abs=5e-4)
        told.hear(reporter.changes(world.advance(), 9.0))
    told.hear(reporter.farewell())
    assert told.nodes == {}


def test_links_are_told_again_only_once_they_have_changed() -> None:
    world = World(replace(LIVELY, link_threshold=1.0, provider_failures=20.0))
    reporter, told = Reporter(world), Told()
    told.hear(reporter.everything(9.0))
    lines = 0
    for _ in range(25):
        heard = told.hear(reporter.changes(world.advance(), 9.0))
        lines += sum(len(line["body"]) for line in heard if line["kind"] == "links")
        for n in np.flatnonzero(world.up):
            for m, user in enumerate(world.user_names):
                known = told.links[world.provider_names[n], user]
                assert abs(known - world.demands.snr_db[n, m]) < 1.001
    assert 0 < lines < 25 * 3 * 12 / 2


def test_nodes_that_fail_fall_silent() -> None:
    world = World(replace(LIVELY, failing=1.0, provider_failures=20.0))
    reporter, told = Reporter(world), Told()
    told.hear(reporter.everything(9.0))
    failures = 0
    for _ in range(25):
        changes = world.advance()
        failures += len(changes.failed) + len(changes.providers_failed)
        heard = told.hear(reporter.changes(changes, 9.0))
        assert all(line["kind"] != "leave" for line in heard)
        down = {world.provider_names[n] for n in np.flatnonzero(~world.up)}
        silent = {*changes.failed, *down} - set(world.user_names)
        assert silent.isdisjoint(line["node"] for line in heard)
    assert failures > 5


def test_everybody_is_heard_of_within_a_lifetime() -> None:
    settings = replace(LIVELY, lifetime=600.0, changes=0.0, link_threshold=100.0)
    world = World(settings)
    reporter, told = Reporter(world), Told()
    told.hear(reporter.everything(9.0))
    last = dict.fromkeys([*world.user_names, *world.provider_names], 0)
    for step in range(1, 40):
        heard = told.hear(reporter.changes(world.advance(), 9.0))
        last |= {line["node"]: step for line in heard}
        present = [*world.user_names, *np.array(world.provider_names)[world.up]]
        assert all((step - last[name]) * settings.step < settings.lifetime for name in present)


BAD: list[dict[str, Any]] = [
    {"users": 0},
    {"providers": -1},
    {"step": 0.0},
    {"arrivals": float("inf")},
    {"movement": -1.0},
    {"failing": 1.5},
    {"returning": 1.0},
    {"headroom": 0.5},
    {"lifetime": float("nan")},
]


@pytest.mark.parametrize("wrong", BAD, ids=lambda wrong: next(iter(wrong)))
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        FleetSettings(**wrong)
