"""What a sweep can vary: each axis changes a scenario to one of the values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qoex.errors import ScenarioError
from qoex.scenario import Scenario
from qoex.text.refusals import demand_place

Change = Callable[[Scenario, float], Scenario]


@dataclass(frozen=True)
class Axis:
    """One quantity that can be varied.

    Attributes:
        label: its name as figures and sentences have it.
        unit: its unit, or nothing for a number of things.
        change: returns the scenario with the quantity at a value, which only its ``market()``
            checks; raises a ScenarioError where the scenario lacks what is to vary.
        whole: whether only whole numbers make sense.
        size: "providers" or "users" where it is the number of them.
    """

    label: str
    unit: str
    change: Change
    whole: bool = False
    size: str = ""


def restrict(scenario: Scenario, providers: int, users: int) -> Scenario:
    """Return the first providers and users of a scenario, with their demands of each other.

    A larger market thus holds a smaller one, and adding users adds nothing but users.
    """
    kept_providers, kept_users = scenario.providers[:providers], scenario.users[:users]
    provider_names = {item.name for item in kept_providers}
    user_names = {item.name for item in kept_users}
    return scenario.model_copy(
        update={
            "providers": kept_providers,
            "users": kept_users,
            "demands": tuple(
                demand
                for demand in scenario.demands
                if demand.provider in provider_names and demand.user in user_names
            ),
        }
    )


def _count(kind: str) -> Change:
    def change(scenario: Scenario, value: float) -> Scenario:
        sizes = {"providers": len(scenario.providers), "users": len(scenario.users)}
        return restrict(scenario, **{**sizes, kind: int(value)})

    return change


def _of_first_pair(fields: Callable[[float], Mapping[str, Any]]) -> Change:
    """Change the demand of the first user at the first provider (Q_11 in section VI-A)."""

    def change(scenario: Scenario, value: float) -> Scenario:
        pair = (scenario.users[0].name, scenario.providers[0].name)
        demands = {(demand.user, demand.provider): demand for demand in scenario.demands}
        first = demands.get(pair)
        if first is None or first.absent:
            raise ScenarioError(f"{demand_place(*pair)}, which is to vary, is absent")
        demands[pair] = first.model_copy(update=dict(fields(value)))
        return scenario.model_copy(update={"demands": tuple(demands.values())})

    return change


def _of_every(table: str, field: str) -> Change:
    """Set a field of every provider or of every user."""

    def change(scenario: Scenario, value: float) -> Scenario:
        entries = tuple(
            entry.model_copy(update={field: float(value)}) for entry in getattr(scenario, table)
        )
        return scenario.model_copy(update={table: entries})

    return change


AXES: dict[str, Axis] = {
    "users": Axis("number of users", "", _count("users"), whole=True, size="users"),
    "providers": Axis("number of providers", "", _count("providers"), whole=True, size="providers"),
    "performance_gap": Axis(
        "accuracy bound of pair (1, 1)",
        "",
        _of_first_pair(lambda value: {"performance_gap": float(value), "examples": None}),
    ),
    "examples": Axis(
        "examples of pair (1, 1)",
        "",
        _of_first_pair(lambda value: {"examples": float(value), "performance_gap": None}),
    ),
    "input_tokens": Axis(
        "input tokens of pair (1, 1)",
        "",
        _of_first_pair(lambda value: {"input_tokens": float(value)}),
    ),
    "output_tokens": Axis(
        "output tokens of pair (1, 1)",
        "",
        _of_first_pair(lambda value: {"output_tokens": float(value)}),
    ),
    "latency_budget": Axis(
        "latency budget of pair (1, 1)",
        "ms",
        _of_first_pair(lambda value: {"latency_budget": float(value)}),
    ),
    "snr_db": Axis(
        "SNR of pair (1, 1)",
        "dB",
        _of_first_pair(
            lambda value: {"snr_db": float(value), "channel_gain": None, "noise_power": None}
        ),
    ),
    "compute_capacity": Axis(
        "compute of every provider", "TFLOPS", _of_every("providers", "compute_capacity")
    ),
    "bandwidth_capacity": Axis(
        "bandwidth of every provider", "MHz", _of_every("providers", "bandwidth_capacity")
    ),
    "compute_cost": Axis(
        "unit cost of compute", "money/TFLOPS", _of_every("providers", "compute_cost")
    ),
    "bandwidth_cost": Axis(
        "unit cost of bandwidth", "money/MHz", _of_every("providers", "bandwidth_cost")
    ),
    "profit_factor": Axis(
        "profit factor of every user", "money", _of_every("users", "profit_factor")
    ),
}
