"""Scenario 2: batches of a process plant, released by laboratory, historian and QMS, or held everywhere. Checked by read-back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from deploy.local import calls, readback, timeline, verdict
from deploy.local.plant import Plants
from deploy.local.report import Report
from deploy.local.story import Story
from isthmus.inventory.v1 import hold_pb2
from isthmus.inventory.v1 import inventory_service_pb2 as inventory
from isthmus.quality.v1 import inspection_pb2, test_specification_pb2
from isthmus.quality.v1 import quality_service_pb2 as quality
from servicekit.domain import BusinessKey
from servicekit.facts import key_message

PLANT, ITEM = "ghent", "RESIN-7"
GOOD, OUT, BLIND, LATE = "R-0001", "R-0002", "R-0003", "R-0004"  # lots, by what becomes of them
MADE = Decimal("987.5")  # of each batch; its loss is taken off
SHORT = Decimal("512.5")  # of deliveries of 900 and 600 kg, out of one lot
SERVICES_OF_A_TRACE = {"gateway", "production", "inventory", "quality", f"edge_bridge-{PLANT}"}
LABORATORY = (("viscosity", "C24", "180", "240"), ("solids", "P1", "46", "51"))


class Batches:
    """What happens in the plant, laboratory and quality department, and what services know of it."""

    def __init__(self, plants: Plants) -> None:
        self._ports, self._place, self.wms = plants.ports, plants.place, plants.wms
        self.qms = readback.Qms(
            f"http://{self._place.address('qms')}", Path(self._place.secret("qms_api_key")).read_text()
        )

    def specify(self) -> None:
        """What a lot must show: two values of the laboratory, the time at temperature, and the QMS's word."""
        request = quality.RecordTestSpecificationRequest(
            business_key=key_message(BusinessKey("demo", "test_specification", ITEM))
        )
        said = request.test_specification
        said.test_specification_id, said.plant_id, said.item_id, said.version = f"{ITEM}-release", PLANT, ITEM, "1"
        today = date.today()  # noqa: DTZ011 - a plant calendar day
        said.effective_start_date.year, said.effective_start_date.month = today.year - 1, 1
        said.effective_start_date.day = 1
        said.checkpoint_operation_sequence, said.needs_verdict = 50, True
        for name, unit, low, high in LABORATORY:
            asked = _limited(said, name, unit, low, high)
            asked.evidence_source = test_specification_pb2.EVIDENCE_SOURCE_LABORATORY
        held = _limited(said, "reactor_temperature", "CEL", "78", "82")
        held.evidence_source = test_specification_pb2.EVIDENCE_SOURCE_HISTORIAN
        held.tag_id, held.statistic = "RX-01.temperature", test_specification_pb2.STATISTIC_DWELL
        held.required_dwell_duration.FromMilliseconds(1000)
        held.allowed_gap_duration.FromMilliseconds(1000)
        with calls.stub(self._ports, "quality") as stub:
            stub.RecordTestSpecification(request, timeout=calls.DEADLINE)

    # --- the plant

    def _executive(self, path: str, said: Any = None) -> Any:
        return readback.fetch(f"http://{self._place.address('mes-ghent')}{path}", said)

    def hold(self, *, is_held: bool) -> None:
        self._executive("/hold", {"isHeld": is_held})

    def loosen_cable(self, *, is_silent: bool) -> None:
        self._executive("/sensor", {"isSilent": is_silent})

    def states(self) -> list[str]:
        return [batch["state"] for batch in self._executive("/batches")["batches"]]

    # --- the laboratory

    def laboratory(self, path: str, said: Any = None) -> Any:
        return readback.fetch(f"http://{self._place.address('lims-ghent')}{path}", said)

    def measured(self) -> int:
        """How many samples have their results."""
        return sum(sample["gereed"] for sample in self.laboratory("/monsters")["monsters"])

    # --- what services know

    def inspection(self, lot: str) -> Any:
        with calls.stub(self._ports, "quality") as stub:
            request = quality.ListInspectionsRequest(plant_id=PLANT, lot_id=lot)
            found = stub.ListInspections(request, timeout=calls.DEADLINE).inspections
        return found[0] if found else None

    def disposition(self, lot: str) -> str:
        found = self.inspection(lot)
        return inspection_pb2.Disposition.Name(found.disposition).removeprefix("DISPOSITION_") if found else ""

    def holds(self) -> dict[str, list[str]]:
        """Why lots are held, by lot."""
        causes: dict[str, list[str]] = {}
        with calls.stub(self._ports, "inventory") as stub:
            for hold in calls.pages(stub.ListHolds, inventory.ListHoldsRequest(plant_id=PLANT), "holds"):
                cause = hold_pb2.HoldCause.Name(hold.cause).removeprefix("HOLD_CAUSE_")
                causes.setdefault(hold.lot_id, []).append(cause)
        return causes

    def allocation(self, delivery: str) -> tuple[dict[str, Decimal], Decimal]:
        """Which lots a delivery gets, and how much it lacks."""
        with calls.stub(self._ports, "inventory") as stub:
            request = inventory.ListAllocationsRequest(plant_id=PLANT)
            found = list(calls.pages(stub.ListAllocations, request, "allocations"))
        for one in found:
            if one.shipment_id == f"{PLANT}-delivery-{delivery}":
                lots = {lot.lot_id: Decimal(lot.quantity.value) for lot in one.allocated_lots}
                return lots, sum((Decimal(s.quantity.value) for s in one.shortages), Decimal(0))
        return {}, Decimal(0)


