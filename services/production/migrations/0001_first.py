"""Work orders with operations, allocations, confirmations and totals; production's own copy of items and plants.

Why:    the first tables of production.
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
        "plants",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("over_delivery_percent", Big, nullable=False),
    )
    op.create_table(
        "items",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("is_lot_tracked", sa.Boolean, nullable=False),
    )
    op.create_table(
        "work_orders",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("erp_order_number", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("is_lot_tracked", sa.Boolean, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("planned", Big, nullable=False),
        sa.Column("good", Big, nullable=False),
        sa.Column("scrap", Big, nullable=False),
        sa.Column("bill_of_materials_id", sa.Text, nullable=False),
        sa.Column("routing_id", sa.Text, nullable=False),
        sa.Column("planned_start_date", sa.Text),
        sa.Column("due_date", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("mes_order_number", sa.Text, nullable=False),
        sa.Column("release_time", Big, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.Column("version", Big, nullable=False),
    )
    op.create_index("work_orders_by_release", "work_orders", ["release_time", "work_order_id"])
    op.create_table(
        "operations",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("work_centre_id", sa.Text, nullable=False),
        sa.Column("good", Big, nullable=False),
        sa.Column("scrap", Big, nullable=False),
        sa.Column("counted_good", Big, nullable=False),
        sa.Column("counted_scrap", Big, nullable=False),
        sa.Column("is_counted", sa.Boolean, nullable=False),
        sa.Column("variance_told", sa.Text, nullable=False),
        sa.Column("change_time", Big, nullable=False),
    )
    op.create_table(
        "component_allocations",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("quantity", Big, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("lot_id", sa.Text, nullable=False),
    )
    op.create_table(
        "confirmations",
        sa.Column("confirmation_id", sa.Text, primary_key=True),
        sa.Column("source_system", sa.Text, nullable=False),
        sa.Column("document_type", sa.Text, nullable=False),
        sa.Column("document_number", sa.Text, nullable=False),
        sa.Column("document_line", sa.Text, nullable=False),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("operation_sequence", sa.Integer, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("good", Big, nullable=False),
        sa.Column("labour_seconds", Big, nullable=False),
        sa.Column("scraps", sa.Text, nullable=False),  # JSON list of [reason, amount], order's unit
        sa.Column("consumptions", sa.Text, nullable=False),  # JSON list of [item, lot, amount, unit]
        sa.Column("output_lot_id", sa.Text, nullable=False),
        sa.Column("occur_time", Big, nullable=False),
        sa.Column("operator_id", sa.Text, nullable=False),
        sa.Column("is_final", sa.Boolean, nullable=False),
        sa.Column("shift_id", sa.Text, nullable=False),
        sa.Column("is_reversed", sa.Boolean, nullable=False),
        sa.Column("booking_number", Big, nullable=False),
    )
    op.create_index("confirmations_by_order", "confirmations", ["work_order_id", "booking_number"])
    op.create_table(
        "work_order_totals",
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("total_kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("quantity", Big, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
    )
