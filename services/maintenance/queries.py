"""What reads in maintenance."""

from __future__ import annotations

from isthmus.maintenance.v1 import maintenance_service_pb2 as messages
from servicekit import paging
from servicekit.clock import micros
from servicekit.database import Tx
from services.maintenance import wire
from services.maintenance.store import ASSETS, CONDITION_RULES, DOWNTIMES, WORK_REQUESTS

LATEST = 2**62


def get_asset(tx: Tx, request: messages.GetAssetRequest) -> messages.GetAssetResponse:
    return messages.GetAssetResponse(asset=wire.asset_message(ASSETS.require(tx, request.plant_id, request.asset_id)))


def list_assets(tx: Tx, request: messages.ListAssetsRequest) -> messages.ListAssetsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = ASSETS.select(
        tx, "plant_id = ? AND asset_id > ? ORDER BY asset_id LIMIT ?", (request.plant_id, after, most)
    )
    last = [found[-1].asset_id] if len(found) == most else None
    return messages.ListAssetsResponse(
        assets=map(wire.asset_message, found), next_page_token=paging.token(request, last)
    )


def get_condition_rule(tx: Tx, request: messages.GetConditionRuleRequest) -> messages.GetConditionRuleResponse:
    found = CONDITION_RULES.require(tx, request.plant_id, request.condition_rule_id)
    return messages.GetConditionRuleResponse(condition_rule=wire.rule_message(found))


def list_condition_rules(tx: Tx, request: messages.ListConditionRulesRequest) -> messages.ListConditionRulesResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    found = CONDITION_RULES.select(
        tx,
        "plant_id = ? AND (? = '' OR asset_id = ?) AND condition_rule_id > ? ORDER BY condition_rule_id LIMIT ?",
        (request.plant_id, request.asset_id, request.asset_id, after, most),
    )
    last = [found[-1].condition_rule_id] if len(found) == most else None
    return messages.ListConditionRulesResponse(
        condition_rules=map(wire.rule_message, found), next_page_token=paging.token(request, last)
    )


def get_work_request(tx: Tx, request: messages.GetWorkRequestRequest) -> messages.GetWorkRequestResponse:
    found = WORK_REQUESTS.require(tx, request.work_request_id)
    return messages.GetWorkRequestResponse(work_request=wire.request_message(found))


def list_work_requests(tx: Tx, request: messages.ListWorkRequestsRequest) -> messages.ListWorkRequestsResponse:
    most = paging.size(request)
    (after,) = paging.after(request) or [""]
    state = next((s.value for s, number in wire.STATES.items() if number == request.state), "")
    asset = request.asset_id
    found = WORK_REQUESTS.select(
        tx,
        "plant_id = ? AND (? = '' OR state = ?) AND (? = '' OR asset_id = ?) AND work_request_id > ? "
        "ORDER BY work_request_id LIMIT ?",
        (request.plant_id, state, state, asset, asset, after, most),
    )
    last = [found[-1].work_request_id] if len(found) == most else None
    return messages.ListWorkRequestsResponse(
        work_requests=map(wire.request_message, found), next_page_token=paging.token(request, last)
    )


def list_downtimes(tx: Tx, request: messages.ListDowntimesRequest) -> messages.ListDowntimesResponse:
    most = paging.size(request)
    time, name = paging.after(request) or [LATEST, ""]
    found = DOWNTIMES.select(
        tx,
        "plant_id = ? AND (? = '' OR asset_id = ?) AND (start_time, downtime_id) < (?, ?) "
        "ORDER BY start_time DESC, downtime_id DESC LIMIT ?",
        (request.plant_id, request.asset_id, request.asset_id, time, name, most),
    )
    last = [micros(found[-1].start_time), found[-1].downtime_id] if len(found) == most else None
    return messages.ListDowntimesResponse(
        downtimes=map(wire.downtime_message, found), next_page_token=paging.token(request, last)
    )
