"""Compares all master data of one plant's ERP with what master data keeps, once in so many hours.

Changes come with the orders that need them; this finds what no order brings: corrections, and what is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import grpc
import structlog
from google.protobuf import json_format

from isthmus.gateway.v1.gateway_events_pb2 import MasterDataSynchronised
from isthmus.masterdata.v1 import masterdata_service_pb2 as messages
from isthmus.masterdata.v1 import ownership_pb2
from isthmus.masterdata.v1.foreign_id_pb2 import ForeignId
from servicekit import clock
from servicekit.domain import DomainError
from servicekit.errors import from_rpc_error
from servicekit.postings import Away, NoAnswer, Refused
from servicekit.run import Kit
from servicekit.wire import key_message, timestamp
from services.gateway import use_cases, wire
from services.gateway.clients import DEADLINE, REFUSALS
from services.gateway.domain.partner_feed import PartnerFeed
from services.gateway.erp.canonical import Catalogue, MasterRecord
from services.gateway.erp.tryton import TrytonReader
from services.gateway.erp.tryton_catalogue import read_catalogue
from services.gateway.store import PARTNER_FEEDS

log = structlog.get_logger()
REFUSED = REFUSALS | {grpc.StatusCode.NOT_FOUND}
REST = timedelta(seconds=30)  # after a round that failed; orders go on meanwhile
PAGE = 500
AT_ONCE = 64  # calls that share a commit there
Known = dict[tuple[int, str], ForeignId]  # by entity type and the ERP's own id


class Kind(NamedTuple):
    """An entity type, as master data's calls and fields name it."""

    entity_type: ownership_pb2.EntityType.ValueType
    field: str
    call: str
    id_field: str


KINDS = (  # items before what refers to them
    Kind(ownership_pb2.ENTITY_TYPE_ITEM, "item", "Item", "item_id"),
    Kind(ownership_pb2.ENTITY_TYPE_BILL_OF_MATERIALS, "bill_of_materials", "BillOfMaterials", "bill_of_materials_id"),
    Kind(ownership_pb2.ENTITY_TYPE_ROUTING, "routing", "Routing", "routing_id"),
    Kind(ownership_pb2.ENTITY_TYPE_PARTNER, "partner", "Partner", "partner_id"),
    Kind(ownership_pb2.ENTITY_TYPE_RESOURCE, "resource", "Resource", "resource_id"),
    Kind(ownership_pb2.ENTITY_TYPE_INVENTORY_POLICY, "inventory_policy", "InventoryPolicy", "item_id"),
)


@dataclass(frozen=True, slots=True)
class Round:
    """`number` makes its documents its own; `known` is what this ERP offered before; `told` is what is found."""

    number: str
    known: Known
    told: MasterDataSynchronised


