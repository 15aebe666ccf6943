"""The log, cycles, checkpoints and tokens.

A migration says itself what it makes, and imports nothing of qoex: tables go on changing, and what
this one made does not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What is in them is never changed; PostgreSQL and SQLite refuse it themselves.
APPEND_ONLY = ("reports", "cycles")


def upgrade() -> None:
    """Make all tables, and the triggers that watch over them."""
    place = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    time = sa.DateTime(timezone=True)
    op.create_table(
        "reports",
        sa.Column("seq", place, autoincrement=False, nullable=False),
        sa.Column("received_at", time, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("node_kind", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_reports"),
        sa.UniqueConstraint("node_kind", "node", "key", name="uq_reports_node_kind_node_key"),
    )
    op.create_table(
        "memberships",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("providers", sa.JSON, nullable=False),
        sa.Column("users", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_memberships"),
    )
    op.create_table(
        "cycles",
        sa.Column("number", place, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("snapshot_at", time, nullable=False),
        sa.Column("committed_at", time, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("in_force", sa.BigInteger),
        sa.Column("start_cycle", sa.BigInteger),
        sa.Column("membership", sa.Text),
        sa.Column("payload", sa.Text),
        sa.Column("digest", sa.Text),
        sa.Column("dropped", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_cycles"),
        sa.ForeignKeyConstraint(
            ["membership"], ["memberships.digest"], name="fk_cycles_membership_memberships"
        ),
    )
    op.create_table(
        "checkpoints",
        sa.Column("position", place, autoincrement=False, nullable=False),
        sa.Column("cycle", place, autoincrement=False, nullable=False),
        sa.Column("blob", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("position", "cycle", name="pk_checkpoints"),
    )
    op.create_table(
        "blob_parts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", "part", name="pk_blob_parts"),
    )
    op.create_table(
        "pending_blobs",
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pending_blobs"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("node", sa.Text),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("expires_at", time),
        sa.Column("revoked_at", time),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_table(
        "token_changes",
        sa.Column("version", place, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_token_changes"),
    )
    op.execute("INSERT INTO token_changes (version) VALUES (0)")
    for statement in _triggers(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Remove all of it, with what it holds."""
    for table in (
        "token_changes",
        "tokens",
        "pending_blobs",
        "blob_parts",
        "checkpoints",
        "cycles",
        "memberships",
        "reports",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION qoex_refuse_change()")
        op.execute("DROP FUNCTION qoex_count_token_change()")


def _triggers(dialect: str) -> list[str]:
    statements = []
    if dialect == "postgresql":
        statements += [
            "CREATE FUNCTION qoex_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "BEGIN RAISE EXCEPTION '% is only ever appended to', TG_TABLE_NAME; END $$",
            # Whoever changes a token may look for tables elsewhere.
            "CREATE FUNCTION qoex_count_token_change() RETURNS trigger LANGUAGE plpgsql "
            "SET search_path FROM CURRENT AS $$ "
            "BEGIN UPDATE token_changes SET version = version + 1; RETURN NULL; END $$",
            "CREATE TRIGGER tokens_counted AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tokens "
            "FOR EACH STATEMENT EXECUTE FUNCTION qoex_count_token_change()",
        ]
        statements += [
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION qoex_refuse_change()"
            for table in APPEND_ONLY
        ]
        return statements
    for change in ("UPDATE", "DELETE"):
        statements += [
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is only ever appended to'); END"
            for table in APPEND_ONLY
        ]
    statements += [
        f"CREATE TRIGGER tokens_{change.lower()}_counted AFTER {change} ON tokens "
        "BEGIN UPDATE token_changes SET version = version + 1; END"
        for change in ("INSERT", "UPDATE", "DELETE")
    ]
    return statements
