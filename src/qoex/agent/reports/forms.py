"""What nodes send, field for field; these models are the HTTP request bodies as well.

A report is complete (it registers a node, or replaces what it said) or a patch of one: a JSON merge
patch (RFC 7396), in which a field that is missing stays as it is, and null removes an optional one.
What a patch makes of what was there is checked where the two meet, in the registry.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    model_validator,
)
from pydantic_core import PydanticCustomError

from qoex.agent.errors import Fault
from qoex.agent.reports.nodes import NodeName
from qoex.agent.reports.rules import LEAST, MOST, demand_faults, provider_faults, user_faults

MAX_DEMANDS = 1_000
MAX_LINKS = 10_000
LONGEST_LIFETIME_S = 31_536_000.0  # a year

Positive = Annotated[float, Field(ge=LEAST, le=MOST)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]
Gap = Annotated[float, Field(ge=LEAST, lt=1)]
Ambiguity = Annotated[float, Field(ge=0, lt=0.5)]  # Lemma 1
Decibels = Annotated[float, Field(ge=-200, le=200)]  # beyond it the unit must be another one
Load = Annotated[float, Field(ge=0, le=1)]
Lifetime = Annotated[float, Field(ge=1e-3, le=LONGEST_LIFETIME_S)]

TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$"


def _in_utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("timestamp", "There is no such date and time") from None
    return moment.isoformat(timespec="microseconds")


Timestamp = Annotated[
    str,
    Field(
        pattern=TIMESTAMP,
        json_schema_extra={"format": "date-time"},
        examples=["2026-01-31T12:00:00.250Z"],
    ),
    AfterValidator(_in_utc),
]


def _as_whole(value: Any) -> Any:
    # To JSON, and to its schemas, 3.0 is an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _may_be_left_out() -> Any:
    """Return the default of a field that may be missing, but that null cannot remove."""
    return Field(default=None)


def _only_named(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False


def _without_defaults(schema: dict[str, Any]) -> None:
    # In a patch null is not what a missing field means, and elsewhere it says nothing.
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


LinkMap = Annotated[
    dict[NodeName, Decibels | None],
    Field(max_length=MAX_LINKS, json_schema_extra=_only_named),
]


class Report(BaseModel):
    """What all reports share: no unknown field, no text or NaN for a number."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_extra=_without_defaults,
    )

    def body(self) -> dict[str, Any]:
        """Return the report as the log holds it: what was given, and nothing else."""
        return self.model_dump(exclude_unset=True)


class TimedReport(Report):
    """A report that may say when it was made."""

    reported_at: Timestamp | None = None
    """When the node made the report (RFC 3339 with zone). It must not lie before that of the node's
    last report, nor too far from the agent's clock."""


class CompleteReport(TimedReport):
    """A report in which null is the same as a field left out."""

    def body(self) -> dict[str, Any]:
        """Return the report as the log holds it: what was given, and nothing else."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


class ProviderOptions(TimedReport):
    """What a provider may say, or leave to its default; null removes it."""

    work_model: Literal["quadratic", "cached"] | None = None
    """How work grows with tokens; quadratic, the model of eq. 7, unless said otherwise."""
    work_per_token_pair: NotNegative | None = None
    """ξ, TFLOPS·ms per attended pair of tokens (eq. 7); needed, and greater than zero, in the
    quadratic model, optional in the cached one."""
    work_per_request: NotNegative | None = None
    """TFLOPS·ms of a request of any length (cached model; optional)."""
    work_per_input_token: NotNegative | None = None
    """TFLOPS·ms per input token (needed in the cached model)."""
    work_per_output_token: NotNegative | None = None
    """TFLOPS·ms per output token (needed in the cached model)."""
    gap_scale: Positive | None = None
    """β of eq. 6; needed to serve demands that give examples."""
    example_ambiguity: Ambiguity | None = None
    """η of eq. 6; needed to serve demands that give examples."""
    snr_db: Decibels | None = None
    """γ in dB (eq. 7) of every link that is not reported by itself."""
    compute_load: Load | None = None
    """Share of the compute capacity that other work takes now; 0 unless given."""
    bandwidth_load: Load | None = None
    """Share of the bandwidth capacity that other work takes now; 0 unless given."""
    lifetime_s: Lifetime | None = None
    """Seconds without a report after which the node expires; the agent's setting unless given."""


class ProviderReport(ProviderOptions, CompleteReport):
    """All that a provider says of itself: an edge server with its model (ASP n)."""

    compute_capacity: Positive
    """f^max, TFLOPS (C2 of eq. 8)."""
    bandwidth_capacity: Positive
    """B^max, MHz (C2 of eq. 8)."""
    compute_cost: Positive
    """c^f, money per TFLOPS (eq. 8)."""
    bandwidth_cost: Positive
    """c^B, money per MHz (eq. 8)."""
    latency_budget: Positive
    """κ, the latency in ms at which QoE is zero (eq. 7), where a demand gives none of its own."""

    @model_validator(mode="after")
    def _work_model_is_complete(self) -> ProviderReport:
        _refuse_faults(provider_faults(self.__dict__))
        return self


