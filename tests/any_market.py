"""Any market at all, for hypothesis: every double and every name that a file must bring back."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from qoex.model.market import Market

# Any text that UTF-8 has; names may hold quotes, line breaks, nulls and letters of any script.
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: bool(name.strip())
)
positive = st.floats(5e-324, 1e300, allow_nan=False)
not_negative = st.one_of(st.just(0.0), positive)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    providers, users = draw(st.integers(1, 3)), draw(st.integers(1, 4))

    def row(count: int, values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=count, max_size=count))

    present = np.array([row(users, st.booleans()) for _ in range(providers)])
    low, high = row(users, not_negative), row(users, positive)
    return Market(
        work=np.where(present, [row(users, not_negative) for _ in range(providers)], 0.0),
        traffic=np.where(present, [row(users, positive) for _ in range(providers)], 0.0),
        latency_budget=np.where(present, [row(users, positive) for _ in range(providers)], 0.0),
        compute_cost=row(providers, positive),
        bandwidth_cost=row(providers, positive),
        compute_capacity=row(providers, positive),
        bandwidth_capacity=row(providers, positive),
        profit_factor=row(users, positive),
        reward_min=np.minimum(low, high),
        reward_max=high,
        provider_names=draw(st.lists(names, min_size=providers, max_size=providers, unique=True)),
        user_names=draw(st.lists(names, min_size=users, max_size=users, unique=True)),
    )
