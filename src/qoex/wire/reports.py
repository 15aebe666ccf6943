"""What nodes send, field for field, in the units of :mod:`qoex.model.market`.

A report is complete (it registers a node, or replaces what it said) or a patch of one: a JSON merge
patch (RFC 7396), in which a field that is missing stays as it is, and None removes an optional one.
What a patch makes of what was there is checked where the two meet, in the agent's registry.

Reports are plain dicts. Their types say which fields there are, to a reader and to a type checker;
their forms (:data:`REPORTS`) check the values as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, with_config
from pydantic_core import PydanticCustomError

# The one of typing is read by pydantic from Python 3.12 on only.
from typing_extensions import TypedDict

from qoex.wire.fields import (
    BandwidthCapacity,
    BandwidthCost,
    ComputeCapacity,
    ComputeCost,
    Decibels,
    InputTokens,
    LatencyBudget,
    Lifetime,
    Load,
    NotNegative,
    OutputTokens,
    Positive,
    ProfitFactor,
    RewardMax,
    RewardMin,
    Timestamp,
)
from qoex.wire.names import IdempotencyKey, NodeName, Side
from qoex.wire.problems import Fault
from qoex.wire.rules import LEAST, MOST, demand_faults, provider_faults, user_faults

MAX_DEMANDS = 1_000
MAX_LINKS = 10_000

ReportKind = Literal["put", "patch", "leave", "links", "served"]


def _as_whole(value: Any) -> Any:
    # To JSON, and to its schemas, 3.0 is an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _only_named(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False


def _one_accuracy(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [
        {"required": [name], "properties": {name: {"type": "number"}}}
        for name in ("performance_gap", "examples")
    ]


# What all reports share: no unknown field, no text or NaN for a number.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_strict = with_config(_STRICT)


@_strict
class TimedReport(TypedDict, total=False):
    """A report that may say when it was made."""

    reported_at: Annotated[
        Timestamp | None,
        Field(
            description="When the node made the report (RFC 3339 with zone). It must not lie "
            "before that of the node's last report, nor too far from the agent's clock."
        ),
    ]


@_strict
class ProviderOptions(TimedReport, total=False):
    """What a provider may say, or leave to its default; None removes it."""

    work_model: Annotated[
        Literal["quadratic", "cached"] | None,
        Field(
            description="How work grows with tokens; quadratic, the model of eq. 7, unless said "
            "otherwise."
        ),
    ]
    work_per_token_pair: Annotated[
        NotNegative | None,
        Field(
            description="ξ, TFLOPS·ms per attended pair of tokens (eq. 7); needed, and greater "
            "than zero, in the quadratic model, optional in the cached one."
        ),
    ]
    work_per_request: Annotated[
        NotNegative | None,
        Field(description="TFLOPS·ms of a request of any length (cached model; optional)."),
    ]
    work_per_input_token: Annotated[
        NotNegative | None,
        Field(description="TFLOPS·ms per input token (needed in the cached model)."),
    ]
    work_per_output_token: Annotated[
        NotNegative | None,
        Field(description="TFLOPS·ms per output token (needed in the cached model)."),
    ]
    gap_scale: Annotated[
        Positive | None,
        Field(description="β of eq. 6; needed to serve demands that give examples."),
    ]
    example_ambiguity: Annotated[
        Annotated[float, Field(ge=0, lt=0.5)] | None,  # Lemma 1
        Field(description="η of eq. 6; needed to serve demands that give examples."),
    ]
    snr_db: Annotated[
        Decibels | None,
        Field(description="γ in dB (eq. 7) of every link that is not reported by itself."),
    ]
    compute_load: Annotated[
        Load | None,
        Field(
            description="Share of the compute capacity that other work takes now; 0 unless given."
        ),
    ]
    bandwidth_load: Annotated[
        Load | None,
        Field(
            description="Share of the bandwidth capacity that other work takes now; 0 unless given."
        ),
    ]
    lifetime_s: Lifetime


@_strict
class ProviderReport(ProviderOptions):
    """All that a provider says of itself: an edge server with its model (ASP n)."""

    compute_capacity: ComputeCapacity
    bandwidth_capacity: BandwidthCapacity
    compute_cost: ComputeCost
    bandwidth_cost: BandwidthCost
    latency_budget: LatencyBudget


@_strict
class ProviderPatch(ProviderOptions, total=False):
    """Changes to what a provider says of itself; its capacities, costs and budget cannot go."""

    compute_capacity: ComputeCapacity
    bandwidth_capacity: BandwidthCapacity
    compute_cost: ComputeCost
    bandwidth_cost: BandwidthCost
    latency_budget: LatencyBudget


@_strict
class DemandOptions(TypedDict, total=False):
    """What a demand says in one of two ways, or may leave out; None removes it."""

    performance_gap: Annotated[
        Annotated[float, Field(ge=LEAST, lt=1)] | None,
        Field(description="θ̂, the accuracy asked for (eq. 6); give it or examples."),
    ]
    examples: Annotated[
        NotNegative | None,
        Field(
            description="K, the number of chain-of-thought examples (eq. 6); give it or "
            "performance_gap."
        ),
    ]
    latency_budget: Annotated[
        Positive | None,
        Field(description="κ of this demand in ms, in place of the provider's."),
    ]


@with_config({**_STRICT, "json_schema_extra": _one_accuracy})
class DemandReport(DemandOptions):
    """What a user demands of one provider; exactly one of performance_gap and examples."""

    input_tokens: InputTokens
    output_tokens: OutputTokens


@_strict
class DemandPatch(DemandOptions, total=False):
    """Changes to a demand. One that is not there yet has to be given in full."""

    input_tokens: InputTokens
    output_tokens: OutputTokens


def _whole(
    faults_of: Callable[[Mapping[str, Any]], list[Fault]],
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what checks a complete report, and forgets nulls, which are the same as nothing."""

    def checked(report: dict[str, Any]) -> dict[str, Any]:
        faults = faults_of(report)
        if faults:
            message = "; ".join(f"{fault.where}: {fault.what}" for fault in faults)
            raise PydanticCustomError("report", "{message}", {"message": message, "faults": faults})
        return {name: value for name, value in report.items() if value is not None}

    return checked


