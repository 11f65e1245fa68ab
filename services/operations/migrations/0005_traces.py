"""What is known of each trace, by which it is kept or dropped whole.

Why:    spans are bounded in number, and the traces of what went wrong are the last to go.
Phase:  expand.
Locks:  a new table, filled from spans; indexes on order_references, order_numbers and sla_clocks.
        Old code: does not know them; spans that it takes after this have no row here until their trace is added to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Big = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "traces",
        sa.Column("trace_id", sa.Text, primary_key=True),
        sa.Column("last_ns", Big, nullable=False),
        sa.Column("span_count", Big, nullable=False),
        sa.Column("is_troubled", sa.Boolean, nullable=False),  # slow, failed or parked
    )
    op.execute(
        "INSERT INTO traces (trace_id, last_ns, span_count, is_troubled) "
        "SELECT trace_id, MAX(end_ns), COUNT(*), MAX(CASE WHEN is_error THEN 1 ELSE 0 END) = 1 FROM spans GROUP BY trace_id"
    )
    op.create_index("traces_by_age", "traces", ["last_ns"])
    op.create_index("traces_by_trouble", "traces", ["is_troubled", "last_ns"])
    op.create_index("order_references_by_trace", "order_references", ["trace_id"])
    op.create_index("order_numbers_by_order", "order_numbers", ["work_order_id", "number"])
    op.create_index("sla_clocks_by_order", "sla_clocks", ["work_order_id"])
    op.drop_index("spans_by_age", "spans")
