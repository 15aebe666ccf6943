"""As little HTTP as a load generator needs, so that it takes little of the machine itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

Answered = Callable[[int, bytes], None]


class Connection(asyncio.Protocol):
    """One kept connection with one request on its way at a time.

    Attributes:
        broken: whether it was closed by the other side.
    """

    def __init__(self, idle: Callable[[Connection], None]) -> None:
        self.broken = False
        self._idle = idle
        self._answered: Answered | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a whole request; ``answered`` is called with status and body."""
        assert self._transport is not None
        self._answered = answered
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand a whole answer on; answers carry their length."""
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        whole = end + 4 + length
        if len(self._buffer) < whole:
            return
        status, body = int(head[9:12]), self._buffer[end + 4 : whole]
        self._buffer = self._buffer[whole:]
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status, body)
        self._idle(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Count what was on its way as not answered (status 0)."""
        self.broken = True
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(0, b"")


def request(
    method: str, path: str, host: str, token: str, body: bytes, headers: dict[str, str]
) -> bytes:
    """Return a whole HTTP/1.1 request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