class ProviderPatch(ProviderOptions):
    """Changes to what a provider says of itself; its capacities, costs and budget cannot go."""

    compute_capacity: Positive = _may_be_left_out()
    """f^max, TFLOPS (C2 of eq. 8)."""
    bandwidth_capacity: Positive = _may_be_left_out()
    """B^max, MHz (C2 of eq. 8)."""
    compute_cost: Positive = _may_be_left_out()
    """c^f, money per TFLOPS (eq. 8)."""
    bandwidth_cost: Positive = _may_be_left_out()
    """c^B, money per MHz (eq. 8)."""
    latency_budget: Positive = _may_be_left_out()
    """κ, the latency in ms at which QoE is zero (eq. 7), where a demand gives none of its own."""


class DemandOptions(Report):
    """What a demand says in one of two ways, or may leave out; null removes it."""

    performance_gap: Gap | None = None
    """θ̂, the accuracy asked for (eq. 6); give it or examples."""
    examples: NotNegative | None = None
    """K, the number of chain-of-thought examples (eq. 6); give it or performance_gap."""
    latency_budget: Positive | None = None
    """κ of this demand in ms, in place of the provider's."""


def _one_accuracy(schema: dict[str, Any]) -> None:
    _without_defaults(schema)
    schema["oneOf"] = [
        {"required": [name], "properties": {name: {"type": "number"}}}
        for name in ("performance_gap", "examples")
    ]


class DemandReport(DemandOptions):
    """What a user demands of one provider; exactly one of performance_gap and examples."""

    model_config = ConfigDict(json_schema_extra=_one_accuracy)

    input_tokens: Positive
    """x_in; a mean may be a real number (eq. 7)."""
    output_tokens: Positive
    """x_out; a mean may be a real number (eq. 7)."""

    @model_validator(mode="after")
    def _accuracy_is_given_once(self) -> DemandReport:
        _refuse_faults(demand_faults(self.__dict__))
        return self


class DemandPatch(DemandOptions):
    """Changes to a demand. One that is not there yet has to be given in full."""

    input_tokens: Positive = _may_be_left_out()
    """x_in; a mean may be a real number (eq. 7)."""
    output_tokens: Positive = _may_be_left_out()
    """x_out; a mean may be a real number (eq. 7)."""


class UserReport(CompleteReport):
    """All that a user says of itself and of what it demands (MU m)."""

    profit_factor: Positive
    """μ, money (eq. 9)."""
    reward_min: NotNegative
    """R^min, money per ms of QoE (eq. 9); at most reward_max."""
    reward_max: Positive
    """R^max, money per ms of QoE (eq. 9)."""
    lifetime_s: Lifetime | None = None
    """Seconds without a report after which the node expires; the agent's setting unless given."""
    demands: Annotated[
        dict[NodeName, DemandReport],
        Field(max_length=MAX_DEMANDS, json_schema_extra=_only_named),
    ] = {}
    """What the user demands, by the name of the provider, which must have registered before."""

    @model_validator(mode="after")
    def _rewards_are_in_order(self) -> UserReport:
        _refuse_faults(user_faults(self.__dict__))
        return self


class UserPatch(TimedReport):
    """Changes to what a user says of itself and of what it demands."""

    profit_factor: Positive = _may_be_left_out()
    """μ, money (eq. 9)."""
    reward_min: NotNegative = _may_be_left_out()
    """R^min, money per ms of QoE (eq. 9); at most reward_max."""
    reward_max: Positive = _may_be_left_out()
    """R^max, money per ms of QoE (eq. 9)."""
    lifetime_s: Lifetime | None = None
    """Seconds without a report after which the node expires; the agent's setting unless given."""
    demands: Annotated[
        dict[NodeName, DemandPatch | None],
        Field(max_length=MAX_DEMANDS, json_schema_extra=_only_named),
    ] = Field(default={})
    """Changes by the name of the provider; null ends the demand."""


class LinksReport(RootModel[LinkMap]):
    """Signal-to-noise ratios of a provider's links, as far as they changed.

    γ in dB (eq. 7) by the name of the user, which must have registered before; null removes it, so
    that the provider's own snr_db holds for the link, if there is one.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    def body(self) -> dict[str, Any]:
        """Return the report as the log holds it."""
        return dict(self.root)


class ServedReport(TimedReport):
    """Requests that a provider served to a user since its last such report."""

    user: NodeName
    """Who was served; it must have registered before."""
    requests: Annotated[int, Field(ge=1, le=int(MOST)), BeforeValidator(_as_whole)]
    """How many requests were served."""


class LeaveReport(TimedReport):
    """That a node leaves."""


def _refuse_faults(faults: list[Fault]) -> None:
    if faults:
        message = "; ".join(f"{fault.where}: {fault.what}" for fault in faults)
        raise PydanticCustomError("report", "{message}", {"message": message, "faults": faults})
