"""How a call is carried out: what is sent when, and when to give up; no input or output here.

:func:`exchange` is a generator. It yields what is to be done next, a request to send or seconds to
pause, and is sent what came of it. So the blocking client and the asynchronous one share it.
"""

from __future__ import annotations

import email.utils
import functools
import ipaddress
import os
import random
import time
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload
from urllib.parse import quote

import httpx

from qoex.client.errors import UNREACHABLE, UNREADABLE, AgentError, problem_of
from qoex.errors import InvalidInputError

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
class CallBatch(Generic[T]):
    """Several calls, one after the other, whose results make one."""

    calls: Sequence[Call[T]]
    merge: Callable[[Sequence[T]], T]


class BlockingPerformer(Protocol):
    """Who waits for what a call describes; :class:`qoex.client.Client` is one."""

    def perform(self, what: Call[T] | CallBatch[T]) -> T:
        """Carry it out."""
        ...


class AsyncPerformer(Protocol):
    """Who can be awaited; :class:`qoex.client.AsyncClient` is one."""

    async def perform(self, what: Call[T] | CallBatch[T]) -> T:
        """Carry it out."""
        ...


class CallMethod(Generic[P, T]):
    """A method of both clients, made of the description of its call."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T] | CallBatch[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> CallMethod[P, T]: ...

    @overload
    def __get__(self, client: BlockingPerformer, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(
        self, client: AsyncPerformer, owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: BlockingPerformer | AsyncPerformer | None, owner: type) -> Any:
        """Return what carries the call out."""
        if client is None:
            return self
        describe = self._describe

        @functools.wraps(describe)
        def carried_out(*positional: P.args, **named: P.kwargs) -> Any:
            return client.perform(describe(client, *positional, **named))

        return carried_out


def call(describe: Callable[Concatenate[Any, P], Call[T] | CallBatch[T]]) -> CallMethod[P, T]:
    """Turn the description of a call into a method of both clients."""
    return CallMethod(describe)


def nothing(content: bytes) -> None:
    """Read an answer of which only the status matters."""
    del content


def path_of(*parts: str | int) -> str:
    """Return the path of a resource, every part escaped."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


Todo = httpx.Request | float
Reply = httpx.Response | httpx.RequestError | None

# Refused before anything was done, so that any request may be sent again.
_NOT_DONE = (429, 503)
# From what stands before the agent: whether it did anything is open.
_UNCERTAIN = (502, 504)
# Errors of a request that never left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Retries:
    """How often and how patiently a request is sent again, always with the same key.

    Before attempt k + 1 the client pauses for min(longest, first·2^(k-1)) seconds, less up to half
    of it at random; or for as long as the agent asks (Retry-After), and up to a quarter more.

    Attributes:
        attempts: in all, at least one.
        first: seconds of the first pause, zero or more.
        longest: seconds of the longest pause.
        patience: seconds; where the agent asks for a longer pause, the client gives up.
    """

    attempts: int = 8
    first: float = 0.1
    longest: float = 10.0
    patience: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidInputError(f"attempts is {self.attempts!r}; it must be one or more")
        for name in ("first", "longest", "patience"):
            value = getattr(self, name)
            if not value >= 0:
                raise InvalidInputError(f"{name} is {value!r}; it must not be negative")

    def pause(self, failures: int, retry_after: float | None, rng: random.Random) -> float | None:
        """Return how long to pause after so many failures in a row, or None to give up."""
        if failures >= self.attempts:
            return None
        if retry_after is not None:
            return None if retry_after > self.patience else retry_after * rng.uniform(1.0, 1.25)
        # The exponent is bounded so that a stream that fails for days does not overflow.
        longest = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        return longest * rng.uniform(0.5, 1.0)


