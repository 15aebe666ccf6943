"""Server-Sent Events: reading them, and connecting again where a connection ends.

No input or output here either: :class:`Following` is told what came, and says what to do.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

import httpx

from qoex.client.errors import UNREADABLE, AgentError
from qoex.client.exchange import Call, Retries, refusal, unreachable

P = ParamSpec("P")
T = TypeVar("T")

# The agent sends a comment every 15 s, so after three of them the connection is dead.
SILENCE = 45.0  # seconds

_LINE_END = re.compile(rb"\r\n|\n|\r")
_AGAIN = (429, 502, 503, 504)


@dataclass(frozen=True)
class Event:
    """One event as it came.

    Attributes:
        kind: its name.
        data: its text.
    """

    kind: str
    data: bytes


class EventReader:
    """Makes events of bytes, however they are cut (the format of the HTML standard).

    Attributes:
        last_id: id of the last event, or None.
        pause: seconds that the sender asks to wait before connecting again, or None.
    """

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self.pause: float | None = None
        self._held = b""
        self._id = last_id
        self._forget()

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that are complete now."""
        held = self._held + chunk
        # A carriage return at the end may be half of a line's end.
        kept = b"\r" if held.endswith(b"\r") else b""
        *lines, rest = _LINE_END.split(held[: len(held) - len(kept)])
        self._held = rest + kept
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def interrupted(self) -> None:
        """Forget the event that was under way: the connection ended."""
        self._held = b""
        self._id = self.last_id
        self._forget()

    def _forget(self) -> None:
        self._kind = ""
        self._data: list[bytes] = []

    def _line(self, line: bytes) -> Event | None:
        if not line:
            self.last_id = self._id
            event = Event(self._kind or "message", b"\n".join(self._data))
            complete = bool(self._data)
            self._forget()
            return event if complete else None
        name, _, value = line.partition(b":")  # a comment has an empty name
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self.pause = int(value) / 1000.0
        return None


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
        self._reader = EventReader(stream.last_id)
        self._failures = 0

    def call(self) -> Call[None]:
        """Return the request that opens the next connection."""
        headers = {"accept": "text/event-stream", "cache-control": "no-cache"}
        if self._reader.last_id is not None:
            headers["last-event-id"] = self._reader.last_id
        return Call("GET", self._stream.path, _nothing, headers=headers, timeout=SILENCE)

    def feed(self, chunk: bytes) -> Iterator[T]:
        """Yield what the events say that are complete now."""
        self._failures = 0
        for event in self._reader.feed(chunk):
            if event.kind != "cycle":
                continue
            try:
                yield self._stream.read(event.data)
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
        self._reader.interrupted()
        reason = error or RuntimeError("the stream ended")
        return self._pause(unreachable(self._address, reason))

    def _pause(self, error: AgentError) -> float:
        self._failures += 1
        pause = self._retries.pause(self._failures, error.retry_after, self._rng)
        if pause is None:
            raise error
        return max(pause, self._reader.pause or 0.0)


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


def _nothing(content: bytes) -> None:
    del content
