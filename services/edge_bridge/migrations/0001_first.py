"""The plant's orders with their MES numbers, feeds, and stations.

Why:    the first tables of the edge bridge.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "plant_orders",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("mes_order_number", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
    )
    op.create_table(
        "mes_numbers",
        sa.Column("mes_order_number", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, nullable=False),
    )
    op.create_table(
        "feeds",
        sa.Column("feed_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Text, nullable=False),
    )
    op.create_table(
        "stations",
        sa.Column("station_id", sa.Text, primary_key=True),
        sa.Column("good", sa.BigInteger, nullable=False),
        sa.Column("scrap", sa.BigInteger, nullable=False),
        sa.Column("counter_epoch", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("fault_code", sa.BigInteger, nullable=False),
    )
