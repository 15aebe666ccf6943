"""Objects between two processes over a pair of sockets, each as one pickle with its length."""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
from typing import Any

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
        data = pickle.dumps(thing, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            self._end.sendall(_LENGTH.pack(len(data)))
            self._end.sendall(data)
        except OSError:
            raise ChannelClosed from None

    def receive(self) -> Any:
        """Wait for the next object.

        Raises:
            ChannelClosed: the other end is gone.
        """
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return pickle.loads(self._read(length))

    def close(self) -> None:
        """Close this end; whoever waits at either end learns that nothing more comes."""
        with contextlib.suppress(OSError):  # it is closed already, at one end or the other
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

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
