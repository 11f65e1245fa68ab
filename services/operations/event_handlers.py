"""What operations does when it hears a fact: it hears them all."""

from __future__ import annotations

from typing import Any

from servicekit.facts import Do, EventMeta
from services.operations import use_cases
from services.operations.interfaces import Interfaces
from services.operations.telling import tell


def record_entry(interfaces: Interfaces, content: Any, meta: EventMeta) -> Do | None:
    """When anything is said about an order, put it in the order's timeline, and start or stop the clocks that it concerns."""
    told = tell(meta.fact_type, content)
    if told is None:
        return None
    steps = interfaces.steps_of(content, meta)
    return Do(use_cases.record_entry, use_cases.RecordEntry(told, meta, steps))
