"""What each plant system's records mean: pure functions from a plant record to a report, one per dialect of records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from isthmus.edge.v1.plant_record_pb2 import PlantRecord
from servicekit.domain import BusinessKey, DomainError, Quantity, exact
from servicekit.wire import time_of
from services.edge_bridge.domain.plant_order import RecordFieldMissing, RecordFieldUnreadable
from services.edge_bridge.lims_map import LimsMap
from services.edge_bridge.wire import Consumption, ReportConfirmation, ReportLabResult, ReportReversal, Scrap

Report = ReportConfirmation | ReportReversal
REST_UNITS = {"ST": "C62", "KG": "KGM", "G": "GRM", "L": "LTR", "M": "MTR"}
BATCH_UNITS = {"kg": "KGM", "g": "GRM", "l": "LTR", "pcs": "C62", "m": "MTR"}
STAGING_UNITS = {"KS": "C62", "KG": "KGM"}
MINUTE = Decimal(60)


@dataclass(frozen=True, slots=True)
class Fields:
    """A record's fields, with refusals that name record and field."""

    record: PlantRecord
    values: Mapping[str, str]
    units: Mapping[str, str]
    number: Callable[[str], Decimal]

    def text(self, name: str) -> str:
        if not self.values.get(name):
            raise RecordFieldMissing(connector_id=self.record.connector_id, record_id=self.record.record_id, field=name)
        return self.values[name]

    def unreadable(self, name: str, value: object) -> DomainError:
        return RecordFieldUnreadable(
            connector_id=self.record.connector_id, record_id=self.record.record_id, field=name, value=value
        )

    def amount(self, name: str, text: str) -> Decimal:
        try:
            return exact(self.number(text))
        except (InvalidOperation, ValueError, DomainError) as error:
            raise self.unreadable(name, text) from error

    def quantity(self, name: str, text: str, unit: str) -> Quantity:
        if unit not in self.units:
            raise self.unreadable(f"{name} unit", unit)
        return Quantity(self.amount(name, text), self.units[unit])

    def whole(self, name: str) -> int:
        text = self.text(name)
        if not text.isascii() or not text.isdigit():
            raise self.unreadable(name, text)
        return int(text)

    def rows(self, name: str) -> list[dict[str, str]]:
        """A list of small objects, kept in one field as JSON text."""
        try:
            rows = json.loads(self.values.get(name) or "[]")
            return [{str(key): "" if value is None else str(value) for key, value in row.items()} for row in rows]
        except (ValueError, AttributeError, TypeError) as error:
            raise self.unreadable(name, self.values.get(name)) from error


def _fields(record: PlantRecord, units: Mapping[str, str], number: Callable[[str], Decimal]) -> Fields:
    return Fields(record, {field.name: field.value for field in record.fields}, units, number)


def comma_number(text: str) -> Decimal:
    """12,500 is twelve and a half: this MES writes a decimal comma and no thousands sign."""
    if "." in text:
        raise ValueError(text)
    return Decimal(text.replace(",", "."))


def rest_mes(record: PlantRecord, plant_id: str, *, is_late: bool) -> Report:
    """A report of the assembly MES of aachen."""
    fields = _fields(record, REST_UNITS, comma_number)
    key = BusinessKey(record.connector_id, "confirmation", fields.text("meldung"))
    read_time = time_of(record.read_time)
    if fields.values.get("storno_von"):
        wrong = BusinessKey(record.connector_id, "confirmation", fields.text("storno_von"))
        key = BusinessKey(record.connector_id, "reversal", fields.text("meldung"))
        reason = fields.values.get("grund") or "cancelled in the MES"
        return ReportReversal(key, plant_id, "", fields.text("auftrag"), wrong, reason, read_time, is_late)
    unit = fields.text("einheit")
    return ReportConfirmation(
        business_key=key,
        plant_id=plant_id,
        work_order_id="",
        mes_order_number=fields.text("auftrag"),
        operation_sequence=fields.whole("vorgang"),
        good=fields.quantity("gut", fields.text("gut"), unit),
        scraps=tuple(
            Scrap(fields.quantity("ausschuss", row.get("menge", ""), unit), row.get("grund") or "UNKNOWN")
            for row in fields.rows("ausschuss")
        ),
        labour=Quantity(fields.amount("zeit_min", fields.text("zeit_min")) * MINUTE, "SEC"),
        consumptions=tuple(
            Consumption(
                row.get("artikel", ""),
                row.get("charge", ""),
                fields.quantity("verbrauch", row.get("menge", ""), row.get("einheit", "")),
            )
            for row in fields.rows("verbrauch")
        ),
        output_lot_id=fields.values.get("charge_aus", ""),
        occur_time=_instant(fields, "ende"),
        operator_id=fields.values.get("werker", ""),
        is_final=fields.values.get("letzte") == "True",
        is_late=is_late,
    )


