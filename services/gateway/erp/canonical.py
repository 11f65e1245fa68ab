"""What an ERP tells the gateway, in canonical words: the contracts' own messages, bundled as an ERP release gives them."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.inventory.v1.shipment_pb2 import Shipment
from isthmus.masterdata.v1.bill_of_materials_pb2 import BillOfMaterials
from isthmus.masterdata.v1.inventory_policy_pb2 import InventoryPolicy
from isthmus.masterdata.v1.item_pb2 import Item
from isthmus.masterdata.v1.partner_pb2 import Partner
from isthmus.masterdata.v1.resource_pb2 import Resource
from isthmus.masterdata.v1.routing_pb2 import Routing
from isthmus.production.v1.work_order_pb2 import WorkOrder
from servicekit.domain import DomainError, Kind, Quantity


class ErpReleaseUnknown(DomainError):
    """No dialect of ours speaks with this ERP release."""

    reason, kind = "ERP_RELEASE_UNKNOWN", Kind.PRECONDITION


class ErpState(enum.Enum):
    """What an order's state in the ERP means for the plant."""

    RELEASED = "released"
    CANCELLED = "cancelled"
    OTHER = "other"  # draft, or under work and done by our own postings


@dataclass(frozen=True, slots=True)
class ErpOrder:
    """A production order with the master data that its plant needs to work it."""

    work_order: WorkOrder
    state: ErpState
    items: Sequence[Item] = ()
    bill_of_materials: BillOfMaterials | None = None
    routing: Routing | None = None
    source: PlantRecord | None = None  # as the ERP gave it

    def content(self) -> str:
        """Changes whenever something that the plant must know changes."""
        return hashlib.sha256(self.work_order.SerializeToString(deterministic=True)).hexdigest()[:32]


MasterRecord = Item | BillOfMaterials | Routing | Partner | Resource | InventoryPolicy


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All master data that an ERP offers now, by the ERP's own ids. None: it is there, and no canonical words say it."""

    items: Mapping[str, Item | None]
    bills_of_materials: Mapping[str, BillOfMaterials | None]
    routings: Mapping[str, Routing | None]
    partners: Mapping[str, Partner]
    resources: Mapping[str, Resource]
    policies: Mapping[str, InventoryPolicy | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StockLine:
    """Stock of an item, of a lot, as the ERP counts it."""

    item_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a watermark. The watermark is the ERP's own clock, never ours; empty before the first poll."""

    watermark: str
    orders: Sequence[ErpOrder] = field(default_factory=tuple)
    shipments: Sequence[Shipment] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class ErpSettings:
    """How an ERP of a plant is reached."""

    plant_id: str
    family: str
    url: str
    database: str
    user: str
    password: str


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)
