"""Records what was decided on a lot as an inspection of its order in Tryton's quality module.

A failed inspection opens an alert, and an order with an open one can't be completed: so it is posted behind the order's
completion. What a release or a plant's ERP keeps no inspections of is acknowledged with a figure that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from isthmus.gateway.v1.erp_postings_pb2 import InspectionPoint, RecordInspection
from isthmus.quality.v1.inspection_pb2 import Disposition
from servicekit.domain import plain
from servicekit.postings import Found, Posting, Refused
from services.gateway.erp.tryton_moves import Tryton

STATES = {Disposition.DISPOSITION_PASSED: "passed", Disposition.DISPOSITION_FAILED: "failed"}
JUDGES = {"passed": "pass_", "failed": "fail"}  # a person's buttons, for when the ERP's tolerances say otherwise
NOT_KEPT = Found("", is_booked=True, answer={"inspection": "not supported by this ERP"})


class RecordsInspection(Tryton):
    """One inspection in the ERP for one of ours; another decision is written over it."""

    MODEL = "quality.inspection"

    async def find(self, posting: Posting) -> Found | None:
        """Booked, or a whole draft."""
        if not await self._is_kept():
            return NOT_KEPT
        standing = await self._standing(posting.payload.inspection_id)
        wanted, _ = await self._points(posting.payload)
        if standing is None or not self._is_drafted(standing, wanted, posting.payload):
            return None
        return await self.read(posting, str(standing["id"]))

    async def draft(self, posting: Posting) -> str:
        if not await self._is_kept():
            return ""
        payload: RecordInspection = posting.payload
        standing = await self._standing(payload.inspection_id)
        points, _ = await self._points(payload)
        if standing is None:
            (number,) = await self.client.model(self.MODEL, "create", [await self._values(payload, points)])
            standing = {"id": number}
        elif not self._is_drafted(standing, points, payload):
            if standing["state"] != "pending":
                await self.press(self.MODEL, "pending", standing["id"])
            await self.client.model(self.MODEL, "write", [standing["id"]], {"points": _tagged(points)})
        lines = [f"Lot {payload.lot_id}: {STATES[payload.disposition]}", *payload.disposition_reasons]
        await self.note(f"{self.MODEL},{standing['id']}", "\n".join(lines))
        return str(standing["id"])

    async def book(self, posting: Posting, foreign_id: str) -> None:
        """The ERP judges by its own tolerances; where we decided otherwise, it is told so as a person would."""
        if not foreign_id or (await self._points(posting.payload))[1]:
            return
        number, wanted = int(foreign_id), STATES[posting.payload.disposition]
        if await self.state(self.MODEL, number) == "pending":
            await self.press(self.MODEL, "process", number)
        if await self.state(self.MODEL, number) != wanted:
            await self.press(self.MODEL, JUDGES[wanted], number)

    async def read(self, posting: Posting, foreign_id: str) -> Found:
        if not foreign_id:
            return NOT_KEPT
        record = await self.read_one(self.MODEL, int(foreign_id), ["number", "state"])
        answer = {"erp_inspection": str(record["number"]), "inspection": str(record["state"])}
        _, missing = await self._points(posting.payload)
        if missing:
            # The ERP can't process it without a value that nobody has: it stays pending there, for a person.
            return Found(foreign_id, is_booked=True, answer={**answer, "not_measured": " ".join(missing)})
        return Found(foreign_id, is_booked=record["state"] == STATES[posting.payload.disposition], answer=answer)

    # --- what the ERP has and asks

    async def _is_kept(self) -> bool:
        """The release can, and this plant's ERP has the module."""
        if not self.client.dialect.inspection_key:
            return False
        domain = [["name", "=", "quality"], ["state", "=", "activated"]]
        return await self.one("ir.module", domain, ["name"]) is not None

    async def _standing(self, inspection_id: str) -> dict[str, Any] | None:
        domain = [[self.client.dialect.inspection_key, "=", inspection_id]]
        return await self.one(self.MODEL, domain, ["state", "points"])

    def _is_drafted(self, standing: Mapping[str, Any], points: Mapping[str, Any], payload: RecordInspection) -> bool:
        return (standing["points"] or {}) == points and standing["state"] in ("pending", STATES[payload.disposition])

    async def _asked(self, payload: RecordInspection) -> tuple[int, dict[str, str]]:
        """The control of the item, and the kinds of its points by name."""
        control = await self.one("quality.control", [["product.code", "=", payload.item_id]], ["name"])
        if control is None:
            raise Refused("ERP_CONTROL_MISSING", f"the ERP has no quality control of {payload.item_id}")
        domain = [["control", "=", control["id"]]]
        found = await self.client.model(
            "quality.control.point", "search_read", domain, 0, None, None, ["name", "type_"]
        )
        return int(control["id"]), {point["name"]: point["type_"] for point in found}

    async def _points(self, payload: RecordInspection) -> tuple[dict[str, Decimal | bool], list[str]]:
        """What we know of the points that the ERP asks, and which we don't. What it does not ask has no place there."""
        _, kinds = await self._asked(payload)
        said = {point_name(point.characteristic_id): point for point in payload.points}
        values = {name: _value(said[name], kind) if name in said else None for name, kind in kinds.items()}
        points = {name: value for name, value in values.items() if value is not None}
        return points, sorted(values.keys() - points.keys())

    async def _values(self, payload: RecordInspection, points: Mapping[str, Any]) -> dict[str, Any]:
        order = await self.one("production", [["number", "=", payload.erp_order_number]], ["state"])
        if order is None:
            raise Refused("ERP_ORDER_MISSING", f"the ERP has no order {payload.erp_order_number}")
        control, _ = await self._asked(payload)
        return {
            self.client.dialect.inspection_key: payload.inspection_id,
            "control": control,
            "origin": f"production,{order['id']}",
            "company": self.client.context.get("company"),
            "points": _tagged(points),
        }


def point_name(characteristic_id: str) -> str:
    """The ERP's name of a characteristic's point."""
    return re.sub(r"[^a-z0-9]", "_", characteristic_id.lower())


def _value(point: InspectionPoint, kind: str) -> Decimal | bool | None:
    if kind == "boolean":
        return point.is_within_limits
    return Decimal(point.value.value) if point.HasField("value") else None


def _tagged(points: Mapping[str, Decimal | bool]) -> dict[str, Any]:
    """Amounts stay decimal here: an inspection's points are no floats in the ERP."""
    return {
        name: {"__class__": "Decimal", "decimal": plain(value)} if isinstance(value, Decimal) else value
        for name, value in points.items()
    }
