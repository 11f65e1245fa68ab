"""Where production and a plant's MES were found apart.

Why:    the MES takes part in reconciliation, work order by work order.
Phase:  expand.
Locks:  a new table only.   Old code: does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "order_variances",
        sa.Column("reconciliation_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text, nullable=False),
    )
