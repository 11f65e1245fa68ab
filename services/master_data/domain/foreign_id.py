"""What other systems call what is ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from servicekit.domain import DomainError, Kind


class ForeignIdMissing(DomainError):
    """Nothing of ours is recorded for this foreign id."""

    reason, kind = "FOREIGN_ID_MISSING", Kind.MISSING


class ForeignIdTaken(DomainError):
    """The foreign id or our id has another partner."""

    reason, kind = "FOREIGN_ID_TAKEN", Kind.EXISTS


@dataclass(frozen=True, slots=True)
class ForeignId:
    plant_id: str
    entity_type: str
    source_system: str
    foreign_id: str
    entity_id: str

    def require_free(self, held: Iterable[ForeignId]) -> None:
        """Each id has one partner in a source system and entity type."""
        for other in held:
            if other != self:
                raise ForeignIdTaken(
                    source_system=self.source_system,
                    foreign_id=self.foreign_id,
                    entity_id=self.entity_id,
                    held_foreign_id=other.foreign_id,
                    held_entity_id=other.entity_id,
                )
