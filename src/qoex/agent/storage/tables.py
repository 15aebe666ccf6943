"""The tables, as SQLAlchemy sees them; migrations make them, and a test holds the two together."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

# Only a column of type INTEGER is SQLite's own row number, which is what appends fastest.
_PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """A time with zone in, the same time in UTC out, to the microsecond on every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse times without zone, for nobody knows when they are."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Say that it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def json_text(value: Any) -> str:
    """Return JSON in which every float is its shortest text that reads back as the same bits.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


METADATA = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)

# The log: one row for each Entry. PostgreSQL's json keeps the text as it is; jsonb would not.
REPORTS = sa.Table(
    "reports",
    METADATA,
    sa.Column("seq", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("received_at", UtcTime, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("node_kind", sa.Text, nullable=False),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.UniqueConstraint("node_kind", "node", "key"),
)

# The names of a market, once for all the cycles that had the same.
MEMBERSHIPS = sa.Table(
    "memberships",
    METADATA,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("providers", sa.JSON, nullable=False),
    sa.Column("users", sa.JSON, nullable=False),
)

# One row for each CycleRecord.
CYCLES = sa.Table(
    "cycles",
    METADATA,
    sa.Column("number", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("snapshot_at", UtcTime, nullable=False),
    sa.Column("committed_at", UtcTime, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    # In words, for whoever looks into the database; the program reads ``kept``.
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("in_force", sa.BigInteger),
    sa.Column("start_cycle", sa.BigInteger),
    sa.Column("membership", sa.Text, sa.ForeignKey("memberships.digest")),
    sa.Column("payload", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("dropped", sa.JSON, nullable=False),
    sa.Column("summary", sa.JSON, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    # None where the cycle decided, and in rows of before this column was: those have words only.
    sa.Column("kept", sa.JSON(none_as_null=True)),
)

CHECKPOINTS = sa.Table(
    "checkpoints",
    METADATA,
    sa.Column("position", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("cycle", _PLACE, primary_key=True, autoincrement=False),
    sa.Column("blob", sa.Text, nullable=False),
)

BLOB_PARTS = sa.Table(
    "blob_parts",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

# Blobs that no cycle or checkpoint names yet. What is here when the agent starts is what a crash
# left behind; so the clean-up need not look through all blobs.
PENDING_BLOBS = sa.Table(
    "pending_blobs",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
)

TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("node", sa.Text),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
)

# One row; triggers count every change of a token in it, whoever makes it.
TOKEN_CHANGES = sa.Table(
    "token_changes",
    METADATA,
    sa.Column("version", _PLACE, primary_key=True, autoincrement=False),
)
