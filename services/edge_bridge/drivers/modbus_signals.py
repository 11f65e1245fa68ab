"""Machines by Modbus TCP: holding registers of each device, read together."""

from __future__ import annotations

from collections.abc import Sequence

from services.edge_bridge.domain.machine import Look
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.signals import look_of
from services.edge_bridge.signal_map import AssetSignals, SignalMap

TIMEOUT = 2.0
TOGETHER_MOST = 120  # registers of one read; the protocol allows 125


class ModbusSignals:
    """Places are register numbers. Registers have no quality and no clock: a value may be marked as bad in the map."""

    name = "modbus"

    def __init__(self, connector_id: str, host: str, port: int, signals: SignalMap) -> None:
        self.connector_id = connector_id
        self._host, self._port, self._signals = host, port, signals
        for asset in signals.assets:
            registers = [int(place) for place in asset.places]
            if max(registers) - min(registers) >= TOGETHER_MOST:
                raise ValueError(f"{asset.asset_id}: registers lie more than {TOGETHER_MOST} apart")

    async def looks(self) -> Sequence[Look]:
        """Every machine once. Raises DriverAway; then the next call connects anew."""
        from pymodbus.client import AsyncModbusTcpClient  # only bridges with such machines pay for it
        from pymodbus.exceptions import ModbusException

        client = AsyncModbusTcpClient(self._host, port=self._port, timeout=TIMEOUT, retries=0, reconnect_delay=0)
        try:
            if not await client.connect():
                raise DriverAway(f"{self._host}:{self._port} does not answer")
            return [await self._look(client, asset) for asset in self._signals.assets]
        except (ModbusException, OSError, TimeoutError) as error:
            raise DriverAway(f"{type(error).__name__}: {error}") from error
        finally:
            client.close()

    @staticmethod
    async def _look(client: object, asset: AssetSignals) -> Look:
        registers = [int(place) for place in asset.places]
        first, count = min(registers), max(registers) - min(registers) + 1
        answer = await client.read_holding_registers(first, count=count, device_id=asset.device)  # type: ignore[attr-defined]
        if answer.isError():
            raise DriverAway(f"{asset.asset_id}: device {asset.device} answers {answer}")
        raw = {place: answer.registers[int(place) - first] for place in asset.places}
        return look_of(asset, raw, None, is_good=True)
