"""How far partners that are read by change numbers were heard.

Why:    the CMMS says what is done in a list of changes.
Phase:  first.
Locks:  a new table only.   Old code: does not read it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "partner_feeds",
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("watermark", sa.Text, nullable=False),
    )