class Synchroniser:
    """One plant's ERP. The follower calls it between two polls, so that no order's newer word is overtaken by a round's."""

    def __init__(self, kit: Kit, master_data: Any, reader: TrytonReader, plant_id: str, hours: float) -> None:
        self._kit, self._master_data, self._reader, self._plant_id = kit, master_data, reader, plant_id
        self._seconds, self._source, self._feed_id = hours * 3600, wire.erp_of(plant_id), f"catalogue:{plant_id}"
        self._finished, self._rest_until = "", clock.now()

    async def look(self) -> None:
        """A round, if one is due. One that was cut off begins again: what it offered before differs no more."""
        number = str(int(clock.now().timestamp() // self._seconds))
        if number == self._finished or clock.now() < self._rest_until:
            return
        self._finished = await self._done()
        if number == self._finished:
            return
        try:
            told = await self.compare(await read_catalogue(self._reader), number)
        except (Away, NoAnswer, Refused, DomainError, grpc.aio.AioRpcError) as fault:
            text = fault.details() if isinstance(fault, grpc.aio.AioRpcError) else str(fault)
            log.warning("master data not compared yet", plant_id=self._plant_id, fault=text)
            self._rest_until = clock.now() + REST
            return
        feed = PartnerFeed(self._feed_id, number)
        await self._kit.door.run(use_cases.end_synchronisation, wire.EndSynchronisation(feed, told))

    async def _done(self) -> str:
        feeds = await self._kit.database.read(lambda tx: PARTNER_FEEDS.select(tx, "partner_id = ?", (self._feed_id,)))
        return feeds[0].watermark if feeds else ""

    async def compare(self, catalogue: Catalogue, number: str) -> MasterDataSynchronised:
        """Offer all that the ERP has, retire what it had. `number` makes each round's documents its own."""
        start = timestamp(clock.now())
        told = MasterDataSynchronised(plant_id=self._plant_id, partner_id=self._source, start_time=start)
        this = Round(number, await self._known(), told)
        for kind, offered in _by_kind(catalogue):
            told.listed_count += len(offered)
            said = [(foreign_id, entity) for foreign_id, entity in offered.items() if entity is not None]
            told.faulty_count += len(offered) - len(said)
            await self._offer_all(kind, said, this)
            await self._retire_gone(kind, offered, this)
        told.end_time.CopyFrom(timestamp(clock.now()))
        log.info("master data compared", **json_format.MessageToDict(told, preserving_proto_field_name=True))
        return told

    async def _offer_all(self, kind: Kind, said: Sequence[tuple[str, MasterRecord]], this: Round) -> None:
        """Of one kind none waits for another. None is left on its way when the round ends, however it ends."""
        for at in range(0, len(said), AT_ONCE):
            some = (self._offer_and_name(kind, *one, this) for one in said[at : at + AT_ONCE])
            for outcome in await asyncio.gather(*some, return_exceptions=True):
                if outcome is not None:
                    raise outcome

    async def _offer_and_name(self, kind: Kind, foreign_id: str, entity: MasterRecord, this: Round) -> None:
        if await self._offer(kind, entity, this) is not None:
            await self._name(kind, foreign_id, entity, this)

    async def _retire_gone(self, kind: Kind, offered: Mapping[str, MasterRecord | None], this: Round) -> None:
        """What the ERP named once, and has no more under that id nor under another."""
        here = {getattr(entity, kind.id_field) for entity in offered.values() if entity is not None}
        for known in this.known.values():
            if (
                known.entity_type == kind.entity_type
                and known.foreign_id not in offered
                and known.entity_id not in here
            ):
                await self._retire(kind, known.entity_id, this)

    async def _known(self) -> Known:
        """What this ERP offered before."""
        request = messages.ListForeignIdsRequest(plant_id=self._plant_id, page_size=PAGE)
        found: Known = {}
        while True:
            page = await self._master_data.ListForeignIds(request, timeout=DEADLINE)
            found |= {(f.entity_type, f.foreign_id): f for f in page.foreign_ids if f.source_system == self._source}
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def _offer(self, kind: Kind, entity: MasterRecord, this: Round) -> Any:
        """Master data's answer; None: refused."""
        entity_id = getattr(entity, kind.id_field)
        key = wire.order_key(
            self._plant_id, f"{kind.field}_catalogue", entity_id, f"{this.number}-{wire.digest_of(entity)}"
        )
        request = getattr(messages, f"Record{kind.call}Request")(
            business_key=key_message(key), plant_id=self._plant_id, **{kind.field: entity}
        )
        answer = await self._ask(getattr(self._master_data, f"Record{kind.call}"), request, entity_id, this)
        if answer is not None:
            told = this.told
            told.refused_count += len(answer.ownership_refusals)
            if answer.is_changed and entity.is_retired:
                told.retired_count += 1
            elif answer.is_changed:
                told.changed_count += 1
        return answer

    async def _name(self, kind: Kind, foreign_id: str, entity: MasterRecord, this: Round) -> None:
        """Keep what the ERP calls it: only what it named once can be gone. FOREIGN_ID_TAKEN: it was renamed there."""
        entity_id = getattr(entity, kind.id_field)
        before = this.known.get((kind.entity_type, foreign_id))
        if before is not None and before.entity_id == entity_id:
            return
        key = wire.order_key(self._plant_id, f"{kind.field}_id", foreign_id, entity_id)
        request = messages.RecordForeignIdRequest(business_key=key_message(key))
        said = request.foreign_id
        said.plant_id, said.entity_type, said.source_system = self._plant_id, kind.entity_type, self._source
        said.foreign_id, said.entity_id = foreign_id, entity_id
        await self._ask(self._master_data.RecordForeignId, request, entity_id, this)

    async def _retire(self, kind: Kind, entity_id: str, this: Round) -> None:
        request = getattr(messages, f"Get{kind.call}Request")(plant_id=self._plant_id, **{kind.id_field: entity_id})
        found = await self._ask(getattr(self._master_data, f"Get{kind.call}"), request, entity_id, this)
        entity = getattr(found, kind.field) if found is not None else None
        if entity is not None and not entity.is_retired:
            entity.is_retired = True
            await self._offer(kind, entity, this)

    async def _ask(self, call: Any, request: Any, entity_id: str, this: Round) -> Any:
        """The answer; None: refused, which is counted and logged, and keeps nothing else from being compared."""
        try:
            return await call(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            code, reason, metadata = from_rpc_error(error)
            if code not in REFUSED:
                raise
            log.warning("master data of the ERP is refused", entity=entity_id, reason=reason, **metadata)
            this.told.faulty_count += 1
            return None


def _by_kind(catalogue: Catalogue) -> Iterator[tuple[Kind, Mapping[str, MasterRecord | None]]]:
    made = catalogue.bills_of_materials, catalogue.routings
    rest = catalogue.partners, catalogue.resources, catalogue.policies
    yield from zip(KINDS, (catalogue.items, *made, *rest), strict=True)
