"""What was said last of each machine: state, counters with their epoch, measurements.

Why:    only consequences of a machine's signals travel, also after a restart.
Phase:  expand.
Locks:  a new table only.   Old code: does not know it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "machines",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("fault_code", sa.BigInteger, nullable=False),
        sa.Column("counter_epoch", sa.BigInteger, nullable=False),
        sa.Column("runtime", sa.BigInteger),
        sa.Column("cycles", sa.BigInteger),
        sa.Column("measures", sa.Text, nullable=False),  # JSON: latest said value by measure
    )
