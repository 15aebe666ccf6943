"""What every request passes before anything looks at it, and what every answer carries.

The gate decides by default: below ``/v1`` nothing is reached without a valid token, whichever
routes there are. It is plain ASGI, for it stands in the way of a thousand requests per second, some
of which are answered by streams.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qoex.agent.errors import ProblemKind
from qoex.agent.http.limits import TokenBuckets
from qoex.agent.http.parts import AgentParts
from qoex.agent.http.problems import CHALLENGE, broken_response, problem_response
from qoex.agent.http.security import REQUEST_ID, TOKEN
from qoex.agent.settings import LogLevel
from qoex.agent.tokens import Role

log = structlog.stdlib.get_logger("qoex.agent.http")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# Answers are data for programs; should a browser show one, it may do nothing with it.
_API_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Gate:
    """Pure ASGI middleware: request id, host, token, rate; headers of answers; counts and log."""

    def __init__(self, app: ASGIApp, parts: AgentParts) -> None:
        settings = parts.settings
        self._app = app
        self._tokens = parts.tokens
        self._instruments = parts.instruments
        self._lifecycle = parts.lifecycle
        self._hosts = settings.hosts()
        self._operators = TokenBuckets(settings.operator_rate, settings.operator_burst)
        self._nodes = TokenBuckets(settings.node_rate, settings.node_burst)
        self._strangers = TokenBuckets(settings.failed_logins_rate, settings.failed_logins_burst)
        self._logs_requests = settings.log_level is LogLevel.DEBUG
        self._start = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        host = authorization = given_id = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"authorization":
                # Two of them would be read by one reader this way and by another that way.
                authorization = value if authorization is None else b""
            elif name == b"x-request-id":
                given_id = value
        request_id = self._request_id(given_id)
        scope[REQUEST_ID] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        answer = _Answer(send, request_id, plain=_is_page(scope["path"]))
        started = time.perf_counter()
        try:
            refusal = self._refusal(scope, host, authorization, request_id)
            await (refusal or self._app)(scope, receive, answer.send)
        except ClientDisconnect:
            pass
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["path"])
            if not answer.status:
                await broken_response(request_id)(scope, receive, answer.send)
        finally:
            self._instruments.answered(answer.status)
            if self._logs_requests:
                token = scope.get(TOKEN)
                log.debug(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=answer.status,
                    token_id=token.id if token else None,
                    ms=round((time.perf_counter() - started) * 1e3, 3),
                )

    def _refusal(
        self, scope: Scope, host: bytes | None, authorization: bytes | None, request_id: str
    ) -> Response | None:
        """Return the answer to a request that does not pass; None for one that does."""
        if self._hosts is not None and _host_name(host) not in self._hosts:
            detail = "The Host header names no address of this agent (setting allowed_hosts)."
            return problem_response(ProblemKind.MISDIRECTED, detail, request_id=request_id)
        token = self._tokens.find(authorization) if authorization else None
        scope[TOKEN] = token
        if not scope["path"].startswith("/v1/"):
            return None
        if token is None:
            return self._refuse_stranger(scope, authorization, request_id)
        buckets = self._operators if token.role is Role.OPERATOR else self._nodes
        wait = buckets.take(token.id)
        if wait:
            return _too_many("The token sends requests too fast.", wait, request_id)
        if self._lifecycle.stopping:
            detail = "The agent is stopping."
            headers = {"Connection": "close"}
            return problem_response(
                ProblemKind.STOPPING, detail, request_id=request_id, retry_after=5, headers=headers
            )
        return None

    def _refuse_stranger(
        self, scope: Scope, authorization: bytes | None, request_id: str
    ) -> Response:
        """Refuse a request without a valid token; valid ones pass however many others come."""
        self._instruments.unauthenticated.inc()
        client = scope.get("client")
        wait = self._strangers.take(client[0] if client else "")
        if wait:
            detail = "Too many requests without a valid token come from this address."
            return _too_many(detail, wait, request_id)
        if authorization is None:
            detail, challenge = "The request has no header Authorization: Bearer TOKEN.", CHALLENGE
        else:
            detail = "The token is unknown, revoked or expired."
            challenge = f'{CHALLENGE}, error="invalid_token"'
        return problem_response(
            ProblemKind.UNAUTHENTICATED,
            detail,
            request_id=request_id,
            headers={"WWW-Authenticate": challenge},
        )

    def _request_id(self, given: bytes | None) -> str:
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._start}-{next(self._numbers):x}"


class _Answer:
    """Adds headers to an answer on its way, and notes its status."""

    def __init__(self, send: Send, request_id: str, *, plain: bool) -> None:
        self._send = send
        self._request_id = request_id.encode("ascii")
        self._plain = plain
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            headers.append((b"x-request-id", self._request_id))
            if not self._plain or self.status >= 400:
                given = {name for name, _ in headers}
                headers += [item for item in _API_HEADERS if item[0] not in given]
        await self._send(message)


def _is_page(path: str) -> bool:
    """Return whether a path is of the dashboard, whose answers bring their own headers."""
    return path == "/" or path.startswith("/dashboard/")


def _host_name(host: bytes | None) -> str:
    """Return the name of a Host header in lower case, without its port."""
    text = (host or b"").decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _too_many(detail: str, wait: float, request_id: str) -> Response:
    return problem_response(
        ProblemKind.TOO_MANY_REQUESTS, detail, request_id=request_id, retry_after=wait
    )
