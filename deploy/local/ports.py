"""Where the local system lives: every loopback port, in one table that ISTHMUS_PORT_BASE moves, and its home folder."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

from deploy.local.tryton.plants import SEEDS

ROOT = Path(__file__).resolve().parents[2]
LOCAL_BASE = 18000  # of `isthmus up`; the demo has its own
LOWEST_BASE, HIGHEST_BASE = 1024, 65000
OFFSETS = {
    "nats": 0,
    "erp-ghent": 40,
    "erp-aachen": 60,
    "erp-brno": 80,
    "mes-aachen": 101,
    "line-aachen": 102,
    "machine-aachen": 103,
    "machine-aachen-control": 104,
    "line-brno": 112,
    "machine-brno": 113,
    "machine-brno-control": 114,
    "mes-ghent": 121,
    "lims-ghent": 122,
    "historian-ghent": 123,
    "historian-ghent-backup": 124,
    "machine-ghent": 125,
    "machine-ghent-control": 126,
    "wms": 201,
    "qms": 202,
    "cmms": 203,
    "link-aachen": 301,
    "link-aachen-control": 302,
    "link-brno": 311,
    "link-brno-control": 312,
    "link-ghent": 321,
    "link-ghent-control": 322,
    "master_data": 401,
    "production": 402,
    "inventory": 403,
    "gateway": 404,
    "operations": 405,
    "quality": 406,
    "maintenance": 407,
    "edge_bridge-aachen": 411,
    "edge_bridge-brno": 412,
    "edge_bridge-ghent": 413,
    "webhooks": 421,
    "console": 422,
}


class PortTaken(Exception):
    """A port of ours is in use; the text names it and who has it."""


class SettingWrong(Exception):
    """A setting of the local system can't be used; the text says which and what would do."""


def base(default: int) -> int:
    said = os.environ.get("ISTHMUS_PORT_BASE") or str(default)
    if not said.isdecimal() or not LOWEST_BASE <= int(said) <= HIGHEST_BASE:
        raise SettingWrong(f"ISTHMUS_PORT_BASE is {said!r}; it is a number from {LOWEST_BASE} to {HIGHEST_BASE}.")
    return int(said)


def home() -> Path:
    """Where the system of `isthmus up` keeps everything: ISTHMUS_HOME, else var/local."""
    return Path(os.environ.get("ISTHMUS_HOME") or ROOT / "var" / "local").resolve()


def local() -> dict[str, int]:
    """The ports of the system of `isthmus up`."""
    return table(base(LOCAL_BASE))


def plants() -> list[str]:
    """The plants of the system of `isthmus up`: ISTHMUS_PLANTS, else all."""
    said = os.environ.get("ISTHMUS_PLANTS") or ",".join(SEEDS)
    chosen = [name.strip() for name in said.split(",")]
    if unknown := [name for name in chosen if name not in SEEDS]:
        raise SettingWrong(f"ISTHMUS_PLANTS names {unknown[0]!r}; there are {', '.join(SEEDS)}.")
    return [name for name in SEEDS if name in chosen]


def table(first: int) -> dict[str, int]:
    return {name: first + offset for name, offset in OFFSETS.items()}


def require_free(ports: dict[str, int]) -> None:
    """Every port must be free before anything starts."""
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise PortTaken(
                    f"Port {port} (for {name}) is taken{_holder(port)}. Stop that, or set ISTHMUS_PORT_BASE."
                ) from None


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", 0) == port and connection.pid:
            try:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f" by pid {connection.pid}"
    return ""
