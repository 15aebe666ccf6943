"""One market, one scheme, one row: what came out, or why nothing did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from qoex.certificate import certify, judged
from qoex.errors import (
    InfeasibleMarketError,
    InvalidInputError,
    QoexError,
    UnavailableSchemeError,
)
from qoex.experiments.study import Row
from qoex.game.metrics import Metrics, score
from qoex.game.solution import Regime, Solution
from qoex.mechanisms import schemes
from qoex.model.market import Market
from qoex.model.tokens import Tokens
from qoex.model.validation import not_negative

# Schemes whose result is an equilibrium of the market as it stands, so that a certificate applies.
_CERTIFIED = frozenset({"proposed"})

_METRICS = tuple(Metrics.__dataclass_fields__)
_COUNTS = ("served_pairs", "demanded_pairs")

# What a row says of a solution; null where there is none. "first_" is of user 1 at provider 1.
MEASURED: dict[str, str] = {
    "outcome": "text",
    "status": "text",
    "reason": "text",
    "steps": "whole",
    "regret_relative": "real",
    "certified": "flag",
    "compute_exhausted": "real",
    "bandwidth_exhausted": "real",
    **{name: "whole" if name in _COUNTS else "real" for name in _METRICS},
    "provider_payment": "real",
    "first_reward": "real",
    "first_compute": "real",
    "first_bandwidth": "real",
    "first_qoe": "real",
    "first_payment": "real",
    "first_user_utility": "real",
    "first_provider_utility": "real",
}


@dataclass(frozen=True)
class SchemeCase:
    """A scheme as it takes part in an experiment.

    Attributes:
        label: its name in tables and figures.
        scheme: a key of ``schemes.SCHEMES``.
        options: keyword arguments of the scheme.
    """

    label: str
    scheme: str
    options: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = schemes.options_of(self.scheme)
        for name, value in self.options.items():
            if name not in known:
                raise InvalidInputError(
                    f"{self.scheme} has no option {name!r}; it has {', '.join(known) or 'none'}"
                )
            not_negative(f"{name} of {self.label}", value)


def measure(market: Market, tokens: Tokens | None, case: SchemeCase) -> Row:
    """Return the columns of MEASURED for a market settled by a scheme.

    ``outcome`` is "solved", "unsolved" (the method did not end as it promises), "infeasible",
    "unavailable" (the market lacks what the scheme needs) or "failed" (an error of ours, or a
    draw that makes no market); with all but the first, ``reason`` says why and the numbers are
    null.
    """
    row: Row = dict.fromkeys(MEASURED)
    try:
        solution = schemes.run(case.scheme, market, tokens, **case.options)
        row["status"], row["steps"] = solution.status.name, solution.steps
        judgement: Row = {}
        if case.scheme in _CERTIFIED and solution.status.ok:
            certificate = certify(market, solution)
            solution = judged(solution, certificate)
            row["status"] = solution.status.name
            judgement = {
                "regret_relative": float(certificate.relative_regret),
                "certified": certificate.holds(),
            }
        if not solution.status.ok:
            return row | judgement | {"outcome": "unsolved", "reason": solution.status.sentence}
        return row | judgement | {"outcome": "solved", **_numbers(market, solution)}
    except InfeasibleMarketError as error:
        return row | {"outcome": "infeasible", "reason": str(error)}
    except UnavailableSchemeError as error:
        return row | {"outcome": "unavailable", "reason": str(error)}
    except Exception as error:  # one fault of ours must not cost a night's other points
        return failed(error)


def failed(error: Exception) -> Row:
    """Return the columns of MEASURED for a market that an error kept from being settled."""
    known = isinstance(error, QoexError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    return dict.fromkeys(MEASURED) | {"outcome": "failed", "reason": reason}


def _numbers(market: Market, solution: Solution) -> Row:
    numbers: dict[str, Any] = asdict(score(market, solution))
    for resource in ("compute", "bandwidth"):
        regimes = getattr(solution, f"{resource}_state").regime
        full = [regime is not Regime.SLACK for regime in regimes]
        numbers[f"{resource}_exhausted"] = float(np.mean(full))
    payment = solution.rewards * solution.qoe
    numbers["provider_payment"] = float(payment.sum() / market.providers)
    if market.present[0, 0]:
        for name in ("rewards", "compute", "bandwidth", "qoe"):
            key = "first_reward" if name == "rewards" else f"first_{name}"
            numbers[key] = float(getattr(solution, name)[0, 0])
        numbers["first_payment"] = float(payment[0, 0])
        numbers["first_user_utility"] = float(solution.user_utility[0])
        numbers["first_provider_utility"] = float(solution.provider_utility[0])
    return numbers
