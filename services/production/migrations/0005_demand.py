"""The customer's order that a work order is made for.

Why:    support finds an order by the number that the customer knows.
Phase:  expand.
Locks:  columns with a constant default or none, which rewrite no rows.   Old code: leaves them as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("sales_order_number", "customer_id"):
        op.add_column("work_orders", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("work_orders", sa.Column("requested_date", sa.Text, nullable=True))
