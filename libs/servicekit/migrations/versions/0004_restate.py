"""Add restate: which reader asked for a slot's nouns again, and how far they are said.

Why:    a reader that is added when the first facts are no longer kept needs what they made; that must go on after a crash.
Phase:  expand.
Locks:  new table only.   Old code: does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "restate",
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("step", sa.Integer, nullable=False),  # which of the service's kinds of noun is being said
        sa.Column("last_key", sa.Text, nullable=False),  # JSON: key of the noun said last; empty before the first
        sa.Column("is_done", sa.Boolean, nullable=False),
    )
