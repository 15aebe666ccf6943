"""Server-Sent Events: what they say, and connecting again where a connection ends.

No input or output here either: :class:`Following` is told what came, and says what to do.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

import httpx
from httpx_sse import ServerSentEvent

from qoex.client.errors import UNREADABLE, AgentError
from qoex.client.exchange import Call, Retries, nothing, refusal, unreachable

P = ParamSpec("P")
T = TypeVar("T")

# The agent sends a comment every 15 s, so after three of them the connection is dead.
SILENCE = 45.0  # seconds

_AGAIN = (429, 502, 503, 504)


@dataclass(frozen=True)
class Stream(Generic[T]):
    """Events to follow.

    Attributes:
        path: where they come from.
        read: makes what is yielded of the data of an event named "cycle".
        last_id: of the event after which they are wanted; None for those from now on.
    """

    path: str
    read: Callable[[bytes], T]
    last_id: str | None


class Following(Generic[T]):
    """Follows a stream over as many connections as it takes."""

    def __init__(
        self, stream: Stream[T], address: str, retries: Retries, rng: random.Random
    ) -> None:
        self._stream = stream
        self._address = address
        self._retries = retries
        self._rng = rng
        self._last_id = stream.last_id
        self._asked = 0.0  # seconds that the agent asks to wait before connecting again
        self._failures = 0

    def call(self) -> Call[None]:
        """Return the request that opens the next connection."""
        headers = {"accept": "text/event-stream", "cache-control": "no-cache"}
        if self._last_id is not None:
            headers["last-event-id"] = self._last_id
        return Call("GET", self._stream.path, nothing, headers=headers, timeout=SILENCE)

    def take(self, event: ServerSentEvent) -> Iterator[T]:
        """Yield what an event says, if it is one that is followed."""
        self._failures = 0
        if event.retry is not None:
            self._asked = event.retry / 1000.0
        self._last_id = event.id or self._last_id
        if event.event != "cycle" or not event.data:
            return
        try:
            yield self._stream.read(event.data.encode())
        except ValueError as error:
            first = " ".join(str(error).split("\n")[:3])
            raise AgentError(
                UNREADABLE,
                f"an event of {self._stream.path} is not what an agent sends: {first}",
            ) from None

    def refused(self, response: httpx.Response) -> float:
        """Return how long to pause after a refusal, read to its end.

        Raises:
            AgentError: it is useless to ask again.
        """
        error = refusal(response)
        if error.status not in _AGAIN:
            raise error
        return self._pause(error)

    def ended(self, error: httpx.TransportError | None = None) -> float:
        """Return how long to pause after a connection ended, by an error or in good order.

        Raises:
            AgentError: too many attempts in a row brought nothing.
        """
        reason = error or RuntimeError("the stream ended")
        return self._pause(unreachable(self._address, reason))

    def _pause(self, error: AgentError) -> float:
        self._failures += 1
        pause = self._retries.pause(self._failures, error.retry_after, self._rng)
        if pause is None:
            raise error
        return max(pause, self._asked)


class BlockingFollower(Protocol):
    """Who waits for events; :class:`qoex.client.Client` is one."""

    def follow(self, stream: Stream[T]) -> Generator[T, None, None]:
        """Follow a stream."""
        ...


class AsyncFollower(Protocol):
    """Whose events can be awaited; :class:`qoex.client.AsyncClient` is one."""

    def follow(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """Follow a stream."""
        ...


class StreamMethod(Generic[P, T]):
    """A method of both clients that follows events."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Stream[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> StreamMethod[P, T]: ...

    @overload
    def __get__(
        self, client: BlockingFollower, owner: type
    ) -> Callable[P, Generator[T, None, None]]: ...

    @overload
    def __get__(
        self, client: AsyncFollower, owner: type
    ) -> Callable[P, AsyncGenerator[T, None]]: ...

    def __get__(self, client: BlockingFollower | AsyncFollower | None, owner: type) -> Any:
        """Return what follows the events."""
        if client is None:
            return self
        describe = self._describe

        def followed(*positional: P.args, **named: P.kwargs) -> Any:
            return client.follow(describe(client, *positional, **named))

        followed.__doc__ = describe.__doc__
        return followed


def stream(describe: Callable[Concatenate[Any, P], Stream[T]]) -> StreamMethod[P, T]:
    """Turn the description of a stream into a method of both clients."""
    return StreamMethod(describe)
