"""One call of the agent: what is sent, how the answer is read, and whether it may be repeated.

A method decorated with :func:`call` only *describes* its request. Through a ``Client`` it returns
the result, through an ``AsyncClient`` an awaitable of it, so that no request is written twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

if TYPE_CHECKING:
    from qoex.client.asynchronous import AsyncClient
    from qoex.client.blocking import Client

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """A request, and how its answer is read.

    Attributes:
        method: of HTTP.
        path: below the agent's address, escaped.
        read: makes the result of the body of a successful answer.
        parameters: of the query; None is left out.
        headers: besides those of every request.
        content: the body.
        repeatable: whether sending it twice does what sending it once does. All reports are, by
            their idempotency key.
        timeout: seconds to wait for the answer, where it may take longer than usual.
    """

    method: str
    path: str
    read: Callable[[bytes], T_co]
    parameters: Mapping[str, str | int | bool | None] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    repeatable: bool = True
    timeout: float | None = None


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Several calls, one after the other, whose results make one."""

    calls: Sequence[Call[T]]
    merge: Callable[[Sequence[T]], T]


class Method(Generic[P, T]):
    """A method of both clients, made of the description of its call."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T] | Batch[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Method[P, T]: ...

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Client | AsyncClient | None, owner: type) -> Any:
        """Return what carries the call out."""
        if client is None:
            return self
        describe = self._describe

        @functools.wraps(describe)
        def carried_out(*positional: P.args, **named: P.kwargs) -> Any:
            return client.perform(describe(client, *positional, **named))

        return carried_out


def call(describe: Callable[Concatenate[Any, P], Call[T] | Batch[T]]) -> Method[P, T]:
    """Turn the description of a call into a method of both clients."""
    return Method(describe)


def path_of(*parts: str | int) -> str:
    """Return the path of a resource, every part escaped."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)
