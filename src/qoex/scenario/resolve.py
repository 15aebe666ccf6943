"""From a scenario's tables to a market's arrays: defaults, alternatives, eqs. 6 and 7.

What a table gives itself comes before what ``defaults`` gives. That holds for alternatives too: a
demand that gives ``examples`` is not held to a ``performance_gap`` in defaults.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qoex.errors import InvalidInputError, ScenarioError
from qoex.model import qoe
from qoex.model.market import FloatArray, Market
from qoex.model.tokens import Tokens
from qoex.model.work import CachedWork, QuadraticWork, WorkModel
from qoex.scenario.tables import Defaults, Demand, DemandFields, Provider, ScenarioTables, Table
from qoex.text.refusals import demand_place, did_you_mean, shown_name

Pairs = dict[tuple[int, int], Demand]


def market(scenario: ScenarioTables) -> Market:
    """Return the market of a scenario, or raise a ScenarioError that names the place."""
    defaults = scenario.defaults
    _refuse_both(defaults, "performance_gap", ("examples",), "defaults")
    _refuse_both(defaults, "snr_db", ("channel_gain",), "defaults")
    pairs = _present(scenario)
    rows: list[dict[int, Demand]] = [{} for _ in scenario.providers]
    for (n, m), demand in pairs.items():
        rows[n][m] = demand
    work, traffic, budget = (np.zeros(_shape(scenario)) for _ in range(3))
    for n, provider in enumerate(scenario.providers):
        row = rows[n]
        if row:
            columns = list(row)
            demands = list(row.values())
            budget[n, columns] = [_budget(item, provider, defaults) for item in demands]
            work[n, columns] = _work(provider, demands, defaults)
            traffic[n, columns] = _traffic(provider, demands, defaults)
            for m, demand in row.items():
                if work[n, m] == 0 and traffic[n, m] == 0:
                    raise ScenarioError(
                        f"work and traffic of {_place(demand)} are both zero; "
                        "say absent = true instead"
                    )
    providers = [(item, f"provider {shown_name(item.name)}") for item in scenario.providers]
    users = [(item, f"user {shown_name(item.name)}") for item in scenario.users]

    def column(tables: list[tuple[Any, str]], field: str) -> list[float]:
        return [_required(table, defaults, field, place) for table, place in tables]

    try:
        return Market(
            work=work,
            traffic=traffic,
            latency_budget=budget,
            compute_cost=column(providers, "compute_cost"),
            bandwidth_cost=column(providers, "bandwidth_cost"),
            compute_capacity=column(providers, "compute_capacity"),
            bandwidth_capacity=column(providers, "bandwidth_capacity"),
            profit_factor=column(users, "profit_factor"),
            reward_min=column(users, "reward_min"),
            reward_max=column(users, "reward_max"),
            provider_names=[item.name for item in scenario.providers],
            user_names=[item.name for item in scenario.users],
        )
    except ScenarioError:
        raise
    except InvalidInputError as error:
        raise ScenarioError(str(error)) from None


def tokens(scenario: ScenarioTables) -> Tokens | None:
    """Return the token counts of a scenario, or None if a present demand gives none."""
    counts: dict[str, FloatArray] = {}
    for field in ("input_tokens", "output_tokens"):
        counts[field] = np.zeros(_shape(scenario))
        for pair, demand in _present(scenario).items():
            value = _given(demand, scenario.defaults, field)
            if value is None:
                return None
            counts[field][pair] = value
    return Tokens(**counts)


def _shape(scenario: ScenarioTables) -> tuple[int, int]:
    return len(scenario.providers), len(scenario.users)


def _present(scenario: ScenarioTables) -> Pairs:
    """Return the present demands by provider and user index, once each pair is settled."""
    rows = _indices("providers", [item.name for item in scenario.providers])
    columns = _indices("users", [item.name for item in scenario.users])
    pairs: Pairs = {}
    for position, demand in enumerate(scenario.demands):
        n = _index("provider", demand.provider, rows, position)
        m = _index("user", demand.user, columns, position)
        if (n, m) in pairs:
            raise ScenarioError(f"{_place(demand)} is given more than once")
        if demand.absent:
            given = [
                name for name in DemandFields.model_fields if getattr(demand, name) is not None
            ]
            if given:
                raise ScenarioError(f"{_place(demand)} is absent, so it cannot give {given[0]}")
        _refuse_both(demand, "performance_gap", ("examples",), _place(demand))
        _refuse_both(demand, "snr_db", ("channel_gain", "noise_power"), _place(demand))
        pairs[n, m] = demand
    if scenario.defaults.missing_demands == "error" and len(pairs) < len(rows) * len(columns):
        user, provider = next(
            (user, provider)
            for provider, n in rows.items()
            for user, m in columns.items()
            if (n, m) not in pairs
        )
        raise ScenarioError(
            f"{demand_place(user, provider)} is missing; give it, or set "
            'missing_demands = "absent" in defaults'
        )
    return {pair: demand for pair, demand in pairs.items() if not demand.absent}


def _indices(table: str, names: list[str]) -> dict[str, int]:
    indices = {name: position for position, name in enumerate(names)}
    if len(indices) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ScenarioError(f"{table} hold the name {twice!r} more than once")
    return indices


def _index(kind: str, name: str, indices: dict[str, int], position: int) -> int:
    if name not in indices:
        raise ScenarioError(
            f"demands[{position}] names the {kind} {name!r}, and there is none of that name"
            + did_you_mean(name, indices)
        )
    return indices[name]


def _place(demand: Demand) -> str:
    return demand_place(demand.user, demand.provider)


def _given(table: Table, defaults: Defaults, field: str) -> Any:
    own = getattr(table, field)
    return getattr(defaults, field) if own is None else own


def _required(
    table: Table, defaults: Defaults, field: str, place: str, alternative: str = ""
) -> float:
    value = _given(table, defaults, field)
    if value is None:
        raise ScenarioError(f"{field}{alternative} of {place} is missing; defaults has none either")
    return float(value)


def _refuse_both(table: Table, one: str, others: tuple[str, ...], place: str) -> None:
    for other in others:
        if getattr(table, one) is not None and getattr(table, other) is not None:
            raise ScenarioError(f"{place} gives both {one} and {other}; give one of them")


def _budget(demand: Demand, provider: Provider, defaults: Defaults) -> float:
    if demand.latency_budget is not None:
        return demand.latency_budget
    place = f"provider {shown_name(provider.name)}"
    return _required(provider, defaults, "latency_budget", place)


def _work(provider: Provider, demands: list[Demand], defaults: Defaults) -> FloatArray:
    """Return a of one provider's demands, TFLOPS·ms (eq. 7), as given or as its model says."""
    work = np.array([_given(item, defaults, "work") for item in demands], dtype=np.float64)
    wanted = np.isnan(work)  # None reads as NaN, and no table holds a NaN
    computed = [item for item, want in zip(demands, wanted, strict=True) if want]
    if computed:
        inputs = _column(computed, defaults, "input_tokens", " (or work)")
        outputs = _column(computed, defaults, "output_tokens", " (or work)")
        gaps = [_gap(item, provider, defaults) for item in computed]
        with np.errstate(over="ignore"):  # the market refuses an infinity, by place
            work[wanted] = _work_model(provider, defaults).work(inputs, outputs, gaps)
    return work


