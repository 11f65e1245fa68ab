"""The edge bridge's settings: EDGE_BRIDGE_* in the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="EDGE_BRIDGE_")

    plant_id: str = Field(description="The plant that this bridge stands in; also the only one of PLANTS")
    mes_driver: str = Field(description="rest_mes or staging_mes")
    mes_address: str = Field(description="URL of the MES, or path of its staging database")
    line_url: str = Field("", description="OPC UA endpoint of the line; empty: none")
    line_tag_map: str = Field("stations", description="Name of the line's tag map")
    line_stations: int = Field(3, description="How many stations the line has")
