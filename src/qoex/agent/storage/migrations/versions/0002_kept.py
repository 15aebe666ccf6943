"""Why a cycle kept the last decision, as a cause with values beside the words.

Rows of before have none, for the past is not written anew: their words are read as they are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("cycles", sa.Column("kept", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Leave the words only."""
    op.drop_column("cycles", "kept")
