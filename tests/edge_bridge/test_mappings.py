"""What the plants' records mean, and what is parked because nobody can know."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from isthmus.events.v1.envelope_pb2 import Envelope
from servicekit import foreign
from servicekit.domain import BusinessKey, Quantity
from servicekit.facts import EventMeta
from services.edge_bridge import event_handlers, use_cases
from services.edge_bridge.domain.plant_order import RecordFieldMissing, RecordFieldUnreadable
from services.edge_bridge.lims_map import load_map
from services.edge_bridge.mappings import batch_mes, document_number, lab_result, lane_key, rest_mes, staging_mes
from services.edge_bridge.store import STORE
from services.edge_bridge.wire import ReportConfirmation, ReportReversal
from tests.support.seen import seen

READ_TIME = datetime(2026, 11, 24, 10, tzinfo=UTC)
REPORT = {
    "meldung": "M-000003",
    "auftrag": "FA-000001",
    "vorgang": "0030",
    "gut": "3,500",
    "einheit": "KG",
    "ausschuss": json.dumps([{"menge": "0,250", "grund": "GRAT"}]),
    "zeit_min": "7,5",
    "verbrauch": json.dumps([{"artikel": "HSG-10", "charge": "H-1", "menge": "4,000", "einheit": "ST"}]),
    "charge_aus": "P-1",
    "ende": "2026-11-24T13:00:00+01:00",
    "letzte": "True",
}
ROW = {
    "MES_NO": "Z40001",
    "OP_NO": "20",
    "GOOD": "4",
    "SCRAP": "1",
    "SCRAP_CODE": "VADA",
    "UOM": "KS",
    "MINUTES": "8.75",
    "LOT_OUT": "V-1",
    "LAST": "Y",
    "PARTS": json.dumps([{"ITEM": "PTFE-1", "LOT": "", "QTY": "0.125", "UOM": "KG"}]),
}

PHASE = {
    "record": "R-000005",
    "batch": "B26-0001",
    "phase": "50",
    "good": "1185.000",
    "loss": "15.000",
    "uom": "kg",
    "operatorSeconds": "900.5",
    "charged": json.dumps([{"material": "PA-1", "lot": "PA-0901", "value": "372.0", "uom": "kg"}]),
    "outputLot": "R-0001",
    "ended": "2026-11-24T12:00:00.250Z",
    "isLast": "True",
}


def a_record(fields: dict[str, str], connector: str = "mes-aachen") -> PlantRecord:
    record = PlantRecord(connector_id=connector, feed="f", record_id="7-abc")
    for name, value in fields.items():
        record.fields.add(name=name, value=value)
    record.read_time.FromDatetime(READ_TIME)
    return record


def test_a_rest_report_is_a_confirmation_in_our_words() -> None:
    said = rest_mes(a_record(REPORT), "aachen", is_late=False)
    assert isinstance(said, ReportConfirmation)
    assert said.business_key == BusinessKey("mes-aachen", "confirmation", "M-000003")
    assert said.good == Quantity(Decimal("3.5"), "KGM")
    assert said.scraps[0].quantity == Quantity(Decimal("0.25"), "KGM")
    assert said.labour == Quantity(Decimal(450), "SEC")
    assert said.consumptions[0].quantity == Quantity(Decimal(4), "C62")
    assert said.occur_time == datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert said.is_final


def test_a_rest_cancellation_names_the_report_that_was_wrong() -> None:
    fields = {"meldung": "M-9", "auftrag": "FA-000001", "storno_von": "M-000003", "grund": "Zaehlfehler"}
    said = rest_mes(a_record(fields), "aachen", is_late=True)
    assert isinstance(said, ReportReversal)
    assert said.confirmation_key == BusinessKey("mes-aachen", "confirmation", "M-000003")
    assert said.is_late


def test_a_phase_of_a_batch_is_a_confirmation_in_our_words() -> None:
    said = batch_mes(a_record(PHASE, "mes-ghent"), "ghent", is_late=False)
    assert isinstance(said, ReportConfirmation)
    assert said.business_key == BusinessKey("mes-ghent", "confirmation", "R-000005")
    assert (said.mes_order_number, said.operation_sequence, said.output_lot_id) == ("B26-0001", 50, "R-0001")
    assert said.good == Quantity(Decimal(1185), "KGM")
    assert said.scraps[0].quantity == Quantity(Decimal(15), "KGM")
    assert said.labour == Quantity(Decimal("900.5"), "SEC")
    assert said.consumptions[0].quantity == Quantity(Decimal(372), "KGM")
    assert said.occur_time == datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
    assert said.is_final


def test_a_phase_without_loss_scraps_nothing() -> None:
    said = batch_mes(a_record({**PHASE, "loss": "0", "isLast": "False"}, "mes-ghent"), "ghent", is_late=False)
    assert isinstance(said, ReportConfirmation)
    assert (said.scraps, said.is_final) == ((), False)


def test_a_voided_record_of_a_batch_takes_its_confirmation_back() -> None:
    fields = {"record": "R-000006", "batch": "B26-0001", "voids": "R-000005", "reason": "scale drifted"}
    said = batch_mes(a_record(fields, "mes-ghent"), "ghent", is_late=False)
    assert isinstance(said, ReportReversal)
    assert said.confirmation_key == BusinessKey("mes-ghent", "confirmation", "R-000005")
    assert said.reversal_reason == "scale drifted"


@pytest.mark.parametrize(
    ("driver", "fields", "document", "lane"),
    [
        ("rest_mes", REPORT, "M-000003", "mes:FA-000001"),
        ("staging_mes", ROW, "7-abc", "mes:Z40001"),
        ("batch_mes", PHASE, "R-000005", "mes:B26-0001"),
    ],
)
def test_document_and_lane_of_a_record_are_known_also_if_the_rest_is_not(
    driver: str, fields: dict[str, str], document: str, lane: str
) -> None:
    record = a_record({**fields, "gut": "O", "GOOD": "O", "good": "O"})
    assert (document_number(record, driver), lane_key(record)) == (document, lane)


def test_a_staging_row_is_a_confirmation_at_the_time_of_reading() -> None:
    said = staging_mes(a_record({**ROW, "TS": "01.01.1970 00:00"}, "mes-brno"), "brno", is_late=False)
    assert isinstance(said, ReportConfirmation)
    assert said.business_key == BusinessKey("mes-brno", "confirmation", "7-abc")
    assert said.occur_time == READ_TIME
    assert said.labour == Quantity(Decimal(525), "SEC")
    assert said.consumptions[0].quantity == Quantity(Decimal("0.125"), "KGM")


@pytest.mark.parametrize(
    ("mapping", "fields", "changes"),
    [
        (rest_mes, REPORT, {"gut": "3.500"}),
        (rest_mes, REPORT, {"gut": "drei"}),
        (rest_mes, REPORT, {"gut": "NaN"}),
        (rest_mes, REPORT, {"einheit": "PAAR"}),
        (rest_mes, REPORT, {"vorgang": "3O"}),
        (rest_mes, REPORT, {"ende": "gestern"}),
        (rest_mes, REPORT, {"ende": "2026-11-24T13:00:00"}),
        (rest_mes, REPORT, {"verbrauch": "{"}),
        (batch_mes, PHASE, {"good": "1.185,0"}),
        (batch_mes, PHASE, {"uom": "lb"}),
        (batch_mes, PHASE, {"phase": "fifty"}),
        (batch_mes, PHASE, {"ended": "2026-11-24T12:00:00"}),
        (batch_mes, PHASE, {"charged": "{}x"}),
        (staging_mes, ROW, {"MINUTES": "1O"}),
        (staging_mes, ROW, {"GOOD": "4,5"}),
        (staging_mes, ROW, {"UOM": "XX"}),
        (staging_mes, ROW, {"PARTS": "[1]"}),
        (staging_mes, ROW, {"GOOD": "0.12345678901234567890"}),
    ],
)
def test_a_field_nobody_can_read_is_refused_by_name(
    mapping: Any, fields: dict[str, str], changes: dict[str, str]
) -> None:
    with pytest.raises(RecordFieldUnreadable) as refusal:
        mapping(a_record({**fields, **changes}), "aachen", is_late=False)
    assert refusal.value.facts["record_id"] == "7-abc"


@pytest.mark.parametrize("name", ["meldung", "auftrag", "vorgang", "gut", "einheit", "zeit_min", "ende"])
def test_a_missing_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(RecordFieldMissing) as refusal:
        rest_mes(a_record({key: value for key, value in REPORT.items() if key != name}), "aachen", is_late=False)
    assert refusal.value.facts["field"] == name


LIMS = load_map(Path("services/edge_bridge/lims_maps/ghent.json"))
BRUSSELS = ZoneInfo("Europe/Brussels")
LAB_ROW = {
    "Monsternr": "M26-00001",
    "Bepaling": "VISC-20",
    "Revisie": "2",
    "Meetwaarde": "-212,5",
    "Eenheid": "mPa.s",
    "Meettijd": "25-11-2026 14:35",
    "Analist": "jvdb",
}


def test_a_laboratorys_row_is_a_result_in_our_words() -> None:
    said = lab_result(a_record(LAB_ROW, "lims-ghent"), "ghent", LIMS, BRUSSELS, is_late=False)
    assert said.business_key == BusinessKey("lims-ghent", "lab_result", "M26-00001", "VISC-20/2")
    assert (said.characteristic_id, said.revision) == ("viscosity", 2)
    assert said.value == Quantity(Decimal("-212.5"), "C24")
    assert said.occur_time == datetime(2026, 11, 25, 13, 35, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"Bepaling": "KLEUR"},
        {"Eenheid": "cP"},
        {"Meetwaarde": "212.5"},
        {"Meetwaarde": "+1"},
        {"Meetwaarde": "1.212,5"},
        {"Meetwaarde": "< 0,5"},
        {"Revisie": "0"},
        {"Revisie": "1000"},
        {"Revisie": "een"},
        {"Meettijd": "25/11/2026 14:35"},
        {"Meettijd": "25-10-2026 02:30"},  # stood twice on the clock
        {"Meettijd": "29-03-2026 02:30"},  # stood on no clock
        {"Analist": "=1+1"},
        {"Analist": "@SUM(A1)"},
        {"Analist": "-cmd"},
        {"Analist": "\tx"},
    ],
)
def test_a_laboratorys_cell_nobody_can_read_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(RecordFieldUnreadable):
        lab_result(a_record({**LAB_ROW, **changes}, "lims-ghent"), "ghent", LIMS, BRUSSELS, is_late=False)


@pytest.mark.parametrize(("operator", "is_kept"), [("NOVAK", True), ("N" * foreign.MOST, False)])
def test_what_was_read_goes_with_what_it_says_unless_it_is_too_large(operator: str, is_kept: bool) -> None:
    settings: Any = SimpleNamespace(mes_driver="rest_mes", asks_for_evidence=False, laboratory_id="", time_zone="UTC")
    record = a_record({**REPORT, "werker": operator})
    handler = event_handlers.handlers(settings, None)[PlantRecord.DESCRIPTOR.full_name]
    said = handler(record, EventMeta(Envelope(plant_id="aachen")))
    assert said is not None
    assert said.command.source == (record if is_kept else None)
    assert said.command.operator_id == operator


def test_a_laboratorys_row_goes_with_its_result() -> None:
    settings: Any = SimpleNamespace(
        mes_driver="rest_mes", asks_for_evidence=False, laboratory_id="lims-ghent", time_zone="Europe/Brussels"
    )
    record = a_record(LAB_ROW, "lims-ghent")
    said = event_handlers.handlers(settings, LIMS)[PlantRecord.DESCRIPTOR.full_name](
        record, EventMeta(Envelope(plant_id="ghent"))
    )
    assert said is not None
    (fact,) = use_cases.decide_lab_result(seen(STORE), said.command, datetime.now(UTC)).facts
    assert fact.data.source_record == record
