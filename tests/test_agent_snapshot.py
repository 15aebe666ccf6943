from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from agent_state import (
    PROVIDER,
    START,
    USER,
    USER_BODY,
    Log,
    accepted,
    formed,
    histories,
    user_body,
)
from qoex.agent.reports.entries import EntryKind
from qoex.agent.solving.snapshot import Snapshot
from qoex.agent.state.registry import Registry
from qoex.model.market import Market
from qoex.scenario.resolve import market as market_of_scenario
from qoex.scenario.tables import ScenarioTables

LINKS, PATCH, LEAVE = EntryKind.LINKS, EntryKind.PATCH, EntryKind.LEAVE


def from_scenario(registry: Registry, present: set[tuple[str, str]]) -> Market:
    """The market of some pairs by way of a scenario file, from the documents and links."""
    providers, users, demands = [], [], []
    for state in registry.nodes(PROVIDER, active=True):
        document = registry.document(PROVIDER, state.name)
        document.pop("lifetime_s", None)
        default = document.pop("snr_db", None)
        for resource in ("compute", "bandwidth"):
            load = document.pop(f"{resource}_load", 0.0)
            document[f"{resource}_capacity"] = max(
                document[f"{resource}_capacity"] * (1.0 - load), 1e-12
            )
        providers.append({"name": state.name, **document})
        links = registry.links(state.name)
        for user in registry.nodes(USER, active=True):
            demand = registry.document(USER, user.name)["demands"].get(state.name, {})
            if (state.name, user.name) in present:
                ratio = links.get(user.name, default)
                pair = {"user": user.name, "provider": state.name, "snr_db": ratio}
                demands.append(pair | demand)
    for state in registry.nodes(USER, active=True):
        document = registry.document(USER, state.name)
        users.append({"name": state.name} | {name: document[name] for name in USER_BODY})
    tables = {"missing_demands": "absent"}
    whole = {"defaults": tables, "providers": providers, "users": users, "demands": demands}
    return market_of_scenario(ScenarioTables.model_validate(whole))


