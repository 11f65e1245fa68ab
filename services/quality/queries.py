"""What reads in quality."""

from __future__ import annotations

from isthmus.quality.v1 import quality_service_pb2 as messages
from servicekit import paging
from servicekit.clock import micros
from servicekit.database import Tx
from services.quality import wire
from services.quality.store import INSPECTIONS, NONCONFORMANCES, TEST_SPECIFICATIONS

LATEST = 2**62


def get_test_specification(
    tx: Tx, request: messages.GetTestSpecificationRequest
) -> messages.GetTestSpecificationResponse:
    found = TEST_SPECIFICATIONS.require(tx, request.plant_id, request.test_specification_id)
    return messages.GetTestSpecificationResponse(test_specification=wire.specification_message(found))


def list_test_specifications(
    tx: Tx, request: messages.ListTestSpecificationsRequest
) -> messages.ListTestSpecificationsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = TEST_SPECIFICATIONS.select(
        tx,
        "plant_id = ? AND test_specification_id > ? ORDER BY test_specification_id LIMIT ?",
        (request.plant_id, after, most),
    )
    last = [found[-1].test_specification_id] if len(found) == most else None
    return messages.ListTestSpecificationsResponse(
        test_specifications=map(wire.specification_message, found), next_page_token=paging.token(request, last)
    )


def get_inspection(tx: Tx, request: messages.GetInspectionRequest) -> messages.GetInspectionResponse:
    found = INSPECTIONS.require(tx, request.inspection_id)
    return messages.GetInspectionResponse(inspection=wire.inspection_message(found))


def list_inspections(tx: Tx, request: messages.ListInspectionsRequest) -> messages.ListInspectionsResponse:
    most = paging.size(request)
    time, name = paging.after(request) or [LATEST, ""]
    wanted = next((d.value for d, number in wire.DISPOSITIONS.items() if number == request.disposition), "")
    found = INSPECTIONS.select(
        tx,
        "plant_id = ? AND (? = '' OR disposition = ?) AND (? = '' OR lot_id = ?) "
        "AND (checkpoint_time, inspection_id) < (?, ?) ORDER BY checkpoint_time DESC, inspection_id DESC LIMIT ?",
        (request.plant_id, wanted, wanted, request.lot_id, request.lot_id, time, name, most),
    )
    last = [micros(found[-1].checkpoint_time), found[-1].inspection_id] if len(found) == most else None
    return messages.ListInspectionsResponse(
        inspections=map(wire.inspection_message, found), next_page_token=paging.token(request, last)
    )


def list_nonconformances(tx: Tx, request: messages.ListNonconformancesRequest) -> messages.ListNonconformancesResponse:
    most = paging.size(request)
    time, name = paging.after(request) or [LATEST, ""]
    found = NONCONFORMANCES.select(
        tx,
        "plant_id = ? AND (open_time, nonconformance_id) < (?, ?) "
        "ORDER BY open_time DESC, nonconformance_id DESC LIMIT ?",
        (request.plant_id, time, name, most),
    )
    last = [micros(found[-1].open_time), found[-1].nonconformance_id] if len(found) == most else None
    return messages.ListNonconformancesResponse(
        nonconformances=map(wire.nonconformance_message, found), next_page_token=paging.token(request, last)
    )
