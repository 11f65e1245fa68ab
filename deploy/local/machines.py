"""Scenario 3: machines of all plants ask for help by two protocols, and only consequences travel. Checked by read-back."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import nats

from deploy.local import calls, readback, timeline
from deploy.local.foreign import EQUIPMENT, MACHINES
from deploy.local.plant import Plants
from deploy.local.report import Report
from deploy.local.story import Story
from isthmus.maintenance.v1 import asset_pb2, work_request_pb2
from isthmus.maintenance.v1 import maintenance_service_pb2 as maintenance
from isthmus.production.v1 import production_service_pb2 as production
from servicekit.domain import BusinessKey
from servicekit.facts import key_message

LINES = {"aachen": "CNC-01", "brno": "LAT-03", "ghent": "RX-01"}  # work centres, which the machines stop
STORM = 300  # times that one fault comes and goes
FAULT, ASKS_AT = 17, 5
SEAL_HOURS = "0.1"  # of running; a second here is a minute there
SUBJECTS = ("machine_state.reported", "machine_counters.advanced", "measurement.summarised", "faults.reported")
ACCEPTED, COMPLETED = work_request_pb2.WORK_REQUEST_STATE_ACCEPTED, work_request_pb2.WORK_REQUEST_STATE_COMPLETED


class Machines:
    """What happens to machines, and what people and services know of it."""

    def __init__(self, plants: Plants) -> None:
        self._plants, self._ports = plants, plants.ports
        key = (plants.home / "secrets" / "cmms_api_key").read_text()
        self.cmms = readback.Cmms(f"http://127.0.0.1:{self._ports['cmms']}", key)

    def happens(self, plant: str, **said: Any) -> None:
        readback.fetch(f"http://127.0.0.1:{self._ports[f'machine-{plant}-control']}/control", said)

    def values_given(self, *plants: str) -> int:
        """How many values the controllers of these machines gave away; of all, where none is said."""
        at = [f"http://127.0.0.1:{self._ports[f'machine-{plant}-control']}/state" for plant in plants or MACHINES]
        return sum(int(readback.fetch(url)["valuesGiven"]) for url in at)

    def _maintenance(self, method: str, request: Any) -> Any:
        with calls.stub(self._ports, "maintenance") as stub:
            return getattr(stub, method)(request, timeout=calls.DEADLINE)

    def record(self) -> None:
        """Assets, and when they ask for help."""
        for (plant, (_, asset_id, _)), number in zip(MACHINES.items(), EQUIPMENT, strict=True):
            asset = asset_pb2.Asset(asset_id=asset_id, plant_id=plant, line_id=LINES[plant], stops_line=True)
            asset.cost_centre_id, asset.cmms_asset_number = f"CC-{plant}", number
            self._maintenance("RecordAsset", maintenance.RecordAssetRequest(business_key=_key(asset_id), asset=asset))
        storm, rule = _rule("aachen", "spindle-fault", "spindle drive trips", 2)
        rule.fault_frequency.fault_code, rule.fault_frequency.fault_count = FAULT, ASKS_AT
        rule.fault_frequency.within_duration.FromSeconds(3600)
        part = rule.spare_parts.add(item_id="SEAL-7")
        part.quantity.value, part.quantity.unit_code = "2", "C62"
        self._maintenance("RecordConditionRule", storm)
        worn, rule = _rule("brno", "bearing-worn", "bearing worn", 3)
        rule.threshold.measure_id = "vibration"
        rule.threshold.limit.value, rule.threshold.limit.unit_code = "7.1", "C16"
        rule.threshold.reset_limit.value, rule.threshold.reset_limit.unit_code = "5", "C16"
        self._maintenance("RecordConditionRule", worn)
        due, rule = _rule("ghent", "seal-due", "stirrer seal is due", 4)
        rule.runtime_interval.interval.value, rule.runtime_interval.interval.unit_code = SEAL_HOURS, "HUR"
        part = rule.spare_parts.add(item_id="SEAL-RX")
        part.quantity.value, part.quantity.unit_code = "1", "C62"
        self._maintenance("RecordConditionRule", due)

    def states(self) -> list[int]:
        requests = [maintenance.GetAssetRequest(plant_id=plant, asset_id=m[1]) for plant, m in MACHINES.items()]
        return [self._maintenance("GetAsset", request).asset.state for request in requests]

    def requests(self, plant: str) -> list[Any]:
        request = maintenance.ListWorkRequestsRequest(plant_id=plant)
        return list(self._maintenance("ListWorkRequests", request).work_requests)

    def held(self, plant: str) -> list[str]:
        with calls.stub(self._ports, "production") as stub:
            request = production.ListWorkOrdersRequest(plant_id=plant)
            orders = list(calls.pages(stub.ListWorkOrders, request, "work_orders"))
        return sorted(order.work_order_id for order in orders if order.is_held)

    def facts_said(self) -> int:
        """How many facts of machines the hub's broker holds."""
        return asyncio.run(self._count())

    async def _count(self) -> int:
        client = await nats.connect(f"nats://127.0.0.1:{self._ports['nats']}")
        try:
            total = 0
            for plant in MACHINES:
                for subject in SUBJECTS:
                    wanted = f"isthmus.{plant}.edge.v1.{subject}"
                    info = await client.jetstream().stream_info(f"edge_bridge-{plant}", subjects_filter=wanted)
                    total += sum((info.state.subjects or {}).values())
            return total
        finally:
            await client.close()


