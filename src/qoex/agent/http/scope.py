"""What the gate notes in a request's scope for whoever answers it."""

from __future__ import annotations

from starlette.requests import Request

from qoex.agent.tokens import Token

REQUEST_ID = "qoex.request_id"
TOKEN = "qoex.token"


def token_of(request: Request) -> Token:
    """Return the token of a request; the gate lets none without one come below /v1."""
    token = request.scope[TOKEN]
    assert isinstance(token, Token)
    return token
