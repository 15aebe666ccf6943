"""Where the agent is, who asks, and what every request has."""

from __future__ import annotations

import ipaddress
import os
from typing import Any

import httpx

from qoex.errors import InvalidInputError

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