def _instant(fields: Fields, name: str) -> datetime:
    try:
        instant = datetime.fromisoformat(fields.text(name))
    except ValueError as error:
        raise fields.unreadable(name, fields.values[name]) from error
    if instant.tzinfo is None:
        raise fields.unreadable(name, fields.values[name])
    return instant


def staging_mes(record: PlantRecord, plant_id: str, *, is_late: bool) -> Report:
    """A row of CONFIRM_OUT of the legacy MES of brno. Its clock is not to be trusted: the time is when we read it."""
    fields = _fields(record, STAGING_UNITS, Decimal)
    read_time = time_of(record.read_time)
    key = BusinessKey(record.connector_id, "confirmation", record.record_id)
    if fields.values.get("CANCELS"):
        wrong = BusinessKey(record.connector_id, "confirmation", fields.text("CANCELS_RECORD"))
        key = BusinessKey(record.connector_id, "reversal", record.record_id)
        return ReportReversal(
            key, plant_id, "", fields.text("MES_NO"), wrong, "cancelled in the MES", read_time, is_late
        )
    unit = fields.text("UOM")
    scrap = fields.values.get("SCRAP", "")
    lost = fields.quantity("SCRAP", scrap, unit) if scrap else None
    return ReportConfirmation(
        business_key=key,
        plant_id=plant_id,
        work_order_id="",
        mes_order_number=fields.text("MES_NO"),
        operation_sequence=fields.whole("OP_NO"),
        good=fields.quantity("GOOD", fields.text("GOOD"), unit),
        scraps=(Scrap(lost, fields.values.get("SCRAP_CODE") or "UNKNOWN"),) if lost and lost.value else (),
        labour=Quantity(fields.amount("MINUTES", fields.values.get("MINUTES") or "0") * MINUTE, "SEC"),
        consumptions=tuple(
            Consumption(row["ITEM"], row["LOT"], fields.quantity("QTY", row["QTY"], row["UOM"]))
            for row in fields.rows("PARTS")
        ),
        output_lot_id=fields.values.get("LOT_OUT", ""),
        occur_time=read_time,
        operator_id=fields.values.get("OPERATOR", ""),
        is_final=fields.values.get("LAST") == "Y",
        is_late=is_late,
    )


def batch_mes(record: PlantRecord, plant_id: str, *, is_late: bool) -> Report:
    """A record of the batch executive of ghent: what one phase of a batch took, made and lost."""
    fields = _fields(record, BATCH_UNITS, Decimal)
    if fields.values.get("voids"):
        return ReportReversal(
            BusinessKey(record.connector_id, "reversal", fields.text("record")),
            plant_id,
            "",
            fields.text("batch"),
            BusinessKey(record.connector_id, "confirmation", fields.text("voids")),
            fields.values.get("reason") or "voided in the batch record",
            time_of(record.read_time),
            is_late,
        )
    unit = fields.text("uom")
    lost = fields.quantity("loss", fields.values.get("loss") or "0", unit)
    return ReportConfirmation(
        business_key=BusinessKey(record.connector_id, "confirmation", fields.text("record")),
        plant_id=plant_id,
        work_order_id="",
        mes_order_number=fields.text("batch"),
        operation_sequence=fields.whole("phase"),
        good=fields.quantity("good", fields.text("good"), unit),
        scraps=(Scrap(lost, "HEEL"),) if lost.value else (),  # what stays in the vessel
        labour=Quantity(fields.amount("operatorSeconds", fields.values.get("operatorSeconds") or "0"), "SEC"),
        consumptions=tuple(
            Consumption(
                row.get("material", ""),
                row.get("lot", ""),
                fields.quantity("charged", row.get("value", ""), row.get("uom", "")),
            )
            for row in fields.rows("charged")
        ),
        output_lot_id=fields.values.get("outputLot", ""),
        occur_time=_instant(fields, "ended"),
        operator_id=fields.values.get("operator", ""),
        is_final=fields.values.get("isLast") == "True",
        is_late=is_late,
    )


