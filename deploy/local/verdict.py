"""The demo's verdict: every system read back by its own means, compared order by order, and our own books checked."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from deploy.local import calls, readback, timeline
from deploy.local.plant import Plants
from deploy.local.report import Report
from isthmus.operations.v1 import lane_service_pb2 as lane_messages
from isthmus.operations.v1.operations_service_pb2 import ListVariancesRequest
from isthmus.production.v1 import production_service_pb2 as production
from isthmus.production.v1.work_order_pb2 import WorkOrderState

TRACED = ("aachen-1", "brno-1")
SERVICES_OF_A_TRACE = {"gateway", "master_data", "production", "inventory"}


def judge(plants: Plants, report: Report) -> None:
    """Fill the report."""
    complete = agree(plants, report)
    report.check("at least six orders over both plants", complete >= 6, True)
    _orders(plants, report)
    _sales(plants, report)
    _traces(plants, report)
    _counts(plants, report)


def agree(plants: Plants, report: Report) -> int:
    """ERPs, MES, warehouse and ledger of these plants agree. How many orders are complete in the ERPs."""
    lines = plants.ledger_lines()
    complete = _books(plants, report, lines)
    _warehouse(plants, report, lines)
    _ledger(plants, report, lines)
    _conservation(plants, report)
    return complete


def _books(plants: Plants, report: Report, lines: list[dict[str, Any]]) -> int:
    """ERP, MES and ledger agree, per order, item and lot."""
    orders = 0
    for plant in plants.seeds:
        ledger = readback.ledger(line for line in lines if line["plant"] == plant and line["work_order"])
        erp = plants.erps[plant].orders(plant)
        worked = {order: books for order, books in erp.items() if books.is_closed}
        orders += len(worked)
        report.check(
            f"{plant}: ERP and ledger are equal per order, item and lot",
            readback.differences(plant, worked, ledger),
            [],
        )
        known = {order: books for order, books in plants.mes_books(plant).items() if books.is_closed}
        report.check(
            f"{plant}: MES and ledger are equal per order, item and lot", readback.differences(plant, known, ledger), []
        )
        costs = plants.erps[plant].costs()
        least = min(costs.values(), default=Decimal(0))
        report.check(f"{plant}: labour and component cost reached every order of the ERP", least > 0, True)
        report.figures[f"erp_cost_{plant}"] = {number: f"{cost:f}" for number, cost in sorted(costs.items())}
    report.figures[f"orders_complete_in_the_erps_of_{_named(plants)}"] = orders
    return orders


def _named(plants: Plants) -> str:
    return "_and_".join(plants.seeds)


def _warehouse(plants: Plants, report: Report, lines: list[dict[str, Any]]) -> None:
    """What came out of orders is in the warehouse, and what left it left the ledger and the ERP."""
    output: dict[str, Decimal] = defaultdict(Decimal)
    left: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for line in lines:
        key = f"{line['item']}/{line['lot']}"
        if line["movement"] == "OUTPUT":
            output[f"{line['plant']}/{key}"] += Decimal(line["quantity"])
        if line["movement"] == "SHIPMENT":
            left[line["document"].removeprefix("shipment/")][key] -= Decimal(line["quantity"])
    made = {key: value.normalize() for key, value in sorted(output.items()) if value}
    report.check(f"{_named(plants)}: WMS and ledger hold the same lots", plants.wms.lots(), made)
    shipped = {number: {k: v.normalize() for k, v in lots.items()} for number, lots in sorted(left.items())}
    report.check(f"{_named(plants)}: WMS and ledger shipped the same lots", plants.wms.shipped(), shipped)
    erp = {
        f"{plant}-delivery-{number}": lots
        for plant in plants.seeds
        for number, (is_done, lots) in plants.erps[plant].deliveries().items()
        if is_done
    }
    report.check(f"{_named(plants)}: the ERPs' deliveries are done with the same lots", erp, shipped)
    report.figures[f"deliveries_of_{_named(plants)}"] = len(shipped)


def _ledger(plants: Plants, report: Report, lines: list[dict[str, Any]]) -> None:
    documents = Counter(
        (line["document"], line["item"], line["lot"], line["location"], line["movement"], line["quantity"])
        for line in lines
    )
    report.figures[f"ledger_lines_of_{_named(plants)}"] = len(lines)
    report.check(
        f"{_named(plants)}: no ledger line stands twice", [key for key, count in documents.items() if count > 1], []
    )


def _conservation(plants: Plants, report: Report) -> None:
    """Of the facts that a consumer took in each is done, a repeat, moot, refused, discarded or in a lane."""
    came = 0
    nowhere: dict[str, int] = {}
    for service in calls.services(plants.seeds):
        left: Counter[str] = Counter()
        with calls.desk(plants.ports, service) as desk:
            for one in calls.pages(desk.ListFactCounts, lane_messages.ListFactCountsRequest(), "fact_counts"):
                became = one.done_count + one.repeat_count + one.moot_count + one.refused_count + one.discarded_count
                left[one.consumer] += one.in_count - became - one.waiting_count - one.parked_count
                came += one.in_count
        nowhere |= {f"{service}, {consumer}": number for consumer, number in left.items() if number}
    report.check(f"{_named(plants)}: every fact that a consumer took in is accounted for", nowhere, {})
    report.figures["facts_taken_in_by_all_consumers"] = came


def _orders(plants: Plants, report: Report) -> None:
    with calls.stub(plants.ports, "production") as stub:
        orders = list(calls.pages(stub.ListWorkOrders, production.ListWorkOrdersRequest(), "work_orders"))
    states = Counter(WorkOrderState.Name(o.state).removeprefix("WORK_ORDER_STATE_") for o in orders)
    report.figures["work_orders"] = dict(states)
    report.check("the order that the ERP cancelled is cancelled", states["CANCELLED"], 1)


def _sales(plants: Plants, report: Report) -> None:
    """What customers ordered was made for them and has left; orders say for whom they are made."""
    with calls.stub(plants.ports, "production") as stub:
        orders = list(calls.pages(stub.ListWorkOrders, production.ListWorkOrdersRequest(), "work_orders"))
    said: dict[str, list[str]] = defaultdict(list)
    for order in sorted(orders, key=lambda order: order.work_order_id):
        if order.HasField("demand"):
            said[f"{order.plant_id}-{order.demand.sales_order_number}"].append(order.erp_order_number)
    erp = {f"{plant}-{number}": found for plant in plants.seeds for number, found in plants.erps[plant].sales().items()}
    report.check(
        "orders say for which sales they are made, as the ERPs have it", dict(said), {n: o for n, (_, o) in erp.items()}
    )
    report.check(
        "what customers ordered has left for them",
        {number: state for number, (state, _) in erp.items()},
        dict.fromkeys(erp, "sent"),
    )
    report.figures["sales"] = len(erp)


def _traces(plants: Plants, report: Report) -> None:
    """One trace an order, over all services, the outage included."""
    for order in TRACED:
        told, spans = timeline.fetch(plants.ports, order)
        plant = order.split("-")[0]
        wanted = SERVICES_OF_A_TRACE | {f"edge_bridge-{plant}"}
        report.check(f"{order}: one trace over all services", sorted(wanted - {s.service_name for s in spans}), [])
        report.figures[f"timeline_entries_{order}"] = len(told.entries)
        report.figures[f"spans_{order}"] = len(spans)
    late = [e for order in ("brno-1", "brno-2") for e in timeline.fetch(plants.ports, order)[0].entries if e.is_late]
    report.check("what was kept back in the outage is marked as late", bool(late), True)


def _counts(plants: Plants, report: Report) -> None:
    conflicts = 0
    postings: Counter[str] = Counter()
    for service in calls.services(plants.seeds):
        with calls.desk(plants.ports, service) as desk:
            conflicts += len(list(calls.pages(desk.ListConflicts, lane_messages.ListConflictsRequest(), "conflicts")))
            found = calls.pages(desk.ListPostings, lane_messages.ListPostingsRequest(), "postings")
            postings.update(f"{p.posting_kind} {p.state}" for p in found)
    report.check("both contents of the conflicting document are kept", conflicts, 1)
    report.figures["postings"] = dict(sorted(postings.items()))
    with calls.stub(plants.ports, "operations") as stub:
        variances = list(calls.pages(stub.ListVariances, ListVariancesRequest(), "variances"))
    report.check(
        "the corrected order, and no other, differs from its line's counters",
        sorted({v.work_order_id for v in variances}),
        ["aachen-6"],
    )
