"""Production's own copy of what master data has told it of: bills of materials, routings, resources."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from servicekit.domain import DomainError, Kind


class BillOfMaterialsUnknown(DomainError):
    """Master data has not told production of this bill of materials."""

    reason, kind = "BILL_OF_MATERIALS_UNKNOWN", Kind.MISSING


class RoutingUnknown(DomainError):
    """Master data has not told production of this routing."""

    reason, kind = "ROUTING_UNKNOWN", Kind.MISSING


class BillOfMaterialsNotEffective(DomainError):
    """The bill is not in use on the day the order is planned to start."""

    reason, kind = "BILL_OF_MATERIALS_NOT_EFFECTIVE", Kind.PRECONDITION


class RoutingNotEffective(DomainError):
    """The routing is not in use on the day the order is planned to start."""

    reason, kind = "ROUTING_NOT_EFFECTIVE", Kind.PRECONDITION


class ResourceRetired(DomainError):
    """An operation is planned on a work centre that is offered no longer."""

    reason, kind = "RESOURCE_RETIRED", Kind.PRECONDITION


@dataclass(frozen=True, slots=True)
class InUse:
    """From the first to the last day, both of them too; None: always was, and until further notice. Retired: never again."""

    start_date: date | None = None
    end_date: date | None = None
    is_retired: bool = False

    def is_on(self, day: date) -> bool:
        begun, over = self.start_date or day, self.end_date or day
        return not self.is_retired and begun <= day <= over

    def words(self) -> dict[str, object]:
        """Metadata of a refusal."""
        start, end = self.start_date or "", self.end_date or ""
        return {"effective_start_date": start, "effective_end_date": end, "is_retired": self.is_retired}


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    plant_id: str
    bill_of_materials_id: str
    revision: str
    in_use: InUse = InUse()

    def require_effective(self, day: date) -> None:
        if not self.in_use.is_on(day):
            ids = {"plant_id": self.plant_id, "bill_of_materials_id": self.bill_of_materials_id}
            raise BillOfMaterialsNotEffective(**ids, date=day, **self.in_use.words())


@dataclass(frozen=True, slots=True)
class Routing:
    plant_id: str
    routing_id: str
    in_use: InUse = InUse()

    def require_effective(self, day: date) -> None:
        if not self.in_use.is_on(day):
            ids = {"plant_id": self.plant_id, "routing_id": self.routing_id}
            raise RoutingNotEffective(**ids, date=day, **self.in_use.words())


@dataclass(frozen=True, slots=True)
class Resource:
    """What work is planned on. One that master data never told of is taken as it is: a plant may keep none there."""

    plant_id: str
    resource_id: str
    is_retired: bool

    def require_offered(self) -> None:
        if self.is_retired:
            raise ResourceRetired(plant_id=self.plant_id, resource_id=self.resource_id)