def exchange(
    call: Call[T], build: httpx.Client | httpx.AsyncClient, retries: Retries, rng: random.Random
) -> Generator[Todo, Reply, T]:
    """Carry out a call; see the module.

    Args:
        call: what to ask.
        build: makes requests with the address and headers that all share.
        retries: when to give up.
        rng: source of jitter.

    Yields:
        A request, to be answered with the response (read to its end) or the error; or seconds.

    Returns:
        What the answer says.

    Raises:
        AgentError: the agent refused it, or gave no answer that can be used.
    """
    failures = 0
    while True:
        outcome = yield request_of(call, build)
        failures += 1
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return _read(call, outcome)
        error, again = _judge(call, outcome, str(build.base_url))
        pause = retries.pause(failures, error.retry_after, rng) if again else None
        if pause is None:
            raise error
        yield pause


def request_of(call: Call[T], build: httpx.Client | httpx.AsyncClient) -> httpx.Request:
    """Return the request of a call."""
    parameters = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in call.parameters.items()
        if value is not None
    }
    return build.build_request(
        call.method,
        call.path,
        params=parameters or None,
        headers=dict(call.headers),
        content=call.content,
        timeout=httpx.USE_CLIENT_DEFAULT if call.timeout is None else call.timeout,
    )


def unreachable(address: str, error: Exception | None) -> AgentError:
    """Return the error of an agent from which no answer came."""
    why = str(error) or type(error).__name__
    return AgentError(UNREACHABLE, f"the agent at {address} gave no answer ({why})")


def refusal(response: httpx.Response) -> AgentError:
    """Return the problem that a response, read to its end, states."""
    return problem_of(
        response.status_code,
        response.headers,
        response.content,
        _retry_after(response.headers.get("retry-after")),
    )


def _judge(call: Call[T], outcome: Reply, address: str) -> tuple[AgentError, bool]:
    """Return what went wrong, and whether the request may be sent again."""
    if isinstance(outcome, httpx.Response):
        status = outcome.status_code
        again = status in _NOT_DONE or (call.repeatable and status in _UNCERTAIN)
        return refusal(outcome), again
    assert outcome is not None  # only pauses are answered with nothing
    transport = isinstance(outcome, httpx.TransportError)
    again = isinstance(outcome, _NOT_SENT) or (call.repeatable and transport)
    return unreachable(address, outcome), again


def _read(call: Call[T], response: httpx.Response) -> T:
    try:
        return call.read(response.content)
    except ValueError as error:  # of pydantic, too
        first = " ".join(str(error).split("\n")[:3])
        raise AgentError(
            UNREADABLE,
            f"the answer to {call.method} {call.path} is not what an agent sends: {first}",
            status=response.status_code,
        ) from None


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110: seconds, or a date)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


AGENT_VARIABLE = "QOEX_AGENT"
TOKEN_VARIABLE = "QOEX_TOKEN"
DEFAULT_AGENT = "http://127.0.0.1:8321"

TIMEOUT = 10.0  # seconds, to connect and to wait for an answer


def http_options(agent: str | None, token: str | None, timeout: float) -> dict[str, Any]:
    """Return what an httpx client is built with.

    Args:
        agent: address; by default that of the variable QOEX_AGENT, or an agent on this machine.
        token: of the node or operator; by default that of the variable QOEX_TOKEN, if it is set.
        timeout: seconds.

    Raises:
        InvalidInputError: the address is none of HTTP, or the token holds what no token may.
    """
    address = agent or os.environ.get(AGENT_VARIABLE) or DEFAULT_AGENT
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise InvalidInputError(f"the agent's address {address!r} is none ({error})") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInputError(
            f"the agent's address is {address!r}; it must begin with http:// or https:// and a host"
        )
    headers = {"accept": "application/json", "user-agent": "qoex-client"}
    secret = token or os.environ.get(TOKEN_VARIABLE)
    if secret:
        if not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise InvalidInputError("the token holds a blank or a character that no token has")
        headers["authorization"] = f"Bearer {secret}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": timeout,
        # A proxy of the environment cannot reach an agent on this machine.
        "trust_env": not _loopback(url.host),
    }


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
