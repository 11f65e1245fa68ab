"""What changes something in inventory: per verb what to load, and a pure decision. The kit saves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from isthmus.inventory.v1 import inventory_events_pb2 as events
from isthmus.inventory.v1 import inventory_service_pb2 as messages
from servicekit.domain import Quantity
from servicekit.rows import Key, Owned
from servicekit.use_case import Decision, Fact, Fingerprint, Seen, UseCase
from services.inventory import hold_wire, wire
from services.inventory.domain import ledger
from services.inventory.domain.ledger import (
    OUTPUT,
    SCRAP,
    STORAGE,
    WAREHOUSE,
    Lot,
    Movement,
    OpeningBalanceLate,
    ReceiptExceedsStock,
    Stock,
    Transaction,
)
from services.inventory.domain.shipment import LotShipment, Shipment, ShipmentExists, ShipmentState, lot_shipments
from services.inventory.hold_use_cases import disposed_loads, hold_output, reallocated
from services.inventory.store import ALLOCATION_MARKS, HOLDS, INSPECTED_ITEMS, LOTS, SHIPMENTS, STOCKS


def ledger_line(
    document_id: str,
    number: int,
    key: tuple[str, str, str, str],
    movement: Movement,
    quantity: Quantity,
    occur_time: datetime,
    now: datetime,
    work_order_id: str = "",
    reason_code: str = "",
) -> Transaction:
    return Transaction(
        f"{document_id}/{number}",
        *key,
        movement=movement,
        quantity=quantity,
        work_order_id=work_order_id,
        document_id=document_id,
        occur_time=occur_time,
        record_time=now,
        reason_code=reason_code,
    )


def post_lines(seen: Seen, lines: Sequence[Transaction]) -> list[Stock]:
    known = [stock for line in lines if (stock := seen.get(STOCKS.key(*line.key))) is not None]
    return ledger.post(lines, known)


# --- confirmations of production


def decide_book(seen: Seen, command: wire.BookConfirmation, now: datetime) -> Decision:
    """Book consumption, output and scrap of a confirmation, or take them back."""
    lines = _confirmation_lines(command, now)
    if not lines:
        return Decision(moot="the confirmation moved nothing")
    booked = post_lines(seen, lines)
    changed: list[object] = [*lines, *booked]
    facts = [_order_fact(wire.inventory_moved(command.document_id, command.work_order_id, lines), command)]
    if command.output is not None and command.output_lot_id:
        name = command.plant_id, command.item_id, command.output_lot_id
        known = seen.get(LOTS.key(*name))
        lot = known or Lot(*name, command.work_order_id, seen.traceparent, now)
        held, said = hold_output(seen, command, lot, now, booked)
        changed += [*([lot] if known is None else []), *held]
        facts += said  # before the output is announced: nobody picks it in between
    if command.output is not None:
        facts.append(_order_fact(wire.output_stored(command, command.output), command))
    return Decision(changed=changed, facts=facts)


def _confirmation_lines(command: wire.BookConfirmation, now: datetime) -> list[Transaction]:
    plant_id, item_id = command.plant_id, command.item_id
    moves: list[tuple[tuple[str, str, str, str], Movement, Quantity, str]] = [
        ((plant_id, used.item_id, used.lot_id, STORAGE), Movement.CONSUMPTION, -used.quantity, "")
        for used in command.consumptions
    ]
    moves += [((plant_id, item_id, "", SCRAP), Movement.SCRAP, s.quantity, s.reason_code) for s in command.scraps]
    if command.output is not None:
        moves.append(((plant_id, item_id, command.output_lot_id, OUTPUT), Movement.OUTPUT, command.output, ""))
    return [
        ledger_line(
            command.document_id, number, key, movement, quantity, command.occur_time, now, command.work_order_id, reason
        )
        for number, (key, movement, quantity, reason) in enumerate(moves, start=1)
    ]


def _order_fact(data: Any, command: wire.BookConfirmation) -> Fact:
    order_id = command.work_order_id
    return Fact(
        data, command.plant_id, order_id, order_id, command.occur_time, command.business_key, is_late=command.is_late
    )


def _book_loads(command: wire.BookConfirmation, seen: Seen) -> list[Key[Any] | Owned[Any]]:
    wanted: list[Key[Any] | Owned[Any]] = [
        STOCKS.key(command.plant_id, used.item_id, used.lot_id, STORAGE) for used in command.consumptions
    ]
    wanted += [STOCKS.key(command.plant_id, command.item_id, "", SCRAP)] if command.scraps else []
    if command.output is not None:
        wanted.append(STOCKS.key(command.plant_id, command.item_id, command.output_lot_id, OUTPUT))
        wanted.append(LOTS.key(command.plant_id, command.item_id, command.output_lot_id))
        inspected = INSPECTED_ITEMS.of(command.plant_id, command.item_id)
        wanted.append(inspected)
        if command.output_lot_id and seen.all(inspected):
            wanted += disposed_loads(command.plant_id, command.item_id, command.output_lot_id)
    return wanted


book_confirmation = UseCase(name="book_confirmation", loads=_book_loads, decide=decide_book)


# --- opening stock and receipts


def decide_open(seen: Seen, command: wire.OpenStock, now: datetime) -> Decision:
    """Book the stock that was there when the ledger began."""
    ledger.require_positive("quantity", command.quantity)
    key = STOCKS.key(command.plant_id, command.item_id, command.lot_id, STORAGE)
    if seen.get(key) is not None:
        raise OpeningBalanceLate(item_id=command.item_id, lot_id=command.lot_id)
    document = f"opening/{command.plant_id}/{command.item_id}/{command.lot_id}"
    line = ledger_line(document, 1, key.values, Movement.OPENING_BALANCE, command.quantity, now, now)
    (stock,) = ledger.post([line], [])
    changed: list[object] = [line, stock]
    if command.lot_id and seen.get(LOTS.key(command.plant_id, command.item_id, command.lot_id)) is None:
        changed.append(Lot(command.plant_id, command.item_id, command.lot_id, "", "", now))
    moved = wire.inventory_moved(document, "", [line])
    item_key = f"item:{command.item_id}"
    fact = Fact(moved, command.plant_id, item_key, command.item_id, now, command.business_key)
    return Decision(changed=changed, facts=[fact], answer=messages.OpenStockResponse(stock=wire.stock_message(stock)))


open_stock = UseCase(
    name="open_stock",
    loads=lambda c, seen: [
        STOCKS.key(c.plant_id, c.item_id, c.lot_id, STORAGE),
        LOTS.key(c.plant_id, c.item_id, c.lot_id),
    ],
    decide=decide_open,
    fingerprint=Fingerprint.of("plant_id", "item_id", "lot_id", "quantity"),
    answers=messages.OpenStockResponse,
)


def decide_receipt(seen: Seen, command: wire.ConfirmReceipt, now: datetime) -> Decision:
    """The warehouse took in a lot: from the plant's output place to its own."""
    ledger.require_positive("quantity", command.quantity)
    ledger.require_past(command.occur_time, now)
    lot = seen.one(LOTS.key(command.plant_id, command.item_id, command.lot_id))
    here = STOCKS.key(command.plant_id, command.item_id, command.lot_id, OUTPUT)
    held = seen.get(here)
    if held is None or held.quantity < command.quantity:
        held_text = str(held.quantity) if held is not None else "nothing"
        raise ReceiptExceedsStock(lot_id=command.lot_id, held=held_text, received=command.quantity)
    there = STOCKS.key(command.plant_id, command.item_id, command.lot_id, WAREHOUSE)
    document = f"receipt/{command.business_key.id}"
    lines = [
        ledger_line(
            document, number, key.values, Movement.TRANSFER, quantity, command.occur_time, now, lot.work_order_id
        )
        for number, (key, quantity) in enumerate(((here, -command.quantity), (there, command.quantity)), start=1)
    ]
    after = post_lines(seen, lines)

    def fact(data: Any) -> Fact:
        return Fact(data, command.plant_id, lot.order_key, command.lot_id, command.occur_time, command.business_key)

    stock = next(stock for stock in after if stock.location_id == WAREHOUSE)
    return Decision(
        changed=[*lines, *after, reallocated(seen, command.plant_id)],
        facts=[
            fact(wire.goods_received(command, lot)),
            fact(wire.inventory_moved(document, lot.work_order_id, lines)),
        ],
        answer=messages.ConfirmReceiptResponse(stock=wire.stock_message(stock)),
        traceparent=lot.traceparent,
    )


