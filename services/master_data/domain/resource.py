"""What work is done on: lines and work centres as the plants keep them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.domain import DomainError, Kind


class ResourceMissing(DomainError):
    """The resource is not recorded for this plant."""

    reason, kind = "RESOURCE_MISSING", Kind.MISSING


@dataclass(frozen=True, slots=True)
class Resource:
    """`category` empty: of no class; `parent_resource_id` empty: part of no other."""

    plant_id: str
    resource_id: str
    name: str
    category: str
    parent_resource_id: str
    version: int = 0
    is_retired: bool = False

    def recorded_over(self, before: Resource | None) -> Resource:
        """As the next version; the same object as before when nothing differs."""
        if before is not None and replace(self, version=before.version) == before:
            return before
        return replace(self, version=(before.version if before else 0) + 1)
