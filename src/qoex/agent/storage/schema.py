"""The version of a database's tables, and how it is brought to ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from qoex.agent.storage.failures import StorageError
from qoex.agent.storage.tables import METADATA

if TYPE_CHECKING:
    from alembic.config import Config

# The version that this qoex works with; the name of a file in migrations/versions.
HEAD = "0002"

# Named so that another program's migrations may live in the same PostgreSQL database.
VERSION_TABLE = "qoex_schema_version"


def is_current(connection: sa.Connection, name: str) -> bool:
    """Return whether the tables are of our version; they are not where there are none.

    Args:
        connection: to the database.
        name: of the database, for messages.

    Raises:
        StorageError: the tables are of a version that we do not know, or of another program.
    """
    # Before the version, for another program may make both meanwhile, the two at once.
    tables = sa.inspect(connection).get_table_names()
    found = _version(connection)
    if found == HEAD:
        return True
    if found is None:
        strangers = sorted(set(tables) & set(METADATA.tables))
        if strangers:
            raise StorageError(
                f"{name} has a table {strangers[0]!r} that is not qoex's: choose another database"
            )
        return False
    if not _knows(found):
        raise StorageError(
            f"{name} was written by another version of qoex (its tables are of version {found}, "
            f"this one knows them up to {HEAD}): use the newer one"
        )
    return False


def upgrade(connection: sa.Connection) -> None:
    """Bring the tables to our version, within the transaction of the connection."""
    from alembic import command

    command.upgrade(_config(connection), HEAD)


def downgrade(connection: sa.Connection, version: str) -> None:
    """Bring the tables back to an earlier version, or with "base" remove them."""
    from alembic import command

    command.downgrade(_config(connection), version)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    table = sa.table(VERSION_TABLE, sa.column("version_num"))
    return connection.execute(sa.select(table.c.version_num)).scalar_one_or_none()


def _knows(version: str) -> bool:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config(None))
    return any(version == script.revision for script in scripts.walk_revisions())


def _config(connection: sa.Connection | None) -> Config:
    from alembic.config import Config

    config = Config()
    scripts = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