def _limited(specification: Any, name: str, unit: str, low: str, high: str) -> Any:
    found = specification.characteristics.add(characteristic_id=name, unit_code=unit)
    found.lower_limit.value, found.lower_limit.unit_code = low, unit
    found.upper_limit.value, found.upper_limit.unit_code = high, unit
    return found


def play(story: Story, plants: Plants, report: Report) -> None:
    """The story itself."""
    batches = Batches(plants)
    batches.specify()
    orders = len(plants.seeds[PLANT]["orders"])
    story.wait("all orders of ghent are batches", lambda: plants.dispatched() >= orders)
    story.say(f"{orders} batch orders stand in the executive of ghent; lots of {ITEM} are inspected at discharge")
    run(story, batches, GOOD)
    passes(story, batches, report)
    batches.laboratory("/besturing", {"buiten_grens": True})
    run(story, batches, OUT)
    fails(story, batches, report)
    batches.loosen_cable(is_silent=True)
    run(story, batches, BLIND)
    batches.loosen_cable(is_silent=False)
    concession(story, batches, report)
    batches.laboratory("/besturing", {"dubbel": True})
    run(story, batches, LATE)
    recall(story, batches, plants, report)
    story.wait("everything is at rest", plants.is_at_rest, 90)
    story.say("everything is at rest; reading all systems back")
    judge(batches, plants, report)


def run(story: Story, batches: Batches, lot: str) -> None:
    """The next batch, to its checkpoint, and its sample to its results."""
    number = int(lot.removeprefix("R-"))
    batches.hold(is_held=False)
    story.wait(f"batch {number} runs", lambda: batches.states()[number - 1] == "RUNNING")
    batches.hold(is_held=True)
    story.wait(f"batch {number} is done", lambda: batches.states()[number - 1] == "DONE")
    story.wait(f"the sample of {lot} has its results", lambda: batches.measured() >= number)
    story.wait(f"the QMS is asked for {lot}", lambda: lot in batches.qms.decisions())


def decide(batches: Batches, lot: str, outcome: str, remark: str = "") -> None:
    batches.qms.decide(batches.qms.decisions()[lot]["number"], outcome, remark)


def passes(story: Story, batches: Batches, report: Report) -> None:
    """Everything is inside its limits, and the QMS agrees."""
    story.wait("the lot is held while nobody knows", lambda: batches.holds().get(GOOD) == ["INSPECTION_PENDING"])
    _wait_for(story, batches, GOOD, "only the verdict is missing", lambda i: list(i.missing_evidences) == ["verdict"])
    decide(batches, GOOD, "pass")
    story.wait(f"{GOOD} passes", lambda: batches.disposition(GOOD) == "PASSED")
    story.wait("nobody holds it any more", lambda: GOOD not in batches.holds())
    story.say(f"{GOOD} passed: laboratory, historian and QMS agree; the warehouse may pick it")


def fails(story: Story, batches: Batches, report: Report) -> None:
    """The viscosity is outside its limits: nobody waits for the QMS."""
    story.wait(f"{OUT} fails", lambda: batches.disposition(OUT) == "FAILED")
    reasons = list(batches.inspection(OUT).disposition_reasons)
    report.check("the reason is in plant words", reasons, ["viscosity is 318.8 C24, limits are 180 to 240 C24"])
    story.wait("the failed lot is held", lambda: batches.holds().get(OUT) == ["INSPECTION_FAILED"])
    story.wait("the warehouse blocks it", lambda: OUT in batches.wms.blocked())
    story.wait("the QMS has a case", lambda: [case["batch"] for case in batches.qms.cases()] == [OUT])
    story.wait("the second delivery lacks what failed", lambda: batches.allocation("2")[1] == SHORT)
    report.check("the second delivery gets no held lot", sorted(batches.allocation("2")[0]), [GOOD])
    story.say(f"{OUT} failed ({reasons[0]}): held everywhere, a case in the QMS, delivery 2 lacks {SHORT} kg")


