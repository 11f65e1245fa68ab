"""Every loopback port of the local system, in one table. ISTHMUS_PORT_BASE moves them all."""

from __future__ import annotations

import os
import socket

import psutil

OFFSETS = {
    "nats": 0,
    "erp-aachen": 60,
    "erp-brno": 80,
    "mes-aachen": 101,
    "line-aachen": 102,
    "line-brno": 112,
    "wms": 201,
    "link-aachen": 301,
    "link-aachen-control": 302,
    "link-brno": 311,
    "link-brno-control": 312,
    "master_data": 401,
    "production": 402,
    "inventory": 403,
    "gateway": 404,
    "operations": 405,
    "edge_bridge-aachen": 411,
    "edge_bridge-brno": 412,
    "webhooks": 421,
}


class PortTaken(Exception):
    """A port of ours is in use; the text names it and who has it."""


def base(default: int) -> int:
    return int(os.environ.get("ISTHMUS_PORT_BASE", default))


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