@_strict
class UserReport(TimedReport):
    """All that a user says of itself and of what it demands (MU m)."""

    profit_factor: ProfitFactor
    reward_min: RewardMin
    reward_max: RewardMax
    lifetime_s: NotRequired[Lifetime]
    demands: NotRequired[
        Annotated[
            dict[NodeName, Annotated[DemandReport, AfterValidator(_whole(demand_faults))]],
            Field(
                max_length=MAX_DEMANDS,
                json_schema_extra=_only_named,
                description="What the user demands, by the name of the provider, which must have "
                "registered before.",
            ),
        ]
    ]


@_strict
class UserPatch(TimedReport, total=False):
    """Changes to what a user says of itself and of what it demands."""

    profit_factor: ProfitFactor
    reward_min: RewardMin
    reward_max: RewardMax
    lifetime_s: Lifetime
    demands: Annotated[
        dict[NodeName, DemandPatch | None],
        Field(
            max_length=MAX_DEMANDS,
            json_schema_extra=_only_named,
            description="Changes by the name of the provider; null ends the demand.",
        ),
    ]


LinksReport = Annotated[
    dict[NodeName, Decibels | None],
    Field(
        title="LinksReport",
        max_length=MAX_LINKS,
        json_schema_extra=_only_named,
        description="Signal-to-noise ratios of a provider's links, as far as they changed: γ in dB "
        "(eq. 7) by the name of the user, which must have registered before; null removes it, so "
        "that the provider's own snr_db holds for the link, if there is one.",
    ),
]


@_strict
class ServedReport(TimedReport):
    """Requests that a provider served to a user since its last such report."""

    user: Annotated[NodeName, Field(description="Who was served; it must have registered before.")]
    requests: Annotated[
        int,
        Field(ge=1, le=int(MOST), description="How many requests were served."),
        BeforeValidator(_as_whole),
    ]


@_strict
class LeaveReport(TimedReport):
    """That a node leaves."""


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True))
class BulkLine(TypedDict):
    """One line of a bulk request: a report, with the node it belongs to and its key."""

    key: IdempotencyKey
    node_kind: Side
    """Side of the market the node is on."""
    node: NodeName
    kind: ReportKind
    """What the report does; links and served are reports of providers."""
    body: NotRequired[dict[str, Any]]
    """The report, of the same form as in a request of its own; {} to leave."""


@dataclass(frozen=True)
class Form:
    """How one kind of report is checked.

    Attributes:
        name: of its type, and of its schema.
        adapter: reads it of Python objects or of JSON.
    """

    name: str
    adapter: TypeAdapter[Any]

    def read(self, said: Any) -> dict[str, Any]:
        """Return a report as the log holds it: what was given, and nothing else.

        Raises:
            ValidationError: it does not have its form.
        """
        report: dict[str, Any] = self.adapter.validate_python(said)
        return report


_LINKS = TypeAdapter(LinksReport, config=ConfigDict(strict=True, allow_inf_nan=False))
_LEAVE = Form("LeaveReport", TypeAdapter(LeaveReport))

# Which report a node of a side may send, and its form.
REPORTS: Mapping[tuple[Side, ReportKind], Form] = {
    ("provider", "put"): Form(
        "ProviderReport",
        TypeAdapter(Annotated[ProviderReport, AfterValidator(_whole(provider_faults))]),
    ),
    ("provider", "patch"): Form("ProviderPatch", TypeAdapter(ProviderPatch)),
    ("provider", "leave"): _LEAVE,
    ("provider", "links"): Form("LinksReport", _LINKS),
    ("provider", "served"): Form("ServedReport", TypeAdapter(ServedReport)),
    ("user", "put"): Form(
        "UserReport", TypeAdapter(Annotated[UserReport, AfterValidator(_whole(user_faults))])
    ),
    ("user", "patch"): Form("UserPatch", TypeAdapter(UserPatch)),
    ("user", "leave"): _LEAVE,
}
