"""An agent for the fleet's tests: the contract in one process, on the scenario's own formulas."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np

from qoex.client import Client, Retries
from qoex.equilibrium.solver import solve
from qoex.game.solution import Solution
from qoex.model.admission import admit
from qoex.model.market import Market
from qoex.scenario import Scenario

MOMENT = "2031-05-01T10:00:00Z"


class FakeAgent:
    """Keeps what nodes say, solves when asked, and hands decisions out.

    Attributes:
        providers: reports of those who are there, by name.
        users: the same.
        kinds: what every line of every bulk request did.
        keep: reasons with which the next cycles keep the last decision.
    """

    def __init__(self) -> None:
        self.providers: dict[str, dict[str, Any]] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.known: set[tuple[str, str]] = set()
        self.kinds: list[str] = []
        self.keep: list[str] = []
        self.expire: list[str] = []
        self._links: dict[str, dict[str, float]] = {}
        self._position = 0
        self._cycles: list[dict[str, Any]] = []
        self._decisions: dict[int, tuple[Market, Solution]] = {}

    def client(self) -> Client:
        return Client(
            "http://agent.test",
            "operator",
            retries=Retries(attempts=1),
            transport=httpx.MockTransport(self.answer),
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.removeprefix("/v1/").split("/"):
            case "POST", ["reports"]:
                return self._reports(request.content.splitlines())
            case "POST", ["cycles"]:
                return httpx.Response(200, json=self.run_cycle())
            case "GET", ["cycles"]:
                return httpx.Response(200, json={"cycles": self._cycles[-1:], "next": None})
            case "GET", ["decisions", number]:
                return httpx.Response(200, text=self._decision(int(number)))
        return httpx.Response(404, text="?")

    def run_cycle(self) -> dict[str, Any]:
        number = len(self._cycles) + 1
        reason = self.keep.pop(0) if self.keep else ""
        market = self._market()
        if not reason and market is None:
            reason = "empty: nobody is there"
        if not reason and market is not None:
            admitted = admit(market).market
            solution = solve(admitted)
            assert solution.status.ok
            self._decisions[number] = (admitted, solution)
        self._cycles.append(
            {
                "number": number,
                "result": "kept" if reason else "decided",
                "ending": reason.partition(":")[0] or "decided",
                "reason": reason,
                "in_force": max(self._decisions, default=None),
                "position": self._position,
                "snapshot_at": MOMENT,
                "committed_at": MOMENT,
                "duration_ms": {"total": 10.0 * number},
            }
        )
        return self._cycles[-1]

    def _reports(self, lines: list[bytes]) -> httpx.Response:
        for name in self.expire:
            (self.users if name in self.users else self.providers).pop(name)
        self.expire = []
        for line in map(json.loads, lines):
            nodes = self.users if line["node_kind"] == "user" else self.providers
            if line["kind"] != "put" and line["node"] not in nodes:
                return _problem("not-active", 409, f"{line['node']} is not active")
            named = set(
                line["body"] if line["kind"] == "links" else line["body"].get("demands", ())
            )
            other = "user" if line["node_kind"] == "provider" else "provider"
            for name in named:
                if (other, name) not in self.known:
                    return _problem("unknown-node", 422, f"{name} never registered")
            self._take(nodes, line)
        first = self._position + 1
        self._position += len(lines)
        return httpx.Response(
            200,
            json={
                "accepted": len(lines),
                "replayed": 0,
                "first_seq": first,
                "last_seq": self._position,
            },
        )

    def _take(self, nodes: dict[str, dict[str, Any]], line: dict[str, Any]) -> None:
        name, body = line["node"], line["body"]
        self.kinds.append(line["kind"])
        match line["kind"]:
            case "put":
                nodes[name] = dict(body)
                self.known.add((line["node_kind"], name))
            case "patch":
                demands = {**nodes[name].get("demands", {}), **body.get("demands", {})}
                nodes[name] |= {**body, "demands": demands} if demands else body
            case "leave":
                del nodes[name]
            case "links":
                self._links.setdefault(name, {}).update(body)

    def _market(self) -> Market | None:
        if not (self.users and self.providers):
            return None
        unused = ("lifetime_s", "demands")
        demands = [
            {"user": user, "provider": provider, "snr_db": self._links[provider][user], **demand}
            for user, report in self.users.items()
            for provider, demand in report["demands"].items()
            if provider in self.providers and user in self._links.get(provider, {})
        ]
        tables: dict[str, Any] = {
            "defaults": {"missing_demands": "absent"},
            "providers": [
                {"name": name, **{k: v for k, v in body.items() if k not in unused}}
                for name, body in sorted(self.providers.items())
            ],
            "users": [
                {"name": name, **{k: v for k, v in body.items() if k not in unused}}
                for name, body in sorted(self.users.items())
            ],
            "demands": demands,
        }
        return Scenario.parse(tables).market()

    def _decision(self, number: int) -> str:
        market, solution = self._decisions[number]
        lines: list[dict[str, Any]] = [self._cycles[number - 1]]
        for n, m in zip(*np.nonzero(market.present), strict=True):
            lines.append(
                {
                    "provider": market.provider_names[n],
                    "user": market.user_names[m],
                    "reward": solution.rewards[n, m],
                    "compute": solution.compute[n, m],
                    "bandwidth": solution.bandwidth[n, m],
                    "qoe": solution.qoe[n, m],
                    "payment": solution.rewards[n, m] * solution.qoe[n, m],
                }
            )
        return "\n".join(map(json.dumps, lines)) + "\n"


def _problem(slug: str, status: int, detail: str) -> httpx.Response:
    return httpx.Response(
        status,
        headers={"content-type": "application/problem+json"},
        content=json.dumps({"type": f"urn:qoex:problem:{slug}", "detail": detail}),
    )