def reasons(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    found = {(item.provider, item.user): item.reason.value for item in snapshot.left_out.first}
    assert len(found) == snapshot.left_out.count
    return found


@settings(max_examples=200, deadline=None)
@given(histories())
def test_it_is_the_market_of_a_scenario_of_the_same_numbers(sent: list[Any]) -> None:
    log = Log()
    for number, report in enumerate(sent):
        new = formed(report, f"k{number}")
        if new is not None:
            accepted(log, new)
    snapshot = log.registry.snapshot(START)
    market = snapshot.market()
    if market is None:
        assert not snapshot.present.any()
        return
    present = {
        (snapshot.provider_names[n], snapshot.user_names[m])
        for n, m in np.argwhere(snapshot.present).tolist()
    }
    assert market == from_scenario(log.registry, present)
    assert np.array_equal(market.present, snapshot.present)


@settings(max_examples=150, deadline=None)
@given(histories())
def test_every_demand_is_in_the_market_or_left_out(sent: list[Any]) -> None:
    log = Log()
    for number, report in enumerate(sent):
        new = formed(report, f"k{number}")
        if new is not None:
            accepted(log, new)
    snapshot = log.registry.snapshot(START)
    present, demanded = snapshot.present, snapshot.demanded
    assert not (present & ~demanded).any()
    assert len(reasons(snapshot)) == np.count_nonzero(demanded & ~present)
    market = snapshot.market()
    assert (market is None) == (not present.any())
    if market is not None:
        assert np.array_equal(market.present, present)
        assert market.user_names == tuple(sorted(log.registry.rosters[USER].order()[1]))


def small() -> Log:
    log = Log()
    log.provider("asp-1")
    log.provider("asp-0", compute_capacity=7.0)
    for name in ("mu-2", "mu-0", "mu-1"):
        log.user(name, "asp-0", "asp-1")
    return log


def test_only_active_nodes_count_in_the_order_of_their_names() -> None:
    log = small()
    log.send(USER, "mu-1", LEAVE)
    snapshot = log.registry.snapshot(START)
    assert snapshot.provider_names == ("asp-0", "asp-1")
    assert snapshot.user_names == ("mu-0", "mu-2")
    assert snapshot.position == log.registry.position == 6
    assert snapshot.providers["compute_capacity"].tolist() == [7.0, 50_000.0]
    log.send(PROVIDER, "asp-0", LEAVE)
    log.user("mu-1", "asp-0")
    later = log.registry.snapshot(START)
    assert later.provider_names == ("asp-1",)
    assert later.user_names == ("mu-0", "mu-1", "mu-2")
    assert later.present.tolist() == [[True, False, True]]
    assert later.left_out.count == 0  # what is demanded of a provider that is away is nothing


def test_it_depends_on_who_is_there_and_not_on_how_that_came() -> None:
    log, other = small(), Log()
    other.provider("asp-9")
    other.send(PROVIDER, "asp-9", LEAVE)
    for name in ("mu-1", "mu-2", "mu-0"):
        other.user(name, "asp-9")
    other.provider("asp-0", compute_capacity=7.0)
    other.provider("asp-1")
    for name in ("mu-0", "mu-2", "mu-1"):
        other.user(name, "asp-0", "asp-1")
    assert log.registry.snapshot(START).market() == other.registry.snapshot(START).market()


def test_later_entries_leave_it_alone() -> None:
    log = small()
    snapshot = log.registry.snapshot(START)
    before = pickle.dumps(snapshot)
    log.send(PROVIDER, "asp-0", LINKS, {"mu-0": 1.0})
    log.user("mu-0", profit_factor=99.0)
    log.send(PROVIDER, "asp-1", LEAVE)
    assert pickle.dumps(snapshot) == before
    assert log.registry.snapshot(START).users["profit_factor"][0] == 99.0


def test_it_is_sent_without_what_follows_from_it() -> None:
    snapshot = small().registry.snapshot(START)
    size = len(pickle.dumps(snapshot))
    market = snapshot.market()
    sent = pickle.dumps(snapshot)
    assert len(sent) == size
    assert pickle.loads(sent).market() == market


def test_demands_that_lack_something_are_left_out_and_listed() -> None:
    log = small()
    log.send(USER, "mu-0", PATCH, {"demands": {"asp-0": {"performance_gap": None, "examples": 2}}})
    snapshot = log.registry.snapshot(START)
    assert reasons(snapshot) == {("asp-0", "mu-0"): "no-gap-model"}
    log.send(PROVIDER, "asp-0", PATCH, {"gap_scale": 0.5})
    assert reasons(log.registry.snapshot(START)) == {("asp-0", "mu-0"): "no-gap-model"}
    log.send(PROVIDER, "asp-0", PATCH, {"example_ambiguity": 0.2})
    assert reasons(log.registry.snapshot(START)) == {}
    log.send(PROVIDER, "asp-0", PATCH, {"gap_scale": 16.0})  # 16·(1/4)² = 1: no gap
    assert reasons(log.registry.snapshot(START)) == {("asp-0", "mu-0"): "no-such-gap"}
    log.send(PROVIDER, "asp-0", PATCH, {"gap_scale": 0.5, "example_ambiguity": 0})
    assert reasons(log.registry.snapshot(START)) == {("asp-0", "mu-0"): "no-such-gap"}
    log.send(PROVIDER, "asp-1", PATCH, {"snr_db": None})
    log.send(PROVIDER, "asp-1", LINKS, {"mu-1": 5.0, "mu-2": 5.0})
    log.send(PROVIDER, "asp-1", LINKS, {"mu-2": None})
    log.send(PROVIDER, "asp-0", PATCH, {"bandwidth_load": 1})
    assert reasons(log.registry.snapshot(START)) == {
        ("asp-0", "mu-0"): "no-capacity",
        ("asp-0", "mu-1"): "no-capacity",
        ("asp-0", "mu-2"): "no-capacity",
        ("asp-1", "mu-0"): "no-snr",
        ("asp-1", "mu-2"): "no-snr",
    }
    assert log.registry.snapshot(START).present.tolist() == [[False] * 3, [False, True, False]]


def test_the_list_of_what_is_left_out_is_short() -> None:
    log = Log()
    log.provider("asp-0", snr_db=None)
    for k in range(30):
        log.user(f"mu-{k:02}", "asp-0")
    left_out = log.registry.snapshot(START).left_out
    assert left_out.count == 30
    assert [item.user for item in left_out.first] == [f"mu-{k:02}" for k in range(20)]


def test_load_takes_its_share_of_capacities() -> None:
    log = small()
    log.send(PROVIDER, "asp-0", PATCH, {"compute_load": 0.25, "bandwidth_load": 1})
    log.send(PROVIDER, "asp-1", PATCH, {"bandwidth_load": 0.5})
    market = log.registry.snapshot(START).market()
    assert market is not None
    assert market.compute_capacity.tolist() == [5.25, 50_000.0]
    assert market.bandwidth_capacity.tolist() == [1e-12, 10_000.0]
    assert not market.present[0].any()


@pytest.mark.parametrize("who", ["nobody", "providers", "users", "no demand"])
def test_there_may_be_nobody_to_serve(who: str) -> None:
    log = Log()
    if who in ("providers", "no demand"):
        log.provider("asp-0")
    if who in ("users", "no demand"):
        log.user("mu-0")
    snapshot = log.registry.snapshot(START)
    assert snapshot.market() is None
    assert snapshot.left_out.count == 0
    assert pickle.loads(pickle.dumps(snapshot)).market() is None


def test_a_market_with_idle_nodes_is_solved_and_certified() -> None:
    import qoex

    log = small()
    log.provider("asp-2")  # nobody demands anything of it
    log.send(PROVIDER, "asp-0", PATCH, {"compute_load": 1})
    log.send(USER, "mu-3", EntryKind.PUT, user_body())  # demands nothing
    market = log.registry.snapshot(START).market()
    assert market is not None
    solution = qoex.solve(market)
    certificate = qoex.certify(market, solution)
    assert certificate.regret <= 1e-9 * certificate.utility_scale
    assert solution.qoe[1, :3].min() > 0
    assert solution.qoe[0].max() == solution.qoe[2].max() == 0.0