def _rule(plant: str, rule_id: str, problem: str, priority: int) -> tuple[Any, Any]:
    """A request for a rule on the plant's machine, and the rule in it."""
    request = maintenance.RecordConditionRuleRequest(business_key=_key(rule_id))
    rule = request.condition_rule
    rule.condition_rule_id, rule.plant_id, rule.asset_id = rule_id, plant, MACHINES[plant][1]
    rule.problem, rule.priority = problem, priority
    return request, rule


def _key(number: str) -> Any:
    return key_message(BusinessKey("demo", "maintenance_record", number))


def play(story: Story, plants: Plants, report: Report) -> None:
    """The story itself. The lines stay on hold: this one is about their machines."""
    machines = Machines(plants)
    story.wait("all released orders are in their MES", lambda: plants.dispatched() >= plants.released())
    machines.record()
    for plant in MACHINES:
        machines.happens(plant, state="running")
    running = [asset_pb2.MACHINE_STATE_RUNNING] * len(MACHINES)
    story.wait("maintenance knows that all machines run", lambda: machines.states() == running, 60)
    story.say("machines by Modbus in aachen and ghent and one by OPC UA in brno run; maintenance knows them")
    storm(story, machines, report)
    wear(story, machines, report)
    hours(story, machines, report)
    stop(story, plants, machines, report)
    done(story, machines, report)
    judge(story, plants, machines, report)


def storm(story: Story, machines: Machines, report: Report) -> None:
    """One fault comes and goes, and asks for work once."""
    for _ in range(ASKS_AT):  # slowly enough that its plant sees each, at any speed of this machine
        _is_read(story, machines, fault=FAULT)
        _is_read(story, machines, fault=0)
    for _ in range(STORM - ASKS_AT):
        machines.happens("aachen", fault=FAULT)
        machines.happens("aachen", fault=0)
    story.wait("the CMMS has a request of aachen", lambda: [r.state for r in machines.requests("aachen")] == [ACCEPTED])
    report.figures["faults_at_the_device"] = STORM
    story.say(f"fault {FAULT} came {STORM} times: one work request, with its number from the CMMS")


def _is_read(story: Story, machines: Machines, fault: int) -> None:
    """It happens, and is read from the device before anything else does."""
    machines.happens("aachen", fault=fault)
    given = machines.values_given("aachen")
    story.wait(f"fault {fault} is read from the device", lambda: machines.values_given("aachen") > given, 60)


def wear(story: Story, machines: Machines, report: Report) -> None:
    """Vibration passes its limit, and rises further while the request is open."""
    for number, value in enumerate(("9.5", "10.5"), start=1):
        machines.happens("brno", vibration=value)
        story.wait(f"vibration of {value} is seen", partial(_is_seen, machines, number), 60)
    (request,) = machines.requests("brno")
    report.check("vibration above its limit is one request", request.work_request_id, "brno~bearing-worn~1")
    story.say(f"vibration passed its limit: one work request ({request.cause})")


