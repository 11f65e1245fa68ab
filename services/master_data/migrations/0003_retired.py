"""Items, bills and routings that their system of record offers no longer.

Why:    a full synchronisation finds what is gone.
Phase:  first.
Locks:  three short ones, for columns with a default.   Old code: does not read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("items", "bills_of_materials", "routings"):
        op.add_column(name, sa.Column("is_retired", sa.Boolean, nullable=False, server_default=sa.false()))
