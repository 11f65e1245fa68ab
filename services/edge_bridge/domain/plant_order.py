"""The plant's copy of a work order: what was given to its MES, and under which number the MES knows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import DomainError, Kind


class WorkOrderUnknown(DomainError):
    """This plant was not given such a work order, or not yet."""

    reason, kind = "WORK_ORDER_UNKNOWN", Kind.MISSING


class PlantMismatch(DomainError):
    """The document names another plant than this bridge's."""

    reason, kind = "PLANT_MISMATCH", Kind.FORBIDDEN


def require_plant(plant_id: str, bridge_plant_id: str) -> None:
    """Raises PlantMismatch."""
    if plant_id != bridge_plant_id:
        raise PlantMismatch(plant_id=plant_id, bridge_plant_id=bridge_plant_id)


class MesAway(DomainError):
    """The plant's MES does not answer, or not in its own words."""

    reason, kind = "MES_AWAY", Kind.AWAY


class RecordOrderUnknown(DomainError):
    """The order number of a plant record belongs to no work order of ours."""

    reason, kind = "RECORD_ORDER_UNKNOWN", Kind.MISSING


class RecordFieldMissing(DomainError):
    """A plant record lacks a field that its mapping needs."""

    reason, kind = "RECORD_FIELD_MISSING", Kind.INVALID


class RecordFieldUnreadable(DomainError):
    """A field of a plant record is not what its mapping expects."""

    reason, kind = "RECORD_FIELD_UNREADABLE", Kind.INVALID


@dataclass(frozen=True, slots=True)
class PlantOrder:
    work_order_id: str
    plant_id: str
    item_id: str
    unit_code: str
    mes_order_number: str
    traceparent: str

    def known_as(self, mes_order_number: str) -> PlantOrder:
        return replace(self, mes_order_number=mes_order_number or self.mes_order_number)


@dataclass(frozen=True, slots=True)
class MesNumber:
    """The MES's number of an order, and the order it is."""

    mes_order_number: str
    work_order_id: str


@dataclass(frozen=True, slots=True)
class Feed:
    """How far a feed of a plant system is read."""

    feed_id: str
    position: str
