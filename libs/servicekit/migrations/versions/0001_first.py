"""The tables of do, record, tell: claims, outbox, positions, lanes, postings.

Why:    every service has them, whatever its nouns are.
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
        "claims",
        sa.Column("claim_id", sa.Text, primary_key=True),  # command:hash of the business key
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("source_system", sa.Text, nullable=False),
        sa.Column("document_type", sa.Text, nullable=False),
        sa.Column("document_number", sa.Text, nullable=False),
        sa.Column("document_line", sa.Text, nullable=False),
        sa.Column("fingerprint_version", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("claim_time", Big, nullable=False),
    )
    op.create_table(
        "conflicts",
        sa.Column("conflict_id", sa.Text, primary_key=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("source_system", sa.Text, nullable=False),
        sa.Column("document_type", sa.Text, nullable=False),
        sa.Column("document_number", sa.Text, nullable=False),
        sa.Column("document_line", sa.Text, nullable=False),
        sa.Column("first_content", sa.Text, nullable=False),
        sa.Column("second_content", sa.Text, nullable=False),
        sa.Column("found_time", Big, nullable=False),
    )
    op.create_table(
        "producer",
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("epoch", Big, nullable=False, server_default="1"),
        sa.Column("last_sequence", Big, nullable=False, server_default="0"),
        sa.Column("stored_sequence", Big, nullable=False, server_default="0"),
        # Where the epoch before this one ended, once epochs are raised.
        sa.Column("continues_epoch", Big, nullable=False, server_default="0"),
        sa.Column("continues_sequence", Big, nullable=False, server_default="0"),
    )
    op.create_table(
        "outbox",
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("sequence", Big, primary_key=True, autoincrement=False),
        sa.Column("epoch", Big, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("fact_type", sa.Text, nullable=False),
        sa.Column("order_key", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("record_time", Big, nullable=False),
    )
    op.create_table(
        "position",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("stream_created", sa.Text, nullable=False),
        sa.Column("stream_sequence", Big, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("producer_epoch", Big, nullable=False),
        sa.Column("producer_sequence", Big, nullable=False),
    )
    op.create_table(
        "owner",
        sa.Column("scope", sa.Text, primary_key=True),  # "service" now; a plant each once replicas share them
        sa.Column("owner_epoch", Big, nullable=False),
    )
    _create_lanes()
    _create_postings()


def _create_lanes() -> None:
    op.create_table(
        "lane",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("order_key", sa.Text, primary_key=True),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("since_time", Big, nullable=False),
        sa.Column("next_attempt_time", Big, nullable=False),
    )
    op.create_table(
        "lane_fact",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("order_key", sa.Text, nullable=False),
        sa.Column("position", Big, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("record_time", Big, nullable=False),
        sa.UniqueConstraint("consumer", "order_key", "position", name="lane_fact_in_order"),
    )
    op.create_table(
        "fact_outcome",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),  # superseded or discarded
        sa.Column("superseded_by", sa.Text, nullable=False),
        sa.Column("outcome_time", Big, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.Text, primary_key=True),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("operator_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("audit_time", Big, nullable=False),
    )


def _create_postings() -> None:
    op.create_table(
        "posting",
        sa.Column("posting_number", Big().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("posting_id", sa.Text, nullable=False, unique=True),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("plant_id", sa.Text, nullable=False),
        sa.Column("order_key", sa.Text, nullable=False),
        sa.Column("posting_key", sa.Text, nullable=False),
        sa.Column("payload_type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("foreign_id", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("looks", sa.Integer, nullable=False),
        sa.Column("next_attempt_time", Big, nullable=False),
        sa.Column("owner_epoch", Big, nullable=False),
        sa.Column("sent_time", Big, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.Column("plan_time", Big, nullable=False),
        sa.Column("change_time", Big, nullable=False),
    )
    op.create_index("posting_by_order", "posting", ["partner_id", "order_key", "posting_number"])
    op.create_index("posting_by_state", "posting", ["state", "next_attempt_time"])