confirm_receipt = UseCase(
    name="confirm_receipt",
    loads=lambda c, seen: [
        LOTS.key(c.plant_id, c.item_id, c.lot_id),
        STOCKS.key(c.plant_id, c.item_id, c.lot_id, OUTPUT),
        STOCKS.key(c.plant_id, c.item_id, c.lot_id, WAREHOUSE),
        ALLOCATION_MARKS.key(c.plant_id),
    ],
    decide=decide_receipt,
    fingerprint=Fingerprint.of("plant_id", "item_id", "lot_id", "quantity"),
    answers=messages.ConfirmReceiptResponse,
)


# --- shipments


def decide_advise(seen: Seen, command: wire.AdviseShipment, now: datetime) -> Decision:
    """Take a customer delivery that the ERP waits for."""
    if seen.get(SHIPMENTS.key(command.shipment_id)) is not None:
        raise ShipmentExists(shipment_id=command.shipment_id)
    for line in command.lines:
        ledger.require_positive("lines.quantity", line.quantity)
    shipment = Shipment(
        shipment_id=command.shipment_id,
        plant_id=command.plant_id,
        erp_delivery_number=command.erp_delivery_number,
        customer_name=command.customer_name,
        planned_date=command.planned_date,
        lines=command.lines,
        state=ShipmentState.ADVISED,
        shipped_lots=(),
        traceparent=seen.traceparent,
        version=1,
    )
    said = wire.shipment_message(shipment)
    fact = _shipment_fact(events.ShipmentAdvised(shipment=said), shipment, now, command)
    changed = [shipment, reallocated(seen, shipment.plant_id)]
    return Decision(changed=changed, facts=[fact], answer=messages.AdviseShipmentResponse(shipment=said))


