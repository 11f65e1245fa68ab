"""Lines with what blocks them, and which orders were told that they are held.

Why:    an order that needs a blocked line is held.
Phase:  expand.
Locks:  a new table; a column with a constant default, which rewrites no rows; an index of open orders, few.
        Old code: reads and writes as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Big = sa.BigInteger
OPEN = sa.text("state NOT IN ('cancelled', 'completed', 'declined')")


def upgrade() -> None:
    op.add_column("work_orders", sa.Column("is_held", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index(
        "open_work_orders", "work_orders", ["plant_id", "work_order_id"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_table(
        "lines",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("line_id", sa.Text, primary_key=True),
        sa.Column("blocks", sa.Text, nullable=False),  # JSON list of [id, asset, fault, begin]
        sa.Column("changes", Big, nullable=False),
        sa.Column("told", Big, nullable=False),
    )
