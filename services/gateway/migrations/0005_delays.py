"""Why an order that the ERP released is not taken by the plant side yet.

Why:    it is said once, in the order's timeline.
Phase:  expand.
Locks:  a column with a constant default, which rewrites no rows.   Old code: leaves it as it is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("erp_orders", sa.Column("delay_reason", sa.Text, nullable=False, server_default=""))
