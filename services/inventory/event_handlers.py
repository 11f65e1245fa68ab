"""What inventory does when it hears a fact."""

from __future__ import annotations

from isthmus.production.v1.production_events_pb2 import ConfirmationReversed, OperationConfirmed
from servicekit.facts import Do, EventMeta, consumes
from services.inventory import use_cases, wire


@consumes(OperationConfirmed)
def book_confirmation(event: OperationConfirmed, meta: EventMeta) -> Do:
    """When production books a confirmation, move what went in and what came out."""
    return Do(use_cases.book_confirmation, wire.book_confirmed(event, meta))


@consumes(ConfirmationReversed)
def take_confirmation_back(event: ConfirmationReversed, meta: EventMeta) -> Do:
    """When production reverses a confirmation, move everything back."""
    return Do(use_cases.book_confirmation, wire.book_reversed(event, meta))
