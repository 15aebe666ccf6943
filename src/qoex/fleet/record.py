"""What a simulation came to: series over time, and totals per policy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoex.fleet.policies import POLICIES, SCORES
from qoex.fleet.settings import HOUR
from qoex.fleet.simulation import FleetStep
from qoex.model.market import FloatArray


@dataclass(frozen=True)
class FleetTotals:
    """One policy over the whole time.

    Attributes:
        qoe_sum: ΣQ of all users, mean over time, ms.
        qoe_mean: Q of a user, mean over users and time, ms.
        payments: ΣR·Q, summed over the steps, each of which is charged once, money.
        user_utility: of a user, mean over users and time, money.
        provider_utility: of all providers, mean over time, money.
        unserved: share of users, over time, who have no QoE at all.
    """

    qoe_sum: float
    qoe_mean: float
    payments: float
    user_utility: float
    provider_utility: float
    unserved: float


class Record:
    """Collects the steps of a simulation.

    Attributes:
        times: simulated hours of each step.
        users: who were there.
        providers: which were there.
        scores: by policy and name of the score, one number per step.
        kept: how many cycles kept an earlier decision, by reason.
        lines: sent to the agent in all.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.users: list[int] = []
        self.providers: list[int] = []
        self.scores: dict[str, dict[str, list[float]]] = {
            policy: {name: [] for name in SCORES} for policy in POLICIES
        }
        self.kept: Counter[str] = Counter()
        self.lines = 0
        self._cycle_ms: list[float] = []
        self._seconds: list[float] = []

    def add(self, step: FleetStep) -> None:
        """Take one step in."""
        self.times.append(step.time / HOUR)
        self.users.append(step.users)
        self.providers.append(step.providers)
        self.lines += step.lines
        if step.cycle.result == "kept":
            self.kept[step.cycle.ending] += 1
        total = step.cycle.duration_ms.get("total")
        if total is not None:
            self._cycle_ms.append(total)
        self._seconds.append(step.seconds)
        for policy, score in step.scores.items():
            for name, values in self.scores[policy].items():
                values.append(float(getattr(score, name)))

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return len(self.times)

    def qoe_means(self, policy: str) -> FloatArray:
        """Return the mean Q over users in each step, ms; NaN where there was nobody."""
        users = np.asarray(self.users, dtype=np.float64)
        total = np.asarray(self.scores[policy]["qoe"])
        means: FloatArray = np.full(users.shape, np.nan)
        np.divide(total, users, out=means, where=users > 0)
        return means

    def totals(self, policy: str) -> FleetTotals:
        """Return one policy over the whole time, of at least one step."""
        values = {name: np.asarray(series) for name, series in self.scores[policy].items()}
        present = max(1, sum(self.users))
        return FleetTotals(
            qoe_sum=float(values["qoe"].mean()),
            qoe_mean=float(values["qoe"].sum()) / present,
            payments=float(values["payments"].sum()),
            user_utility=float(values["user_utility"].sum()) / present,
            provider_utility=float(values["provider_utility"].mean()),
            unserved=float(values["unserved"].sum()) / present,
        )

    def cycle_ms(self, share: float) -> float | None:
        """Return a quantile of what the agent's cycles took, ms; None if it said of none."""
        return float(np.quantile(self._cycle_ms, share)) if self._cycle_ms else None

    def data(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "steps": self.steps,
            "hours": self.times[-1] if self.times else 0.0,
            "seconds": sum(self._seconds),
            "lines": self.lines,
            "cycles": {
                "decided": self.steps - self.kept.total(),
                "kept": dict(sorted(self.kept.items())),
                "median_ms": self.cycle_ms(0.5),
                "p99_ms": self.cycle_ms(0.99),
            },
            "policies": {policy: vars(self.totals(policy)) for policy in POLICIES},
            "series": {
                "hours": self.times,
                "users": self.users,
                "providers": self.providers,
                **self.scores,
            },
        }
