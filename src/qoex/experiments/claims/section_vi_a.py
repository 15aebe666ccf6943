"""What section VI-A states: one demand that changes, and market sizes (Figs. 5 and 6)."""

from __future__ import annotations

from qoex.experiments.claims.changes import Direction, GreatestChange, Trend
from qoex.experiments.claims.claim import Claim
from qoex.experiments.claims.levels import Within

_RISES, _FALLS, _NOT_FALLS = Direction.RISES, Direction.FALLS, Direction.NOT_FALLS


def _demand(
    name: str,
    place: str,
    statement: str,
    table: str,
    column: str,
    direction: Direction,
    *,
    note: str = "",
    why: str = "",
) -> Claim:
    rule = Trend(table, "proposed", column, direction)
    return Claim(f"VI-A.{name}", place, statement, str(direction), rule, note, why)


def _accuracy(name: str, place: str, what: str, column: str, way: Direction, **more: str) -> Claim:
    statement = f"With a laxer accuracy demand of user 1 at provider 1, {what}."
    place = f"VI-A, item 1 (accuracy){place}"
    return _demand(f"accuracy-{name}", place, statement, "accuracy", column, way, **more)


def _tokens(name: str, place: str, what: str, column: str, way: Direction, **more: str) -> Claim:
    statement = f"With more output tokens for user 1 from provider 1, {what}."
    place = f"VI-A, item 2 (output tokens){place}"
    return _demand(f"tokens-{name}", place, statement, "output-tokens", column, way, **more)


def _latency(name: str, place: str, what: str, column: str, way: Direction, **more: str) -> Claim:
    statement = f"With a larger latency budget of user 1 at provider 1, {what}."
    place = f"VI-A, item 3 (latency budget){place}"
    return _demand(f"latency-{name}", place, statement, "latency-budget", column, way, **more)


SECTION_VI_A = (
    _accuracy("reward", "; Fig. 5a", "the reward offered falls", "first_reward", _FALLS),
    _accuracy("qoe", "; Fig. 5a", "the QoE rises", "first_qoe", _RISES),
    _accuracy("compute", "; Fig. 5b", "it takes less compute", "first_compute", _FALLS),
    _accuracy("user", "; Fig. 5c", "user 1's utility rises", "first_user_utility", _RISES),
    _accuracy("payment", "", "the payment RQ to provider 1 falls", "first_payment", _FALLS),
    _accuracy(
        "provider",
        "; Fig. 5c",
        "provider 1 loses no utility",
        "first_provider_utility",
        _NOT_FALLS,
    ),
    _tokens("reward", "; Fig. 5d", "the reward offered rises", "first_reward", _RISES),
    _tokens("compute", "; Fig. 5e", "it takes more compute", "first_compute", _RISES),
    _tokens("bandwidth", "; Fig. 5e", "it takes more bandwidth", "first_bandwidth", _RISES),
    _tokens("user", "; Fig. 5f", "user 1's utility falls", "first_user_utility", _FALLS),
    _tokens(
        "provider",
        "; Fig. 5f",
        "provider 1's utility rises",
        "first_provider_utility",
        _RISES,
        why="Where no capacity binds, provider 1 earns Rκ − 2w√R on the pair, with "
        "w = √(ac) + √(bd). That rises with w at first and then falls, and laxer accuracy lowers "
        "the w that more tokens raise, so that a provider that loses nothing by the one (item 1) "
        "has nothing to gain by the other, unless the top lies in between.",
    ),
    _tokens("payment", "", "the payment RQ to provider 1 rises", "first_payment", _RISES),
    Claim(
        "VI-A.tokens-drive-cost",
        "VI-A, item 2 (output tokens), last sentence",
        "Of the three demands, the output tokens drive cost the most.",
        "largest",
        GreatestChange(
            "output-tokens", ("accuracy", "latency-budget"), "proposed", "first_payment"
        ),
        note="Cost is read as what user 1 pays provider 1, and the drive of a demand as the size "
        "of the change over the paper's five values of it.",
    ),
    _latency("reward", "; Fig. 5g", "the reward offered falls", "first_reward", _FALLS),
    _latency("compute", "; Fig. 5h", "it takes less compute", "first_compute", _FALLS),
    _latency("bandwidth", "; Fig. 5h", "it takes less bandwidth", "first_bandwidth", _FALLS),
    _latency("user", "; Fig. 5i", "user 1's utility rises", "first_user_utility", _RISES),
    _latency(
        "provider",
        "; Fig. 5i",
        "provider 1's utility rises",
        "first_provider_utility",
        _RISES,
    ),
    _latency(
        "payment",
        "",
        "user 1 saves cost at provider 1",
        "first_payment",
        _FALLS,
        note="Cost is read as the payment RQ to provider 1.",
        why="The reward falls more slowly than the QoE grows with the budget, so that their "
        "product rises: user 1 gains by more QoE and not by paying less.",
    ),
    Claim(
        "VI-A.users-provider-utility",
        "VI-A, item 4 (sizes); Fig. 6a",
        "With more users, the mean utility of providers rises.",
        "rises",
        Trend("users", "proposed", "provider_utility", _RISES),
    ),
    Claim(
        "VI-A.users-user-utility",
        "VI-A, item 4 (sizes); Fig. 6a; said again of Fig. 7 in VI-C",
        "With more users, the mean utility of users keeps within 5 %.",
        "within 5 %",
        Within("users", "proposed", "user_utility", 5.0),
        why="Under Table III's ranges compute runs short as users join, and with it everybody's "
        "QoE; where capacities are ample the mean utility moves far less.",
    ),
    Claim(
        "VI-A.providers-user-utility",
        "VI-A, item 4 (sizes); Fig. 6b",
        "With more providers, the mean utility of users rises.",
        "rises",
        Trend("providers", "proposed", "user_utility", _RISES),
    ),
    Claim(
        "VI-A.providers-provider-utility",
        "VI-A, item 4 (sizes); Fig. 6b",
        "With more providers, the mean utility of providers falls.",
        "falls",
        Trend("providers", "proposed", "provider_utility", _FALLS),
    ),
    Claim(
        "VI-A.providers-payment",
        "VI-A, item 4 (sizes); said again of Fig. 8 in VI-C",
        "With more providers, users pay less to each of them.",
        "falls",
        Trend("providers", "proposed", "provider_payment", _FALLS),
    ),
)
