"""Tokens: rows in, rows out."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from qoex.agent.storage.tables import TOKEN_CHANGES, TOKENS
from qoex.agent.tokens import Role, Token

_COLUMNS = [
    TOKENS.c[name]
    for name in (
        "id",
        "digest",
        "role",
        "node",
        "label",
        "created_at",
        "expires_at",
        "revoked_at",
    )
]
_ALL = sa.select(*_COLUMNS).order_by(TOKENS.c.created_at, TOKENS.c.id)
_BY_ID = sa.select(*_COLUMNS).where(TOKENS.c.id == sa.bindparam("wanted"))
_REVOKE = (
    sa.update(TOKENS)
    .where(TOKENS.c.id == sa.bindparam("wanted"), TOKENS.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("now"))
)
_VERSION = sa.select(TOKEN_CHANGES.c.version)


async def create(connection: AsyncConnection, token: Token) -> None:
    """Store a token."""
    row = {column.name: getattr(token, column.name) for column in _COLUMNS}
    await connection.execute(sa.insert(TOKENS), {**row, "role": token.role.value})


async def list_all(connection: AsyncConnection) -> list[Token]:
    """Return all tokens, the oldest first."""
    return [_token(row) for row in await connection.execute(_ALL)]


async def revoke(connection: AsyncConnection, name: str, now: datetime) -> Token | None:
    """Revoke a token by its id, unless it is revoked already; return it, None if there is none."""
    await connection.execute(_REVOKE, {"wanted": name, "now": now})
    row = (await connection.execute(_BY_ID, {"wanted": name})).one_or_none()
    return None if row is None else _token(row)


async def version(connection: AsyncConnection) -> int:
    """Return a number that is another one after every change of a token, by whomever."""
    return int((await connection.execute(_VERSION)).scalar_one())


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    values = row._asdict()
    return Token(**{**values, "role": Role(values["role"])})
