"""Partners, resources, and the dates between which a bill or a routing is used.

Why:    suppliers, customers and work centres come from the ERP too; a revision is used from one day to another.
Phase:  first.
Locks:  two short ones, for columns with a default; one while the bills are indexed.   Old code: does not read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "partners",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("partner_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_supplier", sa.Boolean, nullable=False),
        sa.Column("is_customer", sa.Boolean, nullable=False),
        sa.Column("country_code", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    op.create_table(
        "resources",
        sa.Column("plant_id", sa.Text, primary_key=True),
        sa.Column("resource_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("parent_resource_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("is_retired", sa.Boolean, nullable=False),
    )
    for name in ("bills_of_materials", "routings"):  # ISO days; empty: no such day
        op.add_column(name, sa.Column("effective_start_date", sa.Text, nullable=False, server_default=""))
        op.add_column(name, sa.Column("effective_end_date", sa.Text, nullable=False, server_default=""))
    by_item = ["plant_id", "item_id", "bill_of_materials_id"]
    op.create_index("bills_of_materials_by_item", "bills_of_materials", by_item)
