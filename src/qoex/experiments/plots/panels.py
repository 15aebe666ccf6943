"""Every figure of the paper as data: which table, which columns, which axes.

A sweep is drawn by one entry of ``_OF_SWEEPS``, which takes a whole set of readings, and a scheme
is in all panels of a set as soon as ``paper.SCHEME_CASES`` has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qoex.experiments.accuracy_bound import AMBIGUITIES
from qoex.experiments.paper import PROPOSED, SCHEME_CASES
from qoex.experiments.plots.reading import Panel, PanelLine, Quantity
from qoex.scenario.sampling import TABLE_III


@dataclass(frozen=True)
class _Reading:
    """What one panel of a set shows, whatever varies.

    Attributes:
        shows: the beginning of its caption.
        series: one quantity, or two with an axis each.
        ours: whether the paper has no such panel.
    """

    shows: str
    series: tuple[Quantity, ...]
    ours: bool = False


# Figs. 5a-c, and 5d-f and 5g-i once more.
_OF_FIRST_PAIR = (
    _Reading(
        "Reward that user 1 sets for provider 1, and the QoE that it gets there",
        (
            Quantity("first_reward", "reward R₁₁", "money/ms"),
            Quantity("first_qoe", "QoE Q₁₁", "ms"),
        ),
    ),
    _Reading(
        "Compute and bandwidth that provider 1 gives to user 1",
        (
            Quantity("first_compute", "compute f₁₁", "TFLOPS"),
            Quantity("first_bandwidth", "bandwidth B₁₁", "MHz"),
        ),
    ),
    _Reading(
        "Utilities of user 1 and of provider 1",
        (
            Quantity("first_user_utility", "utility of user 1", "money"),
            Quantity("first_provider_utility", "utility of provider 1", "money"),
        ),
    ),
)

_USER_UTILITY = Quantity("user_utility", "mean user utility", "money")
_PROVIDER_UTILITY = Quantity("provider_utility", "mean provider utility", "money")

# Figs. 6a and 6b.
_UTILITIES = (
    _Reading(
        "Mean utilities of users and of providers under the proposed scheme",
        (_USER_UTILITY, _PROVIDER_UTILITY),
    ),
)

# Figs. 7a-d and 8a-d. A scheme that pays less may also deliver less, so what the costs buy stands
# beside them.
_OF_SCHEMES = (
    _Reading(
        "Compute in use as a share of capacity, mean over providers",
        (Quantity("compute_usage", "compute in use/capacity"),),
    ),
    _Reading(
        "Bandwidth in use as a share of capacity, mean over providers",
        (Quantity("bandwidth_usage", "bandwidth in use/capacity"),),
    ),
    _Reading(
        "What a user pays, mean over users",
        (Quantity("user_cost", "mean user cost", "money", log=True),),
    ),
    _Reading(
        "What its resources cost a provider, mean over providers",
        (Quantity("provider_cost", "mean provider cost", "money"),),
    ),
    _Reading(
        "QoE that a user gets from all providers together, mean over users",
        (Quantity("mean_qoe", "mean QoE of a user", "ms"),),
        ours=True,
    ),
    _Reading("Utility of a user, mean over users", (_USER_UTILITY,), ours=True),
    _Reading(
        # Welfare itself grows with the market, and differs by 1 or 2 % between schemes.
        "Welfare over that of the social optimum, which serves every demand (only-f and only-b "
        "leave some out and may exceed it)",
        (Quantity("welfare", "welfare/social optimum", relative_to="welfare"),),
        ours=True,
    ),
)

_SCHEME_LINES = tuple(
    PanelLine(case.label, case.label, strong=case is PROPOSED) for case in SCHEME_CASES
)
_PROPOSED_LINE = (PanelLine(PROPOSED.label, PROPOSED.label),)


@dataclass(frozen=True)
class _Varied:
    """What varies in a sweep of the paper.

    Attributes:
        table: that has the sweep.
        x: its axis.
        against: the end of captions.
    """

    table: str
    x: Quantity
    against: str


_ACCURACY = _Varied(
    "accuracy",
    Quantity("value", "accuracy bound θ̂₁₁ (less is more accurate)", log=True),
    "against the accuracy that user 1 asks of provider 1",
)
_OUTPUT_TOKENS = _Varied(
    "output-tokens",
    Quantity("value", "output tokens x₁₁"),
    "against the output tokens that user 1 asks of provider 1",
)
_LATENCY_BUDGET = _Varied(
    "latency-budget",
    Quantity("value", "latency budget κ₁₁", "ms"),
    "against the latency that user 1 tolerates from provider 1",
)
_USERS = _Varied("users", Quantity("value", "number of users"), "against the number of users")
_PROVIDERS = _Varied(
    "providers", Quantity("value", "number of providers"), "against the number of providers"
)

# Table → how the names of its variant and of the variant's panels end, and their captions.
_VARIANTS = {
    **dict.fromkeys(
        (varied.table for varied in (_ACCURACY, _OUTPUT_TOKENS, _LATENCY_BUDGET)),
        ("table-iv", "in the market of Table IV"),
    ),
    **dict.fromkeys(
        (varied.table for varied in (_USERS, _PROVIDERS)),
        ("ample", "drawn from ranges with which every draw can be served"),
    ),
}


def _panels(
    figure: str,
    letters: str,
    varied: _Varied,
    readings: tuple[_Reading, ...],
    lines: tuple[PanelLine, ...],
) -> tuple[Panel, ...]:
    """Return one panel for each reading of a sweep."""
    return tuple(
        Panel(
            name=f"fig{figure}{letter}",
            figure=figure,
            shows=f"{reading.shows}, {varied.against}",
            table=varied.table,
            x=varied.x,
            series=reading.series,
            lines=lines,
            ours=reading.ours,
        )
        for letter, reading in zip(letters, readings, strict=True)
    )


def _variant(panel: Panel) -> Panel:
    """Return the same reading of the variant of a panel's sweep."""
    ending, where = _VARIANTS[panel.table]
    return replace(
        panel,
        name=f"{panel.name}-{ending}",
        where=where,
        table=f"{panel.table}-{ending}",
        variant_of=panel.name,
    )


