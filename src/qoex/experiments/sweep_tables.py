"""The tables of a sweep file, field for field, with what each field may hold.

What depends on several of them is checked where they become a sweep (``sweep_file``).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Strict

from qoex.experiments.sweep import Count, SweepFields, WholeNotNegative
from qoex.mechanisms.schemes import SCHEMES
from qoex.scenario.tables import Ambiguity, Decibels, Name, NotNegative, Positive, Table

# As many as the reproduction of the paper takes.
DEFAULT_SEEDS = 100

PositiveInterval = Annotated[tuple[Positive, Positive], Strict(False)]


class RangesTable(Table):
    """What markets are drawn from; what is left out is as in Table III (``sampling.Ranges``)."""

    examples: Annotated[tuple[WholeNotNegative, ...] | None, Strict(False), Field(min_length=1)] = (
        None
    )
    """K of each demand, drawn from these with equal probability."""
    tokens: Annotated[tuple[Count, Count] | None, Strict(False)] = None
    """x_in and x_out of each demand, whole numbers from the first to the second."""
    compute_capacity: PositiveInterval | None = None
    """f^max of each provider, TFLOPS, from the first number to the second."""
    bandwidth_capacity: PositiveInterval | None = None
    """B^max of each provider, MHz."""
    latency_budget: PositiveInterval | None = None
    """κ of each provider, ms."""
    snr_db: Annotated[tuple[Decibels, Decibels] | None, Strict(False)] = None
    """γ of each pair, dB."""
    profit_factor: Positive | None = None
    """μ of every user, money."""
    compute_cost: PositiveInterval | None = None
    """c^f of each provider, money per TFLOPS."""
    bandwidth_cost: Positive | None = None
    """c^B of every provider, money per MHz."""
    work_per_token_pair: PositiveInterval | None = None
    """ξ of each provider, TFLOPS·ms per attended pair of tokens."""
    gap_scale: Positive | None = None
    """β of every provider."""
    example_ambiguity: Ambiguity | None = None
    """η of every provider."""
    reward_bounds: Annotated[tuple[NotNegative, Positive] | None, Strict(False)] = None
    """R^min and R^max of every user, money per ms."""


SchemeName = Annotated[Name, Field(json_schema_extra={"enum": list(SCHEMES)})]


class SchemeTable(Table):
    """A scheme as it takes part in the sweep."""

    scheme: SchemeName
    """The scheme's name, as ``qoex compare`` shows it."""
    label: Name | None = None
    """What tables call it; the scheme's name unless given. Two labels must not be the same."""
    options: dict[str, float] = Field(default_factory=dict)
    """Arguments of the scheme, such as total of ratio."""


def _as_table(value: Any) -> Any:
    return {"scheme": value} if isinstance(value, str) else value


class SweepTables(SweepFields):
    """All tables of a sweep file."""

    name: Name | None = None
    """What the table's files are called; the sweep file's own name unless given."""
    title: str | None = None
    """What the sweep shows, for people."""
    schemes: Annotated[
        tuple[
            Annotated[
                SchemeTable,
                BeforeValidator(_as_table, json_schema_input_type=SchemeTable | SchemeName),
            ],
            ...,
        ],
        Strict(False),
        Field(min_length=1),
    ]
    """What settles each point: names of schemes, or tables."""
    providers: Count | None = None
    """N, unless that varies; 3, or all of the scenario, where it is left out."""
    users: Count | None = None
    """M, unless that varies; 15, or all of the scenario, where it is left out."""
    seeds: Count = DEFAULT_SEEDS
    """How many markets are drawn for each point."""
    ranges: RangesTable | None = None
    """What markets are drawn from, where it is not Table III."""
    scenario: Name | None = None
    """File of the one market to start from, in place of random ones; from the folder of the sweep
    file. There is one seed then."""
