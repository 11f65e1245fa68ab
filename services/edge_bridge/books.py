"""What the plant's MES has booked, as it says now: read for reconciliation, and nothing of it is taken into the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from isthmus.edge.v1 import edge_service_pb2 as messages
from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from servicekit import claims, paging
from servicekit.database import Database, Tx
from servicekit.domain import BusinessKey, DomainError, Quantity
from servicekit.wire import quantity_message, timestamp
from services.edge_bridge import use_cases
from services.edge_bridge.domain.plant_order import MesAway, require_plant
from services.edge_bridge.driver import DriverAway, MesDriver
from services.edge_bridge.mappings import MAPPINGS, Report, document_number, lane_key, order_number
from services.edge_bridge.store import FEEDS, MES_NUMBERS
from services.edge_bridge.wire import ReportConfirmation, ReportReversal


@dataclass(frozen=True, slots=True)
class Booked:
    """A record of the MES, and what it says; None: it can't be read, and `unreadable_text` is why."""

    record: PlantRecord
    position: int
    document_number: str
    said: Report | None
    unreadable_text: str

    @classmethod
    def of(cls, record: PlantRecord, position: str, driver: str, plant_id: str) -> Booked:
        number = document_number(record, driver)
        try:
            said = MAPPINGS[driver](record, plant_id, is_late=False)
        except DomainError as fault:
            return cls(record, int(position), number, None, str(fault))
        return cls(record, int(position), number, said, "")

    @property
    def claim(self) -> tuple[str, BusinessKey]:
        """Under which command and key the record becomes a document of ours."""
        if isinstance(self.said, ReportReversal):
            return use_cases.reverse_confirmation.name, self.said.business_key
        key = BusinessKey(self.record.connector_id, "confirmation", self.document_number)
        return use_cases.confirm_operation.name, key


async def list_mes_confirmations(
    database: Database, mes: MesDriver, plant_id: str, request: messages.ListMesConfirmationsRequest
) -> messages.ListMesConfirmationsResponse:
    """A page of the MES's book. Raises PlantMismatch, MesAway."""
    require_plant(request.plant_id, plant_id)
    (after,) = paging.after(request) or [""]
    try:
        records = await mes.booked(after, paging.size(request))
    except DriverAway as fault:
        raise MesAway(connector_id=mes.connector_id, text=fault) from fault
    booked = [Booked.of(record, position, mes.name, plant_id) for record, position in records]
    said = await database.read(lambda tx: _known(tx, mes.connector_id, booked))
    token = paging.token(request, [records[-1][1]] if records else None)
    return messages.ListMesConfirmationsResponse(confirmations=said, next_page_token=token)


def _known(tx: Tx, feed_id: str, booked: Sequence[Booked]) -> list[messages.MesConfirmation]:
    """Records with what the bridge knows of them."""
    feeds = FEEDS.select(tx, "feed_id = ?", (feed_id,))
    read_to = int(feeds[0].position) if feeds else 0
    numbers = sorted({order_number(one.record) for one in booked})
    marks = ", ".join("?" for _ in numbers)
    known = MES_NUMBERS.select(tx, f"mes_order_number IN ({marks})", numbers) if numbers else []
    orders = {number.mes_order_number: number.work_order_id for number in known}
    taken = claims.times(tx, [one.claim for one in booked])
    found = []
    for one in booked:
        said = _message(one)
        said.work_order_id = orders.get(said.mes_order_number, "")
        said.is_read = one.position <= read_to
        if one.claim in taken:
            said.take_time.CopyFrom(timestamp(taken[one.claim]))
        found.append(said)
    return found


def _message(one: Booked) -> messages.MesConfirmation:
    message = messages.MesConfirmation(
        document_number=one.document_number,
        mes_order_number=order_number(one.record),
        lane_key=lane_key(one.record),
        unreadable_text=one.unreadable_text,
    )
    if isinstance(one.said, ReportReversal):
        message.reversed_document_number = one.said.confirmation_key.document_number
    elif isinstance(one.said, ReportConfirmation):
        good = one.said.good
        scrap = sum((scrap.quantity.value for scrap in one.said.scraps), Decimal(0))
        message.operation_sequence = one.said.operation_sequence
        message.good_quantity.CopyFrom(quantity_message(good))
        message.scrap_quantity.CopyFrom(quantity_message(Quantity(scrap, good.unit_code)))
    return message
