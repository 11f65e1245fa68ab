"""What `isthmus reconcile` shows of a plant's MES."""

from __future__ import annotations

from deploy.local.books import order_rows
from isthmus.operations.v1 import reconciliation_pb2 as messages


def test_a_report_is_a_row_with_both_sides_and_a_dash_for_the_side_that_lacks_it() -> None:
    variance = messages.OrderVariance(system_id="mes-aachen", work_order_id="aachen-1", operation_sequence=10)
    cause = variance.causes.add(document_id="M-2", kind=messages.CAUSE_KIND_MISSING, text="neither here nor on its way")
    cause.mes_good_quantity.value, cause.mes_good_quantity.unit_code = "4", "C62"
    cause.mes_scrap_quantity.value, cause.mes_scrap_quantity.unit_code = "1", "C62"
    (row,) = order_rows(variance)
    assert row == {
        "system": "mes-aachen",
        "lot": "aachen-1 operation 10",
        "ledger": "-",
        "there": "4 C62 good, 1 scrap",
        "document": "M-2",
        "cause": "missing",
        "text": "neither here nor on its way",
    }
