"""What section VI-B states of two providers and three users (Tables IV and V)."""

from __future__ import annotations

from qoex.experiments.claims.case import Extreme, Printed
from qoex.experiments.claims.claim import Claim

_USER, _PROVIDER = "mu-3", "asp-1"

SECTION_VI_B = (
    Claim(
        "VI-B.table-v",
        "VI-B, Table V",
        "Rewards, allocations and QoE of two providers and three users are the 24 of the table.",
        "24 numbers",
        Printed(),
        note="Parameters that the paper leaves out were inferred from these very numbers, so that "
        "this tells whether an equilibrium can be like that, and is no prediction.",
    ),
    *(
        Claim(
            f"VI-B.user-3-{quantity}",
            "VI-B, second paragraph; Table V",
            f"Of all users at provider 1, user 3 has the {extreme} {what}.",
            extreme,
            Extreme(_PROVIDER, _USER, quantity, greatest=extreme == "highest"),
        )
        for quantity, what, extreme in (
            ("reward", "reward", "highest"),
            ("compute", "compute", "highest"),
            ("bandwidth", "bandwidth", "highest"),
            ("qoe", "QoE", "lowest"),
        )
    ),
)
