"""Plays a machine's controller: state, fault, two 16-bit counters and measurements, by Modbus TCP or OPC UA.

What happens to it is said by HTTP: POST /control {"state": "running", "fault": 17, "vibration": "4.2", "bad": ["vibration"]}.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.stage import BadRequest, application, arguments, body, open_store, run

DDL = "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT)"
STATES = {"idle": 0, "running": 1, "down": 2}
REGISTERS = ("state", "fault", "runtime", "cycles", "vibration", "temperature")  # by register number
BAD, MODULUS = 0x8000, 65536
FIRST: dict[str, Any] = {
    "state": "idle",
    "fault": 0,
    "runtime": 0.0,
    "cycles": 0.0,
    "vibration": "1",
    "temperature": "40",
}


class Machine:
    def __init__(self, store: sqlite3.Connection, speed: float) -> None:
        self.store, self.speed = store, speed
        kept = store.execute("SELECT value FROM kept WHERE name = 'machine'").fetchone()
        self.values: dict[str, Any] = json.loads(kept["value"]) if kept else dict(FIRST)
        self.bad: set[str] = set()
        self.clock = ""
        self.given = 0  # values that were read or published
        self.moved = time.monotonic()

    def keep(self) -> None:
        self.store.execute("INSERT OR REPLACE INTO kept VALUES ('machine', ?)", (json.dumps(self.values),))

    def move(self) -> None:
        """Run on since last time: a second a second at speed 1, a cycle every two."""
        now = time.monotonic()
        passed, self.moved = (now - self.moved) * self.speed, now
        if self.values["state"] == "running":
            self.values["runtime"] = (self.values["runtime"] + passed) % MODULUS
            self.values["cycles"] = (self.values["cycles"] + passed / 2) % MODULUS

    def raw(self, name: str) -> int:
        """As a register shows it."""
        if name == "state":
            return STATES[self.values["state"]]
        if name in ("vibration", "temperature"):
            return BAD if name in self.bad else int(Decimal(self.values[name]) * 100)
        return int(self.values[name])

    async def control(self, request: Request) -> Response:
        said = await body(request)
        self.move()
        for name, value in said.items():
            if name == "bad":
                self.bad = set(value)
            elif name == "clock":
                self.clock = str(value)
            elif name not in FIRST or (name == "state" and value not in STATES):
                raise BadRequest(f"{name}={value} is nothing that this machine has")
            else:
                self.values[name] = value
        self.keep()
        return JSONResponse(self.values)

    async def state(self, request: Request) -> Response:
        return JSONResponse({**self.values, "valuesGiven": self.given})

    async def work(self) -> None:
        while True:
            self.move()
            self.keep()
            await asyncio.sleep(0.05)


async def serve_modbus(machine: Machine, port: int) -> None:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    async def shown(_code: int, start: int, _address: int, _count: int, registers: list[int], _set: Any) -> None:
        machine.move()
        machine.given += len(REGISTERS)
        for number, name in enumerate(REGISTERS):
            registers[number - start] = machine.raw(name)

    device = SimDevice(1, [SimData(0, values=[0] * len(REGISTERS), datatype=DataType.REGISTERS)], action=shown)
    await ModbusTcpServer(device, address=("127.0.0.1", port)).serve_forever()


async def serve_opcua(machine: Machine, port: int) -> None:
    from asyncua import Server, ua  # type: ignore[attr-defined]
    from asyncua.ua.status_codes import StatusCodes

    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:machine")
    nodes = {}
    for name in REGISTERS:
        node_id = ua.NodeId.from_string(f"ns={index};s=Machine.{name}")
        is_measure = name in ("vibration", "temperature")
        value = ua.Variant(0.0, ua.VariantType.Double) if is_measure else ua.Variant(0, ua.VariantType.Int32)
        nodes[name] = await server.nodes.objects.add_variable(node_id, f"Machine.{name}", value)
    async with server:
        while True:
            machine.move()
            stamp = ua.DateTime(1970, 1, 1) if machine.clock == "1970" else ua.DateTime.utcnow()
            for name, node in nodes.items():
                is_measure = name in ("vibration", "temperature")
                value = ua.Variant(0 if is_measure else machine.raw(name), ua.VariantType.Int32)
                if is_measure:
                    value = ua.Variant(float(machine.values[name]), ua.VariantType.Double)
                code = StatusCodes.BadSensorFailure if name in machine.bad else StatusCodes.Good
                said = ua.DataValue(value, ua.StatusCode(ua.UInt32(code)), SourceTimestamp=stamp)
                await server.write_attribute_value(node.nodeid, said)
                machine.given += 1
            await asyncio.sleep(0.05)


def main() -> None:
    parser = arguments(__doc__ or "", "python -m simulators.machine --port 1502 --control 1503 --state /tmp/press")
    parser.add_argument("--protocol", choices=("modbus", "opcua"), default="modbus")
    parser.add_argument("--control", type=int, required=True, help="loopback port where it is told what happens to it")
    parser.add_argument("--speed", type=float, default=1.0, help="machine seconds a second")
    told = parser.parse_args()
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    machine = Machine(open_store(told.state / "machine.db", DDL), told.speed)
    serve = serve_modbus if told.protocol == "modbus" else serve_opcua
    routes = [Route("/control", machine.control, methods=["POST"]), Route("/state", machine.state)]
    asyncio.run(run(application(routes), told.control, serve(machine, told.port), machine.work()))


if __name__ == "__main__":
    main()