def _is_seen(machines: Machines, times: int) -> bool:
    return sum(request.occurrence_count for request in machines.requests("brno")) >= times


def hours(story: Story, machines: Machines, report: Report) -> None:
    """A reactor has run for as long as its seal lasts."""
    story.wait("the seal of ghent is due", lambda: [r.state for r in machines.requests("ghent")] == [ACCEPTED], 60)
    (request,) = machines.requests("ghent")
    report.check("hours of running are one request", request.work_request_id, "ghent~seal-due~1")
    story.say(f"a machine ran for as long as its part lasts: one work request ({request.cause})")


def stop(story: Story, plants: Plants, machines: Machines, report: Report) -> None:
    """A machine stops its line: the orders that need it are held, and go on afterwards."""
    machines.happens("aachen", state="down", fault=23)
    story.wait(
        "the orders of aachen are held", lambda: len(machines.held("aachen")) == len(plants.seeds["aachen"]["orders"])
    )
    held = machines.held("aachen")
    report.check("every open order of the stopped line is held", len(held), len(plants.seeds["aachen"]["orders"]))
    report.check("no order of the other plants is held", [*machines.held("brno"), *machines.held("ghent")], [])
    story.wait("the timeline tells why", lambda: plants.tells(held[0], "CNC-01 is blocked"))
    machines.happens("aachen", state="running", fault=0)
    story.wait("the orders of aachen go on", lambda: not machines.held("aachen"))
    story.wait("the timeline tells that, too", lambda: plants.tells(held[0], "the order may go on"))
    story.say(f"a stopped machine held {len(held)} orders of its line until it ran again")


def done(story: Story, machines: Machines, report: Report) -> None:
    """A planner completes the work in the CMMS."""
    (request,) = machines.requests("aachen")
    machines.cmms.complete(request.cmms_request_number)
    story.wait("the work is complete", lambda: [r.state for r in machines.requests("aachen")] == [COMPLETED])
    report.figures["faults_counted_in_the_request"] = machines.requests("aachen")[0].occurrence_count
    story.say("a planner completed the work in the CMMS; the rule is armed again")


def judge(story: Story, plants: Plants, machines: Machines, report: Report) -> None:
    """CMMS and ERP read back by their own means; what travelled, counted."""
    asked = [request for plant in MACHINES for request in machines.requests(plant)]
    numbers = sorted(request.cmms_request_number for request in asked)
    kept = machines.cmms.notifications()
    report.check("the CMMS has one notification a work request", sorted(n["NotificationNo"] for n in kept), numbers)
    report.check("each work request is of one cause", len(asked), len(MACHINES))
    erps = plants.erps
    wanted = {"aachen": ["SEAL-7 2 request"], "brno": [], "ghent": ["SEAL-RX 1 request"]}
    story.wait("the ERP knows of the downtime", lambda: erps["aachen"].notes(CENTRE), 90)
    story.wait(
        "the ERPs know of the parts", lambda: all(erps[p].spare_parts(f"{p}~%") for p in wanted if wanted[p]), 90
    )
    parts = {plant: plants.erps[plant].spare_parts(f"{plant}~%") for plant in MACHINES}
    report.check("the ERPs plan each spare part once", parts, wanted)
    notes = {plant: plants.erps[plant].notes(CENTRE) for plant in MACHINES}
    report.check("the ERPs have one downtime", [len(notes[plant]) for plant in MACHINES], [1, 0, 0])
    report.check("with its cost centre", "cost centre CC-aachen" in notes["aachen"][0], True)
    report.check("nothing waits or is parked", [lane.text for lane in plants.every_lane()], [])
    values, facts = machines.values_given(), machines.facts_said()
    documents = sum(map(len, parts.values())) + sum(map(len, notes.values()))
    report.figures["values_at_the_devices : facts at the hub : documents in the ERPs"] = (
        f"{values} : {facts} : {documents}"
    )
    report.at_least("values at the devices for a fact at the hub", values / max(facts, 1), 20)
    report.figures["timeline_entries_aachen-1"] = len(timeline.fetch(plants.ports, "aachen-1")[0].entries)


CENTRE = "production.work.center"
