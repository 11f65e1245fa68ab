"""Holds of lots, what quality said of them, and which lots deliveries get.

Why:    quality decides on lots; what may not be used is not allocated.
Phase:  expand.
Locks:  new tables; one column with a constant default, which rewrites no rows.   Old code: reads and writes as before.
"""

import json
from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Big = sa.BigInteger


def upgrade() -> None:
    op.add_column("lots", sa.Column("make_time", Big, nullable=False, server_default="0"))  # 0: before this version
    op.create_table(
        "inspected_items",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("test_specification_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("effective_start_date", sa.Text, nullable=False),
        sa.Column("effective_end_date", sa.Text),
    )
    op.create_index("inspected_items_by_item", "inspected_items", ["plant_id", "item_id"])
    op.create_table(
        "lot_dispositions",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("work_order_id", sa.Text, primary_key=True),
        sa.Column("inspection_id", sa.Text, primary_key=True),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("has_passed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("lot_id", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("work_order_id", sa.Text, nullable=False),
        sa.Column("hold_reason", sa.Text, nullable=False),
        sa.Column("hold_time", Big, nullable=False),
        sa.Column("release_time", Big),
        sa.Column("release_reason", sa.Text, nullable=False),
    )
    op.create_index("holds_by_lot", "holds", ["plant_id", "item_id", "lot_id"])
    shipped = op.create_table(
        "lot_shipments",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("lot_id", sa.Text, primary_key=True),
        sa.Column("shipment_id", sa.Text, primary_key=True),
        sa.Column("erp_delivery_number", sa.Text, nullable=False),
        sa.Column("customer_name", sa.Text, nullable=False),
        sa.Column("quantity", Big, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
    )
    op.create_table(
        "allocations",
        sa.Column("shipment_id", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("allocated_lots", sa.Text, nullable=False),  # JSON list of [item, lot, amount, unit]
        sa.Column("shortages", sa.Text, nullable=False),  # JSON list of [item, amount, unit]
    )
    op.create_index("allocations_by_plant", "allocations", ["plant_id"])
    op.create_table(
        "allocation_marks",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("changes", Big, nullable=False),
        sa.Column("told", Big, nullable=False),
    )
    op.create_index("shipments_by_plant", "shipments", ["plant_id", "state"])
    op.execute(
        "INSERT INTO allocation_marks (plant_id, changes, told) "
        "SELECT DISTINCT plant_id, 1, 0 FROM shipments WHERE state = 'advised'"
    )
    _lots_that_left(shipped)


def _lots_that_left(shipped: sa.Table) -> None:
    found = op.get_bind().execute(
        sa.text(
            "SELECT plant_id, shipment_id, erp_delivery_number, customer_name, shipped_lots FROM shipments "
            "WHERE state = 'shipped'"
        )
    )
    sums: dict[tuple[str, ...], sa.Row] = {}
    amounts: dict[tuple[str, ...], int] = {}
    for row in found:
        for item_id, lot_id, amount, unit in json.loads(row.shipped_lots):
            key = row.plant_id, item_id, lot_id, row.shipment_id, unit
            sums[key] = row
            amounts[key] = amounts.get(key, 0) + int(Decimal(amount).scaleb(6))
    rows = [
        {
            "plant_id": key[0],
            "item_id": key[1],
            "lot_id": key[2],
            "shipment_id": key[3],
            "erp_delivery_number": row.erp_delivery_number,
            "customer_name": row.customer_name,
            "quantity": amounts[key],
            "unit_code": key[4],
        }
        for key, row in sums.items()
    ]
    if rows:
        op.bulk_insert(shipped, rows)
