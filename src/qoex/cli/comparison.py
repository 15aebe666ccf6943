"""Every scheme on one market, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qoex.certificate import certify, judged
from qoex.cli.render import Column, View, table
from qoex.errors import QoexError
from qoex.game.metrics import Metrics, price_of_anarchy, score
from qoex.game.solution import Solution
from qoex.mechanisms.schemes import SCHEMES, TOTAL_REWARD, ratio, run
from qoex.model.market import Market
from qoex.model.tokens import Tokens
from qoex.text.numbers import column

# The other total that the paper gives the ratio scheme, money per ms.
SECOND_TOTAL = 1.0

_LONGEST_REMARK = 400  # characters: five lines


@dataclass(frozen=True)
class Outcome:
    """What one scheme makes of a market.

    Attributes:
        scheme: its name, with the total reward of a ratio scheme.
        solution: what it ends with; None where it cannot run.
        metrics: of that solution; None where there is none, or it does not solve the market.
        anarchy: welfare of the social optimum over that of this scheme, dimensionless; NaN where
            one of them is not known or not positive.
        remarks: why there are no metrics, or what one must know to read them.
    """

    scheme: str
    solution: Solution | None
    metrics: Metrics | None
    anarchy: float
    remarks: tuple[str, ...]


def run_all(
    market: Market,
    tokens: Tokens | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> list[Outcome]:
    """Run every scheme, and the ratio scheme with both of the paper's totals.

    Args:
        market: N providers × M users.
        tokens: token counts, N×M each, for the schemes that price tokens.
        progress: called with the share of the schemes done, up to 1.
    """
    calls = list(_calls(market, tokens))
    ends: dict[str, Solution | QoexError] = {}
    for name, call in calls:
        try:
            end = call()
            ends[name] = judged(end, certify(market, end)) if name == "proposed" else end
        except QoexError as error:
            ends[name] = error
        if progress is not None:
            progress(len(ends) / len(calls))
    optimum = _solved(ends["welfare"])
    return [_outcome(market, name, end, optimum) for name, end in ends.items()]


def comparison_data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the JSON object of a comparison: ``schemes``, a list, and ``price_of_anarchy``.

    A scheme has ``scheme``, ``status`` (null if it cannot run), ``metrics`` (the fields of
    ``Metrics`` and ``anarchy``; null if it does not solve the market) and ``remarks``.
    """
    return {
        "schemes": [
            {
                "scheme": item.scheme,
                "status": None if item.solution is None else str(item.solution.status),
                "metrics": None
                if item.metrics is None
                else {**asdict(item.metrics), "anarchy": _or_null(item.anarchy)},
                "remarks": list(item.remarks),
            }
            for item in outcomes
        ],
        "price_of_anarchy": _or_null(_proposed(outcomes).anarchy),
    }


def comparison_view(outcomes: Sequence[Outcome], width: int) -> View:
    """Return two tables (what a scheme takes, what it gives), and remarks on single schemes."""
    names = Column("scheme", [item.scheme for item in outcomes], name=True)
    pairs = [
        "–"
        if item.metrics is None
        else f"{item.metrics.served_pairs} of {item.metrics.demanded_pairs}"
        for item in outcomes
    ]
    takes = [
        names,
        Column("demands\nserved", pairs),
        Column("compute\nuse, %", _cells(outcomes, lambda m: 100.0 * m.compute_usage)),
        Column("bandwidth\nuse, %", _cells(outcomes, lambda m: 100.0 * m.bandwidth_usage)),
        Column("user's\npayment", _cells(outcomes, lambda m: m.user_cost)),
        Column("provider's\nresource cost", _cells(outcomes, lambda m: m.provider_cost)),
    ]
    gives = [
        names,
        Column("user's QoE\nms", _cells(outcomes, lambda m: m.mean_qoe)),
        Column("user's\nutility", _cells(outcomes, lambda m: m.user_utility)),
        Column("provider's\nutility", _cells(outcomes, lambda m: m.provider_utility)),
        Column("welfare\n(sum)", _cells(outcomes, lambda m: m.welfare)),
        Column("optimum/\nwelfare", column([item.anarchy for item in outcomes], 5)),
    ]
    view: View = [
        "",
        "What it takes (means over users or providers; money unless it says otherwise)",
        "",
        table(takes, width),
        "",
        "What it gives",
        "",
        table(gives, width),
        "",
        _anarchy_sentence(_proposed(outcomes).anarchy),
    ]
    for item in outcomes:
        for remark in item.remarks:
            text = remark.rstrip(".")
            if len(text) > _LONGEST_REMARK:  # it may name thousands of users
                text = f"{text[:_LONGEST_REMARK]} … (--json has all of it)"
            view.append(f"{item.scheme}: {text}.")
    return view


def _outcome(
    market: Market, name: str, end: Solution | QoexError, optimum: Solution | None
) -> Outcome:
    if isinstance(end, QoexError):
        return Outcome(name, None, None, math.nan, (str(end),))
    if _solved(end) is None:
        return Outcome(name, end, None, math.nan, (end.status.sentence, *end.notes))
    anarchy = math.nan if optimum is None else price_of_anarchy(market, end, optimum)
    return Outcome(name, end, score(market, end), anarchy, end.notes)


def _solved(end: Solution | QoexError) -> Solution | None:
    return end if isinstance(end, Solution) and end.status.ok else None


def _calls(market: Market, tokens: Tokens | None) -> Iterator[tuple[str, Callable[[], Solution]]]:
    for name in SCHEMES:
        if name == "ratio":
            yield f"{name} {TOTAL_REWARD:g}", lambda: ratio(market)
            yield f"{name} {SECOND_TOTAL:g}", lambda: ratio(market, total=SECOND_TOTAL)
        else:
            yield name, lambda name=name: run(name, market, tokens)  # type: ignore[misc]


def _cells(outcomes: Sequence[Outcome], value: Callable[[Metrics], float]) -> list[str]:
    return column([math.nan if o.metrics is None else value(o.metrics) for o in outcomes])


def _proposed(outcomes: Sequence[Outcome]) -> Outcome:
    return next(item for item in outcomes if item.scheme == "proposed")


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _anarchy_sentence(anarchy: float) -> str:
    if math.isnan(anarchy):
        return "Price of anarchy: not known, for it needs two welfares above zero."
    return (
        f"Price of anarchy {anarchy:.5f}: the best welfare there is, over that of the proposed "
        "mechanism."
    )
