"""Tokens: how secrets look, what is kept of them, and what they open."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoex.agent.reports.entries import NodeKind
from qoex.agent.tokens import Role, Token, new_token, secret_digest

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def made(role: Role = Role.USER, node: str | None = "mu-1") -> tuple[Token, str]:
    return new_token(role, node, created_at=NOW)


def test_a_secret_is_known_by_the_hash_of_its_32_random_bytes() -> None:
    token, secret = made()
    prefix, name, text = secret.split("_", 2)
    assert (prefix, name) == ("qoex", token.id)
    random = base64.urlsafe_b64decode(text + "=")
    assert len(random) == 32
    assert secret_digest(secret) == token.digest == hashlib.sha256(random).hexdigest()


def test_no_two_are_the_same_and_a_token_does_not_hold_its_secret() -> None:
    several = [made() for _ in range(50)]
    assert len({token.id for token, _ in several}) == 50
    assert len({token.digest for token, _ in several}) == 50
    token, secret = several[0]
    assert secret not in repr(token)
    assert secret.split("_", 2)[2] not in repr(token)


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "A",
        lambda secret: secret + "\n",
        lambda secret: " " + secret,
        lambda secret: secret.replace("qoex", "qoey"),
        lambda secret: secret.upper(),
        lambda secret: secret.replace("_", "-", 1),
        lambda secret: secret[:-1] + "é",
        lambda secret: secret[:5] + "l" + secret[6:],  # no letter of an id
    ],
)
def test_what_is_no_secret_has_no_digest(change: object) -> None:
    assert callable(change)
    assert secret_digest(change(made()[1])) is None


def test_a_secret_has_one_spelling() -> None:
    token, secret = made()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [last for last in letters if secret_digest(secret[:-1] + last) == token.digest]
    assert same == [secret[-1]]


@given(st.text(max_size=80))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert secret_digest(text) is None


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_can_be_a_secret(random: bytes) -> None:
    text = base64.urlsafe_b64encode(random).decode().rstrip("=")
    assert secret_digest(f"qoex_abcdefgh_{text}") == hashlib.sha256(random).hexdigest()


def test_a_token_is_valid_until_it_expires_or_is_revoked() -> None:
    token, _ = new_token(Role.OPERATOR, created_at=NOW, expires_at=NOW + timedelta(days=1))
    assert token.valid(NOW)
    assert token.valid(NOW + timedelta(days=1, microseconds=-1))
    assert not token.valid(NOW + timedelta(days=1))
    plain, _ = made()
    assert plain.valid(NOW + timedelta(days=100_000))
    revoked = Token(
        plain.id, plain.digest, plain.role, plain.node, "", NOW, None, NOW + timedelta(hours=1)
    )
    assert not revoked.valid(NOW + timedelta(hours=1))


def test_a_token_opens_what_is_its_own() -> None:
    user, provider = made()[0], made(Role.PROVIDER, "mu-1")[0]
    operator = made(Role.OPERATOR, None)[0]
    owned = [
        [token.owns(kind, node) for token in (user, provider, operator)]
        for kind, node in (
            (NodeKind.USER, "mu-1"),
            (NodeKind.PROVIDER, "mu-1"),
            (NodeKind.USER, "mu-2"),
            (NodeKind.USER, "MU-1"),
        )
    ]
    assert owned == [
        [True, False, True],
        [False, True, True],
        [False, False, True],
        [False, False, True],
    ]


@pytest.mark.parametrize(("role", "node"), [(Role.OPERATOR, "mu-1"), (Role.USER, None)])
def test_a_token_of_nobody_is_not_made(role: Role, node: str | None) -> None:
    with pytest.raises(ValueError, match="of one node"):
        new_token(role, node, created_at=NOW)