DOCUMENT_FIELDS = {"rest_mes": "meldung", "batch_mes": "record"}  # of others the record's own id
ORDER_FIELDS = ("auftrag", "MES_NO", "batch")  # where a record names the MES's order


def document_number(record: PlantRecord, driver: str) -> str:
    """The MES's number of a record, also if the rest of it can't be read."""
    wanted = DOCUMENT_FIELDS.get(driver, "")
    return next((field.value for field in record.fields if field.name == wanted and field.value), record.record_id)


def order_number(record: PlantRecord) -> str:
    """The MES's order that a record names, also if the rest of it can't be read; empty: none."""
    fields = {field.name: field.value for field in record.fields}
    return next((fields[name] for name in ORDER_FIELDS if fields.get(name)), "")


def lane_key(record: PlantRecord) -> str:
    """What a record of the MES is kept in order by until we know its work order."""
    return f"mes:{order_number(record) or record.record_id}"


MAPPINGS: Mapping[str, Callable[..., Report]] = {
    "rest_mes": rest_mes,
    "staging_mes": staging_mes,
    "batch_mes": batch_mes,
}


# --- laboratory

FORMULA = re.compile(r"[=+@\t\r]|-[^0-9,.]")  # begins what a spreadsheet would run; a laboratory writes no such cell
LAB_NUMBER = re.compile(r"-?[0-9]{1,12}(,[0-9]{1,6})?")


def lab_result(
    record: PlantRecord, plant_id: str, lims_map: LimsMap, zone: ZoneInfo, *, is_late: bool
) -> ReportLabResult:
    """A row of a laboratory's results. Corrections are rows of a higher revision, and documents of their own."""
    fields = _fields(record, lims_map.units, lab_number)
    for name, value in fields.values.items():
        if FORMULA.match(value):
            raise fields.unreadable(name, value)
    column = lims_map.result
    sample_number, test_code = fields.text(column["sample_number"]).strip(), fields.text(column["test_code"]).strip()
    if test_code not in lims_map.tests:
        raise fields.unreadable(column["test_code"], test_code)
    revision = fields.whole(column["revision"])
    if not 0 < revision < 1000:
        raise fields.unreadable(column["revision"], revision)
    return ReportLabResult(
        business_key=BusinessKey(record.connector_id, "lab_result", sample_number, f"{test_code}/{revision}"),
        plant_id=plant_id,
        sample_number=sample_number,
        characteristic_id=lims_map.tests[test_code],
        value=fields.quantity(
            column["value"], fields.text(column["value"]).strip(), fields.text(column["unit"]).strip()
        ),
        revision=revision,
        occur_time=_plant_time(fields, column["time"], lims_map.time_format, zone),
        is_late=is_late,
    )


def lab_number(text: str) -> Decimal:
    """A decimal comma, at most six digits behind it, and no thousands sign."""
    if not LAB_NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text.replace(",", "."))


def _plant_time(fields: Fields, name: str, time_format: str, zone: ZoneInfo) -> datetime:
    """A plant's clock as an instant. The hour that a change of the clocks skips or repeats names none, and is refused."""
    text = fields.text(name).strip()
    try:
        local = datetime.strptime(text, time_format).replace(tzinfo=zone)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise ValueError(text)
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise fields.unreadable(name, text) from error
