"""The support desk: a person who finds parked lanes, puts the head right, and releases them."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import Any

import grpc

from deploy.local import calls
from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import clock
from servicekit.domain import BusinessKey
from servicekit.wire import key_message
from tests.chaos.load import SLIP
from tests.chaos.topology import Place

EVERY = 1.0
SERVICES = ("production", "inventory")


class Desk:
    """One person for production and one for inventory, until they are told to end. A service that is away is asked later."""

    def __init__(self, place: Place) -> None:
        self._place, self._over = place, threading.Event()
        self._people = [threading.Thread(target=self._serve, args=(name,), daemon=True) for name in SERVICES]
        self.released = 0

    def start(self) -> None:
        for person in self._people:
            person.start()

    def end(self) -> None:
        self._over.set()
        for person in self._people:
            person.join(30)

    def _serve(self, service: str) -> None:
        while not self._over.wait(EVERY):
            for lane in self._parked(service):
                with suppress(grpc.RpcError), calls.desk(self._place.ports, service) as desk:
                    self._release(desk, lane)  # what fails does not keep the other lanes waiting

    def _parked(self, service: str) -> list[Any]:
        wanted = messages.ListLanesRequest(state=messages.LANE_STATE_PARKED)
        with suppress(grpc.RpcError), calls.desk(self._place.ports, service) as desk:
            return list(calls.pages(desk.ListLanes, wanted, "lanes"))
        return []

    def _release(self, desk: Any, lane: Any) -> None:
        place = {"consumer": lane.consumer, "order_key": lane.order_key}
        facts = desk.GetLane(messages.GetLaneRequest(**place), timeout=5).facts
        right = put_right(json.loads(facts[0].content_json)) if facts else None
        if right is not None:
            correction = messages.CorrectLaneFactRequest(
                business_key=_key("correction"),
                event_id=facts[0].event_id,
                content_json=json.dumps(right),
                correct_reason="typed wrongly",
                operator_id="desk",
                **place,
            )
            desk.CorrectLaneFact(correction, timeout=5)
        release = messages.ReleaseLaneRequest(
            business_key=_key("release"), release_reason="put right", operator_id="desk", **place
        )
        self.released += int(desk.ReleaseLane(release, timeout=15).released_count > 0)


def put_right(content: dict[str, Any]) -> dict[str, Any] | None:
    """The content as it was meant; None: it is right already, only its lane was not released yet."""
    said = content["confirmation"]
    is_wrong = False
    if said["operationSequence"] % 10 == SLIP:
        said["operationSequence"] -= SLIP
        is_wrong = True
    for used in said.get("consumptions", []):
        if used["quantity"]["unitCode"] == "GRM":
            used["quantity"]["unitCode"] = "KGM"
            is_wrong = True
    return content if is_wrong else None


def _key(document: str) -> Any:
    return key_message(BusinessKey("desk", document, clock.new_id()))
