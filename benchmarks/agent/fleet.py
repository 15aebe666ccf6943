"""A fleet of the paper's Table III, and the reports that it keeps sending."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

import qoex

_PROVIDER_FIELDS = (
    "compute_capacity",
    "bandwidth_capacity",
    "compute_cost",
    "bandwidth_cost",
    "latency_budget",
    "work_per_token_pair",
    "gap_scale",
    "example_ambiguity",
)
_USER_FIELDS = ("profit_factor", "reward_min", "reward_max")
_DEMAND_FIELDS = ("examples", "input_tokens", "output_tokens")


class Fleet:
    """N providers and M users drawn from a seed.

    Args:
        providers: N.
        users: M.
        seed: of all draws.
    """

    def __init__(self, providers: int, users: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        scenario = qoex.sample_scenario(providers, users, self.rng, feasible=True)
        defaults = scenario.defaults
        self.providers: dict[str, dict[str, Any]] = {
            provider.name: {
                field: _first(getattr(provider, field), getattr(defaults, field))
                for field in _PROVIDER_FIELDS
            }
            for provider in scenario.providers
        }
        self.users: dict[str, dict[str, Any]] = {
            user.name: {field: getattr(defaults, field) for field in _USER_FIELDS} | {"demands": {}}
            for user in scenario.users
        }
        self.links: dict[str, dict[str, float]] = {name: {} for name in self.providers}
        for demand in scenario.demands:
            fields = {field: getattr(demand, field) for field in _DEMAND_FIELDS}
            self.users[demand.user]["demands"][demand.provider] = fields
            assert demand.snr_db is not None
            self.links[demand.provider][demand.user] = demand.snr_db
        self._users = list(self.users)
        self._providers = list(self.providers)
        self._away: list[str] = []

    def registration(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the lines of bulk requests that register all of them, with their links."""
        yield [_line("provider", name, "put", body) for name, body in self.providers.items()]
        users = [_line("user", name, "put", body) for name, body in self.users.items()]
        for start in range(0, len(users), 2000):
            yield users[start : start + 2000]
        for name, links in self.links.items():
            yield [_line("provider", name, "links", links)]

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """Return method, path and body of the next report.

        Of a hundred, 70 change a demand, 26 move a user (an SNR), and 2 let one leave, who is
        back with the next 2.
        """
        user = self._users[int(self.rng.integers(len(self._users)))]
        provider = self._providers[int(self.rng.integers(len(self._providers)))]
        draw = self.rng.random()
        if draw < 0.70:
            tokens = float(self.rng.integers(100, 2001))
            body = {"demands": {provider: {"input_tokens": tokens}}}
            return "PATCH", f"/v1/users/{user}", body
        if draw < 0.96:
            links = {user: float(self.rng.uniform(10.0, 30.0))}
            return "PATCH", f"/v1/providers/{provider}/links", links
        if draw < 0.98 or not self._away:
            if user not in self._away:
                self._away.append(user)
            return "DELETE", f"/v1/users/{user}", {}
        user = self._away.pop(0)
        return "PUT", f"/v1/users/{user}", self.users[user]


def _line(node_kind: str, node: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    key = f"register-{node_kind}-{node}-{kind}"
    return {"key": key, "node_kind": node_kind, "node": node, "kind": kind, "body": body}


def as_ndjson(lines: list[dict[str, Any]]) -> bytes:
    """Return one JSON object per line."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _first(own: Any, default: Any) -> Any:
    return default if own is None else own
