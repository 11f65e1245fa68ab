"""What changes something in the gateway: what ERPs said, and what ERPs and the warehouse are asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from servicekit.postings import PostingOutcome
from servicekit.use_case import Decision, Fact, PlannedPosting, Seen, UseCase
from services.gateway import hold_wire, partner_wire, stock_wire, wire
from services.gateway.domain.erp_order import ErpFeed, ErpOrder, Step
from services.gateway.store import ERP_FEEDS, ERP_INSPECTIONS, ERP_ORDERS, HELD_LOTS, PARTNER_FEEDS, STOCK_CHANGES

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


def decide_delay(seen: Seen, command: wire.RecordDelay, now: datetime) -> Decision:
    """Say why the plant side does not take an order yet, once a reason."""
    order = seen.one(ERP_ORDERS.key(command.work_order_id))
    after = order.delayed(command.reason)
    if after == order:
        return Decision(moot="said before, or taken meanwhile", traceparent=order.traceparent)
    fact = _order_fact(wire.erp_order_delayed(order, command), order, now)
    return Decision(changed=[after], facts=[fact], traceparent=order.traceparent)


record_delay = UseCase(
    name="record_delay", loads=lambda c, seen: [ERP_ORDERS.key(c.work_order_id)], decide=decide_delay
)


def decide_advance(seen: Seen, command: wire.AdvanceErp, now: datetime) -> Decision:
    """Remember how far an ERP is read."""
    return Decision(changed=[ErpFeed(command.plant_id, command.watermark, command.release)])


advance_erp = UseCase(
    name="advance_erp", loads=lambda c, seen: [ERP_FEEDS.key(c.plant_id)], decide=decide_advance, is_traced=False
)


def decide_hear(seen: Seen, command: wire.HearPartner, now: datetime) -> Decision:
    """Remember how far a partner is heard, and ask for what it said."""
    return Decision(changed=[command.feed], postings=[command.posting] if command.posting else [])


hear_partner = UseCase(
    name="hear_partner",
    loads=lambda c, seen: [PARTNER_FEEDS.key(c.feed.partner_id)],
    decide=decide_hear,
    is_traced=False,
)


def decide_synchronised(seen: Seen, command: wire.EndSynchronisation, now: datetime) -> Decision:
    """All master data of an ERP was compared: say what was found."""
    told = command.told
    fact = Fact(told, told.plant_id, command.feed.partner_id, told.plant_id, now)
    return Decision(changed=[command.feed], facts=[fact])


end_synchronisation = UseCase(
    name="end_synchronisation",
    loads=lambda c, seen: [PARTNER_FEEDS.key(c.feed.partner_id)],
    decide=decide_synchronised,
)


def _order_fact(data: Any, order: ErpOrder, at: datetime) -> Fact:
    return Fact(data, order.plant_id, order.work_order_id, order.work_order_id, at)


# --- what an ERP is asked for


def decide_complete(seen: Seen, command: wire.CompleteInErp, now: datetime) -> Decision:
    """The order is complete: the ERP gets all that was collected, once, and behind it what waited for that."""
    order = seen.get(ERP_ORDERS.key(command.work_order_id))
    if order is None:
        return Decision(moot="no order of an ERP that we know")
    if order.is_completing:
        return Decision(moot="complete again: corrections were posted one by one", traceparent=order.traceparent)
    lots = [lot.asked() for lot in seen.all(HELD_LOTS.of(order.work_order_id)) if lot.is_held]
    held = {(lot.item_id, lot.lot_id) for lot in lots}
    decided = [one.asked() for one in seen.all(ERP_INSPECTIONS.of(order.work_order_id))]
    waiting = seen.all(STOCK_CHANGES.of(order.work_order_id))
    postings = [
        wire.complete_posting(order, command.totals),
        *(hold_wire.hold_posting(lot) for lot in lots),
        *(stock_wire.posting(one, is_held=(one.item_id, one.lot_id) in held) for one in waiting),
        *(hold_wire.inspection_posting(order, one) for one in decided),
    ]
    changed = [order.completing(), *lots, *decided]
    return Decision(changed=changed, removed=waiting, postings=postings, traceparent=order.traceparent)


complete_in_erp = UseCase(
    name="complete_in_erp",
    loads=lambda c, seen: [
        ERP_ORDERS.key(c.work_order_id),
        HELD_LOTS.of(c.work_order_id),
        ERP_INSPECTIONS.of(c.work_order_id),
        STOCK_CHANGES.of(c.work_order_id),
    ],
    decide=decide_complete,
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
    held = [lot.lot_id for lot in seen.all(HELD_LOTS.of(order.work_order_id)) if lot.is_held]
    return Decision(postings=[wire.correct_posting(order, command, held)], traceparent=order.traceparent)


correct_in_erp = UseCase(
    name="correct_in_erp",
    loads=lambda c, seen: [ERP_ORDERS.key(c.work_order_id), HELD_LOTS.of(c.work_order_id)],
    decide=decide_correct,
)


def decide_ask(seen: Seen, command: partner_wire.AskPartner, now: datetime) -> Decision:
    """Ask a partner for what follows from a fact."""
    return Decision(postings=[command.posting], traceparent=command.traceparent)


ask_partner = UseCase(name="ask_partner", loads=lambda c, seen: [], decide=decide_ask)


def decide_outcome(seen: Seen, command: PostingOutcome, now: datetime) -> Decision:
    """Say what became of a posting."""
    key = command.posting.order_key
    return Decision(facts=[Fact(wire.posting_fact(command, now), command.posting.plant_id, key, key, now)])


posting_outcome = UseCase(name="posting_outcome", loads=lambda c, seen: [], decide=decide_outcome)


# --- holds, inspections and maintenance


def _with_warehouse(decision: Decision, posting: PlannedPosting | None, traceparent: str) -> Decision:
    """The warehouse is asked whatever the ERP has to do with it."""
    if posting is None:
        return decision
    postings = [posting, *decision.postings]
    return decision._replace(postings=postings, moot="", traceparent=decision.traceparent or traceparent)


def decide_hold(seen: Seen, command: hold_wire.HoldInErp, now: datetime) -> Decision:
    """Let the warehouse pick a lot for nobody, and set it aside in the ERP."""
    return _with_warehouse(_hold_in_erp(seen, command), command.block, command.traceparent)


def _hold_in_erp(seen: Seen, command: hold_wire.HoldInErp) -> Decision:
    """Set a lot aside in the ERP: at once, or when its order is complete there, for before that it has none of it."""
    said = command.lot
    if seen.get(ERP_FEEDS.shared(said.plant_id)) is None:
        return Decision(moot="the plant has no ERP that we know")
    order = seen.get(ERP_ORDERS.key(said.work_order_id))
    if said.work_order_id and order is None:
        return Decision(moot="no order of an ERP that we know")
    known = seen.get(HELD_LOTS.key(said.plant_id, said.item_id, said.lot_id))
    if known is not None and known.is_held:
        return Decision(moot="held by another hold")
    lot = replace(said, round=known.round) if known is not None else said
    if order is not None and not order.is_completing:
        return Decision(changed=[lot], traceparent=order.traceparent)
    lot = lot.asked()
    traceparent = order.traceparent if order is not None else command.traceparent
    return Decision(changed=[lot], postings=[hold_wire.hold_posting(lot)], traceparent=traceparent)


hold_in_erp = UseCase(
    name="hold_in_erp",
    loads=lambda c, seen: [
        ERP_FEEDS.shared(c.lot.plant_id),
        ERP_ORDERS.key(c.lot.work_order_id),
        HELD_LOTS.key(c.lot.plant_id, c.lot.item_id, c.lot.lot_id),
    ],
    decide=decide_hold,
)


def decide_release_lot(seen: Seen, command: hold_wire.ReleaseInErp, now: datetime) -> Decision:
    """Let the warehouse pick a lot again, and put it back in the ERP's storage."""
    return _with_warehouse(_release_in_erp(seen, command), command.unblock, command.traceparent)


