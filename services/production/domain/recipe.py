"""Production's own copy of which bills of materials and routings master data has told it of."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.domain import DomainError, Kind


class BillOfMaterialsUnknown(DomainError):
    """Master data has not told production of this bill of materials."""

    reason, kind = "BILL_OF_MATERIALS_UNKNOWN", Kind.MISSING


class RoutingUnknown(DomainError):
    """Master data has not told production of this routing."""

    reason, kind = "ROUTING_UNKNOWN", Kind.MISSING


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    plant_id: str
    bill_of_materials_id: str
    revision: str


@dataclass(frozen=True, slots=True)
class Routing:
    plant_id: str
    routing_id: str
