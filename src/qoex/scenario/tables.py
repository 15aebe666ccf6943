"""The tables of a scenario file, field for field, with what each field may hold.

What depends on one field alone is checked here; what depends on several is in ``resolve``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

Name = Annotated[str, Field(pattern=r"\S")]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Gap = Annotated[float, Field(gt=0, lt=1)]
Ambiguity = Annotated[float, Field(ge=0, lt=0.5)]
Decibels = Annotated[float, Field(ge=-200, le=200)]  # beyond it the unit must be another one


class Table(BaseModel):
    """What all tables share: no change once built, no unknown key, no text or NaN for a number."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class ProviderFields(Table):
    """What a provider has, or ``defaults`` in its place."""

    compute_capacity: Positive | None = None
    """f^max, TFLOPS (C2 of eq. 8)."""
    bandwidth_capacity: Positive | None = None
    """B^max, MHz (C2 of eq. 8)."""
    compute_cost: Positive | None = None
    """c^f, money per TFLOPS (eq. 8)."""
    bandwidth_cost: Positive | None = None
    """c^B, money per MHz (eq. 8)."""
    latency_budget: Positive | None = None
    """κ, the latency in ms at which QoE is zero (eq. 7)."""
    work_model: Literal["quadratic", "cached"] | None = None
    """How work grows with tokens; quadratic, the model of eq. 7, unless said otherwise."""
    work_per_token_pair: NotNegative | None = None
    """ξ, TFLOPS·ms per attended pair of tokens (eq. 7); optional in the cached model."""
    work_per_request: NotNegative | None = None
    """TFLOPS·ms of a request of any length (cached model; optional)."""
    work_per_input_token: NotNegative | None = None
    """TFLOPS·ms per input token (cached model)."""
    work_per_output_token: NotNegative | None = None
    """TFLOPS·ms per output token (cached model)."""
    transmit_power: Positive | None = None
    """p, in the unit of noise_power; needed where a demand gives its channel_gain."""
    gap_scale: Positive | None = None
    """β of eq. 6; needed where a demand gives examples."""
    example_ambiguity: Ambiguity | None = None
    """η of eq. 6; needed where a demand gives examples."""


class UserFields(Table):
    """What a user has, or ``defaults`` in its place."""

    profit_factor: Positive | None = None
    """μ, money (eq. 9)."""
    reward_min: NotNegative | None = None
    """R^min, money per ms of QoE (eq. 9)."""
    reward_max: Positive | None = None
    """R^max, money per ms of QoE (eq. 9)."""


class DemandFields(Table):
    """What a demand has, or ``defaults`` in its place."""

    performance_gap: Gap | None = None
    """θ̂, the accuracy asked for (eq. 6); give it or examples."""
    examples: NotNegative | None = None
    """K, the number of chain-of-thought examples (eq. 6); give it or performance_gap."""
    input_tokens: Positive | None = None
    """x_in; a mean may be a real number (eq. 7)."""
    output_tokens: Positive | None = None
    """x_out; a mean may be a real number (eq. 7)."""
    snr_db: Decibels | None = None
    """γ in dB (eq. 7); give it or channel_gain and noise_power."""
    channel_gain: Positive | None = None
    """g, dimensionless; γ = g·transmit_power/noise_power."""
    noise_power: Positive | None = None
    """σ², in the unit of transmit_power."""
    latency_budget: Positive | None = None
    """κ of this pair in ms, in place of the provider's."""
    work: NotNegative | None = None
    """a, TFLOPS·ms, in place of the one computed from tokens and accuracy."""
    traffic: NotNegative | None = None
    """b, MHz·ms, in place of the one computed from tokens and SNR."""


class Provider(ProviderFields):
    """An edge server with its model (ASP n)."""

    name: Name
    """Distinct among the providers."""


class User(UserFields):
    """A mobile user (MU m)."""

    name: Name
    """Distinct among the users."""


class Demand(DemandFields):
    """What one user demands of one provider."""

    user: Name
    """Name of the user."""
    provider: Name
    """Name of the provider."""
    absent: bool = False
    """True where the user demands nothing of the provider; gives no other field then."""


class Defaults(DemandFields, UserFields, ProviderFields):
    """Fields used wherever a provider, a user or a demand leaves them out."""

    missing_demands: Literal["error", "absent"] = "error"
    """What a pair without a demand is: an error, or a pair that is absent."""


class ScenarioTables(Table):
    """All tables of a scenario file."""

    title: str | None = None
    """What the scenario is about, for people."""
    defaults: Defaults = Defaults()
    """Fields used wherever they are left out below."""
    providers: Annotated[tuple[Provider, ...], Strict(False), Field(min_length=1)]
    """The N providers, in the order of the market's rows."""
    users: Annotated[tuple[User, ...], Strict(False), Field(min_length=1)]
    """The M users, in the order of the market's columns."""
    demands: Annotated[tuple[Demand, ...], Strict(False)] = ()
    """One for each pair, in any order; see missing_demands for pairs left out."""
