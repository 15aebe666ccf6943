"""What section VI-C states of the schemes as providers join (Fig. 8), and its summary."""

from __future__ import annotations

from qoex.experiments.claims.changes import Direction, Order, Trend
from qoex.experiments.claims.claim import Claim
from qoex.experiments.claims.levels import FullUse
from qoex.experiments.claims.reductions import Reduction

_USAGE = ("compute_usage", "bandwidth_usage")
_RATIOS = ("ratio-5", "ratio-1")
_JOINT = (*_RATIOS, "token")
_OTHERS = (*_JOINT, "only-f", "only-b")

_OTHERS_NOTE = (
    '"The other schemes" are all five. The three that allocate both resources jointly stand beside '
    "them, since the paper gives its reductions of Fig. 7 for these alone."
)

_USAGE_WHY = (
    "only-b hands out all compute, so that it hardly needs bandwidth, and relative to it proposed "
    "uses several times as much; compared to the other schemes alone, or to the mean of all, it "
    "uses less, though not by as much, since compute runs short under Table III's ranges."
)
_USER_COST_WHY = (
    "The paper itself has users pay less under only-f than under proposed, and under only-b, where "
    "compute is shared out, they pay for cheap bandwidth alone; relative to it proposed costs "
    "many times as much, while compared to the joint schemes alone, or to the mean of all, it "
    "costs less, and the verdict would be another."
)
_PROVIDER_COST_WHY = (
    "Nearly all of the cost is that of compute, which runs short under Table III's ranges, so that "
    "no scheme leaves much of it unused; where capacities are ample the saving is larger."
)


def _saving(name: str, statement: str, columns: tuple[str, ...], why: str) -> tuple[Claim, Claim]:
    """Return the claim for Fig. 8 and the one of the summary."""
    figures = {"usage": "Figs. 8a and 8b", "user-cost": "Fig. 8c", "provider-cost": "Fig. 8d"}
    eight, both = {
        "usage": (73.0, 64.9),
        "user-cost": (75.0, 66.5),
        "provider-cost": (84.0, 76.8),
    }[name]
    note = _OTHERS_NOTE
    if name == "provider-cost":
        read = 'what the summary calls "resource consumption" of providers is read as their cost.'
        note = f"{note} As in Fig. 8d, {read}"

    def rule(tables: tuple[str, ...], paper: float) -> Reduction:
        return Reduction(tables, "proposed", _OTHERS, columns, paper, part=_JOINT)

    return (
        Claim(
            f"VI-C.providers-{name}",
            f"VI-C, fourth paragraph; {figures[name]}",
            f"Over 1 to 5 providers, {statement}.",
            f"about {eight:g} %",
            rule(("providers",), eight),
            note=_OTHERS_NOTE,
            why=why,
            trade=_OTHERS,
        ),
        Claim(
            f"VI-C.summary-{name}",
            "VI-C, last paragraph; abstract",
            f"On average over both figures, {statement}.",
            f"about {both:g} %",
            rule(("users", "providers"), both),
            note=note,
            why=why,
            trade=_OTHERS,
        ),
    )


_SAVINGS = (
    _saving("usage", "proposed uses less of the resources than other schemes", _USAGE, _USAGE_WHY),
    _saving(
        "user-cost",
        "users pay less under proposed than under other schemes",
        ("user_cost",),
        _USER_COST_WHY,
    ),
    _saving(
        "provider-cost",
        "providers have less cost under proposed than under other schemes",
        ("provider_cost",),
        _PROVIDER_COST_WHY,
    ),
)

SECTION_VI_C_PROVIDERS = (
    *(eight for eight, _ in _SAVINGS),
    Claim(
        "VI-C.providers-user-cost-falls",
        "VI-C, fourth paragraph; Fig. 8c",
        "With more providers, the mean user cost of proposed falls.",
        "falls",
        Trend("providers", "proposed", "user_cost", Direction.FALLS),
        why="Every provider gets less from users as others join, but there are more of them to "
        "pay, and nothing makes the sum fall once compute is no longer short.",
        trade=_OTHERS,
    ),
    Claim(
        "VI-C.providers-provider-cost-falls",
        "VI-C, fourth paragraph; Fig. 8d",
        "With more providers, the mean provider cost of proposed falls.",
        "falls",
        Trend("providers", "proposed", "provider_cost", Direction.FALLS),
        trade=_OTHERS,
    ),
    *(
        Claim(
            f"VI-C.providers-ratio-1-{what.replace(' ', '-')}",
            f"VI-C, fourth paragraph; {figure}",
            f"Over 1 to 5 providers, ratio-1 has a lower {what} than ratio-5.",
            "lower",
            Order("providers", "ratio-1", ("ratio-5",), what.replace(" ", "_")),
            note="The paper says that ratio-1 clearly outperforms ratio-5 and not in what; each "
            "measure of Fig. 8 is judged as a claim.",
            why=why,
            trade=_RATIOS,
        )
        for what, figure, why in (
            (
                "compute usage",
                "Fig. 8a",
                "With few providers both schemes use all compute, which leaves nothing between "
                "them.",
            ),
            ("bandwidth usage", "Fig. 8b", ""),
            ("user cost", "Fig. 8c", ""),
            ("provider cost", "Fig. 8d", ""),
        )
    ),
    Claim(
        "VI-C.providers-token-cost-rises",
        "VI-C, fourth paragraph; Fig. 8d",
        "With more providers, the mean provider cost of token rises.",
        "rises",
        Trend("providers", "token", "provider_cost", Direction.RISES),
        why="A reward of token depends on nothing but the pair's tokens, so that a provider "
        "answers as if it were alone: further providers move the mean by their own draws only, "
        "neither up nor down.",
        trade=("token",),
    ),
    *(
        Claim(
            f"VI-C.providers-token-{resource}-full",
            f"VI-C, fourth paragraph; {figure}",
            f"At every number of providers, token uses all {resource}.",
            "1.0",
            FullUse("providers", "token", f"{resource}_usage"),
            note="The paper speaks of the usage ratio and names no resource; both are judged.",
            why=why,
            trade=("token",),
        )
        for resource, figure, why in (
            ("compute", "Fig. 8a", ""),
            (
                "bandwidth",
                "Fig. 8b",
                "The paper gives no token prices, and at those assumed it does not pay providers "
                "to hand out all of their bandwidth.",
            ),
        )
    ),
    *(summary for _, summary in _SAVINGS),
)