_FIGURE_3 = Panel(
    name="fig3",
    figure="3",
    shows="Upper bound of the performance gap against the number of examples, for several "
    "ambiguities η of an example; the other figures use η = 1/11",
    table="accuracy-bound",
    x=Quantity("examples", "examples K"),
    series=(Quantity("performance_gap_bound", "bound of the performance gap θ̂", log=True),),
    lines=tuple(
        PanelLine(value, f"η = {label}", strong=value == TABLE_III.example_ambiguity)
        for label, value in AMBIGUITIES.items()
    ),
    by="example_ambiguity",
)

_OF_SWEEPS = (
    *_panels("5", "abc", _ACCURACY, _OF_FIRST_PAIR, _PROPOSED_LINE),
    *_panels("5", "def", _OUTPUT_TOKENS, _OF_FIRST_PAIR, _PROPOSED_LINE),
    *_panels("5", "ghi", _LATENCY_BUDGET, _OF_FIRST_PAIR, _PROPOSED_LINE),
    *_panels("6", "a", _USERS, _UTILITIES, _PROPOSED_LINE),
    *_panels("6", "b", _PROVIDERS, _UTILITIES, _PROPOSED_LINE),
    *_panels("7", "abcdefg", _USERS, _OF_SCHEMES, _SCHEME_LINES),
    *_panels("8", "abcdefg", _PROVIDERS, _OF_SCHEMES, _SCHEME_LINES),
)

# The paper's panels, ours beside them, and then the same on other markets.
PANELS: tuple[Panel, ...] = (_FIGURE_3, *_OF_SWEEPS, *map(_variant, _OF_SWEEPS))
