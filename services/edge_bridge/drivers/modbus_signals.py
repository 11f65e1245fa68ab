"""Machines by Modbus TCP: holding registers of each device, read together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.edge_bridge.domain.machine import Look
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.signals import look_of, looks_of
from services.edge_bridge.signal_map import AssetSignals, SignalMap

TIMEOUT = 2.0
TOGETHER_MOST = 120  # registers of one read; the protocol allows 125


class ModbusSignals:
    """Places are register numbers. Registers have no quality and no clock: a value may be marked as bad in the map.

    One connection for as long as it lives: controllers have room for a few.
    """

    name = "modbus"

    def __init__(self, connector_id: str, host: str, port: int, signals: SignalMap) -> None:
        self.connector_id = connector_id
        self._host, self._port, self._signals = host, port, signals
        self._client: Any = None
        for asset in signals.assets:
            registers = [int(place) for place in asset.places]
            if max(registers) - min(registers) >= TOGETHER_MOST:
                raise ValueError(f"{asset.asset_id}: registers lie {TOGETHER_MOST} or more apart")

    async def looks(self) -> tuple[Sequence[Look], str]:
        """Every machine once; see looks_of. A lost connection is made anew by the next call."""
        from pymodbus.client import AsyncModbusTcpClient  # only bridges with such machines pay for it

        try:
            if self._client is None or not self._client.connected:
                self._close()
                self._client = AsyncModbusTcpClient(
                    self._host, port=self._port, timeout=TIMEOUT, retries=0, reconnect_delay=0
                )
                if not await self._client.connect():
                    raise DriverAway(f"{self._host}:{self._port} does not answer")
            return await looks_of(self._signals, self._look)
        except DriverAway:
            self._close()
            raise

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    async def _look(self, asset: AssetSignals) -> Look:
        from pymodbus.exceptions import ModbusException

        registers = [int(place) for place in asset.places]
        first, count = min(registers), max(registers) - min(registers) + 1
        try:
            answer = await self._client.read_holding_registers(first, count=count, device_id=asset.device)
        except (ModbusException, OSError, TimeoutError) as error:
            raise DriverAway(f"{asset.asset_id}: {type(error).__name__}: {error}") from error
        if answer.isError():
            raise DriverAway(f"{asset.asset_id}: device {asset.device} answers {answer}")
        raw = {place: answer.registers[int(place) - first] for place in asset.places}
        return look_of(asset, raw, None, is_good=True)
