"""What a decision has seen, built from nouns, for tests of pure decisions."""

from __future__ import annotations

from typing import Any

from servicekit.rows import Owned
from servicekit.use_case import Decision, Seen, Store


class Complete(Seen):
    """Everything is loaded."""

    def has_all(self, owned: Owned[Any]) -> bool:
        return True


def seen(store: Store, *nouns: object, traceparent: str = "") -> Seen:
    """Everything that was not given is absent."""
    found = Complete()
    found.traceparent = traceparent
    for noun in nouns:
        rows = store.by_type[type(noun)]
        found._put_loaded(rows, (), {rows.key_of(noun): noun})
        if rows.owner_columns:
            found._whole.add((rows, rows.owner_of(noun)))
    return found


def facts_of(decision: Decision) -> list[str]:
    return [fact.data.DESCRIPTOR.name for fact in decision.facts]
