"""Bills of materials and routings: what goes into an item, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from servicekit.domain import DomainError, Kind, Quantity


class BillOfMaterialsMissing(DomainError):
    """The bill of materials is not recorded for this plant."""

    reason, kind = "BILL_OF_MATERIALS_MISSING", Kind.MISSING


class RoutingMissing(DomainError):
    """The routing is not recorded for this plant."""

    reason, kind = "ROUTING_MISSING", Kind.MISSING


class QuantityNotPositive(DomainError):
    """Amounts of a bill of materials are above zero."""

    reason, kind = "QUANTITY_NOT_POSITIVE", Kind.INVALID


class OperationSequenceRepeated(DomainError):
    """Two operations of a routing have one sequence number."""

    reason, kind = "OPERATION_SEQUENCE_REPEATED", Kind.INVALID


class EffectiveDatesReversed(DomainError):
    """A bill or routing ends before it starts."""

    reason, kind = "EFFECTIVE_DATES_REVERSED", Kind.INVALID


def require_in_order(start: date | None, end: date | None, **recipe_id: str) -> None:
    """EFFECTIVE_DATES_REVERSED; a recipe of one day is fine."""
    if start is not None and end is not None and end < start:
        raise EffectiveDatesReversed(**recipe_id, effective_start_date=start, effective_end_date=end)


@dataclass(frozen=True, slots=True)
class Component:
    item_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class BillOfMaterials:
    """Used from the first to the last effective day; None: always was, and until further notice."""

    plant_id: str
    bill_of_materials_id: str
    item_id: str
    revision: str
    output: Quantity
    components: tuple[Component, ...]
    version: int = 0
    is_retired: bool = False
    effective_start_date: date | None = None
    effective_end_date: date | None = None

    def recorded_over(self, before: BillOfMaterials | None) -> BillOfMaterials:
        """As the next version; the same object as before when nothing differs."""
        for item_id, quantity in [(self.item_id, self.output), *((c.item_id, c.quantity) for c in self.components)]:
            if quantity.value <= 0:
                raise QuantityNotPositive(item_id=item_id, value=quantity)
        dates = self.effective_start_date, self.effective_end_date
        require_in_order(*dates, bill_of_materials_id=self.bill_of_materials_id)
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)


@dataclass(frozen=True, slots=True)
class RoutingOperation:
    """`labour_seconds`: standard per piece as decimal text; empty when the ERP holds none."""

    sequence: int
    description: str
    work_centre_id: str
    labour_seconds: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Used from the first to the last effective day, as a bill."""

    plant_id: str
    routing_id: str
    item_id: str
    operations: tuple[RoutingOperation, ...]
    version: int = 0
    is_retired: bool = False
    effective_start_date: date | None = None
    effective_end_date: date | None = None

    def recorded_over(self, before: Routing | None) -> Routing:
        """As the next version; the same object as before when nothing differs."""
        sequences = [operation.sequence for operation in self.operations]
        for sequence in sequences:
            if sequences.count(sequence) > 1:
                raise OperationSequenceRepeated(routing_id=self.routing_id, sequence=sequence)
        require_in_order(self.effective_start_date, self.effective_end_date, routing_id=self.routing_id)
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)
