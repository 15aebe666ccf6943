"""What a solution means to one user or to one provider, in sentences."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qoex.certificate import CERTIFIED
from qoex.game.solution import CapacityState, Regime, Solution
from qoex.model.market import BoolArray, FloatArray, Market
from qoex.text.numbers import counted, listed, number, percent
from qoex.text.refusals import shown_name

# A reward within this share of a bound is at the bound: far above rounding.
_AT_BOUND = 1e-9
# Users named of those who pay a provider the most.
_NAMED = 3


class Regrets(Protocol):
    """What a certificate says of deviations; see :class:`qoex.certificate.Certificate`."""

    @property
    def regret_per_user(self) -> FloatArray: ...  # noqa: D102
    @property
    def best_deviation(self) -> FloatArray: ...  # noqa: D102
    @property
    def utility_scale(self) -> float: ...  # noqa: D102
    @property
    def bounded(self) -> BoolArray | None: ...  # noqa: D102


def explain_user(market: Market, solution: Solution, certificate: Regrets, user: int) -> list[str]:
    """Return paragraphs on one user: payments, latency, capacities, what a deviation would bring.

    Args:
        market: N providers × M users.
        solution: how it was settled.
        certificate: of that solution.
        user: index of the user.
    """
    name = shown_name(market.user_names[user])
    present = [int(n) for n in np.flatnonzero(market.present[:, user])]
    if not present:
        return [f"{name} demands nothing of any provider, so it pays nothing and gets nothing."]
    bought = [n for n in present if solution.qoe[n, user] > 0]
    return [
        _payments(market, solution, user, bought),
        *(_latency(market, solution, user, n) for n in bought),
        *(_nothing_bought(market, solution, user, n) for n in present if n not in bought),
        *(_capacities(market, solution, n) for n in present),
        _deviation(market, solution, certificate, user, present),
    ]


def explain_provider(market: Market, solution: Solution, provider: int) -> list[str]:
    """Return paragraphs on one provider: what it earns, what is scarce, who pays it most.

    Args:
        market: N providers × M users.
        solution: how it was settled.
        provider: index of the provider.
    """
    users = np.flatnonzero(market.present[provider])
    if not users.size:
        name = _provider(market, provider)
        return [f"Nobody demands anything of {name}, so it earns nothing and spends nothing."]
    payments = solution.rewards[provider, users] * solution.qoe[provider, users]
    paragraphs = [
        _earnings(market, solution, provider, float(payments.sum())),
        _capacities(market, solution, provider),
    ]
    if (payments > 0).any():
        paragraphs.append(_best_payers(market, solution, provider, users, payments))
    idle = int(np.count_nonzero(solution.qoe[provider, users] == 0))
    if idle:
        paragraphs.append(_unserved(provider_users=users.size, idle=idle))
    return paragraphs


def _earnings(market: Market, solution: Solution, n: int, paid: float) -> str:
    users = counted(int(np.count_nonzero(solution.qoe[n] > 0)), "user")
    costs = [
        f"{number(float(cost * used))} on {number(used)} {unit} of {word}"
        for word, unit, cost, used in (
            ("compute", "TFLOPS", market.compute_cost[n], float(solution.compute_state.use[n])),
            ("bandwidth", "MHz", market.bandwidth_cost[n], float(solution.bandwidth_state.use[n])),
        )
    ]
    return (
        f"{_provider(market, n)} is paid {number(paid)} by {users} for "
        f"{number(float(solution.qoe[n].sum()))} ms of QoE, and spends {listed(costs)}. "
        f"That leaves it {number(float(solution.provider_utility[n]))}."
    )


def _best_payers(
    market: Market, solution: Solution, n: int, users: NDArray[np.intp], payments: FloatArray
) -> str:
    most = [i for i in np.argsort(-payments, kind="stable")[:_NAMED] if payments[i] > 0]
    parts = [
        f"by {shown_name(market.user_names[users[i]])}, {number(float(payments[i]))} "
        f"({percent(float(payments[i] / payments.sum()))}) for "
        f"{number(float(solution.qoe[n, users[i]]))} ms with "
        f"{number(float(solution.compute[n, users[i]]))} TFLOPS and "
        f"{number(float(solution.bandwidth[n, users[i]]))} MHz"
        for i in most
    ]
    return f"Most of it is paid {'; '.join(parts)}."


def _unserved(*, provider_users: int, idle: int) -> str:
    if idle == provider_users:
        return (
            "None of its users buys QoE: each gets an answer just within the latency it tolerates, "
            "for nothing."
        )
    return (
        f"{idle} of its {counted(provider_users, 'user')} "
        f"{'buys' if idle == 1 else 'buy'} no QoE, and {'gets' if idle == 1 else 'get'} an answer "
        "just within the latency tolerated, for nothing."
    )


def _payments(market: Market, solution: Solution, user: int, bought: list[int]) -> str:
    name = shown_name(market.user_names[user])
    if not bought:
        return f"{name} buys no QoE from anyone, so it pays nothing; its utility is 0."
    qoe, rewards = solution.qoe[:, user], solution.rewards[:, user]
    parts = [
        f"{number(rewards[n] * qoe[n])} to {_provider(market, n)} for {number(qoe[n])} ms of QoE "
        f"at {number(rewards[n])} per ms{_at_bound(market, user, float(rewards[n]))}"
        for n in bought
    ]
    total = float(rewards @ qoe)
    all_of_it = f"{number(total)} in all: " if len(bought) > 1 else ""
    gain = float(market.profit_factor[user] * np.log1p(qoe.sum()))
    return (
        f"{name} pays {all_of_it}{listed(parts, most=len(parts))}. The QoE is worth {number(gain)} "
        f"to it, so its utility is {number(float(solution.user_utility[user]))}. "
        f"One more ms would be worth {number(_marginal_gain(market, solution, user))}."
    )


def _at_bound(market: Market, user: int, reward: float) -> str:
    for bound, which in ((market.reward_max[user], "most"), (market.reward_min[user], "least")):
        if abs(reward - bound) <= _AT_BOUND * bound:
            return f" (the {which} that it may offer)"
    return ""


def _latency(market: Market, solution: Solution, user: int, n: int) -> str:
    # eq. 7: latency is the sum of a/f and b/B
    computing = _share(market.work[n, user], solution.compute[n, user])
    transmitting = _share(market.traffic[n, user], solution.bandwidth[n, user])
    latency, budget = computing + transmitting, float(market.latency_budget[n, user])
    parts = [
        f"{number(time)} ms ({percent(time / latency)}) {doing} {number(given)} {unit}"
        for time, doing, given, unit in (
            (computing, "computing on", float(solution.compute[n, user]), "TFLOPS"),
            (transmitting, "transmitting over", float(solution.bandwidth[n, user]), "MHz"),
        )
        if time > 0
    ]
    return (
        f"At {_provider(market, n)} latency is {number(latency)} ms, {percent(latency / budget)} "
        f"of the {number(budget)} ms it tolerates: {' and '.join(parts)}."
    )


def _share(amount: float, given: float) -> float:
    return float(amount / given) if amount > 0 else 0.0


def _nothing_bought(market: Market, solution: Solution, user: int, n: int) -> str:
    """Say why a pair has no QoE: what its user would offer lies below the threshold t²."""
    height = np.sqrt(market.work[n, user] * solution.compute_state.price[n])
    height += np.sqrt(market.traffic[n, user] * solution.bandwidth_state.price[n])
    threshold = float((height / market.latency_budget[n, user]) ** 2)
    gain = _marginal_gain(market, solution, user)
    most = float(market.reward_max[user])
    offer = (
        f"a ms of QoE is worth only {number(gain)} to the user"
        if gain <= most
        else f"the user may offer no more than {number(most)} per ms"
    )
    return (
        f"At {_provider(market, n)} it buys no QoE: {offer}, and the provider begins to deliver "
        f"at {number(threshold)} per ms. All it gets is an answer just within the "
        f"{number(float(market.latency_budget[n, user]))} ms it tolerates, for nothing."
    )


def _capacities(market: Market, solution: Solution, n: int) -> str:
    name = _provider(market, n)
    compute = _capacity(
        solution.compute_state,
        n,
        "compute",
        "TFLOPS",
        market.compute_capacity[n],
        market.compute_cost[n],
    )
    bandwidth = _capacity(
        solution.bandwidth_state,
        n,
        "bandwidth",
        "MHz",
        market.bandwidth_capacity[n],
        market.bandwidth_cost[n],
    )
    states = solution.compute_state.regime[n], solution.bandwidth_state.regime[n]
    scarce = [
        word
        for word, state in zip(("compute", "bandwidth"), states, strict=True)
        if state is Regime.BINDING
    ]
    heading = (
        f"{' and '.join(scarce).capitalize()} {'are' if len(scarce) > 1 else 'is'} scarce at {name}"
        if scarce
        else f"Nothing is scarce at {name}"
    )
    return f"{heading}: {compute}; {bandwidth}."


def _capacity(
    state: CapacityState, n: int, word: str, unit: str, capacity: float, cost: float
) -> str:
    use, price = float(state.use[n]), float(state.price[n])
    if state.regime[n] is Regime.SLACK:
        return (
            f"{percent(use / capacity)} of {number(capacity)} {unit} of {word} is in use, at its "
            f"unit cost of {number(cost)}"
        )
    if state.regime[n] is Regime.PINNED:
        return (
            f"all {number(capacity)} {unit} of {word} are in use, yet the price is still the unit "
            f"cost of {number(cost)}, and one more would be worth nothing"
        )
    return (
        f"all {number(capacity)} {unit} of {word} are in use at a price of {number(price)}, "
        f"{number(price / cost, 3)} times the unit cost of {number(cost)}, so one more would be "
        f"worth {number(price - cost)} beyond its cost"
    )


def _deviation(
    market: Market, solution: Solution, certificate: Regrets, user: int, present: list[int]
) -> str:
    regret = float(certificate.regret_per_user[user])
    if regret <= CERTIFIED * certificate.utility_scale:
        return "It cannot gain by other rewards."
    if certificate.bounded is not None and certificate.bounded[user]:
        return f"It gains no more than {number(regret)} by other rewards; nobody searched for them."
    changes = [
        f"{_provider(market, n)} {number(float(certificate.best_deviation[n, user]))} instead of "
        f"{number(float(solution.rewards[n, user]))}"
        for n in present
    ]
    return (
        f"It would gain {number(regret)} by offering {listed(changes, most=len(changes))} per ms "
        f"(the other users as they are)."
    )


def _marginal_gain(market: Market, solution: Solution, user: int) -> float:
    """Return p = μ/(1 + ΣQ), money per ms: the slope of eq. 9's first term."""
    return float(market.profit_factor[user] / (1.0 + solution.qoe[:, user].sum()))


def _provider(market: Market, n: int) -> str:
    return shown_name(market.provider_names[n])