def concession(story: Story, batches: Batches, report: Report) -> None:
    """The historian has a gap over the batch: no evidence, until a person answers for it."""
    decide(batches, BLIND, "pass")
    _wait_for(
        story,
        batches,
        BLIND,
        "the gap is told",
        lambda i: list(i.missing_evidences) == ["reactor_temperature"] and i.disposition_reasons,
    )
    told = batches.inspection(BLIND)
    report.check("a gap is no evidence, even for a QMS that passes the lot", batches.disposition(BLIND), "PENDING")
    report.check(
        "the gap is told",
        [reason.split(" from ")[0] for reason in told.disposition_reasons],
        ["reactor_temperature (RX-01.temperature): gap"],
    )
    decide(batches, BLIND, "pass", "strip chart of the shift checked by hand")
    story.wait(f"{BLIND} passes by concession", lambda: batches.disposition(BLIND) == "PASSED")
    story.wait("the second delivery is shipped", lambda: len(batches.wms.shipped()) == 2)
    story.say(
        f"{BLIND} has a gap in its temperatures: pending, until the QMS passed it by hand; delivery 2 left with it"
    )


def recall(story: Story, batches: Batches, plants: Plants, report: Report) -> None:
    """The QMS takes its word on a shipped lot back; meanwhile the last lot's results come twice."""
    decide(batches, LATE, "pass")
    story.wait(f"{LATE} passes", lambda: batches.disposition(LATE) == "PASSED")
    decide(batches, BLIND, "fail", "the strip chart was of another batch")
    story.wait(f"{BLIND} fails after its release", lambda: batches.disposition(BLIND) == "FAILED")
    order = batches.inspection(BLIND).work_order_id
    story.wait(
        "the recall lists what left", lambda: plants.tells(order, f"already shipped: {SHORT} kg with delivery 2")
    )
    story.wait("what is left of it is held", lambda: batches.holds().get(BLIND) == ["INSPECTION_FAILED"])
    story.wait("the QMS has a second case", lambda: len(batches.qms.cases()) == 2)
    story.say(f"the QMS changed its mind on {BLIND}: {SHORT} kg had left with delivery 2, the rest is held")


def _wait_for(story: Story, batches: Batches, lot: str, what: str, is_so: Callable[[Any], bool]) -> None:
    story.wait(f"{lot}: {what}", lambda: (found := batches.inspection(lot)) is not None and is_so(found))


def judge(batches: Batches, plants: Plants, report: Report) -> None:
    """ERP, executive, WMS and QMS read back by their own means."""
    verdict.agree(plants, report)
    inspections = {lot: batches.inspection(lot) for lot in (GOOD, OUT, BLIND, LATE)}
    erp, seed = plants.erps[PLANT], plants.seeds[PLANT]
    told = {lot: erp.inspections()[one.inspection_id] for lot, one in inspections.items()}
    wanted = {GOOD: ("passed", 0), OUT: ("failed", 1), BLIND: ("failed", 1), LATE: ("passed", 0)}
    report.check("the ERP's inspections say what quality said", told, wanted)
    product = seed["products"][ITEM]
    held = {OUT: MADE, BLIND: MADE - SHORT}
    report.check("the ERP holds the failed lots, and no other", erp.lots_at(seed["locations"]["hold"], product), held)
    free = erp.lots_at(seed["locations"]["storage"], product)
    report.check("the ERP's storage has what passed and did not leave", free, {LATE: MADE})
    report.check("the warehouse blocks the failed lots", plants.wms.blocked(), [OUT, BLIND])
    cases = {case["batch"]: case["afterRelease"] for case in batches.qms.cases()}
    report.check("the QMS has a case for each, and knows which left", cases, {OUT: False, BLIND: True})
    revisions = {lot: decision["revision"] for lot, decision in batches.qms.decisions().items()}
    report.check("the QMS was asked once for each lot", revisions, {GOOD: 1, OUT: 0, BLIND: 3, LATE: 1})
    results = {lot: len(one.results) for lot, one in inspections.items()}
    report.check("results that came twice count once", results, dict.fromkeys(results, len(LABORATORY)))
    order = inspections[GOOD].work_order_id
    entries, spans = timeline.fetch(plants.ports, order)
    report.check(
        f"{order}: one trace over all services", sorted(SERVICES_OF_A_TRACE - {s.service_name for s in spans}), []
    )
    report.figures[f"timeline_entries_{order}"] = len(entries.entries)
    report.check("nothing of ghent waits or is parked", [lane.text for lane in plants.every_lane()], [])
