"""Objects between two processes over a pair of sockets: a pickle and its buffers, with lengths."""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
from typing import Any

_PROTOCOL = 5  # the first that leaves buffers out
_COUNT = struct.Struct("!I")
_LENGTH = struct.Struct("!Q")
_AT_ONCE = 1 << 20


class ChannelClosed(Exception):  # noqa: N818  (what happened, not that something broke)
    """The other end is gone."""


class Channel:
    """One end; used by one thread for sending and one for receiving at a time.

    Both ends are processes of the agent itself, so what comes may be unpickled.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """Return an end for this process, and the socket of the other one."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def send(self, thing: Any) -> None:
        """Send an object; wait until the other end has taken it.

        Raises:
            ChannelClosed: the other end is gone.
        """
        # Arrays go by themselves: what pickle copies it copies while no other thread can run.
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(thing, protocol=_PROTOCOL, buffer_callback=buffers.append)
        parts = [memoryview(data), *(buffer.raw() for buffer in buffers)]
        try:
            self._end.sendall(_COUNT.pack(len(parts)))
            for part in parts:
                self._end.sendall(_LENGTH.pack(part.nbytes))
                self._end.sendall(part)
        except OSError:
            raise ChannelClosed from None

    def receive(self) -> Any:
        """Wait for the next object.

        Raises:
            ChannelClosed: the other end is gone.
        """
        (count,) = _COUNT.unpack(self._read(_COUNT.size))
        data, *buffers = [self._read_part() for _ in range(count)]
        return pickle.loads(data, buffers=buffers)

    def close(self) -> None:
        """Close this end; whoever waits at either end learns that nothing more comes."""
        with contextlib.suppress(OSError):  # it is closed already, at one end or the other
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _read_part(self) -> bytearray:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return self._read(length)

    def _read(self, length: int) -> bytearray:
        data = bytearray(length)
        view = memoryview(data)
        done = 0
        while done < length:
            try:
                got = self._end.recv_into(view[done : done + _AT_ONCE])
            except OSError:
                raise ChannelClosed from None
            if got == 0:
                raise ChannelClosed
            done += got
        return data
