"""Runs migrations for Alembic on the connection that ``schema`` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from qoex.agent.storage.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
