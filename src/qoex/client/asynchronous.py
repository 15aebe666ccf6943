"""The client for asyncio."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

import httpx
from httpx_sse import EventSource

from qoex.client.calls import Calls
from qoex.client.exchange import (
    TIMEOUT,
    Call,
    CallBatch,
    Reply,
    Retries,
    Todo,
    exchange,
    http_options,
    request_of,
)
from qoex.client.following import Following, Stream

T = TypeVar("T")


class AsyncClient(Calls):
    """Talks with a decision agent from asyncio; an asynchronous context manager.

    Attributes:
        address: of the agent.

    Raises:
        InvalidInputError: the address is none, or the token cannot be one.
    """

    def __init__(
        self,
        agent: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            agent: address; by default of the variable QOEX_AGENT, or http://127.0.0.1:8321.
            token: by default of the variable QOEX_TOKEN.
            timeout: seconds to connect, and to wait for an answer.
            retries: how often to try; by default 8 times within some 10 seconds.
            transport: in place of the network.

        """
        self._http = httpx.AsyncClient(**http_options(agent, token, timeout), transport=transport)
        self._retries = Retries() if retries is None else retries
        self._rng = random.Random()
        self.address = str(self._http.base_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def perform(self, what: Call[T] | CallBatch[T]) -> T:
        """Carry out what a call describes; its methods do that for you."""
        if isinstance(what, CallBatch):
            return what.merge([await self.perform(item) for item in what.calls])
        todos: Generator[Todo, Reply, T] = exchange(what, self._http, self._retries, self._rng)
        outcome: Reply = None
        while True:
            try:
                todo = todos.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = await self._do(todo)

    async def _do(self, todo: Todo) -> Reply:
        if not isinstance(todo, httpx.Request):
            await asyncio.sleep(todo)
            return None
        try:
            return await self._http.send(todo)
        except httpx.RequestError as error:
            return error

    async def follow(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """Follow what a stream describes; its methods do that for you."""
        following = Following(stream, self.address, self._retries, self._rng)
        while True:
            request = request_of(following.call(), self._http)
            try:
                response = await self._http.send(request, stream=True)
                try:
                    if response.is_success:
                        async with aclosing(EventSource(response).aiter_sse()) as events:
                            async for event in events:
                                for item in following.take(event):
                                    yield item
                        pause = following.ended()
                    else:
                        await response.aread()
                        pause = following.refused(response)
                finally:
                    await response.aclose()
            except httpx.TransportError as error:
                pause = following.ended(error)
            await asyncio.sleep(pause)
