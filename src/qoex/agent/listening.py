"""The socket that the agent listens on, and the server that speaks HTTP or HTTPS on it."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from qoex.agent.http.app import create_app
from qoex.agent.http.parts import AgentParts
from qoex.agent.settings import Settings
from qoex.errors import QoexError

_KEEP_ALIVE_S = 75  # longer than the usual reverse proxy keeps its connections


class _Server(uvicorn.Server):
    """Leaves signals to the agent, which has more to end than connections."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, so that nobody else is; it does not listen yet.

    Raises:
        QoexError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise QoexError(f"cannot listen on {host} ({error.strerror})") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise QoexError(f"cannot listen on {host}, port {port} ({error.strerror})") from None
    return made


def require_certificate(settings: Settings) -> None:
    """Raise unless HTTPS can be served, or is not asked for.

    Raises:
        QoexError: certificate and key cannot be used.
    """
    if settings.tls_certificate is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise QoexError(
            f"{settings.tls_certificate} and {settings.tls_key} cannot be used for HTTPS "
            f"({error.strerror or error})"
        ) from None


def server_of(parts: AgentParts) -> uvicorn.Server:
    """Return what serves an agent on a socket; it leaves signals alone."""
    settings = parts.settings
    return _Server(
        uvicorn.Config(
            create_app(parts),
            loop="none",  # there is one already
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(settings.shutdown_grace_s),
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
    )


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Return the address that clients give for a bound socket."""
    scheme = "http" if settings.tls_certificate is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
