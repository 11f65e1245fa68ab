"""Reconciliations and what they found.

Why:    a plant's books are compared on request and on a schedule; what was found stays readable.
Phase:  expand.
Locks:  new tables only.   Old code: does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "reconciliation_desks",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("running_id", sa.Text, nullable=False),
        sa.Column("count", Big, nullable=False),
    )
    op.create_table(
        "reconciliations",
        sa.Column("reconciliation_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("read_books", sa.Text, nullable=False),
        sa.Column("failure_text", sa.Text, nullable=False),
        sa.Column("start_time", Big, nullable=False),
        sa.Column("end_time", Big, nullable=False),
        sa.Column("compared", Big, nullable=False),
        sa.Column("open_variances", Big, nullable=False),
        sa.Column("explained_variances", Big, nullable=False),
    )
    op.create_index("reconciliations_by_start", "reconciliations", ["plant_id", "start_time"])
    op.create_table(
        "stock_variances",
        sa.Column("reconciliation_id", sa.Text, primary_key=True),
        sa.Column("number", Big, primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text, nullable=False),
    )
