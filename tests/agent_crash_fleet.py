"""A fleet that notes what was acknowledged, and sends again what was not, with the same key."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from agent_state import PROVIDER_BODY, user_body

PROVIDERS = ("asp-1", "asp-2")
USERS = tuple(f"mu-{m}" for m in range(1, 6))
_SENDERS = 6


@dataclass(frozen=True)
class Report:
    """A report, as often as it has to be sent."""

    key: str
    method: str
    path: str
    body: dict[str, Any] | None


@dataclass
class Fleet:
    """What was sent, and what came back.

    Attributes:
        sent: keys of all reports that may have reached an agent.
        acknowledged: key → place in the log.
        doubled: keys whose second acknowledgement differs from the first.
        refused: HTTP status → how often a report was refused.
        decisions: cycle → digest or result, as it was answered.
    """

    rng: np.random.Generator
    sent: set[str] = field(default_factory=set)
    acknowledged: dict[str, int] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    decisions: dict[int, dict[str, Any]] = field(default_factory=dict)
    _again: list[Report] = field(default_factory=list)
    _count: int = 0

    def registration(self) -> list[Report]:
        """Return reports that register everybody."""
        reports = [("PUT", f"/v1/providers/{name}", PROVIDER_BODY) for name in PROVIDERS]
        reports += [("PUT", f"/v1/users/{name}", user_body(*PROVIDERS)) for name in USERS]
        return [self._report(*report) for report in reports]

    async def life(self, client: httpx.AsyncClient) -> None:
        """Send reports until cancelled; whoever finds nobody tries again."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_SENDERS):
                group.create_task(self._send_on(client))
            group.create_task(self._ask_for_cycles(client))

    async def send(self, client: httpx.AsyncClient, report: Report) -> None:
        """Send a report once; what is not answered is to be sent again."""
        self.sent.add(report.key)
        try:
            answer = await client.request(
                report.method,
                report.path,
                json=report.body,
                headers={"idempotency-key": report.key},
            )
        except BaseException:
            self._again.append(report)
            raise
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._again.append(report)
        elif answer.is_success:
            seq = answer.json()["seq"]
            if self.acknowledged.setdefault(report.key, seq) != seq:
                self.doubled.append(report.key)
            elif self.rng.random() < 0.02:  # an answer that got lost on its way is asked for again
                self._again.append(report)
        else:
            self.refused[answer.status_code] = self.refused.get(answer.status_code, 0) + 1

    async def _send_on(self, client: httpx.AsyncClient) -> None:
        while True:
            report = self._again.pop() if self._again else self._next()
            try:
                await self.send(client, report)
            except httpx.TransportError:
                await asyncio.sleep(0.01)

    async def _ask_for_cycles(self, client: httpx.AsyncClient) -> None:
        while True:
            await asyncio.sleep(0.05)
            try:
                answer = await client.post("/v1/cycles")
            except httpx.TransportError:
                continue
            if answer.is_success:
                summary = answer.json()
                self.decisions[summary["number"]] = summary

    def _next(self) -> Report:
        user = str(self.rng.choice(USERS))
        provider = str(self.rng.choice(PROVIDERS))
        draw = self.rng.random()
        if draw < 0.4:
            tokens = float(self.rng.integers(10, 200))
            body = {"demands": {provider: {"input_tokens": tokens}}}
            return self._report("PATCH", f"/v1/users/{user}", body)
        if draw < 0.6:
            links = {user: float(self.rng.uniform(10.0, 30.0))}
            return self._report("PATCH", f"/v1/providers/{provider}/links", links)
        if draw < 0.9:
            served = {"user": user, "requests": int(self.rng.integers(1, 9))}
            return self._report("POST", f"/v1/providers/{provider}/served", served)
        if draw < 0.94:
            return self._report("DELETE", f"/v1/users/{user}", None)
        return self._report("PUT", f"/v1/users/{user}", user_body(*PROVIDERS))

    def _report(self, method: str, path: str, body: dict[str, Any] | None) -> Report:
        self._count += 1
        return Report(f"report-{self._count}", method, path, body)
