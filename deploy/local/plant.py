"""The people and foreign systems of the demo, each by its own protocol, and our services as an app sees them."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc

from deploy.local import calls, readback, timeline
from deploy.local.foreign import Place
from isthmus.edge.v1 import edge_service_pb2 as edge
from isthmus.inventory.v1 import inventory_service_pb2 as inventory
from isthmus.inventory.v1.inventory_transaction_pb2 import MovementType
from isthmus.operations.v1 import lane_service_pb2 as lane_messages
from isthmus.production.v1 import production_service_pb2 as production
from servicekit import clock
from servicekit.domain import BusinessKey
from servicekit.errors import from_rpc_error
from servicekit.facts import key_message

OPERATOR, SECOND_OPERATOR = "demo", "demo-second"


class Plants:
    """What the story can do, and what it can ask."""

    def __init__(self, place: Place) -> None:
        self.place, self.home, self.ports = place, place.home, place.ports
        self.seeds = {p: json.loads((place.home / "erp" / p / "seed.json").read_text()) for p in place.plants}
        self.mes = f"http://{place.address('mes-aachen')}"
        self.staging = place.staging_database
        self.wms = readback.Wms(
            f"http://{place.address('wms')}", Path(place.secret("wms_api_key")).read_text(), place.plants
        )
        self.erps = {p: readback.Erp(seed) for p, seed in self.seeds.items()}
        self.planners = {p: readback.Erp(seed, "admin") for p, seed in self.seeds.items()}
        self.corrected_rows: dict[int, dict[str, str]] = {}

    # --- ERP

    def released(self) -> int:
        return sum(len(seed["orders"]) for seed in self.seeds.values())

    def _order_id(self, plant: str, number: str) -> int:
        return next(int(o["id"]) for o in self.seeds[plant]["orders"] if o["number"] == number)

    def change_in_erp(self, plant: str, number: str, quantity: str) -> date:
        """The planner changes quantity and date of a released order."""
        day = date.today() + timedelta(days=12)  # noqa: DTZ011 - a plant calendar day
        tagged = {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}
        values = {"quantity": float(quantity), "planned_date": tagged}
        self.erps[plant].call("model.production.write", [self._order_id(plant, number)], values)
        return day

    def cancel_in_erp(self, plant: str, number: str) -> None:
        self.planners[plant].call("model.production.cancel", [self._order_id(plant, number)])

    def completed_in_erp(self) -> int:
        return sum(len(erp.search("production", [["state", "=", "done"]], ["number"])) for erp in self.erps.values())

    # --- MES

    def hold(self, *, is_held: bool) -> None:
        """The shift supervisors stop or start their lines."""
        if "aachen" in self.seeds:
            self.hold_rest(is_held=is_held)
        if "brno" in self.seeds:
            self._staging("INSERT OR REPLACE INTO MES_SWITCH VALUES ('HOLD', ?)", ("1" if is_held else "0",))
        if "ghent" in self.seeds:
            readback.fetch(f"http://{self.place.address('mes-ghent')}/hold", {"isHeld": is_held})

    def hold_rest(self, *, is_held: bool) -> None:
        """Only aachen's; what is on a station is finished first."""
        readback.fetch(f"{self.mes}/api/halt", {"halt": is_held})

    def dispatched(self) -> int:
        with calls.stub(self.ports, "production") as stub:
            request = production.ListWorkOrdersRequest()
            orders = calls.pages(stub.ListWorkOrders, request, "work_orders")
            return sum(bool(order.mes_order_number) for order in orders if order.plant_id in self.seeds)

    def mes_order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = readback.fetch(f"{self.mes}/api/auftraege?fremdreferenz={order_id}")["auftraege"][0]
        return found

    def under_work(self) -> str:
        """The order that aachen's halted line can't finish, for at most its first operation is reported; empty: none."""
        reports = Counter(str(report.get("auftrag")) for report in self.rest_reports())
        for order_id in (f"aachen-{number}" for number in range(1, 6)):
            order = self.mes_order(order_id)
            if order["status"] == "IN_ARBEIT" and reports[order["auftragsnummer"]] <= 1:
                return order_id
        return ""

    def rest_reports(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = readback.fetch(f"{self.mes}/api/meldungen?max=500")["meldungen"]
        return found

    def resend(self, number: str) -> None:
        readback.fetch(f"{self.mes}/api/meldungen/{number}/wiederholen", {})

    def correct_last_report(self, order_id: str) -> tuple[str, str]:
        """Cancel the last report of an order, and enter it again with one good piece less."""
        order = self.mes_order(order_id)
        last = [r for r in self.rest_reports() if r.get("auftrag") == order["auftragsnummer"] and r.get("letzte")][-1]
        readback.fetch(f"{self.mes}/api/meldungen/{last['meldung']}/storno", {"grund": "Zaehlfehler"})
        good = Decimal(last["gut"].replace(",", ".")) - 1
        again = {**last, "gut": f"{good:.3f}".replace(".", ","), "wiederholung": False}
        for name in ("lfd", "meldung"):
            again.pop(name)
        readback.fetch(f"{self.mes}/api/meldungen", again)
        return last["gut"], again["gut"]

    def _staging(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with closing(sqlite3.connect(self.staging, timeout=10, isolation_level=None)) as connection:
            return connection.execute(sql, values).fetchall()

    def staging_state(self, order_id: str) -> str:
        rows = self._staging("SELECT STATE FROM MES_ORDERS WHERE EXT_ORDER = ?", (order_id,))
        return str(rows[0][0]) if rows else ""

    def malformed_row(self, order_id: str) -> None:
        """An operator types minutes with a letter O."""
        number = self._staging("SELECT MES_NO FROM MES_ORDERS WHERE EXT_ORDER = ?", (order_id,))[0][0]
        self._staging(
            "INSERT INTO CONFIRM_OUT (MES_NO, OP_NO, GOOD, UOM, MINUTES, LAST, OPERATOR) "
            "VALUES (?, '10', '0', 'KS', '1O', 'N', 'DVORAK')",
            (number,),
        )

    def mes_books(self, plant: str) -> dict[str, readback.Books]:
        """What a plant's MES says of its orders."""
        if plant == "brno":
            return readback.staging_mes(self.staging, self.corrected_rows)
        return {"aachen": readback.rest_mes, "ghent": readback.batch_mes}[plant](
            f"http://{self.place.address(f'mes-{plant}')}"
        )

    # --- link and app

    def link(self, plant: str, what: str) -> None:
        readback.fetch(f"http://127.0.0.1:{self.ports[f'link-{plant}-control']}/{what}", {})

    def edge_status(self, plant: str) -> Any:
        with calls.stub(self.ports, f"edge_bridge-{plant}") as stub:
            return stub.GetEdgeStatus(edge.GetEdgeStatusRequest(), timeout=calls.DEADLINE)

    def app_confirms(self, order_id: str) -> Any:
        """An app on the shop floor confirms six minutes of set-up."""
        plant = order_id.split("-", maxsplit=1)[0]
        request = edge.ConfirmOperationRequest(business_key=_key("app-setup", "confirmation", f"A-{order_id}"))
        said = request.confirmation
        said.plant_id, said.work_order_id, said.operation_sequence = plant, order_id, 10
        said.good_quantity.value, said.good_quantity.unit_code = "0", "C62"
        said.labour_duration.FromSeconds(360)
        said.occur_time.FromDatetime(datetime.now(UTC))
        with calls.stub(self.ports, f"edge_bridge-{plant}") as stub:
            return stub.ConfirmOperation(request, timeout=calls.DEADLINE)

    # --- production

    def _confirmation(self, plant: str, number: str) -> Any:
        """What production booked for a report of the MES, as a request that says the same."""
        report = next(r for r in self.rest_reports() if r["meldung"] == number)
        references = {
            o["auftragsnummer"]: o["fremdreferenz"] for o in readback.fetch(f"{self.mes}/api/auftraege")["auftraege"]
        }
        with calls.stub(self.ports, "production") as stub:
            request = production.ListConfirmationsRequest(work_order_id=references[report["auftrag"]])
            booked = list(calls.pages(stub.ListConfirmations, request, "confirmations"))
        sequence = int(report["vorgang"])
        found = [c for c in booked if c.operation_sequence == sequence and c.operator_id == report["werker"]]
        if not found:
            return None
        key = _key(f"mes-{plant}", "confirmation", number)
        return production.ConfirmOperationRequest(business_key=key, confirmation=found[0])

    def is_booked(self, plant: str, number: str) -> bool:
        return self._confirmation(plant, number) is not None

    def same_by_api(self, plant: str, number: str) -> Any:
        with calls.stub(self.ports, "production") as stub:
            return stub.ConfirmOperation(self._confirmation(plant, number), timeout=calls.DEADLINE)

    def other_quantity_by_api(self, plant: str, number: str) -> str:
        request = self._confirmation(plant, number)
        request.confirmation.good_quantity.value = "77"
        try:
            with calls.stub(self.ports, "production") as stub:
                stub.ConfirmOperation(request, timeout=calls.DEADLINE)
        except grpc.RpcError as error:
            return from_rpc_error(error)[1]
        return "taken"

    # --- lanes

    def parked(self, service: str) -> list[Any]:
        request = lane_messages.ListLanesRequest(state=lane_messages.LANE_STATE_PARKED)
        with calls.desk(self.ports, service) as desk:
            return list(calls.pages(desk.ListLanes, request, "lanes"))

    def every_lane(self) -> list[Any]:
        """What waits or is parked anywhere."""
        found = []
        for service in calls.services(self.seeds):
            with calls.desk(self.ports, service) as desk:
                found += list(calls.pages(desk.ListLanes, lane_messages.ListLanesRequest(), "lanes"))
        return found

    def discard(self, lane: Any) -> None:
        """Give up the head of a lane of aachen's bridge."""
        with calls.desk(self.ports, "edge_bridge-aachen") as desk:
            place = {"consumer": lane.consumer, "order_key": lane.order_key}
            fact = desk.GetLane(lane_messages.GetLaneRequest(**place), timeout=calls.DEADLINE).facts[0]
            said = {"business_key": _key("demo", "discard", clock.new_id()), "event_id": fact.event_id, **place}
            why = "the line runs with the old quantity"
            proposal = lane_messages.ProposeDiscardRequest(propose_reason=why, operator_id=OPERATOR, **said)
            desk.ProposeDiscard(proposal, timeout=calls.DEADLINE)
            discard = lane_messages.DiscardLaneFactRequest(discard_reason=why, operator_id=SECOND_OPERATOR, **said)
            desk.DiscardLaneFact(discard, timeout=calls.DEADLINE)

    def correct_and_release(self) -> int:
        """Put the typed letter O right, and release the lane."""
        (lane,) = self.parked("edge_bridge-brno")
        with calls.desk(self.ports, "edge_bridge-brno") as desk:
            place = {"consumer": lane.consumer, "order_key": lane.order_key}
            fact = desk.GetLane(lane_messages.GetLaneRequest(**place), timeout=calls.DEADLINE).facts[0]
            content = json.loads(fact.content_json)
            for field in content["fields"]:
                if field["name"] == "MINUTES":
                    field["value"] = "10"
            self.corrected_rows[int(content["recordId"].split("-")[0])] = {"MINUTES": "10"}
            correction = lane_messages.CorrectLaneFactRequest(
                business_key=_key("demo", "correction", clock.new_id()),
                event_id=fact.event_id,
                content_json=json.dumps(content),
                correct_reason="letter O typed for a zero",
                operator_id=OPERATOR,
                **place,
            )
            desk.CorrectLaneFact(correction, timeout=calls.DEADLINE)
            release = lane_messages.ReleaseLaneRequest(
                business_key=_key("demo", "release", clock.new_id()),
                release_reason="corrected",
                operator_id=OPERATOR,
                **place,
            )
            return int(desk.ReleaseLane(release, timeout=30).released_count)

    # --- what is told and booked

    def tells(self, order_id: str, words: str, times: int = 1) -> bool:
        """The order's timeline says these words."""
        told, _ = timeline.fetch(self.ports, order_id)
        return sum(words in entry.text for entry in told.entries) >= times

    def is_received(self, order_id: str) -> bool:
        return self.tells(order_id, "warehouse took in")

    def ledger_lines(self) -> list[dict[str, Any]]:
        """The inventory ledger as plain values, for the read-back."""
        lines: list[dict[str, Any]] = []
        with calls.stub(self.ports, "inventory") as stub:
            for plant in self.seeds:
                request = inventory.ListInventoryTransactionsRequest(plant_id=plant)
                found = calls.pages(stub.ListInventoryTransactions, request, "transactions")
                lines += [self._plain(plant, line) for line in found]
        return lines

    @staticmethod
    def _plain(plant: str, line: Any) -> dict[str, Any]:
        return {
            "plant": plant,
            "item": line.item_id,
            "lot": line.lot_id,
            "location": line.location_id,
            "movement": MovementType.Name(line.movement_type).removeprefix("MOVEMENT_TYPE_"),
            "quantity": line.quantity.value,
            "work_order": line.work_order_id,
            "document": line.document_id,
        }

    def is_at_rest(self) -> bool:
        """No waiting lane, no open posting, no backlog, and nothing left to ship."""
        for service in ("gateway", *(f"edge_bridge-{plant}" for plant in self.seeds)):
            with calls.desk(self.ports, service) as desk:
                open_ones = [
                    p
                    for p in calls.pages(desk.ListPostings, lane_messages.ListPostingsRequest(), "postings")
                    if p.state not in ("acknowledged", "discarded", "refused")
                ]
                if open_ones:
                    return False
        if self.every_lane():
            return False
        if any(self.edge_status(plant).backlog_count for plant in self.seeds):
            return False
        return all(done for erp in self.erps.values() for done, _ in erp.deliveries().values())


def _key(source: str, document: str, number: str) -> Any:
    return key_message(BusinessKey(source, document, number))
