"""Production's own copy of which bills of materials and routings a plant has.

Why:    an order must not reach the plant before the bill and the routing that it names.
Phase:  first.
Locks:  new tables only.   Old code: does not read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "bills_of_materials",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("bill_of_materials_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.Text, nullable=False),
    )
    op.create_table(
        "routings",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("routing_id", sa.Text, primary_key=True),
    )
    # What orders have named before is known. Of the rest master data must speak again: see the Limits of the README.
    op.execute(
        "INSERT INTO bills_of_materials SELECT DISTINCT plant_id, bill_of_materials_id, '' FROM work_orders "
        "WHERE bill_of_materials_id <> ''"
    )
    op.execute("INSERT INTO routings SELECT DISTINCT plant_id, routing_id FROM work_orders WHERE routing_id <> ''")
