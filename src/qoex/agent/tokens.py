"""Bearer tokens: what they let their bearer do, and how they are made and read.

A secret reads ``qoex_<id>_<43 characters>``: the id is public and names the token in lists and
logs, the characters are 32 random bytes. Only their SHA-256 is stored, and that is enough: nobody
finds 32 random bytes by trying, so a slow hash would cost time at every request and gain nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from qoex.agent.reports.entries import NodeKind

_PREFIX = "qoex"
_RANDOM_BYTES = 32
_ID_LENGTH = 8
# No letters that are taken for digits or for one another.
_ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_SECRET = re.compile(rf"{_PREFIX}_[{_ID_LETTERS}]{{{_ID_LENGTH}}}_([A-Za-z0-9_-]{{43}})")


class Role(StrEnum):
    """Whose token it is."""

    OPERATOR = "operator"  # reads and writes everything
    PROVIDER = "provider"  # reads and writes what is of one provider
    USER = "user"  # reads and writes what is of one user


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; its secret is not.

    Attributes:
        id: public name of the token.
        digest: SHA-256 of the secret's random bytes, in hexadecimal, 64 characters.
        role: whose token it is.
        node: name of the provider or user; None for an operator.
        label: what the operator noted, "" if nothing.
        created_at: UTC.
        expires_at: when it stops being valid, UTC; None for never.
        revoked_at: when it was revoked, UTC; None if it was not.
    """

    id: str
    digest: str
    role: Role
    node: str | None
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Return whether it opens anything at a time (with zone)."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return False
        return self.expires_at is None or now < self.expires_at

    def owns(self, kind: NodeKind, node: str) -> bool:
        """Return whether a node may be read and written with it."""
        return self.role is Role.OPERATOR or (self.role.value == kind.value and self.node == node)


def new_token(
    role: Role,
    node: str | None = None,
    *,
    created_at: datetime,
    label: str = "",
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Make a token.

    Args:
        role: whose token it is.
        node: name of the provider or user; None exactly for an operator.
        created_at: now, with zone.
        label: a note for the operator.
        expires_at: when it stops being valid, with zone; None for never.

    Returns:
        The token, and its secret, which is kept nowhere.

    Raises:
        ValueError: a node is missing, or given for an operator.
    """
    if (node is None) != (role is Role.OPERATOR):
        raise ValueError("a token is of one node, unless it is the operator's")
    random = secrets.token_bytes(_RANDOM_BYTES)
    name = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    secret = f"{_PREFIX}_{name}_{_text(random)}"
    digest = hashlib.sha256(random).hexdigest()
    return Token(name, digest, role, node, label, created_at, expires_at), secret


def secret_digest(secret: str) -> str | None:
    """Return what a secret is stored as, in hexadecimal; None if it is not of the right form."""
    matched = _SECRET.fullmatch(secret)
    if matched is None:
        return None
    try:
        random = base64.urlsafe_b64decode(matched[1] + "=")
    except binascii.Error:
        return None
    # Two bits of the last character are of no use; a secret is to have one spelling all the same.
    if _text(random) != matched[1]:
        return None
    return hashlib.sha256(random).hexdigest()


def _text(random: bytes) -> str:
    return base64.urlsafe_b64encode(random).decode("ascii").rstrip("=")