def _release_in_erp(seen: Seen, command: hold_wire.ReleaseInErp) -> Decision:
    """No hold stands any more: the lot goes back to storage, if the ERP was asked to set it aside."""
    if not command.is_available:
        return Decision(moot="another hold stands")
    lot = seen.get(HELD_LOTS.key(command.plant_id, command.item_id, command.lot_id))
    if lot is None or not lot.is_held:
        return Decision(moot="not held in an ERP")
    postings = [hold_wire.release_posting(lot, command.release_reason)] if lot.is_asked else []
    order = seen.get(ERP_ORDERS.key(command.work_order_id))
    traceparent = order.traceparent if order is not None else command.traceparent
    return Decision(changed=[lot.released()], postings=postings, traceparent=traceparent)


release_in_erp = UseCase(
    name="release_in_erp",
    loads=lambda c, seen: [
        ERP_ORDERS.key(c.work_order_id),
        HELD_LOTS.key(c.plant_id, c.item_id, c.lot_id),
    ],
    decide=decide_release_lot,
)


def decide_inspect(seen: Seen, command: hold_wire.InspectInErp, now: datetime) -> Decision:
    """Record a disposition in the ERP, behind the order's completion: a failed inspection would block that."""
    if not command.is_decided:
        return Decision(moot="nothing is decided yet")
    order = seen.get(ERP_ORDERS.key(command.work_order_id))
    if order is None:
        return Decision(moot="no order of an ERP that we know")
    decided = hold_wire.erp_inspection(order, command.inspection, seen.get(ERP_INSPECTIONS.key(command.inspection_id)))
    if not order.is_completing:
        return Decision(changed=[decided], traceparent=order.traceparent)
    decided = decided.asked()
    return Decision(
        changed=[decided], postings=[hold_wire.inspection_posting(order, decided)], traceparent=order.traceparent
    )