def _traffic(provider: Provider, demands: list[Demand], defaults: Defaults) -> FloatArray:
    """Return b of one provider's demands, MHz·ms (eq. 7), as given or from tokens and SNR."""
    traffic = np.array([_given(item, defaults, "traffic") for item in demands], dtype=np.float64)
    wanted = np.isnan(traffic)
    computed = [item for item, want in zip(demands, wanted, strict=True) if want]
    if computed:
        inputs = _column(computed, defaults, "input_tokens", " (or traffic)")
        outputs = _column(computed, defaults, "output_tokens", " (or traffic)")
        ratios = [_snr(item, provider, defaults) for item in computed]
        traffic[wanted] = qoe.traffic(inputs, outputs, ratios)
    return traffic


def _column(demands: list[Demand], defaults: Defaults, field: str, alternative: str) -> list[float]:
    return [_required(item, defaults, field, _place(item), alternative) for item in demands]


def _gap(demand: Demand, provider: Provider, defaults: Defaults) -> float:
    """Return θ̂ of a demand, as given or by eq. 6 from its examples."""
    if demand.performance_gap is not None:
        return demand.performance_gap
    examples = demand.examples
    if examples is None and defaults.performance_gap is not None:
        return defaults.performance_gap
    if examples is None:
        examples = defaults.examples
    if examples is None:
        return _required(
            demand, defaults, "performance_gap", _place(demand), " (or examples, or work)"
        )
    place = f"provider {shown_name(provider.name)}"
    scale = _required(provider, defaults, "gap_scale", place)
    ambiguity = _required(provider, defaults, "example_ambiguity", place)
    gap = float(qoe.gap_from_examples(examples, scale, ambiguity))
    if not 0.0 < gap < 1.0:
        raise ScenarioError(
            f"examples of {_place(demand)} is {examples!r}, which gives a performance gap of "
            f"{gap!r} at gap_scale {scale!r} and example_ambiguity {ambiguity!r} (eq. 6); "
            "it must be greater than zero and less than 1"
        )
    return gap


def _snr(demand: Demand, provider: Provider, defaults: Defaults) -> float:
    """Return γ of a demand (linear), from decibels or from its channel."""
    own_channel = demand.channel_gain is not None or demand.noise_power is not None
    decibels = demand.snr_db
    if decibels is None and not own_channel:
        decibels = defaults.snr_db
    if decibels is not None:
        return float(qoe.from_decibels(decibels))
    if not own_channel and defaults.channel_gain is None:
        return _required(
            demand, defaults, "snr_db", _place(demand), " (or channel_gain and noise_power)"
        )
    gain = _required(demand, defaults, "channel_gain", _place(demand))
    noise = _required(demand, defaults, "noise_power", _place(demand))
    place = f"provider {shown_name(provider.name)}"
    power = _required(provider, defaults, "transmit_power", place)
    with np.errstate(over="ignore", under="ignore"):
        ratio = float(qoe.snr_from_channel(gain, power, noise))
    if not 0.0 < ratio < np.inf:
        raise ScenarioError(
            f"the signal-to-noise ratio of {_place(demand)} is {ratio!r}, from channel_gain "
            f"{gain!r}, transmit_power {power!r} and noise_power {noise!r}; it must be greater "
            "than zero and finite"
        )
    return ratio


def _work_model(provider: Provider, defaults: Defaults) -> WorkModel:
    place = f"provider {shown_name(provider.name)}"
    try:
        if (_given(provider, defaults, "work_model") or "quadratic") == "quadratic":
            return QuadraticWork(_required(provider, defaults, "work_per_token_pair", place))
        return CachedWork(
            work_per_request=_given(provider, defaults, "work_per_request") or 0.0,
            work_per_input_token=_required(provider, defaults, "work_per_input_token", place),
            work_per_output_token=_required(provider, defaults, "work_per_output_token", place),
            work_per_token_pair=_given(provider, defaults, "work_per_token_pair") or 0.0,
        )
    except ScenarioError:
        raise
    except InvalidInputError as error:
        raise ScenarioError(f"the work model of {place} cannot be: {error}") from None
