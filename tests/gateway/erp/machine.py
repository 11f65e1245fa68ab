"""Plays the posting machine step by step on a real ERP, and dies where a test wants it to."""

from __future__ import annotations

from itertools import count
from typing import Any

from servicekit.postings import NoAnswer, Posting, PostingKind
from services.gateway.erp.canonical import ErpSettings
from services.gateway.erp.tryton_client import TrytonClient
from tests.gateway.erp.payloads import completion, totals, used_for

NUMBERS = count(1)


def fresh_lot() -> str:
    return f"OUT-{next(NUMBERS):04d}"


class MortalClient(TrytonClient):
    """Dies after each kind of change once: done there, and nobody here knows."""

    def __init__(self, settings: ErpSettings, survived: set[str]) -> None:
        super().__init__(settings)
        self._survived = survived

    async def model(self, model: str, method: str, *arguments: Any, context: dict[str, Any] | None = None) -> Any:
        answer = await super().model(model, method, *arguments, context=context)
        step = f"{model}.{method}"
        if method not in ("read", "search_read") and step not in self._survived:
            self._survived.add(step)
            raise NoAnswer(f"died after {step}")
        return answer


async def as_the_machine_does(kind: PostingKind, posting: Posting) -> None:
    """Look, then draft and book what is not there yet."""
    found = await kind.find(posting)
    foreign_id = found.foreign_id if found is not None else await kind.draft(posting)
    if found is None or not found.is_booked:
        await kind.book(posting, foreign_id)
    assert (await kind.read(posting, foreign_id)).is_booked


async def post(kind: PostingKind, posting: Posting) -> dict[str, str]:
    """As the posting machine does it."""
    foreign_id = await kind.draft(posting)
    await kind.book(posting, foreign_id)
    found = await kind.read(posting, foreign_id)
    assert found.is_booked
    return dict(found.answer)


async def complete(kinds: dict[str, PostingKind], plant_id: str, number: str, lot: str, good: str) -> dict[str, str]:
    posting = completion(plant_id, number, totals(plant_id, {lot: good}, used_for(plant_id, good)))
    return await post(kinds["complete_work_order"], posting)
