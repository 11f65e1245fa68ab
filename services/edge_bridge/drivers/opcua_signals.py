"""Machines by OPC UA: the nodes of each machine, read together, with the device's clock and quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.edge_bridge.domain.machine import Look
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers.signals import look_of, looks_of
from services.edge_bridge.signal_map import AssetSignals, SignalMap

TIMEOUT = 4.0


class OpcUaSignals:
    """Places are node ids, e.g. "ns=2;s=Press1.State". One session for as long as it lives."""

    name = "opc_ua"

    def __init__(self, connector_id: str, url: str, signals: SignalMap) -> None:
        self.connector_id = connector_id
        self._url, self._signals = url, signals
        self._client: Any = None

    async def looks(self) -> tuple[Sequence[Look], str]:
        """Every machine once; see looks_of. A lost session is made anew by the next call."""
        from asyncua import Client  # type: ignore[attr-defined]  # 0.9 s to import: only such bridges pay it
        from asyncua.ua.uaerrors import UaError

        try:
            if self._client is None:
                client = Client(self._url, timeout=TIMEOUT)
                await client.connect()
                self._client = client
            await self._client.check_connection()
            return await looks_of(self._signals, self._look)
        except (OSError, TimeoutError, UaError) as error:
            self._client = None
            raise DriverAway(f"{type(error).__name__}: {error}") from error

    async def _look(self, asset: AssetSignals) -> Look:
        from asyncua.ua.attribute_ids import AttributeIds

        nodes = [self._client.get_node(place) for place in asset.places]
        read = await self._client.uaclient.read_attributes([node.nodeid for node in nodes], AttributeIds.Value)
        found = dict(zip(asset.places, read, strict=True))
        raw = {
            place: value.Value.Value if value.StatusCode.is_good() and value.Value is not None else None
            for place, value in found.items()
        }
        lacking = [place for place in asset.places[:4] if raw[place] is None]
        if lacking:
            raise DriverAway(f"{asset.asset_id}: {lacking[0]} is {found[lacking[0]].StatusCode.name}")
        return look_of(asset, raw, found[asset.state].SourceTimestamp, is_good=True)
