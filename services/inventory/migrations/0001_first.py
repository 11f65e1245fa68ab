"""Ledger, stock, lots and shipments.

Why:    the first tables of inventory.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "lots",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
    )
    op.create_table(
        "stocks",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("location_id", sa.Text, primary_key=True),
        sa.Column("quantity", Big, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
    )
    op.create_table(
        "inventory_transactions",
        sa.Column("transaction_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("lot_id", sa.Text, nullable=False),
        sa.Column("location_id", sa.Text, nullable=False),
        sa.Column("movement", sa.Text, nullable=False),
        sa.Column("quantity", Big, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("document_id", sa.Text, nullable=False),
        sa.Column("occur_time", Big, nullable=False),
        sa.Column("record_time", Big, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
    )
    op.create_index("transactions_by_plant", "inventory_transactions", ["plant_id", "record_time", "transaction_id"])
    op.create_index("transactions_by_order", "inventory_transactions", ["work_order_id"])
    op.create_table(
        "shipments",
        sa.Column("shipment_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("erp_delivery_number", sa.Text, nullable=False),
        sa.Column("customer_name", sa.Text, nullable=False),
        sa.Column("planned_date", sa.Text),
        sa.Column("lines", sa.Text, nullable=False),  # JSON list of [item, amount, unit]
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("shipped_lots", sa.Text, nullable=False),  # JSON list of [item, lot, amount, unit]
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.Column("version", Big, nullable=False),
    )