advise_shipment = UseCase(
    name="advise_shipment",
    loads=lambda c, seen: [SHIPMENTS.key(c.shipment_id), ALLOCATION_MARKS.key(c.plant_id)],
    decide=decide_advise,
    fingerprint=Fingerprint.of("plant_id", "erp_delivery_number", "lines"),
    answers=messages.AdviseShipmentResponse,
)


def _shipment_fact(
    data: Any, shipment: Shipment, at: datetime, command: wire.AdviseShipment | wire.ConfirmShipment
) -> Fact:
    return Fact(data, shipment.plant_id, shipment.shipment_id, shipment.shipment_id, at, command.business_key)


def decide_ship(seen: Seen, command: wire.ConfirmShipment, now: datetime) -> Decision:
    """The warehouse shipped a delivery: issue its lots, and tell each order whose output left."""
    ledger.require_past(command.occur_time, now)
    shipment = seen.one(SHIPMENTS.key(command.shipment_id)).ship(command.shipped_lots)
    lots = [seen.one(LOTS.key(shipment.plant_id, s.item_id, s.lot_id)) for s in command.shipped_lots]
    document = f"shipment/{shipment.shipment_id}"
    lines = [
        ledger_line(
            document,
            number,
            (shipment.plant_id, shipped.item_id, shipped.lot_id, WAREHOUSE),
            Movement.SHIPMENT,
            -shipped.quantity,
            command.occur_time,
            now,
            lot.work_order_id,
        )
        for number, (shipped, lot) in enumerate(zip(command.shipped_lots, lots, strict=True), start=1)
    ]
    said = wire.shipment_message(shipment)
    orders = sorted({lot.work_order_id for lot in lots if lot.work_order_id})
    confirmed = events.ShipmentConfirmed(shipment=said, work_order_ids=orders)
    facts = [
        _shipment_fact(confirmed, shipment, command.occur_time, command),
        _shipment_fact(wire.inventory_moved(document, "", lines), shipment, command.occur_time, command),
    ]
    facts += [
        Fact(
            wire.output_shipped(shipment, shipped, lot, command.source),
            shipment.plant_id,
            lot.work_order_id,
            lot.work_order_id,
            command.occur_time,
            command.business_key,
            traceparent=lot.traceparent,
        )
        for shipped, lot in zip(command.shipped_lots, lots, strict=True)
        if lot.work_order_id
    ]
    left = lot_shipments(shipment)
    facts += _held_lots_shipped(seen, left, command)
    return Decision(
        changed=[shipment, *left, *lines, *post_lines(seen, lines), reallocated(seen, shipment.plant_id)],
        facts=facts,
        answer=messages.ConfirmShipmentResponse(shipment=said),
        traceparent=shipment.traceparent,
    )


def _held_lots_shipped(seen: Seen, left: Sequence[LotShipment], command: wire.ConfirmShipment) -> list[Fact]:
    """The warehouse shipped what it should not have: it is booked, for it is true, and people must act."""
    found = []
    for one in left:
        lot = seen.one(LOTS.key(one.plant_id, one.item_id, one.lot_id))
        standing = [hold for hold in seen.all(HOLDS.of(one.plant_id, one.item_id, one.lot_id)) if hold.stands]
        for hold in standing[:1]:
            said = hold_wire.hold_message(hold), hold_wire.recalled_message(one)
            data = events.HeldLotShipped(hold=said[0], shipment=said[1])
            key = lot.order_key
            found.append(Fact(data, one.plant_id, key, one.lot_id, command.occur_time, traceparent=lot.traceparent))
    return found


def _ship_loads(command: wire.ConfirmShipment, seen: Seen) -> list[Key[Any] | Owned[Any]]:
    wanted: list[Key[Any] | Owned[Any]] = [SHIPMENTS.key(command.shipment_id)]
    shipment = seen.get(SHIPMENTS.key(command.shipment_id))
    if shipment is not None:
        wanted.append(ALLOCATION_MARKS.key(shipment.plant_id))
        for shipped in command.shipped_lots:
            wanted.append(STOCKS.key(shipment.plant_id, shipped.item_id, shipped.lot_id, WAREHOUSE))
            wanted.append(LOTS.key(shipment.plant_id, shipped.item_id, shipped.lot_id))
            wanted.append(HOLDS.of(shipment.plant_id, shipped.item_id, shipped.lot_id))
    return wanted


confirm_shipment = UseCase(
    name="confirm_shipment",
    loads=_ship_loads,
    decide=decide_ship,
    fingerprint=Fingerprint.of("shipment_id", "shipped_lots"),
    answers=messages.ConfirmShipmentResponse,
)
