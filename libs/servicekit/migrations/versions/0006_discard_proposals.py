"""Add to a fact in a lane who proposed to discard it, and why.

Why:    a fact is taken out without effect by two people only; the first one's word must outlive the process.
Phase:  expand.
Locks:  new columns with a constant default, no rewrite.   Old code: does not know them, and discards alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("proposer_id", "propose_reason"):
        op.add_column("lane_fact", sa.Column(name, sa.Text, nullable=False, server_default=""))