inspect_in_erp = UseCase(
    name="inspect_in_erp",
    loads=lambda c, seen: [ERP_ORDERS.key(c.work_order_id), ERP_INSPECTIONS.key(c.inspection_id)],
    decide=decide_inspect,
)


def decide_change(seen: Seen, command: stock_wire.ChangeInErp, now: datetime) -> Decision:
    """Change the ERP's stock: at once, or when the order that made the lot is complete there."""
    change = command.change
    if seen.get(ERP_FEEDS.shared(change.plant_id)) is None:
        return Decision(moot="the plant has no ERP that we know")
    order = seen.get(ERP_ORDERS.key(change.work_order_id))
    if change.work_order_id and order is None:
        return Decision(moot="no order of an ERP that we know")
    if order is not None and not order.is_completing:
        return Decision(changed=[change], traceparent=order.traceparent)
    lot = seen.get(HELD_LOTS.key(change.plant_id, change.item_id, change.lot_id))
    posting = stock_wire.posting(change, is_held=lot is not None and lot.is_held)
    traceparent = order.traceparent if order is not None else command.traceparent
    return Decision(postings=[posting], traceparent=traceparent)


change_in_erp = UseCase(
    name="change_in_erp",
    loads=lambda c, seen: [
        ERP_FEEDS.shared(c.change.plant_id),
        ERP_ORDERS.key(c.change.work_order_id),
        HELD_LOTS.key(c.change.plant_id, c.change.item_id, c.change.lot_id),
        STOCK_CHANGES.key(c.change.document_id),
    ],
    decide=decide_change,
)


def decide_ask_erp(seen: Seen, command: partner_wire.AskPartner, now: datetime) -> Decision:
    """Ask a plant's ERP, if it has one."""
    if seen.get(ERP_FEEDS.shared(command.posting.plant_id)) is None:
        return Decision(moot="the plant has no ERP that we know")
    return Decision(postings=[command.posting], traceparent=command.traceparent)


ask_erp = UseCase(name="ask_erp", loads=lambda c, seen: [ERP_FEEDS.shared(c.posting.plant_id)], decide=decide_ask_erp)
