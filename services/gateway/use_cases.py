"""What changes something in the gateway: what ERPs said, and what ERPs and the warehouse are asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from servicekit.postings import PostingOutcome
from servicekit.use_case import Decision, Fact, Seen, UseCase
from services.gateway import wire
from services.gateway.domain.erp_order import ErpFeed, ErpOrder, Step
from services.gateway.store import ERP_FEEDS, ERP_ORDERS

# --- what an ERP said


def decide_notice(seen: Seen, command: wire.NoticeOrder, now: datetime) -> Decision:
    """An ERP's released order is seen for the first time: its trace begins here and stays with it."""
    said = command.seen.work_order
    order_id = wire.work_order_id(said.plant_id, said.erp_order_number)
    if seen.get(ERP_ORDERS.key(order_id)) is not None:
        return Decision(moot="noticed before")
    order = ErpOrder(
        order_id, said.plant_id, said.erp_order_number, said.item_id, Step.NOTICED, "", False, seen.traceparent
    )
    fact = _order_fact(wire.erp_order_noticed(order, command.seen, command.erp_release), order, now)
    return Decision(changed=[order], facts=[fact], traceparent=order.traceparent)


notice_order = UseCase(
    name="notice_order",
    loads=lambda c, seen: [
        ERP_ORDERS.key(wire.work_order_id(c.seen.work_order.plant_id, c.seen.work_order.erp_order_number))
    ],
    decide=decide_notice,
)


def decide_told(seen: Seen, command: wire.RecordTold, now: datetime) -> Decision:
    """Remember what the plant side was told; a refusal is shown."""
    order = seen.one(ERP_ORDERS.key(command.work_order_id))
    after = order.told(command.step, command.content)
    facts = []
    if command.refused_step:
        facts.append(_order_fact(wire.step_refused(order, command), order, now))
    return Decision(changed=[after] if after != order else [], facts=facts, traceparent=order.traceparent)


record_told = UseCase(name="record_told", loads=lambda c, seen: [ERP_ORDERS.key(c.work_order_id)], decide=decide_told)


def decide_advance(seen: Seen, command: wire.AdvanceErp, now: datetime) -> Decision:
    """Remember how far an ERP is read."""
    return Decision(changed=[ErpFeed(command.plant_id, command.watermark, command.release)])


advance_erp = UseCase(
    name="advance_erp", loads=lambda c, seen: [ERP_FEEDS.key(c.plant_id)], decide=decide_advance, is_traced=False
)


def _order_fact(data: Any, order: ErpOrder, at: datetime) -> Fact:
    return Fact(data, order.plant_id, order.work_order_id, order.work_order_id, at)


# --- what an ERP is asked for


def decide_complete(seen: Seen, command: wire.CompleteInErp, now: datetime) -> Decision:
    """The order is complete: the ERP gets all that was collected, once."""
    order = seen.get(ERP_ORDERS.key(command.work_order_id))
    if order is None:
        return Decision(moot="no order of an ERP that we know")
    if order.is_completing:
        return Decision(moot="complete again: corrections were posted one by one", traceparent=order.traceparent)
    posting = wire.complete_posting(order, command.totals)
    return Decision(changed=[order.completing()], postings=[posting], traceparent=order.traceparent)


complete_in_erp = UseCase(
    name="complete_in_erp", loads=lambda c, seen: [ERP_ORDERS.key(c.work_order_id)], decide=decide_complete
)


def decide_correct(seen: Seen, command: wire.CorrectInErp, now: datetime) -> Decision:
    """Before completion confirmations are collected; after it each is a correction of its own."""
    order = seen.get(ERP_ORDERS.key(command.work_order_id))
    if order is None:
        return Decision(moot="no order of an ERP that we know")
    if not order.is_completing:
        return Decision(moot="collected for the order's completion", traceparent=order.traceparent)
    if not command.totals.outputs and not command.totals.consumptions:
        return Decision(moot="no stock to correct", traceparent=order.traceparent)
    return Decision(postings=[wire.correct_posting(order, command)], traceparent=order.traceparent)


correct_in_erp = UseCase(
    name="correct_in_erp", loads=lambda c, seen: [ERP_ORDERS.key(c.work_order_id)], decide=decide_correct
)


def decide_ask(seen: Seen, command: wire.AskPartner, now: datetime) -> Decision:
    """Ask a partner for what follows from a fact."""
    return Decision(postings=[command.posting], traceparent=command.traceparent)


ask_partner = UseCase(name="ask_partner", loads=lambda c, seen: [], decide=decide_ask)


def decide_outcome(seen: Seen, command: PostingOutcome, now: datetime) -> Decision:
    """Say what became of a posting."""
    key = command.posting.order_key
    return Decision(facts=[Fact(wire.posting_fact(command, now), command.posting.plant_id, key, key, now)])


posting_outcome = UseCase(name="posting_outcome", loads=lambda c, seen: [], decide=decide_outcome)
