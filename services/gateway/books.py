"""What a partner's books say of a plant's stock, whoever the partner is: read for reconciliation, never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from isthmus.gateway.v1 import gateway_service_pb2 as messages
from servicekit import paging
from servicekit.domain import DomainError, Kind, Quantity
from servicekit.postings import Away, NoAnswer, Refused
from servicekit.wire import quantity_message, timestamp


class PartnerUnknown(DomainError):
    """The plant has no such partner."""

    reason, kind = "PARTNER_UNKNOWN", Kind.MISSING


class PartnerAway(DomainError):
    """The partner does not answer, or not with what it was asked for."""

    reason, kind = "PARTNER_AWAY", Kind.AWAY


@dataclass(frozen=True, slots=True)
class Booking:
    """One line of a partner's books. `place` orders lines, and the next page begins behind it."""

    place: int
    document_id: str
    is_ours: bool
    item_id: str
    lot_id: str
    quantity: Quantity  # signed: above zero is into the plant's stock
    book_time: datetime


class PartnerBooks(Protocol):
    """One partner's books. Every method may raise Away, NoAnswer, Refused or a DomainError."""

    async def bookings(self, plant_id: str, after: int, most: int) -> Sequence[Booking]:
        """Lines behind a place, in the order of their places."""

    async def stocks(self, plant_id: str) -> Mapping[tuple[str, str], Quantity]:
        """By item and lot; what is nothing may be left out."""


Books = Mapping[str, PartnerBooks]  # by partner id


def of(books: Books, plant_id: str, partner_id: str) -> PartnerBooks:
    """PARTNER_UNKNOWN. An ERP is of one plant, which its id names."""
    found = books.get(partner_id)
    if found is None or (partner_id.startswith("erp-") and partner_id != f"erp-{plant_id}"):
        raise PartnerUnknown(plant_id=plant_id, partner_id=partner_id)
    return found


async def list_bookings(
    books: Books, request: messages.ListPartnerBookingsRequest
) -> messages.ListPartnerBookingsResponse:
    partner, most = of(books, request.plant_id, request.partner_id), paging.size(request)
    (after,) = paging.after(request) or [0]
    try:
        lines = await partner.bookings(request.plant_id, after, most)
    except (Away, NoAnswer, Refused) as fault:
        raise PartnerAway(partner_id=request.partner_id, text=fault) from fault
    response = messages.ListPartnerBookingsResponse()
    for line in lines:
        response.bookings.add(
            document_id=line.document_id,
            is_ours=line.is_ours,
            item_id=line.item_id,
            lot_id=line.lot_id,
            quantity=quantity_message(line.quantity),
            book_time=timestamp(line.book_time),
        )
    response.next_page_token = paging.token(request, [lines[-1].place] if len(lines) >= most else None)
    return response


async def list_stocks(books: Books, request: messages.ListPartnerStocksRequest) -> messages.ListPartnerStocksResponse:
    partner, most = of(books, request.plant_id, request.partner_id), paging.size(request)
    after = tuple(paging.after(request) or ["", ""])
    try:
        found = await partner.stocks(request.plant_id)
    except (Away, NoAnswer, Refused) as fault:
        raise PartnerAway(partner_id=request.partner_id, text=fault) from fault
    lots = sorted(lot for lot in found if lot > after)
    response = messages.ListPartnerStocksResponse()
    for item_id, lot_id in lots[:most]:
        quantity = quantity_message(found[item_id, lot_id])
        response.stocks.add(item_id=item_id, lot_id=lot_id, quantity=quantity)
    response.next_page_token = paging.token(request, list(lots[most - 1]) if len(lots) > most else None)
    return response
