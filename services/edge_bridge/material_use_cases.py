"""What the plant's MES is told of items: one version of an item at a time, and after its answer the last one, not each between."""

from __future__ import annotations

from datetime import datetime

from servicekit.postings import PostingOutcome
from servicekit.rows import Key
from servicekit.use_case import Decision, Seen, UseCase
from services.edge_bridge import material_wire
from services.edge_bridge.domain.material import Material
from services.edge_bridge.store import MATERIALS


def decide_note(seen: Seen, command: material_wire.NoteMaterial, now: datetime) -> Decision:
    """Keep what is said of an item, and tell the MES unless it is being told something of it now."""
    before = seen.get(MATERIALS.key(command.item_id)) or Material(command.item_id, command.plant_id)
    after = before.said(**command.said)
    if after is before:
        return Decision(moot="the MES was told so before")
    if after.is_asked:
        return Decision(changed=[after])
    return Decision(changed=[after.asked()], postings=[material_wire.posting(after)])


note_material = UseCase(
    name="note_material", loads=lambda c, seen: [MATERIALS.key(c.item_id)], decide=decide_note, is_traced=False
)


def decide_material_outcome(seen: Seen, command: PostingOutcome, now: datetime) -> Decision:
    """The MES took one version, or a person has its refusal: tell the last one, if there is a later."""
    told = command.posting.payload
    material = seen.get(MATERIALS.key(told.item_id))
    if command.state == "unknown" or material is None:
        return Decision(moot=f"no answer of the MES to {command.posting.key} yet")
    if material.version > told.version:
        return Decision(changed=[material.asked()], postings=[material_wire.posting(material)])
    return Decision(changed=[material.answered()])


def outcome_loads(command: PostingOutcome) -> list[Key[Material]]:
    return [MATERIALS.key(command.posting.payload.item_id)]
