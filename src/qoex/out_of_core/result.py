"""What is kept of the solution of a stored market: everything but the N×M arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from qoex.certificate import CERTIFIED
from qoex.certificate.verdict import Verdict
from qoex.files.parquet import MarketDirectory
from qoex.files.solution_json import RESOURCES, VERSION, plain
from qoex.game.solution import CapacityState, Status, Step
from qoex.model.market import FloatArray
from qoex.out_of_core.spread import Spread

_SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)


class UserTotals(NamedTuple):
    """What all users get together.

    Attributes:
        users: M.
        utility: ΣU, money.
        qoe: ΣQ, ms.
        paid: ΣRQ, money.
        served: how many users have any QoE.
        served_by: N, how many have QoE of each provider.
        qoe_spread: of a user's QoE, ms.
        payment_spread: of a user's payments, money.
    """

    users: int
    utility: float
    qoe: float
    paid: float
    served: int
    served_by: FloatArray
    qoe_spread: Spread
    payment_spread: Spread

    @property
    def mean_utility(self) -> float:
        """Money per user."""
        return self.utility / self.users

    @property
    def mean_qoe(self) -> float:
        """Ms per user."""
        return self.qoe / self.users

    @property
    def mean_paid(self) -> float:
        """Money per user."""
        return self.paid / self.users


@dataclass(frozen=True)
class StoredSolution:
    """A settled market of which only providers and totals are in memory.

    Attributes:
        status: how the computation ended; ``status.ok`` tells success.
        steps: sweeps over the users.
        passes: how often the users were gone through in all.
        compute_state: use, price and regime of compute at each provider (N).
        bandwidth_state: use, price and regime of bandwidth (N).
        provider_utility: N, money (eq. 8).
        provider_income: N, money, ΣRQ.
        totals: of the users.
        verdict: what the certificate says.
        worst_user: name of the user whose gain has the largest bound.
        trace: the steps, first to last.
        notes: what a reader must know to read the numbers rightly.
    """

    status: Status
    steps: int
    passes: int
    compute_state: CapacityState
    bandwidth_state: CapacityState
    provider_utility: FloatArray
    provider_income: FloatArray
    totals: UserTotals
    verdict: Verdict
    worst_user: str
    trace: Sequence[Step] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    def sentence(self, tolerance: float = CERTIFIED) -> str:
        """Say in one sentence what was certified, or the first reason why it was not."""
        return self.verdict.sentence(self.worst_user, tolerance)


def stored_solution_data(market: MarketDirectory, solution: StoredSolution) -> dict[str, Any]:
    """Return the JSON object of a solution, as plain Python data; units as in ``Solution``.

    Args:
        market: N providers × M users.
        solution: of the same.

    """
    totals, verdict = solution.totals, solution.verdict
    states = solution.compute_state, solution.bandwidth_state
    data: dict[str, Any] = {
        "version": VERSION,
        "status": str(solution.status),
        "method": "capacity-prices",
        "steps": solution.steps,
        "passes": solution.passes,
        "providers": market.providers,
        "users": market.users,
        "capacities": [
            {
                "provider": name,
                "resource": resource,
                "use": plain(state.use[n]),
                "capacity": plain(getattr(market, f"{resource}_capacity")[n]),
                "price": plain(state.price[n]),
                "regime": str(state.regime[n]),
            }
            for n, name in enumerate(market.provider_names)
            for resource, state in zip(RESOURCES, states, strict=True)
        ],
        "provider_utility": plain(solution.provider_utility),
        "provider_income": plain(solution.provider_income),
        "users_with_qoe": totals.served,
        "users_with_qoe_of_provider": [int(count) for count in totals.served_by],
        "sums": {name: plain(getattr(totals, name)) for name in ("utility", "qoe", "paid")},
        "means": {
            name: plain(getattr(totals, f"mean_{name}")) for name in ("utility", "qoe", "paid")
        },
        "quantiles": {
            "shares": list(_SHARES),
            "qoe": [totals.qoe_spread.quantile(share) for share in _SHARES],
            "payment": [totals.payment_spread.quantile(share) for share in _SHARES],
        },
        "certificate": {
            "holds": verdict.holds(CERTIFIED),
            "regret": plain(verdict.regret),
            "relative_regret": plain(verdict.regret / verdict.utility_scale),
            "worst_user": solution.worst_user,
            "kkt_residual": plain(verdict.conditions.residuals.largest),
            "consistency": plain(verdict.consistency),
            "outside_bounds": plain(verdict.outside_bounds),
        },
    }
    if solution.notes:
        data["notes"] = list(solution.notes)
    return data
