"""What differs between Tryton's releases, as data: one dialect a release series, and no `if version` anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from services.gateway.erp.canonical import ErpReleaseUnknown


@dataclass(frozen=True, slots=True)
class Dialect:
    series: str
    rpc_path: str  # after /<database>
    unit: str  # name of the unit field of productions, moves and bills
    finish_production: str
    finish_shipment: tuple[str, ...]  # buttons of a customer delivery once it is packed
    finish_internal: tuple[str, ...]  # buttons of an internal shipment once it is assigned
    inspection_key: str  # field of an inspection that keeps our key; empty: the release keeps no inspections by a key


DIALECTS = {
    6: Dialect("6.0", "/", "uom", "done", ("done",), ("done",), ""),
    7: Dialect("7.0", "/", "unit", "done", ("done",), ("done",), ""),
    8: Dialect("8.0", "/rpc/", "unit", "do", ("ship", "do"), ("do",), "reference"),
}
SERVER_PATHS = ("/rpc/", "/")  # newest first: the old path answers 405 on a new server, and the reverse

UNIT_CODES = {"u": "C62", "kg": "KGM", "g": "GRM", "l": "LTR", "m": "MTR", "s": "SEC", "min": "MIN", "h": "HUR"}
SYMBOLS = {code: symbol for symbol, code in UNIT_CODES.items()}


def dialect_of(version: str) -> Dialect:
    """The dialect of a server version such as "6.0.76" or "8.0". Minor releases are free; unknown majors are refused."""
    major = version.split(".", maxsplit=1)[0]
    if not major.isdigit() or int(major) not in DIALECTS:
        raise ErpReleaseUnknown(release=version)
    return DIALECTS[int(major)]
