"""Server-sent events: what was missed, then what comes, until the reader goes or is too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from qoex.agent.cycle.engine import Engine
from qoex.agent.cycle.history import History
from qoex.agent.cycle.publishing import Published, Subscription
from qoex.agent.http.parts import AgentParts
from qoex.agent.storage import Store
from qoex.agent.tokens import Token

MEDIA_TYPE = "text/event-stream"
AT_A_TIME = 50  # cycles that are read back at once

_RETRY_MS = 2_000
_KEEPALIVE = b": ping\n\n"
_SEND_SECONDS = 30.0  # a reader that takes nothing for so long is gone
_TOO_SLOW = "The reader fell too far behind; Last-Event-ID brings what it missed."

# Makes the data of an event.
View = Callable[[Published], Any]


class EventStream(Response):
    """A stream of cycles for one reader.

    It holds one of the streams of its token, which has to be opened before it is made, and gives
    it back at its end.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, parts: AgentParts, token: Token, view: View, last_id: int | None, most_missed: int
    ) -> None:
        """Make one.

        Args:
            parts: the agent.
            token: of the reader; the stream ends when it is no longer valid.
            view: makes the data of an event.
            last_id: number of the cycle that the reader knows; None if it wants none of the past.
            most_missed: past cycles that it gets at most.
        """
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._parts = parts
        self._token = token
        self._view = view
        self._last_id = last_id
        self._most_missed = most_missed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events for as long as somebody listens."""
        del scope
        subscription = self._parts.engine.subscribe(self._parts.settings.event_queue)
        gone = asyncio.create_task(_gone(receive))
        try:
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            async for chunk in self._chunks(subscription, gone):
                body = {"type": "http.response.body", "body": chunk, "more_body": True}
                async with asyncio.timeout(_SEND_SECONDS):
                    await send(body)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            self._parts.instruments.events_dropped.inc()
        finally:
            gone.cancel()
            subscription.close()
            self._parts.streams.close(self._token.id)

    async def _chunks(
        self, subscription: Subscription, gone: asyncio.Task[None]
    ) -> AsyncIterator[bytes]:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        engine, history, store = self._parts.engine, self._parts.history, self._parts.store
        last = self._last_id
        if last is not None:
            async for item in _missed(engine, history, store, last, self._most_missed):
                if gone.done():
                    return
                yield self._event(item)
                last = item.record.number
        coming = asyncio.ensure_future(anext(subscription, None))
        try:
            while not gone.done():
                heartbeat = self._parts.settings.event_heartbeat_s
                await asyncio.wait(
                    {coming, gone}, timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if not self._parts.tokens.holds(self._token):
                    return
                if not coming.done():
                    yield _KEEPALIVE
                    continue
                new = coming.result()
                if new is None:
                    break
                # What was committed while the past was read back has been sent with it.
                if last is None or new.record.number > last:
                    yield self._event(new)
                coming = asyncio.ensure_future(anext(subscription, None))
        finally:
            coming.cancel()
        if subscription.too_slow:
            self._parts.instruments.events_dropped.inc()
            yield _event("dropped", to_json(_TOO_SLOW))

    def _event(self, item: Published) -> bytes:
        return _event("cycle", to_json(self._view(item)), item.record.number)


def _event(kind: str, data: bytes, number: int | None = None) -> bytes:
    """Return an event; its data is JSON, and so has no ends of lines."""
    end = b"" if number is None else f"id: {number}\n".encode()
    return b"event: %s\ndata: %s\n%s\n" % (kind.encode(), data, end)


async def _missed(
    engine: Engine, history: History, store: Store, last: int, most: int
) -> AsyncIterator[Published]:
    """Yield the cycles after one, at most the last ``most`` of them."""
    latest = engine.latest
    if latest is None:
        return
    newest = latest.record.number
    after = max(last, newest - most)
    while after < newest:
        limit = min(AT_A_TIME, newest - after)
        records = await store.cycles(after=after, limit=limit)
        for record in records:
            in_force = record.in_force
            yield Published(record, None if in_force is None else await history.decided(in_force))
        after += limit


async def _gone(receive: Receive) -> None:
    """Return when the reader is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
