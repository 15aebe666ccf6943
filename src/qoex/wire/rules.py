"""What must hold within one node's or demand's whole, beyond each field by itself.

The rules hold for a complete report and for what a patch makes of an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qoex.wire.problems import Fault

# Between these, no formula of eqs. 6 and 7 leaves the range of a double.
LEAST = 1e-12
MOST = 1e12


def provider_faults(provider: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong in a complete provider beyond its single fields."""
    quadratic = (provider.get("work_model") or "quadratic") == "quadratic"
    pair = provider.get("work_per_token_pair")
    if quadratic:
        if not pair or pair < LEAST:
            what = f"The quadratic work model needs it, at least {LEAST:g}"
            return [Fault("work_per_token_pair", what)]
        return []
    tokens = ("work_per_input_token", "work_per_output_token")
    missing = [name for name in tokens if provider.get(name) is None]
    if missing:
        return [Fault(name, "The cached work model needs it") for name in missing]
    coefficients = [provider.get(name) or 0.0 for name in (*tokens, "work_per_request")]
    if max(*coefficients, pair or 0.0) < LEAST:
        what = f"One coefficient of the cached work model must be at least {LEAST:g}"
        return [Fault("work_model", what)]
    return []


def user_faults(user: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong in a complete user beyond its single fields and its demands."""
    low, high = user["reward_min"], user["reward_max"]
    if low > high:
        return [Fault("reward_min", f"It is {low!r}, above reward_max, which is {high!r}")]
    return []


def demand_faults(demand: Mapping[str, Any]) -> list[Fault]:
    """Return what is wrong in a demand as a whole; its place stands before each fault's."""
    faults = [
        Fault(name, "A new demand needs it")
        for name in ("input_tokens", "output_tokens")
        if demand.get(name) is None
    ]
    gap, examples = demand.get("performance_gap"), demand.get("examples")
    if gap is None and examples is None:
        faults.append(Fault("performance_gap", "A demand needs it, or examples"))
    elif gap is not None and examples is not None:
        faults.append(Fault("examples", "A demand gives it or performance_gap; null removes one"))
    return faults
