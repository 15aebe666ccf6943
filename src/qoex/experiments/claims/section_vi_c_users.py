"""What section VI-C states of the schemes as users join (Fig. 7); its Ratio1 is ``ratio-5``."""

from __future__ import annotations

from qoex.experiments.claims.changes import Direction, Order, Steadier, Trend
from qoex.experiments.claims.claim import Claim
from qoex.experiments.claims.levels import Endpoints, FullUse, Peak, Range
from qoex.experiments.claims.reductions import Reduction

_RATIOS = ("ratio-5", "ratio-1")
_OTHERS = (*_RATIOS, "token", "only-f", "only-b")

_SCARCE = (
    "Under Table III's ranges compute runs short as users join, until every scheme uses nearly all "
    "of it and nothing is left to save; where capacities are ample the saving is larger."
)
_TWO_RANGES = (
    "A user's cost here is R_total times a weighted mean of its QoE, so it follows the latency "
    "budgets and falls as users share capacities. Besides, where providers answer exactly, it is "
    "at least five times as much for R_total = 5 as for 1 on the same markets, and 5 × 729 "
    "exceeds 3223, so that no exact answer gives both of the paper's ranges."
)
_ADDS_UP = "Every further user brings a demand of its own, so that the use adds up"


def _usage(other: str, paper: float) -> Claim:
    return Claim(
        f"VI-C.users-usage-vs-{other}",
        "VI-C, second paragraph; Figs. 7a and 7b",
        f"Over 5 to 25 users, proposed uses less of the resources than {other}.",
        f"about {paper:g} %",
        Reduction(("users",), "proposed", (other,), ("compute_usage", "bandwidth_usage"), paper),
        why=_SCARCE,
        trade=(other,),
    )


def _ratio_cost(scheme: str, low: float, high: float) -> Claim:
    return Claim(
        f"VI-C.users-user-cost-{scheme}",
        "VI-C, second paragraph; Fig. 7c",
        f"Over 5 to 25 users, the mean user cost of {scheme} varies over a wide range.",
        f"{low:g} to {high:g}",
        Range("users", scheme, "user_cost", low, high),
        why=_TWO_RANGES,
        trade=(scheme,),
    )


def _decreases(scheme: str, column: str, what: str, why: str = "") -> tuple[Claim, ...]:
    """Return both readings of "decreases": as users join, and compared to proposed."""
    note = (
        "The sentence can mean that the number falls as users join, or that it lies below that of "
        "proposed; both readings are judged, each as a claim."
    )
    place = "VI-C, third paragraph; Fig. 7"
    name = f"VI-C.{scheme}-{what.replace(' ', '-')}"
    below = Claim(
        f"{name}-lower",
        place,
        f"The {what} of {scheme} lies below that of proposed.",
        "lower",
        Order("users", scheme, ("proposed",), column),
        note=note,
        trade=(scheme,),
    )
    if column == "user_cost" and scheme == "only-b":
        return (below,)  # the paper gives both ends of its fall, judged as a claim of its own
    falls = Claim(
        f"{name}-falls",
        place,
        f"With more users, the {what} of {scheme} falls.",
        "falls",
        Trend("users", scheme, column, Direction.FALLS),
        note=note,
        why=why,
        trade=(scheme,),
    )
    return (falls, below)


SECTION_VI_C_USERS = (
    _usage("ratio-5", 75.0),
    _usage("ratio-1", 68.0),
    _usage("token", 77.0),
    Claim(
        "VI-C.users-provider-cost-lowest",
        "VI-C, second paragraph; Fig. 7d",
        "At every number of users, providers have the lowest cost under proposed.",
        "lowest throughout",
        Order("users", "proposed", _OTHERS, "provider_cost"),
        why="only-b does not serve a pair whose equal share of compute uses up the latency budget, "
        "and hands out nothing for it: with many users it costs providers less by serving fewer.",
        trade=_OTHERS,
    ),
    Claim(
        "VI-C.users-user-cost-proposed",
        "VI-C, second paragraph; Fig. 7c",
        "Over 5 to 25 users, the mean user cost of proposed stays in a narrow range.",
        "19.09 to 21.08",
        Range("users", "proposed", "user_cost", 19.09, 21.08),
        why="By the rewards and QoE that Table V prints, its three users pay 62, 85 and 83, and "
        "our parameters are inferred from Table V; a cost of 19 to 21 takes other parameters, or "
        "far lighter demands, which the paper does not name.",
        trade=_RATIOS,
    ),
    _ratio_cost("ratio-5", 2468.0, 3223.0),
    _ratio_cost("ratio-1", 488.0, 729.0),
    Claim(
        "VI-C.users-user-cost-steadier",
        "VI-C, second paragraph; Fig. 7c",
        "The mean user cost varies less with the number of users under proposed than under the "
        "two ratio schemes.",
        "steadier",
        Steadier("users", "proposed", _RATIOS, "user_cost"),
        trade=_RATIOS,
    ),
    Claim(
        "VI-C.users-ratio-5-full",
        "VI-C, second paragraph; Fig. 7a",
        "From 20 users on, ratio-5 uses all compute.",
        "1.0",
        FullUse("users", "ratio-5", "compute_usage", 20.0),
        trade=("ratio-5",),
    ),
    *_decreases(
        "only-f",
        "user_cost",
        "user cost",
        "Every further user brings a demand of its own for compute, and users bid more for it as "
        "it runs short.",
    ),
    *_decreases("only-f", "compute_usage", "compute usage", f"{_ADDS_UP}."),
    *_decreases("only-b", "user_cost", "user cost"),
    *_decreases(
        "only-b",
        "bandwidth_usage",
        "bandwidth usage",
        f"{_ADDS_UP} as long as further users are served.",
    ),
    Claim(
        "VI-C.only-f-bandwidth-full",
        "VI-C, third paragraph; Fig. 7b",
        "only-f uses all bandwidth.",
        "1.0",
        FullUse("users", "only-f", "bandwidth_usage"),
        trade=("only-f",),
    ),
    Claim(
        "VI-C.only-f-provider-cost",
        "VI-C, third paragraph; Fig. 7d",
        "Providers have a higher cost under only-f than under proposed.",
        "higher",
        Order("users", "only-f", ("proposed",), "provider_cost", lowest=False),
        trade=("only-f",),
    ),
    Claim(
        "VI-C.only-b-user-cost-falls",
        "VI-C, third paragraph; Fig. 7c",
        "From 5 to 25 users, the mean user cost of only-b falls.",
        "126.52 to 26.03",
        Endpoints("users", "only-b", "user_cost", 126.52, 26.03),
        note="The paper does not say where; the numbers are read as those at 5 and at 25 users.",
        why="With compute shared out, users pay for bandwidth alone, and a unit of it costs 0.15 "
        "by the inferred parameters where one of compute costs 21 to 25, so that they pay little.",
        trade=("only-b",),
    ),
    Claim(
        "VI-C.only-b-provider-cost",
        "VI-C, third paragraph; Fig. 7d",
        "Under only-b the cost of providers surges.",
        "419.68",
        Peak("users", "only-b", "provider_cost", 419.68, "proposed"),
        note="The paper does not say at how many users; the greatest mean is taken.",
        why="Handing out all compute costs its mean unit cost times its mean capacity, about 402 "
        "by the inferred costs and Table III's capacities, and a little bandwidth; the paper's "
        "number is 4 % above that, which one draw of capacities can well account for.",
        trade=("only-b",),
    ),
)
