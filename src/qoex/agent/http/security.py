"""Whose token a request bears, and what it lets it read and write."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from starlette.requests import Request

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.reports.entries import NodeKind
from qoex.agent.tokens import Role, Token, secret_digest

REQUEST_ID = "qoex.request_id"
TOKEN = "qoex.token"


def token_of(request: Request) -> Token:
    """Return the token of a request; the gate lets none without one come below /v1."""
    token = request.scope[TOKEN]
    assert isinstance(token, Token)
    return token


_SCHEME = b"bearer "


class KnownTokens:
    """All tokens, in memory: a request never waits for the database to know whose it is.

    A secret is looked up by its SHA-256, so how long that takes tells nothing about any secret.
    """

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self._by_digest: dict[str, Token] = {}
        self._ids: dict[str, Token] = {}
        self.replace(tokens)

    def replace(self, tokens: Iterable[Token]) -> None:
        """Know these tokens from now on, and no others."""
        listed = list(tokens)
        self._by_digest = {token.digest: token for token in listed}
        self._ids = {token.id: token for token in listed}

    def find(self, authorization: bytes) -> Token | None:
        """Return the token of an Authorization header, if it is one that is valid now."""
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return None
        # Secrets are ASCII; anything else is none, and latin-1 reads every byte.
        digest = secret_digest(authorization[len(_SCHEME) :].strip(b" ").decode("latin-1"))
        token = None if digest is None else self._by_digest.get(digest)
        return token if token is not None and token.valid(datetime.now(UTC)) else None

    def any_operator(self) -> bool:
        """Return whether an operator has a token that is valid now."""
        now = datetime.now(UTC)
        return any(token.role is Role.OPERATOR and token.valid(now) for token in self._ids.values())

    def holds(self, token: Token) -> bool:
        """Return whether a token that was found before is still valid."""
        known = self._ids.get(token.id)
        return known is not None and known.valid(datetime.now(UTC))


def require_operator(request: Request) -> Token:
    """Let operators pass.

    Raises:
        Refused: forbidden.
    """
    token = token_of(request)
    if token.role is not Role.OPERATOR:
        raise Refused(ProblemKind.FORBIDDEN, "Only an operator's token allows this.")
    return token


def require_owner(request: Request, kind: NodeKind, node: str) -> Token:
    """Let a node and operators pass.

    Raises:
        Refused: forbidden.
    """
    token = token_of(request)
    if not token.owns(kind, node):
        raise Refused(
            ProblemKind.FORBIDDEN,
            f"The token is of {_owner(token)}; it does not allow this of {kind.value} {node!r}.",
        )
    return token


def _owner(token: Token) -> str:
    return f"{token.role.value} {token.node!r}"
