"""Clocks on business steps, and what was last said of each interface.

Why:    work that waits at an interface for longer than its limit is a breach, said once.
Phase:  expand.
Locks:  new tables only.   Old code: does not know them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "sla_clocks",
        sa.Column("interface_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("work_id", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("open_time", Big, nullable=False),  # 0: the start was not heard yet
        sa.Column("close_time", Big, nullable=False),  # 0: it runs
        sa.Column("is_reached", sa.Boolean, nullable=False),
    )
    op.create_index("sla_clocks_by_end", "sla_clocks", ["close_time", "interface_id", "plant_id", "open_time"])
    op.create_index("sla_clocks_by_interface", "sla_clocks", ["interface_id", "plant_id", "is_reached", "close_time"])
    op.create_table(
        "sla_standings",
        sa.Column("interface_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("is_breached", sa.Boolean, nullable=False),
        sa.Column("since_time", Big, nullable=False),
    )
