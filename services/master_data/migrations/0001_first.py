"""Items, bills of materials and routings, by plant.

Why:    the first tables of master data.
Phase:  first.
Locks:  new tables only.   Old code: there is none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "items",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("is_lot_tracked", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bills_of_materials",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("bill_of_materials_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("output", sa.BigInteger, nullable=False),
        sa.Column("unit_code", sa.Text, nullable=False),
        sa.Column("components", sa.Text, nullable=False),  # JSON list of [item, amount, unit]
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "routings",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("routing_id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("operations", sa.Text, nullable=False),  # JSON list of [sequence, description, work centre, seconds]
        sa.Column("version", sa.BigInteger, nullable=False),
    )
